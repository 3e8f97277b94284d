/* The files that were looked at: each inode once, with what it answered, and who is known to map it. Plain data; asks nobody. */
#ifndef CATALOG_H
#define CATALOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "library.h"

enum file_stage {
	FILE_PENDING, /* its examination is under way */
	FILE_OPEN,    /* something is left to do: a libcrypto whose libssl was not met, or the other way round */
	FILE_SETTLED, /* attached, reported as unsupported, or not concerned */
};

/* A number of an inode as /proc/PID/maps and perf show it, which need not be what fstat(2) says (btrfs). */
struct file_number {
	uint64_t device, inode;
};

/* A process that mapped the file, there. */
struct witness {
	uint32_t pid; /* 0: none */
	uint64_t start, end;
};
enum { WITNESSES_MAX = 4 }; /* of a file; who comes later is found when these have gone */

struct attachment; /* attachments.h */

struct catalog_file {
	dev_t device;
	ino_t inode;
	int64_t size, mtime_ns, ctime_ns;
	uid_t owner;
	struct file_number number;
	char *path;      /* as it was first met */
	char *installed; /* where it is installed, with all links followed; or NULL */
	enum file_stage stage;
	uint32_t traces;
	struct library_answer answer;
	bool bits32;       /* 32-bit code */
	char *reason;      /* why it is not covered, or NULL */
	int fd;            /* held while a half waits for the other; or -1 */
	int64_t mapped_ns; /* CLOCK_MONOTONIC: when it was first mapped; 0: before the agent, or it was not */
	int64_t attach_us; /* from then to its probes; -1: not known */
	struct attachment *attachment;
	struct catalog_file *member; /* the next of that attachment */
	bool met;                    /* when it was looked for last: a process maps it, or it is installed */
	bool view;                   /* … whose probes sit on the same file, met by another way (overlayfs) */
	struct witness witnesses[WITNESSES_MAX];
	struct catalog_file *next, *previous, *in_bucket;
};

struct catalog;

void catalog_new(struct catalog **ret);
void catalog_free(struct catalog *catalog);

/* The entry of that file, or NULL. One that was written over is another file, unless its probes or its examination hold it. */
struct catalog_file *catalog_find(const struct catalog *catalog, const struct stat *stat);
/* A new entry, which takes the place of one of the same number. */
struct catalog_file *catalog_add(struct catalog *catalog, const struct stat *stat, const char *path);
void catalog_remove(struct catalog *catalog, struct catalog_file *file);

/* First entry, the newest; then along next. */
struct catalog_file *catalog_first(const struct catalog *catalog);
size_t catalog_count(const struct catalog *catalog);

/* Is it that inode? */
bool catalog_is(const struct catalog_file *file, const struct stat *stat);
/* Was it written to since? */
bool catalog_changed(const struct catalog_file *file, const struct stat *stat);
/* Whether that process was not known to map it, and now is. */
bool witness_add(struct catalog_file *file, const struct witness *witness);

#endif
