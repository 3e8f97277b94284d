/* Judging by all policies in force: which rules match, which of those are broken; and the same told to people.
 *
 * Pure: the time comes from the caller. Only rules that can possibly be broken are looked at (index.h); the cost is bounded by
 * their number times the bounds of one verification (FACTS_CERTS_MAX certificates, SANS_MAX names). A policy that has expired is
 * passed over; one whose enforce_until has come audits. */
#include <string.h>

#include "index.h"
#include "policy_internal.h"

/* Is a the one that decides, rather than b, which comes before it? */
static bool stronger(const struct violation *a, const struct violation *b)
{
	if (a->enforced != b->enforced)
		return a->enforced;
	if (a->action != b->action)
		return a->action > b->action;
	return a->severity > b->severity;
}

static void add_violation(struct verdict *verdict, const struct violation *violation)
{
	/* Room grows by doubling: whenever the count is a power of two, it is used up. */
	if ((verdict->count & (verdict->count - 1)) == 0)
		verdict->violations = xrealloc(verdict->violations, verdict->count ? 2 * verdict->count : 1,
					       sizeof(*verdict->violations));
	verdict->violations[verdict->count] = *violation;
	if (verdict->count == 0 || stronger(violation, &verdict->violations[verdict->strongest]))
		verdict->strongest = verdict->count;
	verdict->count++;
	if (violation->action > verdict->requested)
		verdict->requested = violation->action;
	if (violation->enforced && violation->action > verdict->action)
		verdict->action = violation->action;
}

static void add_undecided(struct verdict *verdict, const char *ruleset, const char *rule)
{
	if ((verdict->undecided & (verdict->undecided - 1)) == 0)
		verdict->undecided_rules = xrealloc(verdict->undecided_rules,
						    verdict->undecided ? 2 * verdict->undecided : 1,
						    sizeof(*verdict->undecided_rules));
	verdict->undecided_rules[verdict->undecided++] = (struct undecided_rule){.rule = rule, .ruleset = ruleset};
}

static void judge_rule(const struct policy *policy, const struct rule *rule, struct inquiry *inquiry, bool enforced,
		       struct verdict *verdict)
{
	struct violation violation = {
		.rule = rule->id,
		.description = rule->description,
		.ruleset = policy->name,
		.action = rule->action,
		.severity = rule->severity,
		.enforced = enforced,
		.policy_sha256 = policy->sha256,
	};

	if (!entries_match(&rule->match, inquiry->facts, true) || entries_match(&rule->except, inquiry->facts, false))
		return;
	switch (rule_judge(inquiry, rule, &violation.reason)) {
	case RULE_FINE:
		break;
	case RULE_BROKEN:
		add_violation(verdict, &violation);
		break;
	case RULE_UNDECIDED:
		add_undecided(verdict, policy->name, rule->id);
		break;
	}
}

void policies_judge(const struct policies *policies, const struct facts *facts, int64_t now, bool audit_only,
		    struct verdict *ret)
{
	CLEANUP(inquiry_clear) struct inquiry inquiry = {.facts = facts, .now = now};
	struct verdict verdict = {.action = ACTION_LOG, .requested = ACTION_LOG};
	CLEANUP(candidates_clear) struct candidates candidates;
	const struct policy *policy;
	const struct rule *rule;

	candidates_find(policies->index, facts, &candidates);
	while (candidates_next(&candidates, &policy, &rule)) {
		if (!policy_has_expired(policy, now))
			judge_rule(policy, rule, &inquiry, policy_enforces(policy, audit_only, now), &verdict);
	}
	*ret = verdict;
}
