/* `explain`, the rest: each rule, and the verdict.
 *
 * What applies is told whole: the entry of `match` that holds, exceptions, and each key of require and forbid with what was
 * found. What does not match takes one line, and beyond NO_MATCH_SHOWN of them only their number is told. Verbose: all of
 * everything. Findings are escaped already, names and descriptions of a policy are escaped here. */
#include <linux/types.h>

#include "explain_print.h"

#include <string.h>

#include "show.h"
#include "util.h"

enum { NO_MATCH_SHOWN = 20, BROKEN_NAMED = 10 };

static bool applies(const struct explained_rule *rule)
{
	return rule->outcome != EXPLAINED_NO_MATCH && rule->outcome != EXPLAINED_EXPIRED;
}

static char *rule_name(const char *ruleset, const char *rule)
{
	CLEANUP_FREE char *name = xasprintf("%s/%s", ruleset, rule);

	return text_escape(name, strlen(name));
}

/* Of the entry that held: the last one of match, for the looking stops there. */
static size_t last_entry(const struct explained_rule *rule)
{
	size_t last = 0;

	for (size_t i = 0; i < rule->count; i++)
		if (strcmp(rule->findings[i].part, "match") == 0)
			last = rule->findings[i].entry;
	return last;
}

static void print_finding(const struct finding *finding, enum explained_outcome outcome, const struct explain_style *style)
{
	bool is_match = strcmp(finding->part, "match") == 0, is_except = strcmp(finding->part, "except") == 0;

	if (is_match || is_except)
		printf("  %-7s %-3zu ", finding->part, finding->entry + 1);
	else
		printf("  %-11s ", finding->part);
	if (is_match || is_except)
		printf("%-8s", finding->holds ? "yes" : "no");
	else if (finding->holds)
		print_coloured(style->colour, COLOUR_GOOD, strcmp(finding->part, "forbid") == 0 ? "fine    " : "holds   ");
	else if (outcome == EXPLAINED_BROKEN)
		print_coloured(style->colour, COLOUR_BAD, "BROKEN  ");
	else
		fputs("unknown ", stdout);
	printf("%s %s", finding->key, finding->asked);
	if (*finding->found)
		printf(": %s", finding->found);
	putchar('\n');
}

static void print_action(const struct explained_rule *rule)
{
	printf("  asks for    %s, severity %s", action_names[rule->action], severity_names[rule->severity]);
	if (rule->action != ACTION_LOG)
		fputs(rule->enforced ? "; its policy enforces" : "; its policy audits", stdout);
	putchar('\n');
}

static void print_head(const struct explained_rule *rule, const struct explain_style *style)
{
	static const struct {
		const char *word;
		enum colour colour;
	} outcomes[] = {
		[EXPLAINED_EXPIRED] = {"expired  ", COLOUR_DIM},   [EXPLAINED_NO_MATCH] = {"no match ", COLOUR_DIM},
		[EXPLAINED_EXCEPTED] = {"excepted ", COLOUR_GOOD}, [EXPLAINED_FINE] = {"fine     ", COLOUR_GOOD},
		[EXPLAINED_BROKEN] = {"BROKEN   ", COLOUR_BAD},    [EXPLAINED_UNDECIDED] = {"undecided ", COLOUR_BOLD},
	};
	CLEANUP_FREE char *name = rule_name(rule->ruleset, rule->rule);

	print_coloured(style->colour, outcomes[rule->outcome].colour, outcomes[rule->outcome].word);
	print_coloured(style->colour, COLOUR_BOLD, name);
}

static void print_rule(const struct explained_rule *rule, const struct explain_style *style)
{
	size_t entry = last_entry(rule);

	print_head(rule, style);
	if (rule->description) {
		fputs(": ", stdout);
		print_escaped(rule->description);
	}
	putchar('\n');
	for (size_t i = 0; i < rule->count; i++) {
		const struct finding *finding = &rule->findings[i];

		if (style->verbose || !applies(rule) || strcmp(finding->part, "match") != 0 || finding->entry == entry)
			print_finding(finding, rule->outcome, style);
	}
	if (rule->outcome == EXPLAINED_BROKEN || style->verbose)
		print_action(rule);
}

char *explain_why_not(const struct explained_rule *rule)
{
	const char *part = rule->outcome == EXPLAINED_EXCEPTED ? "except" : "match";
	bool wanted = rule->outcome == EXPLAINED_EXCEPTED;
	size_t entries = last_entry(rule) + 1;

	switch (rule->outcome) {
	case EXPLAINED_BROKEN:
		return NULL;
	case EXPLAINED_EXPIRED:
		return xstrdup("its policy has expired");
	case EXPLAINED_FINE:
		return xstrdup("it matches, and all that it asks holds");
	case EXPLAINED_UNDECIDED:
		return xstrdup("it matches, but asks what cannot be told here");
	case EXPLAINED_NO_MATCH:
	case EXPLAINED_EXCEPTED:
		break;
	}
	for (size_t i = 0; i < rule->count; i++) {
		const struct finding *finding = &rule->findings[i];
		CLEANUP_FREE char *more = NULL;

		if (strcmp(finding->part, part) != 0 || finding->holds != wanted)
			continue;
		if (wanted)
			return xasprintf("excepted by %s %s: %s", finding->key, finding->asked, finding->found);
		more = entries > 1 ? xasprintf(" (nor does any other of its %zu entries)", entries) : xstrdup("");
		return xasprintf("%s %s does not match: %s%s", finding->key, finding->asked, finding->found, more);
	}
	return xstrdup("it does not match");
}

static void print_unmatched(const struct explained_rule *rule, const struct explain_style *style)
{
	CLEANUP_FREE char *why = explain_why_not(rule);

	print_head(rule, style);
	printf(": %s\n", why);
}

/* One line for each policy. */
static void print_expired(const struct explanation *explanation, const struct explain_style *style)
{
	const char *ruleset = NULL;

	for (size_t i = 0; i < explanation->count; i++) {
		const struct explained_rule *rule = &explanation->rules[i];

		if (rule->outcome != EXPLAINED_EXPIRED || (ruleset && strcmp(rule->ruleset, ruleset) == 0))
			continue;
		ruleset = rule->ruleset;
		print_coloured(style->colour, COLOUR_DIM, "expired  ");
		print_escaped(ruleset);
		puts(": the policy no longer applies");
	}
}

void explain_print_rules(const struct explanation *explanation, const struct explain_style *style)
{
	size_t unmatched = 0;

	print_coloured(style->colour, COLOUR_BOLD, "\nrules\n");
	for (size_t i = 0; i < explanation->count; i++)
		if (applies(&explanation->rules[i]))
			print_rule(&explanation->rules[i], style);
	print_expired(explanation, style);
	for (size_t i = 0; i < explanation->count; i++) {
		if (explanation->rules[i].outcome != EXPLAINED_NO_MATCH)
			continue;
		if (style->verbose)
			print_rule(&explanation->rules[i], style);
		else if (unmatched < NO_MATCH_SHOWN)
			print_unmatched(&explanation->rules[i], style);
		unmatched++;
	}
	if (!style->verbose && unmatched > NO_MATCH_SHOWN)
		printf("no match: %zu more rules (--verbose shows them)\n", unmatched - NO_MATCH_SHOWN);
}

/* What the agent would do. */
static const char *consequence(const struct verdict *verdict)
{
	if (verdict->action == ACTION_KILL_PROCESS)
		return "the process would be killed (enforce)";
	if (verdict->action == ACTION_KILL)
		return "the connection would be killed (enforce)";
	if (verdict->requested != ACTION_LOG)
		return "nothing but an event, would-kill (audit)";
	return "an event";
}

void explain_print_verdict(const struct verdict *verdict, const struct explain_style *style)
{
	print_coloured(style->colour, COLOUR_BOLD, "\nverdict: ");
	if (verdict->count == 0)
		print_coloured(style->colour, COLOUR_GOOD, "ok, no rule is broken");
	else
		print_coloured(style->colour, COLOUR_BAD, "VIOLATION");
	for (size_t i = 0; i < verdict->count && i < BROKEN_NAMED; i++) {
		CLEANUP_FREE char *name = rule_name(verdict->violations[i].ruleset, verdict->violations[i].rule);

		printf("%s%s", i ? ", " : " of ", name);
	}
	if (verdict->count > BROKEN_NAMED)
		printf(" and %zu more", verdict->count - BROKEN_NAMED);
	if (verdict->count)
		printf("; asked for: %s; done: %s", action_names[verdict->requested], consequence(verdict));
	if (verdict->undecided)
		printf("; %zu rules undecided", verdict->undecided);
	putchar('\n');
}
