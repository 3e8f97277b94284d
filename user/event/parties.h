/* Who and where, as every event of a connection tells it: the process, its workload, both ends, the socket. Private to
 * user/event. */
#ifndef EVENT_PARTIES_H
#define EVENT_PARTIES_H

#include "object.h"

/* One connection as its event tells it. */
struct connection {
	enum facts_role role;
	const struct address *local, *peer;
	uint16_t local_port, peer_port;
	const char *server_name; /* escaped, or NULL */
	const struct event_context *context;
};

/* exe: any bytes; uid UINT32_MAX, user NULL: not known. */
struct json *process_json(const struct event_context *context, const char *exe, uint32_t uid, const char *user);
/* container and service. */
void put_workload(struct json *object, const struct event_context *context);
/* source, destination, network. The source is the TLS client, whichever end is ours; of an unknown role it is our end. */
void put_connection(struct json *object, const struct connection *connection);
struct json *socket_json(const struct event_context *context);

#endif
