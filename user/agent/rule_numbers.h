/* The numbers by which the kernel's cache of verdicts knows rules. */
#ifndef RULE_NUMBERS_H
#define RULE_NUMBERS_H

#include "channel.h"

enum { RULES_MAX = 4096 }; /* one more is not remembered in the kernel, and judged each time */

struct rule_name {
	char ruleset[MESSAGE_RULE], rule[MESSAGE_RULE];
	uint32_t action;
};

struct rule_numbers {
	struct rule_name *items;
	size_t count;
};

/* The rule that kill is for. False: there are too many. */
bool rule_number(struct rule_numbers *rules, const struct message_kill *kill, uint32_t *ret);
/* Borrowed until a rule is added; NULL: there is no such number. */
const struct rule_name *rule_of_number(const struct rule_numbers *rules, uint32_t number);
void rule_numbers_clear(struct rule_numbers *rules);

#endif
