/* A gated socket that no verdict let go, as one line of JSON: the same names as json.c has. Pure. */
#include "gate_event.h"

#include "object.h"
#include "parties.h"
#include "words.h"

/* The outcome is that of what `fail` asks for. */
static struct json *event_block(const struct event_head *head, const struct event_gate *gate)
{
	struct json *event = object_begin();

	object_text(event, "kind", "alert", ID_TEXT_MAX);
	object_list_of_one(event, "category", "network");
	object_list_of_one(event, "type", gate->result == RESULT_KILLED ? "denied" : "allowed");
	object_text(event, "action", "gate-timeout", ID_TEXT_MAX);
	object_text(event, "outcome", gate->result == RESULT_FAILED ? "failure" : "success", ID_TEXT_MAX);
	object_count(event, "sequence", head->sequence);
	return event;
}

static struct json *tlswarden_block(const struct event_gate *gate)
{
	struct json *own = object_begin(), *waiting = object_begin(), *action = object_begin();

	if (gate->role != FACTS_ROLE_UNKNOWN)
		object_text(own, "role", role_words.items[gate->role], ID_TEXT_MAX);
	object_child(own, "socket", socket_json(&gate->context));
	object_text(waiting, "reason", gate_words.items[gate->reason], ID_TEXT_MAX);
	object_count(waiting, "held", gate->held);
	object_count(waiting, "waited_us", gate->waited_us);
	object_child(own, "gate", waiting);
	object_text(action, "result", result_words.items[gate->result], ID_TEXT_MAX);
	if (gate->result == RESULT_FAILED)
		object_raw(action, "reason", gate->result_reason, TEXT_MAX);
	object_child(own, "action", action);
	return own;
}

char *event_gate_json(const struct event_head *head, const struct event_gate *gate)
{
	struct json *object = object_event(head, event_block(head, gate));
	const struct connection connection = {.role = gate->role,
					      .local = &gate->local,
					      .peer = &gate->peer,
					      .local_port = gate->local_port,
					      .peer_port = gate->peer_port,
					      .context = &gate->context};

	object_child(object, "process", process_json(&gate->context, gate->context.exe, gate->uid, NULL));
	put_workload(object, &gate->context);
	put_connection(object, &connection);
	object_child(object, "tlswarden", tlswarden_block(gate));
	return object_line(object);
}
