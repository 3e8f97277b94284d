/* One connection of a process, dealt with by all means that there are. Privileged. The process can make what is done to its
 * socket wait as long as it likes: to be called in a thread that has nothing else to do (workers.h), but for
 * connection_push. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "records.h"
#include "workers.h"

struct connection {
	uint32_t pid, tid;
	uint64_t start_boottime_ns;
	struct record_socket socket; /* with a cookie */
};

/* Ends it: by SOCK_DESTROY in its network namespace, wherever that is (of the process, of the agent, of whoever is in it),
 * or, where the kernel refuses that, through the process's own descriptor. 0; -ENOENT: it had ended; other -errno. *ret_why:
 * static, or errno's text; "" if 0. */
int connection_end(const struct connection *connection, const char **ret_why);

/* 0: it is open; -ENOENT: it is not; other -errno. */
int connection_look(const struct connection *connection);

/* What waits in its queue goes at once, by the hands of a worker: does not wait. Release it first, or what is pushed is
 * dropped again. As far as it can be done: what is not pushed goes when TCP tries again. False: there was too much to do. */
bool connection_push(struct workers *workers, const struct connection *connection);

#endif
