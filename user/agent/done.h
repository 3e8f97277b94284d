/* Kills that were done before the judge asked for them, so that it can be told when it does. */
#ifndef DONE_H
#define DONE_H

#include "channel.h"

enum { DONE_MAX = 1024 }; /* beyond it the oldest is forgotten: its event will say that the connection had ended already */

struct done {
	struct record_id id;
	uint64_t cookie;
	int64_t number;
	char *text;
	struct message_killed *killed;
};

struct dones {
	struct done items[DONE_MAX];
	size_t next;
};

/* answer: a MESSAGE_KILLED. */
void dones_add(struct dones *dones, const struct record_id *id, uint64_t cookie, const struct message *answer);
/* Once: then it is forgotten. False: it was not done. */
bool dones_take(struct dones *dones, const struct record_id *id, uint64_t cookie, struct message *answer);
void dones_clear(struct dones *dones);

#endif
