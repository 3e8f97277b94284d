/* Connections that earlier policies let be, judged by those that are in force now. Runs without privilege. */
#ifndef RECALL_H
#define RECALL_H

#include "case.h"
#include "remember.h"

/* fd: a memory file of count times struct verified_socket. One that is condemned and still open is ended, or told of in audit. *ret_forgotten
 * grows by those whose verification is not in memory any more. False: nobody reads events any more. */
bool recall(const struct bench *bench, const struct memory *memory, int fd, int64_t count, uint64_t *ret_forgotten);

#endif
