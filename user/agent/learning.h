/* The judge's part of `learn`: collects instead of telling, and writes the policy at the end. */
#ifndef LEARNING_H
#define LEARNING_H

#include "learned.h"

struct learning {
	struct learned *learned; /* NULL: this is no recording, and the rest means nothing */
	struct learned_session session;
	uint64_t seconds; /* to record, from the start of the probes on; 0: until it is stopped */
	uint64_t end_ns;  /* CLOCK_MONOTONIC; 0: there is none (yet) */
	uint64_t shown_ns;
	bool progress; /* standard error is a terminal */
	bool started;
};

/* host is borrowed. */
void learning_begin(struct learning *learning, const char *host, uint64_t seconds, bool progress);

/* Every probe that start-up can attach is attached: the time counts from now on. */
void learning_started(struct learning *learning, uint64_t now_ns);

/* Shows how far it is, to whom it may concern. True: the time is over. */
bool learning_tick(struct learning *learning, uint64_t now_ns);

/* Writes the policy to output and a line about it to standard error. An exit code. */
int learning_end(struct learning *learning, int output);

#endif
