/* See rounds.h. */
#include "rounds.h"

enum {
	BEGIN_COUNT = 4, /* that many within a round's time begin rounds */
	WARY_COUNT = 8,  /* ... for WARY_MS after rounds of which not one was worth it */
	WARY_MS = 1000,
	WORTH_COUNT = 2,    /* a round that brings fewer is lean */
	LEAN_COUNT = 4,     /* so many of those in a row end rounds */
	UNPROVEN_COUNT = 2, /* ... or so many, if none has been worth it yet */
	MS = 1000000,       /* nanoseconds */
};

void rounds_count(struct rounds *rounds)
{
	rounds->count++;
}

bool rounds_due(const struct rounds *rounds, uint64_t now_ns)
{
	return now_ns - rounds->since_ns >= ROUND_NS;
}

static void count_begin(struct rounds *rounds, uint64_t since_ns)
{
	rounds->since_ns = since_ns;
	rounds->count = 0;
}

void rounds_look(struct rounds *rounds, uint64_t now_ns)
{
	if (rounds_due(rounds, now_ns))
		count_begin(rounds, now_ns);
}

bool rounds_begin(struct rounds *rounds, uint64_t now_ns)
{
	if (rounds->count < (now_ns < rounds->wary_ns ? WARY_COUNT : BEGIN_COUNT))
		return false;
	rounds->on = true;
	rounds->worth = false;
	rounds->lean = 0;
	count_begin(rounds, now_ns);
	return true;
}

bool rounds_go_on(struct rounds *rounds, uint64_t ticks, uint64_t now_ns)
{
	if (rounds->count >= WORTH_COUNT) {
		rounds->worth = true;
		rounds->lean = 0;
	} else if (++rounds->lean >= (rounds->worth ? LEAN_COUNT : UNPROVEN_COUNT)) {
		rounds->on = false;
		if (!rounds->worth)
			rounds->wary_ns = now_ns + (uint64_t)WARY_MS * MS;
	}
	count_begin(rounds, rounds->since_ns + ticks * ROUND_NS);
	return rounds->on;
}
