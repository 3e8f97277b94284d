/* Connections that earlier policies let be, judged by those that are in force now. Runs without privilege. */
#ifndef RECALL_H
#define RECALL_H

#include "case.h"
#include "remember.h"

/* Work that is done in slices, so that new verifications need not wait for it. */
struct recall {
	struct verified_socket *sockets; /* owned; NULL: there is nothing to do */
	int64_t count, at;
};

/* fd: a memory file of count times struct verified_socket. What was left of an earlier one is given up: these are all that
 * are open now. */
void recall_begin(struct recall *recall, int fd, int64_t count);
bool recall_is_under_way(const struct recall *recall);
/* A slice. One that is condemned and still open is ended, or told of in audit. *ret_forgotten grows by those whose verification
 * is not in memory any more. False: nobody reads events any more. */
bool recall_go_on(struct recall *recall, const struct bench *bench, const struct memory *memory, uint64_t *ret_forgotten);
void recall_end(struct recall *recall);

#endif
