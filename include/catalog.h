/* The files that were looked at: each inode once, with what it answered. Privileged (asks), but parses nothing itself. */
#ifndef CATALOG_H
#define CATALOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "library.h"

struct catalog_file {
	dev_t device;
	ino_t inode;
	int64_t ctime_ns, size; /* a number used again, or a file written over, is another file */
	char *path;             /* as it was first met */
	struct library_answer answer;
	bool candidate; /* names a function of interest: it was asked */
	bool settled;   /* attached, or reported as unsupported: nothing is left to do */
	struct catalog_file *next, *in_bucket;
};

struct catalog;

void catalog_new(struct catalog **ret);
void catalog_free(struct catalog *catalog);

/* The entry of the file open at fd, made (and the library asked) if it is new. path is kept for messages. -errno: the file
 * cannot be read. A file that does not answer is an entry too: answer.reason says why. */
int catalog_examine(struct catalog *catalog, int fd, const char *path, struct catalog_file **ret);

/* First entry; then along next. */
struct catalog_file *catalog_first(const struct catalog *catalog);

#endif
