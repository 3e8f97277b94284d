/* What the finder knows of libraries: every file that was looked at, and what has probes. Used by its thread alone. */
#ifndef LIBRARIES_H
#define LIBRARIES_H

#include "askers.h"
#include "attachments.h"
#include "catalog.h"
#include "mapped.h"

struct libraries {
	int channel;
	struct catalog *catalog;
	struct askers *askers;
	struct attachments attachments;
	uint64_t examined; /* files so far */
	size_t forget_at;  /* entries in the catalog, beyond which those are forgotten that nothing maps */
	bool settling;     /* a file is being settled: those met meanwhile wait for their turn */
	bool missed;       /* a file was given up, as too many were waiting */
};

/* A file that was met. */
struct sighting {
	int fd;                    /* stays the caller's */
	struct witness at;         /* pid 0: it is only installed */
	struct file_number number; /* inode 0: not known */
	int64_t time_ns;           /* CLOCK_MONOTONIC: when it was mapped; 0: before we looked */
	const char *path;
	bool installed; /* path is where, all links followed */
};

/* wake: as of askers_new. */
int libraries_new(struct probes *probes, int channel, int wake, struct libraries **ret);
void libraries_free(struct libraries *libraries);

/* Looks at a file: what there is to do is done at once, or when an asker has answered. The entry, or NULL: it is no regular
 * file, or could not be looked at now. */
struct catalog_file *libraries_look(struct libraries *libraries, const struct sighting *sighting);
/* Looks at a mapping, if it is still there. */
struct catalog_file *libraries_look_mapped(struct libraries *libraries, const struct mapped *mapped, int64_t time_ns);
/* Takes what askers have done. */
void libraries_answers(struct libraries *libraries);
/* Whether files that were given up can be looked at again, as now there is room: all processes should be looked at then. */
bool libraries_missed(struct libraries *libraries);
/* When something has happened on the host: leaves what nobody maps. True: files were forgotten. *ret_again: look at what is
 * installed and at all processes again. */
bool libraries_tidy(struct libraries *libraries, bool *ret_again);

#endif
