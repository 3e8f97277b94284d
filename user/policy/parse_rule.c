/* `rules`: whom each is about (match, except), what it asks (require, forbid: parse_require.c), and what follows (action,
 * severity). A key that is not known is never passed over in silence: a rule that quietly asks less than it says is worse than
 * none. */
#include <string.h>

#include "policy_internal.h"

static void parse_id(struct parser *parser, const struct node *value, void *out)
{
	struct rule *rule = out;

	rule->id = text_value(parser, value, "the id of a rule", TEXT_LABEL_MAX);
	rule->line = value->line;
	rule->column = value->column;
}

static void parse_description(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->description = text_value(parser, value, "description", TEXT_DESCRIPTION_MAX);
}

static void parse_match(struct parser *parser, const struct node *value, void *out)
{
	if (value->kind == NODE_LIST)
		parse_entries(parser, value, &((struct rule *)out)->match);
	else
		complain(parser, value, "match must be a list of entries, like [{any: true}], not %s", node_describe(value));
}

static void parse_except(struct parser *parser, const struct node *value, void *out)
{
	parse_entries(parser, value, &((struct rule *)out)->except);
}

static void parse_action(struct parser *parser, const struct node *value, void *out)
{
	int word = word_value(parser, value, "action", action_names, ACTION_KILL_PROCESS + 1);

	if (word >= 0)
		((struct rule *)out)->action = (enum action)word;
}

static void parse_severity(struct parser *parser, const struct node *value, void *out)
{
	const char *const *words = severity_names + SEVERITY_LOW;
	int word = word_value(parser, value, "severity", words, SEVERITY_CRITICAL - SEVERITY_LOW + 1);

	if (word >= 0)
		((struct rule *)out)->severity = SEVERITY_LOW + (enum severity)word;
}

static void parse_rule(struct parser *parser, const struct node *value, struct rule *rule)
{
	static const struct field fields[] = {
		{"id", parse_id, true},          {"description", parse_description, false},
		{"match", parse_match, true},    {"require", parse_require, false},
		{"forbid", parse_forbid, false}, {"except", parse_except, false},
		{"action", parse_action, false}, {"severity", parse_severity, false},
	};

	rule->action = ACTION_LOG;
	rule->severity = SEVERITY_MEDIUM;
	if (!fields_parse(parser, value, "a rule", fields, ARRAY_SIZE(fields), rule))
		return;
	if (!node_get(value, "require") && !node_get(value, "forbid"))
		complain(parser, value, "a rule needs require or forbid: this one asks for nothing");
}

static int id_compare(const void *a, const void *b)
{
	const struct rule *x = *(struct rule *const *)a, *y = *(struct rule *const *)b;
	int order = strcmp(x->id, y->id);

	return order != 0 ? order : x < y ? -1 : 1;
}

/* Sorts the rules by id, for lookup, and complains about ids that repeat. */
static void index_rules(struct parser *parser)
{
	struct policy *policy = parser->policy;
	size_t count = 0;

	policy->by_id = arena_alloc(policy->arena, policy->rules_count, sizeof(struct rule *));
	for (size_t i = 0; i < policy->rules_count; i++) {
		if (policy->rules[i].id)
			policy->by_id[count++] = &policy->rules[i];
	}
	qsort(policy->by_id, count, sizeof(struct rule *), id_compare);
	for (size_t i = 1, first = 0; i < count; i++) {
		const struct rule *rule = policy->by_id[i], *original = policy->by_id[first];

		if (strcmp(rule->id, original->id) == 0)
			problems_add(parser->problems, parser->file, rule->line, rule->column,
				     "the rule id \"%s\" is used twice (the first is at %u:%u)", rule->id, original->line,
				     original->column);
		else
			first = i;
	}
}

void parse_rules(struct parser *parser, const struct node *value)
{
	struct policy *policy = parser->policy;

	if (value->kind != NODE_LIST) {
		complain(parser, value, "rules must be a list, not %s", node_describe(value));
		return;
	}
	if (value->count == 0)
		complain(parser, value, "rules is empty: a policy needs a rule");
	policy->rules = arena_alloc(policy->arena, value->count, sizeof(*policy->rules));
	for (const struct node *item = value->first; item; item = item->next)
		parse_rule(parser, item, &policy->rules[policy->rules_count++]);
	index_rules(parser);
}
