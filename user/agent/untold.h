/* What the judge is to be told, and not yet reads: the warden does not wait for it. */
#ifndef UNTOLD_H
#define UNTOLD_H

#include <stddef.h>

#include "channel.h"

enum {
	UNTOLD_MAX = 4096,  /* beyond it they are dropped, and counted */
	UNREAD_MAX = 65536, /* bytes that the judge has not read: then it is told nothing more for now */
};

struct untold {
	int channel; /* the caller's */
	struct message *messages;
	size_t count;
	uint64_t dropped;
};

void untold_clear(struct untold *untold);
void untold_add(struct untold *untold, const struct message *message);
/* As many as it takes now. */
void untold_send(struct untold *untold);

#endif
