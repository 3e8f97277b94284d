/* GnuTLS handshakes that ended unverified, kept until the application verifies, closes the session, or lets HOLD_MS pass:
 * only then is it known that it does not look. */
#ifndef HOLD_H
#define HOLD_H

#include "case.h"
#include "gate_maps.h"

enum {
	HOLD_MS = GATE_UNVERIFIED_MS,
	HELD_MAX = 4096, /* at one more the oldest is let go as unverified */
};

struct held {
	uint32_t pid;
	uint64_t session;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	struct case_ *c;
};

/* In order of their deadlines. */
struct holds {
	struct held items[HELD_MAX];
	size_t count;
};

bool holds_full(const struct holds *holds);
/* Takes over c; there must be room. */
void holds_add(struct holds *holds, uint32_t pid, uint64_t session, uint64_t now_ns, struct case_ *c);
/* The case of that session, now the caller's, or NULL. */
struct case_ *holds_take(struct holds *holds, uint32_t pid, uint64_t session);
/* That of the verification with that id. */
struct case_ *holds_take_id(struct holds *holds, const struct record_id *id);
/* The oldest case if it is due, or if any is set, now the caller's; or NULL. */
struct case_ *holds_take_due(struct holds *holds, uint64_t now_ns, bool any);
/* Milliseconds until the oldest is due, or -1. */
int holds_wait_ms(const struct holds *holds, uint64_t now_ns);

#endif
