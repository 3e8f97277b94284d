/* The judgement in words (policies_explain): what each key of each rule asked, looked at and found.
 *
 * Decides nothing itself: whether a criterion or an ask holds comes from the functions that judge. Texts are bounded as reasons
 * are (REASON_MAX_BYTES each). */
#include <string.h>

#include "policy_internal.h"

static struct finding *add_finding(struct explained_rule *explained)
{
	/* Room grows by doubling: whenever the count is a power of two, it is used up. */
	if ((explained->count & (explained->count - 1)) == 0)
		explained->findings = xrealloc(explained->findings, explained->count ? 2 * explained->count : 1,
					       sizeof(*explained->findings));
	return &explained->findings[explained->count++];
}

static void reason_begin(struct reason *reason)
{
	reason->len = 0;
	reason->full = false;
	reason->text[0] = '\0';
}

enum { VALUES_SHOWN = 6 };

/* One value of a set, as somebody would write it. */
static void add_value(struct reason *asked, const struct set *set, size_t index)
{
	char text[ADDRESS_TEXT_MAX], name[DNS_NAME_MAX + 4];

	if (set->kind == SET_NAMES) {
		names_pattern(set->names, index, name);
		reason_add(asked, "\"%s\"", name);
	} else if (set->kind == SET_STRINGS) {
		reason_add(asked, "\"%s\"", set->strings[index].text);
	} else if (set->kind == SET_PORTS) {
		reason_add(asked, "%u", set->ports[index]);
	} else {
		address_format(&set->networks[index].address, text);
		reason_add(asked, "%s/%u", text, set->networks[index].prefix);
	}
}

/* A set's name; or its values, if it was written in place and they are short. */
static void set_asked(struct reason *asked, const struct set *set)
{
	size_t count = set->kind == SET_NAMES ? names_count(set->names) : set->count;

	if (set->name || set->kind == SET_KEYS) {
		reason_add(asked, "%s", set->label);
		return;
	}
	for (size_t i = 0; i < count && i < VALUES_SHOWN; i++) {
		reason_add(asked, "%s", i ? ", " : "");
		add_value(asked, set, i);
	}
	if (count > VALUES_SHOWN)
		reason_add(asked, " and %zu more", count - VALUES_SHOWN);
}

/* Each entry up to the first that holds; within one every criterion. */
static void explain_entries(struct explained_rule *explained, const struct entries *entries, const char *part,
			    const struct facts *facts, bool doubt)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->items[i];
		size_t holding = 0;

		for (size_t k = 0; k < entry->count; k++) {
			const struct criterion *criterion = &entry->criteria[k];
			struct finding *finding = add_finding(explained);
			struct reason asked, found;

			reason_begin(&asked);
			if (criterion->set)
				set_asked(&asked, criterion->set);
			else
				reason_add(&asked, "true");
			reason_begin(&found);
			criterion_found(criterion, facts, &found);
			*finding = (struct finding){
				.part = part,
				.entry = i,
				.key = criterion_key(criterion->kind),
				.asked = xstrdup(asked.text),
				.found = xstrdup(found.text),
				.holds = criterion_holds(criterion, facts, doubt),
			};
			holding += finding->holds;
		}
		if (holding == entry->count)
			return;
	}
}

/* What rule_judge answers, with every ask's finding. */
static enum explained_outcome explain_asks(struct explained_rule *explained, const struct rule *rule,
					   struct inquiry *inquiry)
{
	enum explained_outcome outcome = EXPLAINED_FINE;

	for (size_t i = 0; i < asks_count; i++) {
		struct reason asked, found;
		struct finding *finding;
		bool decidable, holds;

		if (!asks[i].is_asked(rule))
			continue;
		reason_begin(&asked);
		reason_begin(&found);
		asks[i].asked(rule, &asked);
		decidable = ask_decidable(&asks[i], rule, inquiry->facts);
		holds = decidable && asks[i].holds(inquiry, rule, &found);
		if (!decidable)
			reason_add(&found, "cannot be told without the certificates");
		finding = add_finding(explained);
		*finding = (struct finding){
			.part = asks[i].part,
			.key = asks[i].key,
			.asked = xstrdup(asked.text),
			.found = xstrdup(found.text),
			.holds = holds,
		};
		if (decidable && !holds)
			outcome = EXPLAINED_BROKEN;
		else if (!decidable && outcome == EXPLAINED_FINE)
			outcome = EXPLAINED_UNDECIDED;
	}
	return outcome;
}

static void explain_rule(struct explained_rule *explained, const struct rule *rule, struct inquiry *inquiry)
{
	const struct facts *facts = inquiry->facts;

	explain_entries(explained, &rule->match, "match", facts, true);
	if (!entries_match(&rule->match, facts, true)) {
		explained->outcome = EXPLAINED_NO_MATCH;
		return;
	}
	explain_entries(explained, &rule->except, "except", facts, false);
	if (entries_match(&rule->except, facts, false))
		explained->outcome = EXPLAINED_EXCEPTED;
	else
		explained->outcome = explain_asks(explained, rule, inquiry);
}

void policies_explain(const struct policies *policies, const struct facts *facts, int64_t now, bool audit_only,
		      struct explanation *ret)
{
	CLEANUP(inquiry_clear) struct inquiry inquiry = {.facts = facts, .now = now, .tell = true};
	struct explanation explanation = {0};
	size_t total = 0;

	for (size_t i = 0; i < policies->count; i++)
		total += policies->items[i]->rules_count;
	explanation.rules = xcalloc(total + 1, sizeof(*explanation.rules));
	for (size_t i = 0; i < policies->count; i++) {
		const struct policy *policy = policies->items[i];

		for (size_t r = 0; r < policy->rules_count; r++) {
			const struct rule *rule = &policy->rules[r];
			struct explained_rule *explained = &explanation.rules[explanation.count++];

			*explained = (struct explained_rule){
				.ruleset = policy->name,
				.rule = rule->id,
				.description = rule->description,
				.action = rule->action,
				.severity = rule->severity,
				.enforced = policy_enforces(policy, audit_only, now),
				.outcome = EXPLAINED_EXPIRED,
			};
			if (!policy_has_expired(policy, now))
				explain_rule(explained, rule, &inquiry);
		}
	}
	*ret = explanation;
}

void explanation_clear(struct explanation *explanation)
{
	for (size_t i = 0; i < explanation->count; i++) {
		for (size_t k = 0; k < explanation->rules[i].count; k++) {
			free(explanation->rules[i].findings[k].asked);
			free(explanation->rules[i].findings[k].found);
		}
		free(explanation->rules[i].findings);
	}
	free(explanation->rules);
	*explanation = (struct explanation){0};
}
