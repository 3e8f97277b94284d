/* Who processes are, as was found out a moment ago: whoever verifies once often does so again, and to ask each time costs more
 * than the verdict. Told apart by all by which the kernel's cache tells them apart (verdict_key.h): another program, executed
 * by the same process, is not known. Of one thread. */
#ifndef WHOS_H
#define WHOS_H

#include "channel.h"

enum {
	WHO_MS = 1000, /* so old may an answer be: the file may be renamed, the user too */
	WHOS_MAX = 32, /* processes; at one more the answer that is oldest goes */
};

struct who_key {
	uint32_t pid, uid;
	uint64_t start_boottime_ns, exec_id;
	uint64_t cgroup_id; /* 0: not known, and nothing is remembered */
};

struct who {
	struct who_key key;
	uint64_t until_ns;               /* CLOCK_MONOTONIC */
	struct message_process *process; /* owned */
};

struct whos {
	struct who items[WHOS_MAX];
	size_t next;
};

/* ret: with the thread that is asked about. False: it is not known, or no more. */
bool whos_find(const struct whos *whos, const struct who_key *key, uint32_t tid, uint64_t now_ns,
	       struct message_process *ret);
/* Copies process, if that is known. */
void whos_add(struct whos *whos, const struct who_key *key, const struct message_process *process, uint64_t now_ns);
void whos_clear(struct whos *whos);

#endif
