/* A process that looks at one library file for us, and answers once: see child.c. */
#ifndef CHILD_H
#define CHILD_H

#include <stddef.h>
#include <sys/types.h>

enum {
	FILE_FD = 3,   /* where it finds the file */
	ANSWER_FD = 4, /* where it writes its answer */
};

struct child {
	pid_t pid;
	int go;     /* a byte sent here lets it begin */
	int answer; /* it alone holds the other end */
};

/* Runs this very program with that command (and argument, or NULL), the file and nothing else. It waits for child_answer.
 * 0 or -errno; the caller keeps file. */
int child_start(const char *command, const char *argument, int file, struct child *ret);

/* Lets it begin, waits for an answer of exactly size bytes, and ends and reaps it in any case. -ETIMEDOUT: not within
 * ASK_TIMEOUT_MS, not counting up to ASK_WAITED_MAX_MS that it waited for a processor; -EPROTO: it died, or did not answer so;
 * another -errno. Only with 0 anything is written to ret_answer. */
int child_answer(struct child *child, void *ret_answer, size_t size);

#endif
