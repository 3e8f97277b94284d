/* All policies in force together: parsed from their sources, and asked about. judging.c judges by them.
 *
 * Owns the policies. What verdicts and policy_info point to lives as long as they do. */
#include <errno.h>
#include <string.h>

#include "index.h"
#include "policy_internal.h"

void policies_free(struct policies *policies)
{
	if (!policies)
		return;
	index_free(policies->index);
	for (size_t i = 0; i < policies->count; i++)
		policy_free(policies->items[i]);
	bound_free(policies->bound);
	free(policies->needs);
	free(policies->moments);
	free(policies->items);
	free(policies);
}

static void policies_freep(struct policies **policies)
{
	policies_free(*policies);
}

static void check_name(const struct policies *policies, const struct policy *policy, struct problems *problems)
{
	for (size_t i = 0; policy->name && i < policies->count; i++) {
		const struct policy *other = policies->items[i];

		if (!other->name || strcmp(other->name, policy->name) != 0)
			continue;
		problems_add(problems, policy->file, policy->name_line, policy->name_column,
			     "the policy name \"%s\" is taken already, at %s:%u:%u", policy->name, other->file,
			     other->name_line, other->name_column);
		return;
	}
}

static int problem_compare(const void *a, const void *b)
{
	const struct problem *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return strcmp(x->text, y->text);
}

/* In the order of their places; the one that says that more are not shown stays the last. */
static void sort_problems(struct problems *problems, size_t from)
{
	size_t count = problems->count - from;

	if (count > 1)
		qsort(problems->items + from, count > PROBLEMS_PER_FILE_MAX ? PROBLEMS_PER_FILE_MAX : count,
		      sizeof(*problems->items), problem_compare);
}

static void entries_ask(struct policies *policies, const struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		for (size_t k = 0; k < entries->items[i].count; k++)
			switch (entries->items[i].criteria[k].kind) {
			case MATCH_UNIT:
			case MATCH_CONTAINER:
				policies->ask_place = true;
				__attribute__((fallthrough));
			case MATCH_EXE:
			case MATCH_USER:
				policies->ask_process = true;
				break;
			default:
				break;
			}
}

static void policy_asks(struct policies *policies, const struct policy *policy)
{
	for (size_t i = 0; i < policy->rules_count; i++) {
		entries_ask(policies, &policy->rules[i].match);
		entries_ask(policies, &policy->rules[i].except);
	}
}

int policies_parse(const struct policy_source *sources, size_t count, struct policies **ret, struct problems *problems)
{
	CLEANUP(policies_freep) struct policies *policies = xcalloc(1, sizeof(*policies));
	size_t before = problems->count;

	policies->items = xcalloc(count ? count : 1, sizeof(*policies->items));
	for (size_t i = 0; i < count; i++) {
		size_t known = problems->count;
		struct policy *policy = policy_parse(&sources[i], problems);

		if (policy) {
			check_name(policies, policy, problems);
			policies->items[policies->count++] = policy;
		}
		sort_problems(problems, known);
	}
	if (problems->count != before)
		return -EINVAL;
	for (size_t i = 0; i < policies->count; i++)
		policy_asks(policies, policies->items[i]);
	needs_collect(policies);
	moments_collect(policies);
	policies->index = index_new(policies);
	*ret = TAKE_PTR(policies);
	return 0;
}

size_t policies_count(const struct policies *policies)
{
	return policies->count;
}

struct policy_info policies_info(const struct policies *policies, size_t index)
{
	const struct policy *policy = policies->items[index];
	struct policy_info info = {
		.name = policy->name,
		.file = policy->file,
		.enforce = policy->enforce,
		.rules = policy->rules_count,
		.has_enforce_until = policy->has_enforce_until,
		.has_expires = policy->has_expires,
		.enforce_until = policy->enforce_until,
		.expires = policy->expires,
	};

	memcpy(info.sha256, policy->sha256, sizeof(info.sha256));
	return info;
}

bool policy_has_expired(const struct policy *policy, int64_t now)
{
	return policy->has_expires && now >= policy->expires;
}

bool policy_enforces(const struct policy *policy, bool audit_only, int64_t now)
{
	return policy->enforce && !audit_only && !(policy->has_enforce_until && now >= policy->enforce_until);
}

const char *policies_mode(const struct policies *policies, size_t index, bool audit_only, int64_t now)
{
	const struct policy *policy = policies->items[index];

	if (policy_has_expired(policy, now))
		return "none, as expires has passed";
	if (policy->enforce && !audit_only && !policy_enforces(policy, audit_only, now))
		return "audit, as enforce_until has passed";
	return policy_enforces(policy, audit_only, now) ? "enforce" : "audit";
}

static int rule_compare(const void *id, const void *rule)
{
	return strcmp(id, (*(struct rule *const *)rule)->id);
}

bool policies_allow(const struct policies *policies, const char *ruleset, const char *rule, enum action action,
		    bool audit_only, int64_t now)
{
	for (size_t i = 0; i < policies->count; i++) {
		const struct policy *policy = policies->items[i];
		struct rule **found;

		if (strcmp(policy->name, ruleset) != 0)
			continue;
		if (policy_has_expired(policy, now) || !policy_enforces(policy, audit_only, now))
			return false;
		found = bsearch(rule, policy->by_id, policy->rules_count, sizeof(struct rule *), rule_compare);
		return found && action >= ACTION_KILL && (*found)->action >= action;
	}
	return false;
}

bool policies_kill(const struct policies *policies, bool audit_only, int64_t now)
{
	for (size_t i = 0; i < policies->count; i++) {
		const struct policy *policy = policies->items[i];

		if (policy_has_expired(policy, now) || !policy_enforces(policy, audit_only, now))
			continue;
		for (size_t j = 0; j < policy->rules_count; j++)
			if (policy->by_id[j]->action >= ACTION_KILL)
				return true;
	}
	return false;
}

bool policies_ask_process(const struct policies *policies)
{
	return policies->ask_process;
}

bool policies_ask_place(const struct policies *policies)
{
	return policies->ask_place;
}
