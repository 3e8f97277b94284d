/* See rule_numbers.h. Owns the names. */
#include "rule_numbers.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

static bool is_rule(const struct rule_name *rule, const struct message_kill *kill)
{
	return strcmp(rule->ruleset, kill->ruleset) == 0 && strcmp(rule->rule, kill->rule) == 0 &&
	       rule->action == kill->action;
}

bool rule_number(struct rule_numbers *rules, const struct message_kill *kill, uint32_t *ret)
{
	size_t i = 0;

	while (i < rules->count && !is_rule(&rules->items[i], kill))
		i++;
	if (i == RULES_MAX)
		return false;
	if (i == rules->count) {
		rules->items = xrealloc(rules->items, ++rules->count, sizeof(*rules->items));
		memcpy(rules->items[i].ruleset, kill->ruleset, sizeof(kill->ruleset));
		memcpy(rules->items[i].rule, kill->rule, sizeof(kill->rule));
		rules->items[i].action = kill->action;
	}
	*ret = (uint32_t)i;
	return true;
}

const struct rule_name *rule_of_number(const struct rule_numbers *rules, uint32_t number)
{
	return number < rules->count ? &rules->items[number] : NULL;
}

void rule_numbers_clear(struct rule_numbers *rules)
{
	free(rules->items);
	*rules = (struct rule_numbers){0};
}
