/* Which rules can possibly be broken by these facts: found by what the certificate, the peer and the process are, instead of
 * by asking every rule. A superset: whether a rule matches and is broken is for match.c and rule.c to say. Pure. */
#ifndef INDEX_H
#define INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

struct policy;
struct rule;
struct rule_index;

/* Of all rules of all policies, which must live longer and stay as they are. */
struct rule_index *index_new(const struct policies *policies);
/* Takes NULL. */
void index_free(struct rule_index *index);

/* So many candidates without any memory but this; and so many lists of rules that are only pointed to. */
enum { CANDIDATES_NEAR = 256, CANDIDATES_LISTS = 16, CANDIDATES_SLOTS = 64 };

/* The candidates for one verification. Not to be copied. */
struct candidates {
	const struct rule_index *index;
	struct {
		const uint32_t *at, *end;
	} lists[CANDIDATES_LISTS]; /* rules in rising order: the index's own */
	size_t lists_count;
	uint32_t *found; /* near, or new memory */
	size_t count, room, at;
	size_t policy;
	uint32_t slots
		[CANDIDATES_SLOTS]; /* slots of the table that were taken lately, so that a repeated name costs nothing */
	uint32_t near[CANDIDATES_NEAR];
};

/* *ret must be cleared by candidates_clear. */
void candidates_find(const struct rule_index *index, const struct facts *facts, struct candidates *ret);
/* One after the other, in the order of the policies and their rules, each once. False at the end. */
bool candidates_next(struct candidates *candidates, const struct policy **ret_policy, const struct rule **ret_rule);
void candidates_clear(struct candidates *candidates);

#endif
