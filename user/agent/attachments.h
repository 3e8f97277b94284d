/* The libraries that have probes: a slot each, in use as long as something maps the library or it is installed. */
#ifndef ATTACHMENTS_H
#define ATTACHMENTS_H

#include "askers.h"
#include "catalog.h"
#include "channel.h"
#include "probes.h"
#include "spread.h"

struct attachment {
	uint32_t slot;
	bool silent; /* the self-check did not see its probes fire */
	struct library_layout layout;
	struct message_library told;  /* as the judge was told */
	struct catalog_file *members; /* along member: a libcrypto and its libssl, or one file; and other views of them */
	struct attachment *next;
};

struct attachments {
	struct probes *probes;
	struct askers *askers;
	int channel;
	struct catalog *catalog;
	struct attachment *first; /* along next */
	uint32_t count;
	uint32_t
		free_slots[LIBRARIES_MAX]; /* the longest free is taken first, as records may still name one that was left */
	size_t free_at;
	uint64_t ever, detached;
	struct spread attach_us; /* from first mapping to probes */
	uint64_t attach_us_most;
};

/* All but the numbers is borrowed. */
void attachments_init(struct attachments *attachments, struct probes *probes, struct askers *askers, int channel,
		      struct catalog *catalog);
void attachments_clear(struct attachments *attachments);

/* Puts probes on the files, which are then settled, and tells the judge; a check of them will follow. fds stay the caller's.
 * -ENOSPC: there is no slot; other -errno: of probes_attach. */
int attachments_put(struct attachments *attachments, const struct library_layout *layout, struct catalog_file *const *files,
		    const int *fds, size_t count);
/* If the file, open at fd, is one that has probes already, met by another way: then it is settled too, and true. */
bool attachments_join(struct attachments *attachments, struct catalog_file *file, int fd);
/* Counts the file, which has nothing to probe, among those of the attachment: settled. */
void attachments_member(struct attachment *attachment, struct catalog_file *file);
/* What came out of a check. */
void attachments_checked(struct attachments *attachments, const struct inquiry *inquiry);

/* Looks which libraries nobody maps any more, and takes their probes off and their files out of the catalog: true if there
 * was one. *ret_changed: one was written over in place, or is no longer what is installed: look again. */
bool attachments_tidy(struct attachments *attachments, bool *ret_changed);

/* A descriptor of the file, through a process that maps it, or by its path; -ENOENT: it cannot be had. */
int file_open(const struct catalog_file *file);

/* Whether one of its witnesses still maps it; those that do not are forgotten. */
bool file_witnessed(struct catalog_file *file);

#endif
