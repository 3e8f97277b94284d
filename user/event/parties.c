/* The parts that events of a connection share (parties.h). Pure; a value that is unknown is left out.
 *
 * Paths and whatever else is bytes of the host are escaped here; each text has its bound (object.h). */
#include "parties.h"

#include <inttypes.h>

struct json *process_json(const struct event_context *context, const char *exe, uint32_t uid, const char *user_name)
{
	struct json *process = object_begin(), *user = object_begin();
	char text[64];

	if (context->pid)
		object_count(process, "pid", context->pid);
	object_raw(process, "executable", exe, PATH_TEXT_MAX);
	object_text(process, "name", context->comm, ID_TEXT_MAX);
	if (context->pid && context->start_ticks) {
		snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu64, context->pid, context->start_ticks);
		object_text(process, "entity_id", text, ID_TEXT_MAX);
	}
	if (uid != UINT32_MAX) { /* (uid_t)-1 is no user */
		snprintf(text, sizeof(text), "%" PRIu32, uid);
		object_text(user, "id", text, ID_TEXT_MAX);
	}
	object_raw(user, "name", user_name, ID_TEXT_MAX);
	object_child(process, "user", user);
	return process;
}

void put_workload(struct json *object, const struct event_context *context)
{
	struct json *container = object_begin(), *service = object_begin();

	object_raw(container, "id", context->container, ID_TEXT_MAX);
	object_child(object, "container", container);
	object_raw(service, "name", context->unit, ID_TEXT_MAX);
	object_child(object, "service", service);
}

static struct json *endpoint(const struct address *address, uint16_t port)
{
	struct json *object = object_begin();
	char ip[ADDRESS_TEXT_MAX];

	if (address->len) {
		address_format(address, ip);
		object_text(object, "ip", ip, ID_TEXT_MAX);
		if (port)
			object_number(object, "port", port);
	}
	return object;
}

void put_connection(struct json *object, const struct connection *connection)
{
	struct json *local = endpoint(connection->local, connection->local_port);
	struct json *peer = endpoint(connection->peer, connection->peer_port);
	struct json *network = object_begin();
	bool server = connection->role == FACTS_ROLE_SERVER;
	uint8_t len = connection->peer->len ? connection->peer->len : connection->local->len;

	object_text(server ? local : peer, "domain", connection->server_name, TEXT_MAX);
	object_child(object, "source", server ? peer : local);
	object_child(object, "destination", server ? local : peer);
	if (len || connection->context->socket_cookie)
		object_text(network, "transport", connection->context->udp ? "udp" : "tcp", ID_TEXT_MAX);
	if (len)
		object_text(network, "type", len == 4 ? "ipv4" : "ipv6", ID_TEXT_MAX);
	object_child(object, "network", network);
}

struct json *socket_json(const struct event_context *context)
{
	struct json *socket = object_begin();
	char cookie[32];

	if (context->socket_cookie) { /* text: JSON's readers hold numbers in 53 bits */
		snprintf(cookie, sizeof(cookie), "%" PRIu64, context->socket_cookie);
		object_text(socket, "cookie", cookie, ID_TEXT_MAX);
	}
	object_text(socket, "how", context->socket_how, ID_TEXT_MAX);
	return socket;
}
