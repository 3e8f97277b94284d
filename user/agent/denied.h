/* Verifications that the kernel condemned by itself, and what became of their connections: the warden says so without being
 * asked. Whichever comes first waits for the other. */
#ifndef DENIED_H
#define DENIED_H

#include "done.h"
#include "hold.h"

struct denied {
	struct holds waiting; /* cases that are not judged yet */
	struct dones outcomes;
};

/* Takes over c, which waits; or false: its outcome is there, or will not come. */
bool denied_hold(struct denied *denied, struct case_ *c, uint64_t now_ns);
/* The case that waited for that MESSAGE_KILLED, now the caller's, or NULL. */
struct case_ *denied_outcome(struct denied *denied, const struct message *outcome);
void denied_clear(struct denied *denied);

#endif
