/* Kills that were done before they were asked for: the warden's, which the judge could not be told of, and the judge's, whose
 * verification it has not read yet. */
#ifndef DONE_H
#define DONE_H

#include "channel.h"

enum { DONE_MAX = 1024 }; /* beyond it the oldest is forgotten: its event will say that the connection had ended already */

struct done {
	struct record_id id;
	uint64_t cookie;
	int64_t number;
	uint64_t acted_ns;
	uint32_t pid, tid, uid, known; /* of the process */
	uint64_t start_boottime_ns;
	char *text, *exe, *user, *cgroup; /* owned; text NULL: nothing is here */
};

struct dones {
	struct done items[DONE_MAX];
	size_t next, count;
};

/* answer: a MESSAGE_KILLED. */
void dones_add(struct dones *dones, const struct record_id *id, uint64_t cookie, const struct message *answer);
/* Once: then it is forgotten. answer becomes a MESSAGE_KILLED and keeps its token. False: it was not done, and -ECANCELED is
 * not told but forgotten. */
bool dones_take(struct dones *dones, const struct record_id *id, uint64_t cookie, struct message *answer);
bool dones_has(const struct dones *dones, const struct record_id *id, uint64_t cookie);
/* Who the process was, as was found out before it was done; it may be gone by now. Nothing is forgotten. */
bool dones_process(const struct dones *dones, const struct record_id *id, uint64_t cookie, struct message_process *ret);
void dones_clear(struct dones *dones);

#endif
