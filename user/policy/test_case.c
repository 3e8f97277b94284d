/* What a test expects, and whether a verdict is that (test_file.h).
 *
 * Owns the meaning of `expect`: the verdict is what the broken rules ask for, in audit as in enforcement, and the rules are a
 * set without an order. Texts are bounded: at most RULES_SHOWN rules are named on each side. */
#include <errno.h>
#include <string.h>

#include "policy_internal.h"
#include "test_file.h"

enum { RULES_SHOWN = 20, SUGGESTIONS_MAX = 1000 };

/* --- which rules are meant ------------------------------------------------------------------------------------------- */

static int id_compare(const void *id, const void *rule)
{
	return strcmp(id, (*(struct rule *const *)rule)->id);
}

static const struct rule *rule_find(const struct policy *policy, const char *id)
{
	struct rule **found = bsearch(id, policy->by_id, policy->rules_count, sizeof(struct rule *), id_compare);

	return found ? *found : NULL;
}

/* "policy/rule"; both names may have a slash in them. */
static bool bind_qualified(struct test_rule *rule, const struct policies *policies)
{
	for (size_t i = 0; i < policies->count; i++) {
		const struct policy *policy = policies->items[i];
		size_t len = strlen(policy->name);
		const struct rule *found;

		if (strncmp(rule->text, policy->name, len) != 0 || rule->text[len] != '/')
			continue;
		found = rule_find(policy, rule->text + len + 1);
		if (found) {
			rule->ruleset = policy->name;
			rule->rule = found->id;
			return true;
		}
	}
	return false;
}

static void complain_missing(const struct test_file *file, const struct test_rule *rule, const struct policies *policies,
			     struct problems *problems)
{
	const char *words[SUGGESTIONS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < policies->count; i++)
		for (size_t r = 0; r < policies->items[i]->rules_count && count < SUGGESTIONS_MAX; r++)
			words[count++] = policies->items[i]->rules[r].id;
	problems_add(problems, file->file, rule->line, rule->column, "there is no rule \"%.64s\" in these policies%s",
		     rule->text, suggest(rule->text, words, count).text);
}

static void bind_rule(const struct test_file *file, struct test_rule *rule, const struct policies *policies,
		      struct problems *problems)
{
	for (size_t i = 0; i < policies->count; i++) {
		const struct rule *found = rule_find(policies->items[i], rule->text);

		if (!found)
			continue;
		if (rule->rule) {
			problems_add(problems, file->file, rule->line, rule->column,
				     "there is a rule \"%.64s\" in policy %s and in policy %s: write \"%s/%.64s\"",
				     rule->text, rule->ruleset, policies->items[i]->name, rule->ruleset, rule->text);
			return;
		}
		rule->ruleset = policies->items[i]->name;
		rule->rule = found->id;
	}
	if (!rule->rule && !bind_qualified(rule, policies))
		complain_missing(file, rule, policies, problems);
}

static bool same_rule(const struct test_rule *a, const struct test_rule *b)
{
	return a->rule && b->rule && strcmp(a->rule, b->rule) == 0 && strcmp(a->ruleset, b->ruleset) == 0;
}

int test_file_bind(struct test_file *file, const struct policies *policies, struct problems *problems)
{
	size_t known = problems->count;

	for (size_t i = 0; i < file->cases_count; i++) {
		struct test_case *test = &file->cases[i];

		for (size_t r = 0; r < test->rules_count; r++) {
			bind_rule(file, &test->rules[r], policies, problems);
			for (size_t before = 0; before < r; before++)
				if (same_rule(&test->rules[before], &test->rules[r]))
					problems_add(problems, file->file, test->rules[r].line, test->rules[r].column,
						     "the rule \"%.64s\" stands here twice", test->rules[r].text);
		}
	}
	return problems->count == known ? 0 : -EINVAL;
}

/* --- the comparison -------------------------------------------------------------------------------------------------- */

static bool is_expected(const struct test_case *test, const struct violation *violation)
{
	for (size_t i = 0; i < test->rules_count; i++)
		if (strcmp(test->rules[i].rule, violation->rule) == 0 &&
		    strcmp(test->rules[i].ruleset, violation->ruleset) == 0)
			return true;
	return false;
}

static bool rules_hold(const struct test_case *test, const struct verdict *verdict)
{
	/* No rule is expected twice or broken twice: as many, and each is expected, makes the sets the same. */
	if (verdict->count != test->rules_count)
		return false;
	for (size_t i = 0; i < verdict->count; i++)
		if (!is_expected(test, &verdict->violations[i]))
			return false;
	return true;
}

static bool reason_holds(const char *reason, const struct verdict *verdict)
{
	for (size_t i = 0; i < verdict->count; i++)
		if (strstr(verdict->violations[i].reason, reason))
			return true;
	return false;
}

/* Appends to a text that is owned. */
static void add(char **text, char *more)
{
	char *longer = xasprintf("%s%s", *text, more);

	free(*text);
	free(more);
	*text = longer;
}

static char *escaped(char *text)
{
	char *safe = text_escape(text, strlen(text));

	free(text);
	return safe;
}

static char *expected_text(const struct test_case *test)
{
	char *text = xstrdup(test->expects_violation ? action_names[test->action] : "ok");

	for (size_t i = 0; i < test->rules_count && i < RULES_SHOWN; i++)
		add(&text, xasprintf("%s%s/%s", i ? ", " : ", by ", test->rules[i].ruleset, test->rules[i].rule));
	if (test->rules_count > RULES_SHOWN)
		add(&text, xasprintf(" and %zu more", test->rules_count - RULES_SHOWN));
	if (test->reason)
		add(&text, xasprintf(", with \"%s\" in a reason", test->reason));
	return escaped(text);
}

static char *got_text(const struct verdict *verdict)
{
	char *text = xstrdup(verdict->count ? action_names[verdict->requested] : "ok");

	for (size_t i = 0; i < verdict->count && i < RULES_SHOWN; i++)
		add(&text,
		    xasprintf("%s%s/%s", i ? ", " : ", by ", verdict->violations[i].ruleset, verdict->violations[i].rule));
	if (verdict->count > RULES_SHOWN)
		add(&text, xasprintf(" and %zu more", verdict->count - RULES_SHOWN));
	return escaped(text);
}

bool test_case_holds(const struct test_case *test, const struct verdict *verdict, char **ret_expected, char **ret_got)
{
	bool verdict_holds = test->expects_violation ? verdict->count > 0 && verdict->requested == test->action :
						       verdict->count == 0;

	if (verdict_holds && (!test->has_rules || rules_hold(test, verdict)) &&
	    (!test->reason || reason_holds(test->reason, verdict)))
		return true;
	*ret_expected = expected_text(test);
	*ret_got = got_text(verdict);
	return false;
}
