/* When the gate's notices are read by the clock, in rounds, and when each at once. Pure: it is told the time.
 *
 * To be woken for each costs the agent two switches between threads, and the process that verified, on whose time it happens,
 * an interrupt. So rounds begin where several come within the time of one, and end when some in a row brought less than two;
 * not at the first, as what comes by chance is uneven. Where each connection waits for the one before it, no two are there at
 * once: if they come as fast as others do together, rounds bring one each, end sooner, and it takes more to begin again for a
 * while. */
#ifndef ROUNDS_H
#define ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

enum { ROUND_NS = 16 * 1000000 };

/* All zero: each at once. */
struct rounds {
	bool on;
	bool worth;        /* one of these rounds has brought enough */
	unsigned lean;     /* rounds in a row that have not */
	unsigned count;    /* notices since since_ns */
	uint64_t since_ns; /* when a round, or a time in which notices are counted, began */
	uint64_t wary_ns;  /* until then it takes more to begin */
};

void rounds_count(struct rounds *rounds);

/* Has the time passed that one takes? */
bool rounds_due(const struct rounds *rounds, uint64_t now_ns);

/* Outside of rounds, before what is there is counted. */
void rounds_look(struct rounds *rounds, uint64_t now_ns);

/* Outside of rounds, after that: true if rounds begin now. */
bool rounds_begin(struct rounds *rounds, uint64_t now_ns);

/* After what a round brought was counted; ticks: how many of the clock it took, more than one if some were missed. False if rounds
 * end now. */
bool rounds_go_on(struct rounds *rounds, uint64_t ticks, uint64_t now_ns);

#endif
