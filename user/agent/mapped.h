/* What processes have mapped, by /proc. Privileged. A process may end at any time: then it has nothing mapped. */
#ifndef MAPPED_H
#define MAPPED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "catalog.h"

/* An executable mapping of a file. */
struct mapped {
	struct witness at;
	struct file_number number;
	const char *path; /* as the process sees it; valid during the call */
};
typedef void (*mapped_fn)(void *context, const struct mapped *mapped);

/* Each of a process. -errno: they could not be read. */
int mapped_each(uint32_t pid, mapped_fn fn, void *context);
/* Each process, those with lower ids first: mostly the older ones. */
void processes_each(void (*fn)(void *context, uint32_t pid), void *context);

/* The very file that is mapped there, deleted or not, in whatever mount namespace. -errno. */
int mapped_open(const struct witness *at);
/* Its status: false if nothing is mapped there. */
bool mapped_stat(const struct witness *at, struct stat *ret);
/* By its path, as that process sees it; pid 0: as we do. -errno. */
int path_open(uint32_t pid, const char *path);

/* A path that links lead to, as Debian's libraries are: "…/libcrypto.so.3" → "…/libssl.so.3", and the other way; NULL for
 * other names. New memory. Pure. */
char *companion_path(const char *path);

/* Is it the same file in two places? Two views of one file (overlayfs, and what lies below it) have a number each, but their
 * bytes are in the same page of memory. Needs CAP_SYS_ADMIN; without it false. */
bool same_pages(int a, int b);

#endif
