/* The event of a gated socket that no verdict let go: event.action "gate-timeout". Pure, as event.h has it. */
#ifndef GATE_EVENT_H
#define GATE_EVENT_H

#include "event.h"

enum gate_reason {
	GATE_REASON_TIMEOUT,     /* its time ran out */
	GATE_REASON_FULL,        /* there was no room for one socket more */
	GATE_REASON_AGENT_ENDED, /* it was left by an agent that has gone */
};

struct event_gate {
	struct event_context context; /* of the process and the socket; what is not known is left out */
	uint32_t uid;                 /* UINT32_MAX: not known */
	enum facts_role role;         /* FACTS_ROLE_UNKNOWN: told as a client's, whose destination is the peer */
	struct address local, peer;
	uint16_t local_port, peer_port;
	enum gate_reason reason;
	uint64_t held;             /* packets that waited */
	uint64_t waited_us;        /* since the socket was entered */
	enum action_result result; /* RESULT_KILLED: ended; RESULT_NONE: let go; RESULT_FAILED: neither could be done */
	const char *result_reason; /* with RESULT_FAILED */
};

/* As event_verification_json() and event_verification_text(). */
char *event_gate_json(const struct event_head *head, const struct event_gate *gate);
char *event_gate_text(const struct event_head *head, const struct event_gate *gate, bool colour);

/* As sink_verification() of sink.h. */
struct sink;
bool sink_gate(struct sink *sink, const struct event_gate *gate);

#endif
