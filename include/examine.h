/* One look at a file: which TLS implementations left traces in it, and, if it is worth asking, what it answers. Privileged; may
 * take ASK_TIMEOUT_MS and more, so it is done in threads that nobody waits for. */
#ifndef EXAMINE_H
#define EXAMINE_H

#include <stdatomic.h>
#include <stdint.h>

#include "library.h"

struct examination {
	uint32_t traces; /* enum trace */
	bool bits32;     /* an ELF file of 32-bit code: it is not asked */
	struct library_answer answer;
};

/* Answers that were given, by the file's content; for several threads. */
struct contents;
void contents_new(struct contents **ret);
void contents_free(struct contents *contents);

/* Of the regular file open at fd. path: as its process sees it; only a 32-bit library is told by its name. A file that does not
 * answer is 0 too: answer.reason says why. -errno: it cannot be read; -ECANCELED: *stop was set meanwhile. */
int examine_file(struct contents *contents, int fd, const char *path, const atomic_bool *stop, struct examination *ret);

/* The reason of a 32-bit library. */
#define LIBRARY_32_BITS "it is 32-bit code, which is not covered"

#endif
