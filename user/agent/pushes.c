/* See pushes.h. */
#include <linux/types.h>

#include "pushes.h"

void pushes_push(struct pushes *pushes, const struct connection *connection)
{
	pushes->dropped += !connection_push(pushes->workers, connection);
}

void pushes_release(struct pushes *pushes, struct gate *gate, const struct connection *connection,
		    const struct record_id *id)
{
	uint64_t cookie = connection->socket.cookie;

	gate_release(gate, cookie, id);
	if (gate_held(gate, cookie, id) || pushes->count == PUSHES_MAX) {
		pushes_push(pushes, connection);
		return;
	}
	pushes->items[pushes->count].connection = *connection;
	pushes->items[pushes->count++].id = *id;
}

void pushes_look(struct pushes *pushes, const struct gate *gate)
{
	for (size_t i = 0; i < pushes->count; i++)
		if (gate_held(gate, pushes->items[i].connection.socket.cookie, &pushes->items[i].id))
			pushes_push(pushes, &pushes->items[i].connection);
	pushes->count = 0;
}
