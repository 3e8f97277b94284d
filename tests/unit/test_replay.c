/* The sums of a replay: what is counted for whom, what is told apart, and what is not. */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

#include "../../user/cmd/replay.h"
#include "event_sample.h"
#include "fixture.h"
#include "policy.h"
#include "util.h"

static const char policy[] =
	"version: 1\n"
	"name: try\n"
	"mode: enforce\n"
	"enforce_until: \"2026-06-01T00:00:00Z\"\n"
	"sets: {trust_stores: {s: /etc/roots.pem}}\n"
	"rules:\n"
	"  - {id: verified, description: \"who does not look\", match: [{any: true}], require: {verified: true},\n"
	"     action: kill, severity: high}\n"
	"  - {id: other-port, match: [{peer_port: 443}], require: {verified: true}}\n"
	"  - {id: trusted, match: [{any: true}], require: {trusted_by: s}}\n";

enum { JANUARY = 1767225600, JULY = 1782864000 }; /* 2026-01-01 and 2026-07-01 */

static struct policies *parse(const char *text)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	const struct policy_source source = {"f", text, strlen(text)};
	struct policies *policies = NULL;
	struct policy_content content;
	CLEANUP_FREE char *roots = NULL;
	size_t len;

	if (policies_parse(&source, 1, &policies, &problems) < 0)
		fail_msg("%u:%u %s", problems.items[0].line, problems.items[0].column, problems.items[0].text);
	roots = fixture_text("good-root.pem", &len);
	content = (struct policy_content){.data = roots, .len = len};
	assert_int_equal(policies_bind(policies, &content, &problems), 0);
	return policies;
}

static void judge(struct replay *replay, const struct sample *s)
{
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(NULL);
	CLEANUP(event_read_clear) struct event_read event = {0};
	CLEANUP_FREE char *line = event_verification_json(&s->head, &s->v), *why = NULL;

	assert_int_equal(event_read(reader, line, strlen(line), &event, &why), EVENT_VERIFICATION);
	replay_judge(replay, &event);
}

static void sample_at(struct sample *s, int64_t seconds, enum verify_result verify)
{
	sample_init(s);
	s->head.time_us = seconds * 1000000;
	s->facts.verify = verify;
	s->verdict.count = 0;
	s->v.result = RESULT_NONE;
}

static const struct rule_sums *rule_of(const struct replay *replay, const char *id)
{
	for (size_t i = 0; i < replay->rules_count; i++)
		if (strcmp(replay->rules[i].rule, id) == 0)
			return &replay->rules[i];
	fail_msg("there is no rule %s", id);
	return NULL;
}

static void each_event_is_judged_at_its_own_time(void **state)
{
	struct policies *policies = parse(policy);
	CLEANUP(replay_clear) struct replay replay = {0};
	const struct rule_sums *verified;
	struct sample s;

	(void)state;
	replay_begin(&replay, policies);
	sample_at(&s, JULY, VERIFY_OFF);
	judge(&replay, &s);
	sample_at(&s, JANUARY, VERIFY_FAILED);
	s.facts.exe = s.v.context.exe = "/usr/bin/wget";
	judge(&replay, &s);
	sample_at(&s, JANUARY + 1, VERIFY_OK);
	judge(&replay, &s);

	verified = rule_of(&replay, "verified");
	assert_int_equal(replay.verifications, 3);
	assert_int_equal(replay.broken, 2);
	assert_int_equal(replay.violations, 2);
	assert_int_equal(replay.fresh, 2);
	assert_int_equal(replay.gone, 0);
	assert_int_equal(replay.without_certificates, 3);
	assert_int_equal(replay.would_kill, 1); /* the one before enforce_until */
	assert_int_equal(replay.first_us / 1000000, JANUARY);
	assert_int_equal(replay.last_us / 1000000, JULY);
	assert_int_equal(verified->fired, 2);
	assert_int_equal(verified->enforced, 1);
	assert_int_equal(verified->first_us / 1000000, JANUARY);
	assert_int_equal(verified->last_us / 1000000, JULY);
	assert_int_equal(verified->processes.distinct, 2);
	assert_int_equal(rule_of(&replay, "other-port")->fired, 0);
	assert_int_equal(rule_of(&replay, "trusted")->fired, 0);
	assert_int_equal(rule_of(&replay, "trusted")->undecided, 3);
	assert_int_equal(replay_fired(&replay), 1);
	policies_free(policies);
}

static void what_was_logged_is_compared(void **state)
{
	static char *const rules[][2] = {{"verified", "try"}, {"verified", "another"}, {"trusted", "try"}, {"gone", "try"}};
	struct policies *policies = parse(policy);
	CLEANUP(replay_clear) struct replay replay = {0};
	struct violation violations[ARRAY_SIZE(rules)];
	struct sample s;

	(void)state;
	replay_begin(&replay, policies);
	sample_at(&s, JANUARY, VERIFY_OFF);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		violations[i] = s.violations[0];
		violations[i].rule = rules[i][0];
		violations[i].ruleset = rules[i][1];
	}
	s.verdict.violations = violations;
	s.verdict.count = ARRAY_SIZE(rules);
	s.verdict.strongest = 0;
	judge(&replay, &s);
	/* verified of try stands; the one that cannot be decided is not known to be gone. */
	assert_int_equal(replay.fresh, 0);
	assert_int_equal(replay.gone, 2);
	policies_free(policies);
}

static void texts_beyond_the_bound_are_counted_together(void **state)
{
	enum { TEXTS = 3000 };
	struct policies *policies = parse(policy);
	CLEANUP(replay_clear) struct replay replay = {0};
	const struct tally_item *top[3];
	const struct rule_sums *verified;
	char *huge = xcalloc(4000, 1);
	struct sample s;

	(void)state;
	replay_begin(&replay, policies);
	sample_at(&s, JANUARY, VERIFY_OFF);
	for (size_t i = 0; i < TEXTS; i++) {
		CLEANUP_FREE char *exe = xasprintf("/opt/%zu", i % 2 ? i : 0);

		s.facts.exe = s.v.context.exe = exe;
		judge(&replay, &s);
	}
	for (size_t i = 0; i < 1300; i++)
		memcpy(huge + 3 * i, "\xe2\x82\xac", 3);
	s.facts.exe = s.v.context.exe = "/opt/last";
	s.facts.server_name = huge;
	judge(&replay, &s);
	verified = rule_of(&replay, "verified");
	assert_int_equal(verified->fired, TEXTS + 1);
	assert_int_equal(verified->processes.distinct, 1024);
	assert_int_equal(verified->processes.others, TEXTS / 2 + 2 - 1024);
	assert_int_equal(tally_top(&verified->processes, top, 3), 3);
	assert_string_equal(top[0]->text, "/opt/0");
	assert_int_equal(top[0]->count, TEXTS / 2);
	assert_int_equal(tally_top(&verified->names, top, 3), 2);
	assert_int_equal(strlen(top[1]->text), 255); /* 85 characters of 3 bytes, none torn */
	free(huge);
	policies_free(policies);
}

static void the_report_has_it_all(void **state)
{
	struct policies *policies = parse(policy);
	CLEANUP(replay_clear) struct replay replay = {0};
	CLEANUP_FREE char *text = NULL, *json = NULL;
	struct json_object *object;
	size_t len = 0;
	struct sample s;
	FILE *out;

	(void)state;
	replay_begin(&replay, policies);
	sample_at(&s, JANUARY, VERIFY_OFF);
	judge(&replay, &s);
	for (size_t i = 0; i < 15; i++)
		replay_pass_over(&replay.torn, "log\n1", i, xstrdup("no JSON"));
	out = open_memstream(&text, &len);
	replay_print(out, &replay);
	fclose(out);
	assert_non_null(strstr(text, "1 of 3 rules would fire: 1 violation in 1 verification, 1 of which would be ended"));
	assert_non_null(strstr(text, "try/verified: 1 time, kill, enforced, high\n    who does not look\n"));
	assert_non_null(strstr(text, "processes  /usr/bin/curl 1\n"));
	assert_non_null(strstr(text, "peers      1.1.1.1:853 1\n"));
	assert_non_null(strstr(text, "run --certificates):\n  try/trusted: 1 time\n"));
	assert_non_null(strstr(text, "would never fire:\n  try/other-port\n"));
	assert_non_null(strstr(text, "15 torn lines passed over:\n"));
	assert_non_null(strstr(text, ":9: no JSON\n  and 5 more\n"));
	out = open_memstream(&json, &len);
	replay_print_json(out, &replay);
	fclose(out);
	object = json_tokener_parse(json);
	assert_true(json_object_is_type(object, json_type_object));
	assert_ptr_equal(strchr(json, '\n'), json + len - 1);
	json_object_put(object);
	policies_free(policies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_is_judged_at_its_own_time),
		cmocka_unit_test(what_was_logged_is_compared),
		cmocka_unit_test(texts_beyond_the_bound_are_counted_together),
		cmocka_unit_test(the_report_has_it_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
