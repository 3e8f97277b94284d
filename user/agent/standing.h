/* How the agent stands, for the control socket: what the warden has told of itself, and what its parts say when they are asked. Its
 * functions may be called in different threads. */
#ifndef STANDING_H
#define STANDING_H

#include <stdint.h>

#include "channel.h"
#include "finder.h"
#include "gate.h"
#include "policy.h"

struct standing;

struct standing_options {
	bool audit_only;
	struct gate_options gate;
	const struct counters *counters; /* NULL: none are told. As of probes_counters */
};

struct standing *standing_new(const struct standing_options *options);
void standing_free(struct standing *standing);

/* Borrowed, until others are set: those before may go as soon as this has returned. */
void standing_policies(struct standing *standing, const struct policies *policies);
/* Borrowed until standing_free, or until nobody asks any more. */
void standing_finder(struct standing *standing, struct finder *finder);
/* why: copied. */
void standing_gate(struct standing *standing, enum gate_state state, const char *why);

/* A control_answer_fn; context: struct standing. It takes the time that the finder takes. */
char *standing_answer(void *context, const char *request);

#endif
