/* fail: closed: the gate outlives its agent in the BPF file system, in a directory that is named after the process. */
#ifndef PINS_H
#define PINS_H

#include "gate.h"

struct pins;

/* Keeps the link and the two maps. -errno and *ret_why, owned by the caller. */
int pins_new(int link_fd, int pending_fd, int released_fd, struct pins **ret, char **ret_why);
void pins_free(struct pins *pins);  /* removes them */
void pins_leave(struct pins *pins); /* does not */

/* For agents that have ended: see gate_adopt. */
void pins_adopt(gate_left_fn left, void *context);

#endif
