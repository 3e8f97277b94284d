/* What a replay adds up, and how it is told. Private to user/cmd. */
#ifndef CMD_REPLAY_H
#define CMD_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/types.h>

#include "event_read.h"
#include "policy.h"

/* How often each text came. Beyond its bounds (replay_sums.c) new texts are counted together as others. */
struct tally_item {
	char *text;
	uint64_t count;
};
struct tally {
	void *tree; /* of struct tally_item, tsearch(3) */
	size_t distinct;
	uint64_t others;
};

struct rule_sums {
	const char *ruleset, *rule, *description; /* borrowed from the policies */
	enum action action;
	enum severity severity;
	uint64_t fired, enforced, undecided;
	int64_t first_us, last_us; /* if it fired */
	char *reason;              /* of the first time; owned */
	struct tally processes, names, peers;
};

/* Lines that were no event: how many, and the first ones. */
enum { PASSED_OVER_SHOWN = 10 };
struct passed_over {
	uint64_t count;
	struct {
		const char *file; /* borrowed, as the command line has it */
		uint64_t line;
		char *why;
	} items[PASSED_OVER_SHOWN];
};

struct replay {
	const struct policies *policies;
	struct rule_sums *rules; /* in the order of judging */
	size_t rules_count;
	struct rule_sums **by_name; /* the same, sorted */
	size_t tallied;             /* texts in all tallies together */
	uint64_t lines, other, verifications, without_certificates;
	uint64_t broken;      /* verifications with at least one violation */
	uint64_t violations;  /* all of them */
	uint64_t would_kill;  /* verifications that would be ended by a policy that enforces */
	uint64_t fresh, gone; /* violations that the log does not have; and that it has, and would be no more */
	int64_t first_us, last_us;
	struct passed_over torn, foreign;
};

/* policies must outlive it. */
void replay_begin(struct replay *replay, const struct policies *policies);
/* One verification, judged at its own time. */
void replay_judge(struct replay *replay, const struct event_read *event);
/* Takes over why. */
void replay_pass_over(struct passed_over *passed_over, const char *file, uint64_t line, char *why);
void replay_clear(struct replay *replay);

/* The most frequent ones, at most max of them; how many. */
size_t tally_top(const struct tally *tally, const struct tally_item **ret, size_t max);

/* How many rules would fire. */
size_t replay_fired(const struct replay *replay);

void replay_print(FILE *out, const struct replay *replay);
/* One JSON object and a newline. */
void replay_print_json(FILE *out, const struct replay *replay);

/* "2026-11-22T01:02:03Z" of microseconds since 1970; the text is the caller's. */
struct moment {
	char text[32];
};
struct moment moment_of(int64_t time_us);

#endif
