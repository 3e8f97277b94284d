/* Test files: what is accepted, each thing that is not with its place, and when an expectation holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/types.h>
#include <string.h>

#include "test_file.h"
#include "util.h"

#define HEAD "policies: [p.yaml]\ntests:\n"
#define TEST "  - {name: t, chain: c.pem, expect: {verdict: ok}}\n"
/* A test with one more key, which stands in line 3, column 31. */
#define WITH(more) HEAD "  - {name: t, chain: c.pem,   " more ", expect: {verdict: ok}}\n"
#define EXPECT(body) HEAD "  - {name: t, chain: c.pem, expect: " body "}\n"

static struct policy_source source_of(const char *text)
{
	return (struct policy_source){"dir/t.yaml", text, strlen(text)};
}

static struct test_file *parse(const char *text)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policy_source source = source_of(text);
	struct test_file *file = NULL;

	if (test_file_parse(&source, &file, &problems) < 0)
		fail_msg("%s: %u:%u %s", text, problems.items[0].line, problems.items[0].column, problems.items[0].text);
	assert_int_equal(problems.count, 0);
	return file;
}

static char *problems_text(const struct problems *problems)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < problems->count; i++) {
		char *longer = xasprintf("%s%u:%u: %s\n", text, problems->items[i].line, problems->items[i].column,
					 problems->items[i].text);

		free(text);
		text = longer;
	}
	return text;
}

/* The problems of the file, one a line. */
static void refuse(const char *text, const char *expected)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policy_source source = source_of(text);
	struct test_file *file = NULL;
	CLEANUP_FREE char *found = NULL;

	assert_int_equal(test_file_parse(&source, &file, &problems), -EINVAL);
	assert_null(file);
	found = problems_text(&problems);
	assert_string_equal(found, expected);
	for (size_t i = 0; i < problems.count; i++)
		assert_string_equal(problems.items[i].file, "dir/t.yaml");
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static void test_all_keys(void **state)
{
	struct test_file *file = parse(
		"version: 1\n"
		"policies: [p.yaml, ../q, /abs/r.yaml]\n"
		"anchors: roots.pem\n"
		"tests:\n"
		"  - name: everything\n"
		"    chain: c.pem\n"
		"    application_chain: /a.pem\n"
		"    peer: \"1.1.1.1:853\"\n"
		"    server_name: one.one.one.one\n"
		"    host: 1.1.1.1\n"
		"    verify: failed-ignored\n"
		"    role: server\n"
		"    library: gnutls\n"
		"    exe: /usr/bin/curl\n"
		"    user: alice\n"
		"    unit: nginx.service\n"
		"    container: 0123456789\n"
		"    at: 2025-09-03T12:00:00Z\n"
		"    expect: {verdict: kill-process, rules: [a, p/b], reason: no key}\n"
		"  - {name: least, chain: c.pem, server_name: null, user: 1000, expect: {verdict: ok}}\n");
	const struct test_case *all = &file->cases[0], *least = &file->cases[1];

	(void)state;
	assert_string_equal(file->file, "dir/t.yaml");
	assert_int_equal(file->policies_count, 3);
	assert_string_equal(file->policies[0].path, "dir/p.yaml");
	assert_string_equal(file->policies[1].path, "dir/../q");
	assert_string_equal(file->policies[2].path, "/abs/r.yaml");
	assert_int_equal(file->policies[1].line, 2);
	assert_int_equal(file->policies[1].column, 20);
	assert_string_equal(file->anchors.path, "dir/roots.pem");
	assert_int_equal(file->cases_count, 2);
	assert_string_equal(all->name, "everything");
	assert_int_equal(all->line, 5);
	assert_string_equal(all->chain.path, "dir/c.pem");
	assert_string_equal(all->application_chain.path, "/a.pem");
	assert_int_equal(all->scenario.peer.bytes[0], 1);
	assert_int_equal(all->scenario.peer_port, 853);
	assert_string_equal(all->scenario.server_name, "one.one.one.one");
	assert_string_equal(all->scenario.host, "1.1.1.1");
	assert_int_equal(all->scenario.verify, VERIFY_FAILED_IGNORED);
	assert_int_equal(all->scenario.role, FACTS_ROLE_SERVER);
	assert_int_equal(all->scenario.library, LIBRARY_GNUTLS);
	assert_string_equal(all->scenario.exe, "/usr/bin/curl");
	assert_string_equal(all->scenario.user, "alice");
	assert_string_equal(all->scenario.unit, "nginx.service");
	assert_string_equal(all->scenario.container, "0123456789");
	assert_true(all->has_at && all->at == 1756900800);
	assert_true(all->expects_violation && all->action == ACTION_KILL_PROCESS);
	assert_true(all->has_rules && all->rules_count == 2);
	assert_string_equal(all->rules[1].text, "p/b");
	assert_string_equal(all->reason, "no key");
	assert_null(least->scenario.server_name);
	assert_true(least->scenario.has_uid && least->scenario.uid == 1000);
	assert_false(least->has_at || least->has_rules || least->expects_violation);
	assert_null(least->reason);
	assert_null(least->application_chain.path);
	test_file_free(file);
	test_file_free(NULL);
}

/* Single values need no list, as in policies. */
static void test_single_values(void **state)
{
	struct test_file *file = parse("policies: p.yaml\ntests:\n"
				       "  - {name: t, chain: c.pem, expect: {verdict: log, rules: r}}\n");

	(void)state;
	assert_int_equal(file->policies_count, 1);
	assert_int_equal(file->cases[0].rules_count, 1);
	assert_int_equal(file->cases[0].action, ACTION_LOG);
	assert_null(file->anchors.path);
	test_file_free(file);
}

static void test_top_level(void **state)
{
	(void)state;
	refuse("", "1:1: the file is empty: a policy begins with \"version: 1\"\n");
	refuse("[]\n", "1:1: a test file must be a map of keys and values, not a list\n");
	refuse("tests:\n" TEST, "1:1: \"policies\" is missing in a test file\n");
	refuse("policies: p.yaml\n", "1:1: \"tests\" is missing in a test file\n");
	refuse("policies: []\ntests:\n" TEST, "1:11: an empty list: which policies are to be tested?\n");
	refuse("policies: p.yaml\ntests: []\n", "2:8: an empty list: nothing is tested\n");
	refuse("policies: p.yaml\ntests: {}\n", "2:8: tests must be a list, not a map\n");
	refuse("version: 2\n" HEAD TEST, "1:10: version must be 1, the only one that there is\n");
	refuse("anchor: x\n" HEAD TEST, "1:1: unknown key \"anchor\" in a test file; did you mean \"anchors\"?\n");
	refuse("rules: []\n" HEAD TEST,
	       "1:1: unknown key \"rules\" in a test file; it takes version, policies, anchors or tests\n");
	refuse("policies: [1]\ntests:\n" TEST,
	       "1:12: the path of a policy must be text, not a number: write it in quotes\n");
	refuse("policies: {a: b}\ntests:\n" TEST, "1:11: the path of a policy must be text, not a map\n");
	refuse("anchors: [a, b]\n" HEAD TEST, "1:10: anchors must be text, not a list\n");
	refuse(HEAD TEST "tests: []\n", "4:1: \"tests\" stands here twice (the first is at 2:1)\n");
	refuse(HEAD "  - &a {name: t, chain: c.pem, expect: {verdict: ok}}\n  - *a\n",
	       "3:5: anchors (&) are not supported\n"
	       "4:5: aliases (*) are not supported: write the value out, or name a set\n");
}

static void test_tests(void **state)
{
	(void)state;
	refuse(HEAD "  - {}\n", "3:5: \"name\" is missing in a test\n3:5: \"chain\" is missing in a test\n"
				"3:5: \"expect\" is missing in a test\n");
	refuse(HEAD "  - t\n", "3:5: a test must be a map of keys and values, not text\n");
	refuse(HEAD TEST TEST, "4:12: the name \"t\" is taken already, by the test at 3:12\n");
	refuse(HEAD TEST TEST TEST, "4:12: the name \"t\" is taken already, by the test at 3:12\n"
				    "5:12: the name \"t\" is taken already, by the test at 3:12\n");
	refuse(WITH("servername: x"), "3:31: unknown key \"servername\" in a test; did you mean \"server_name\"?\n");
	refuse(WITH("name: u"), "3:31: \"name\" stands here twice (the first is at 3:6)\n");
	refuse(WITH("peer: localhost"),
	       "3:37: peer must be an address like \"192.0.2.1\", \"192.0.2.1:853\" or \"[2001:db8::1]:853\", not "
	       "\"localhost\"\n");
	refuse(WITH("peer: 853"), "3:37: peer must be text, not a number: write it in quotes\n");
	refuse(WITH("server_name: [a]"), "3:44: server_name must be text, not a list\n");
	refuse(WITH("server_name: \"\""), "3:44: server_name is empty\n");
	refuse(WITH("verify: faild"),
	       "3:39: verify must be ok, failed, failed-ignored or off, not \"faild\"; did you mean \"failed\"?\n");
	refuse(WITH("verify: true"), "3:39: verify must be ok, failed, failed-ignored or off, not a truth value\n");
	refuse(WITH("role: peer"), "3:37: role must be client or server, not \"peer\"\n");
	refuse(WITH("library: nss"), "3:40: library must be openssl or gnutls, not \"nss\"\n");
	refuse(WITH("exe: curl"), "3:36: exe must be the program's whole path, like \"/usr/bin/curl\", not \"curl\"\n");
	refuse(WITH("user: 4294967295"), "3:37: user must be a name or a number below 4294967295, not \"4294967295\"\n");
	refuse(WITH("user: null"), "3:37: user must be text, not nothing: write it in quotes\n");
	refuse(WITH("at: yesterday"),
	       "3:35: at must be a time in UTC (RFC 3339) like \"2027-01-31T00:00:00Z\", not \"yesterday\"\n");
	refuse(WITH("chain_: c"), "3:31: unknown key \"chain_\" in a test; did you mean \"chain\"?\n");
	refuse(WITH("application_chain: {}"), "3:50: application_chain must be text, not a map\n");
	refuse(WITH("unit: \"a\\nb\""), "3:37: unit must be one line without control characters\n");
}

static void test_expectations(void **state)
{
	(void)state;
	refuse(EXPECT("ok"), "3:37: expect must be a map of keys and values, not text\n");
	refuse(EXPECT("{}"), "3:37: \"verdict\" is missing in expect\n");
	refuse(EXPECT("{rules: [r]}"), "3:37: \"verdict\" is missing in expect\n");
	refuse(EXPECT("{verdict: audit}"), "3:47: verdict must be ok, log, kill or kill-process, not \"audit\"\n");
	refuse(EXPECT("{verdict: killed}"),
	       "3:47: verdict must be ok, log, kill or kill-process, not \"killed\"; did you mean \"kill\"?\n");
	refuse(EXPECT("{verdict: ok, rules: [r]}"),
	       "3:37: verdict: ok means that no rule is broken: then there are no rules to expect\n");
	refuse(EXPECT("{verdict: ok, reason: r}"),
	       "3:37: verdict: ok means that no rule is broken: then there are no reasons to expect\n");
	refuse(EXPECT("{verdict: kill, rules: []}"),
	       "3:37: a verdict other than ok comes of some rule: name it, or leave `rules` out\n");
	refuse(EXPECT("{verdict: kill, rules: [1]}"), "3:61: a rule must be text, not a number: write it in quotes\n");
	refuse(EXPECT("{verdict: kill, rule: r}"), "3:53: unknown key \"rule\" in expect; did you mean \"rules\"?\n");
	/* Nothing is broken, and no rule is expected to be. */
	test_file_free(parse(EXPECT("{verdict: ok, rules: []}")));
}

static void test_what_is_a_test_file(void **state)
{
	static const char *const yes[] = {HEAD TEST, "tests:\n", "{\"tests\": 1, name: x}\n", "rules: []\ntests: []\n"};
	static const char *const no[] = {"",
					 "version: 1\nname: tests\n",
					 "# tests:\nname: p\n",
					 "tests\n",
					 "- tests: x\n",
					 "a: {tests: []}\n",
					 "tests: [\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		struct policy_source source = source_of(yes[i]);
		assert_true(test_file_is(&source));
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		struct policy_source source = source_of(no[i]);
		assert_false(test_file_is(&source));
	}
}

/* As a policy it is refused, and told what it is. */
static void test_among_policies(void **state)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policy_source source = source_of(HEAD TEST);
	struct policies *policies = NULL;
	CLEANUP_FREE char *text = NULL;

	(void)state;
	assert_int_equal(policies_parse(&source, 1, &policies, &problems), -EINVAL);
	text = problems_text(&problems);
	assert_string_equal(text,
			    "2:1: this is a file of tests, not a policy: `tlswarden test` runs it, and it cannot lie among "
			    "policies\n");
}

/* --- the rules that are meant ----------------------------------------------------------------------------------------- */

#define RULE(id) "  - {id: " id ", match: [{any: true}], require: {verified: true}, action: kill}\n"

static struct policies *two_policies(void)
{
	static const char first[] = "version: 1\nname: a\nrules:\n" RULE("one") RULE("both") RULE("x/y");
	static const char second[] = "version: 1\nname: a/x\nmode: enforce\nrules:\n" RULE("two") RULE("both") RULE("\"y\"");
	const struct policy_source sources[] = {{"a", first, strlen(first)}, {"b", second, strlen(second)}};
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = NULL;

	if (policies_parse(sources, 2, &policies, &problems) < 0)
		fail_msg("%s", problems.items[0].text);
	return policies;
}

/* The problems of binding a test that expects these rules. */
static char *bind(const char *rules, struct policies *policies, struct test_file **ret)
{
	CLEANUP_FREE char *text = xasprintf(EXPECT("{verdict: kill, rules: %s}"), rules);
	CLEANUP(problems_clear) struct problems problems = {0};
	int r;

	*ret = parse(text);
	r = test_file_bind(*ret, policies, &problems);
	assert_int_equal(r, problems.count ? -EINVAL : 0);
	return problems_text(&problems);
}

static void expect_rule(struct policies *policies, const char *text, const char *ruleset, const char *rule)
{
	struct test_file *file;
	CLEANUP_FREE char *problems = bind(text, policies, &file);

	assert_string_equal(problems, "");
	assert_string_equal(file->cases[0].rules[0].ruleset, ruleset);
	assert_string_equal(file->cases[0].rules[0].rule, rule);
	test_file_free(file);
}

static void expect_no_rule(struct policies *policies, const char *text, const char *expected)
{
	struct test_file *file;
	CLEANUP_FREE char *problems = bind(text, policies, &file);

	assert_string_equal(problems, expected);
	test_file_free(file);
}

static void test_rules_that_are_meant(void **state)
{
	struct policies *policies = two_policies();

	(void)state;
	expect_rule(policies, "one", "a", "one");
	expect_rule(policies, "two", "a/x", "two");
	expect_rule(policies, "a/one", "a", "one");
	expect_rule(policies, "a/x/two", "a/x", "two");
	expect_rule(policies, "a/both", "a", "both");
	expect_rule(policies, "a/x/both", "a/x", "both");
	expect_rule(policies, "x/y", "a", "x/y");
	expect_no_rule(policies, "both", "3:60: there is a rule \"both\" in policy a and in policy a/x: write \"a/both\"\n");
	expect_no_rule(policies, "oen", "3:60: there is no rule \"oen\" in these policies; did you mean \"one\"?\n");
	expect_no_rule(policies, "[one, b/one]",
		       "3:66: there is no rule \"b/one\" in these policies; did you mean \"one\"?\n");
	expect_no_rule(policies, "a/", "3:60: there is no rule \"a/\" in these policies\n");
	expect_no_rule(policies, "[one, a/one]", "3:66: the rule \"a/one\" stands here twice\n");
	policies_free(policies);
}

/* --- the comparison --------------------------------------------------------------------------------------------------- */

/* A verdict of rules "one" and "two", as many as count. */
static struct verdict verdict_of(struct violation *violations, size_t count, enum action requested)
{
	violations[0] = (struct violation){.ruleset = "a", .rule = "one", .reason = (char *)"first reason"};
	violations[1] = (struct violation){.ruleset = "a/x", .rule = "two", .reason = (char *)"second reason"};
	return (struct verdict){.violations = violations, .count = count, .requested = requested};
}

static void expect_holds(const char *expectation, size_t count, enum action requested, const char *expected, const char *got)
{
	CLEANUP_FREE char *text = xasprintf(EXPECT("%s"), expectation), *wanted = NULL, *had = NULL;
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = two_policies();
	struct test_file *file = parse(text);
	struct violation violations[2];
	struct verdict verdict = verdict_of(violations, count, requested);

	assert_int_equal(test_file_bind(file, policies, &problems), 0);
	assert_int_equal(test_case_holds(&file->cases[0], &verdict, &wanted, &had), expected == NULL);
	if (expected) {
		assert_string_equal(wanted, expected);
		assert_string_equal(had, got);
	}
	test_file_free(file);
	policies_free(policies);
}

static void test_what_holds(void **state)
{
	(void)state;
	expect_holds("{verdict: ok}", 0, ACTION_LOG, NULL, NULL);
	expect_holds("{verdict: ok}", 1, ACTION_LOG, "ok", "log, by a/one");
	expect_holds("{verdict: log}", 0, ACTION_LOG, "log", "ok");
	expect_holds("{verdict: log}", 1, ACTION_LOG, NULL, NULL);
	expect_holds("{verdict: kill}", 2, ACTION_KILL, NULL, NULL);
	expect_holds("{verdict: kill}", 2, ACTION_KILL_PROCESS, "kill", "kill-process, by a/one, a/x/two");
	expect_holds("{verdict: kill-process}", 1, ACTION_KILL_PROCESS, NULL, NULL);
	expect_holds("{verdict: kill, rules: [two, a/one]}", 2, ACTION_KILL, NULL, NULL);
	expect_holds("{verdict: kill, rules: [one]}", 2, ACTION_KILL, "kill, by a/one", "kill, by a/one, a/x/two");
	expect_holds("{verdict: kill, rules: [one, two]}", 1, ACTION_KILL, "kill, by a/one, a/x/two", "kill, by a/one");
	expect_holds("{verdict: kill, rules: [two]}", 1, ACTION_KILL, "kill, by a/x/two", "kill, by a/one");
	expect_holds("{verdict: kill, reason: second}", 2, ACTION_KILL, NULL, NULL);
	expect_holds("{verdict: kill, reason: second}", 1, ACTION_KILL, "kill, with \"second\" in a reason",
		     "kill, by a/one");
	expect_holds("{verdict: kill, rules: one, reason: \"first reason\"}", 1, ACTION_KILL, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),       cmocka_unit_test(test_single_values),
		cmocka_unit_test(test_top_level),      cmocka_unit_test(test_tests),
		cmocka_unit_test(test_expectations),   cmocka_unit_test(test_what_is_a_test_file),
		cmocka_unit_test(test_among_policies), cmocka_unit_test(test_rules_that_are_meant),
		cmocka_unit_test(test_what_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
