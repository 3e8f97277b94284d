/* Sockets that are let go, and what waits in their queues pushed: where something does. */
#ifndef PUSHES_H
#define PUSHES_H

#include "connection.h"
#include "gate.h"

enum { PUSHES_MAX = 1024 }; /* looked at once more; one beyond is pushed at once */

struct pushes {
	struct workers *workers; /* borrowed */
	struct {
		struct connection connection;
		struct record_id id;
	} items[PUSHES_MAX];
	size_t count;
	uint64_t dropped; /* pushes that the workers could not take: those wait until TCP tries again */
};

/* While we hold a descriptor of it a socket lives on though its process closes it. So none is taken where no packet waited;
 * and as one may have been on its way in that very moment, it is looked at once more. */
void pushes_release(struct pushes *pushes, struct gate *gate, const struct connection *connection,
		    const struct record_id *id);
void pushes_look(struct pushes *pushes, const struct gate *gate);

/* Whether or not something waits. */
void pushes_push(struct pushes *pushes, const struct connection *connection);

#endif
