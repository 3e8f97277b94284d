/* Events as users see them: one JSON object a line (ECS names), or a readable line for `watch`.
 *
 * Pure, but for the time zone: a process that gives up its files calls tzset() before, else the first event opens
 * /etc/localtime. */
#ifndef EVENT_H
#define EVENT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "facts.h"
#include "verdict.h"

/* The process, library and socket of a verification, as the agent learned them; any pointer may be NULL. */
struct event_context {
	uint32_t pid;
	const char *exe, *comm;       /* comm is escaped */
	uint64_t start_ticks;         /* of the process, in clock ticks since boot (proc(5) stat field 22) */
	const char *unit, *container; /* from the cgroup, any bytes */
	const char *library_version, *library_path;
	const uint8_t *build_id;
	size_t build_id_len;
	uint64_t socket_cookie; /* 0: unknown */
	const char *socket_how; /* "fd", "thread", "unknown" */
	bool udp;               /* else TCP */
};

enum action_result { RESULT_NONE, RESULT_WOULD_KILL, RESULT_KILLED, RESULT_PROCESS_KILLED, RESULT_REJECTED, RESULT_FAILED };

struct event_verification {
	const struct facts *facts;
	const struct verdict *verdict; /* count 0: peer-verified; otherwise policy-violation */
	struct event_context context;
	enum action_result result;
	const char *result_reason;   /* with RESULT_FAILED */
	uint64_t latency_verdict_us; /* from the verification's end to the verdict */
	uint64_t latency_action_us;  /* from the verification's end to the action's answer; 0 if none was asked */
	uint64_t lost_before;        /* verifications known lost so far */
	bool retroactive;            /* verified before the policy was loaded that is broken */
	bool process_gone;           /* before it could be asked: unit and container are not known */
	bool certificates;           /* with the DER of every certificate, if the line has room for all of them */
};

/* What every event has. */
struct event_head {
	int64_t time_us; /* microseconds since 1970 */
	uint64_t sequence;
	const char *host;
};

/* No line of event_verification_json is longer, whatever the facts hold: texts are cut, and end in "…"; lists are cut, and
 * the event says how many entries are left out. */
enum { EVENT_LINE_MAX = 1 << 20 };

/* Each returns new memory: the JSON text and a newline, nothing else. */
char *event_verification_json(const struct event_head *head, const struct event_verification *verification);

/* For `watch`: one line, columns time, process[pid], peer, name, issuer, verdict; and a newline. colour: ANSI colours. */
char *event_verification_text(const struct event_head *head, const struct event_verification *verification, bool colour);

/* The agent's own events. Each detail is a key under `tlswarden` (dots nest: "library.path"), with a text or a number. */
struct event_detail {
	const char *key;
	const char *text; /* any bytes, escaped here; or NULL: number counts */
	int64_t number;
};
/* action: "agent-started", "policy-loaded", … (1-product.md, Events). outcome: "success" or "failure". */
char *event_agent_json(const struct event_head *head, const char *action, const char *outcome,
		       const struct event_detail *details, size_t count);
char *event_agent_text(const struct event_head *head, const char *action, const char *outcome,
		       const struct event_detail *details, size_t count, bool colour);

#endif
