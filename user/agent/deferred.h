/* Messages that came while an answer was awaited. One of each tag at most, a newer one stands for those before it; but each
 * gate-timeout and each kill. */
#ifndef DEFERRED_H
#define DEFERRED_H

#include "channel.h"

struct deferred {
	struct message message;
	int fd; /* owned, or -1 */
};

struct deferreds {
	struct deferred *items;
	size_t count;
};

/* Takes over fd. */
void deferreds_add(struct deferreds *deferreds, const struct message *message, int fd);

#endif
