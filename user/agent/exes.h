/* Executables by the digests of their paths, as they were seen: a process that has ended, or executed another program, still has
 * the one by which its verification was known. Of one thread. */
#ifndef EXES_H
#define EXES_H

#include <linux/types.h>
#include <stddef.h>

#include "siphash.h"

enum { EXES_MAX = 1024 }; /* at one more the one that was added first goes */

struct exes {
	struct {
		struct siphash_value digest;
		char *path; /* owned */
	} items[EXES_MAX];
	size_t next;
};

/* The table's, until one is added; NULL: not known. */
const char *exes_find(const struct exes *exes, const struct siphash_value *digest);
/* digest: of that path, which is not looked into here. Copies it, unless it is there. */
void exes_add(struct exes *exes, const struct siphash_value *digest, const char *path);
void exes_clear(struct exes *exes);

#endif
