/* See gate_tell.h. */
#include "gate_tell.h"

#include <netinet/in.h>

#include "gate_event.h"
#include "process.h"
#include "util.h"

_Static_assert((int)GATE_REASON_TIMEOUT == GATE_WHY_TIMEOUT && (int)GATE_REASON_FULL == GATE_WHY_FULL &&
		       (int)GATE_REASON_AGENT_ENDED == GATE_WHY_AGENT_ENDED,
	       "one list of reasons");

bool gate_tell_state(const struct bench *bench, const struct message *message)
{
	static const char *const states[] = {[GATE_OFF] = "off", [GATE_ON] = "on", [GATE_UNAVAILABLE] = "unavailable"};
	const struct message_gate *gate = &message->gate;
	const struct event_detail details[] = {
		{.key = "gate.state", .text = gate->state < ARRAY_SIZE(states) ? states[gate->state] : "unknown"},
		{.key = "gate.fail", .text = gate->closed ? "closed" : "open"},
		{.key = "gate.timeout_ms", .number = gate->timeout_ms},
		{.key = "gate.reason", .text = message->text},
	};
	bool fine = gate->state != GATE_UNAVAILABLE;

	return sink_agent(bench->sink, "gate-changed", fine ? "success" : "failure", details, ARRAY_SIZE(details) - fine);
}

static struct address address_of(const struct record_socket *socket, const __u8 *bytes)
{
	return address_from_bytes(bytes, socket->family == AF_INET ? 4 : 16);
}

bool gate_tell_timeout(const struct bench *bench, const struct message *message)
{
	const struct message_timeout *timeout = &message->timeout;
	const struct record_socket *socket = &timeout->socket;
	struct message who = {.tag = MESSAGE_PROCESS,
			      .process = {.pid = timeout->pid,
					  .tid = timeout->tid,
					  .uid = timeout->uid,
					  .start_boottime_ns = timeout->start_boottime_ns}};
	bool known = bench->ask(bench->context, &who) && who.tag == MESSAGE_PROCESS_IS && who.process.known;
	struct event_gate event = {
		.context = {.pid = timeout->pid,
			    .exe = known ? who.process.exe : NULL,
			    .start_ticks = process_ticks(timeout->start_boottime_ns),
			    .socket_cookie = socket->cookie,
			    .socket_how = socket_how_name(socket->how),
			    .udp = socket->protocol == IPPROTO_UDP},
		.uid = timeout->uid,
		.local = address_of(socket, socket->local_ip),
		.peer = address_of(socket, socket->peer_ip),
		.local_port = socket->local_port,
		.peer_port = socket->peer_port,
		.reason = timeout->why <= GATE_WHY_AGENT_ENDED ? (enum gate_reason)timeout->why : GATE_REASON_TIMEOUT,
		.held = timeout->held,
		.waited_us = timeout->waited_us,
		.result = !timeout->killed     ? RESULT_NONE :
			  message->number == 0 ? RESULT_KILLED :
						 RESULT_FAILED,
		.result_reason = message->text,
	};

	return sink_gate(bench->sink, &event);
}
