/* What a verification comes to: killed, let go or left waiting, asked for once, and what the kernel is to remember of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "case_world.h"

static struct case_world *w;

static int setup(void **state)
{
	(void)state;
	w = world_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static struct case_ *acted_on(const char *server_name, uint32_t flags)
{
	return world_acted(w, world_capture(w, server_name, flags));
}

static void expect_failed(const struct case_ *c, const char *why)
{
	assert_int_equal(c->result, RESULT_FAILED);
	assert_string_equal(c->result_reason, why);
}

/* --- kill ---------------------------------------------------------------------------------------------------------------- */

static void a_kill_is_asked_for_once(void **state)
{
	const struct siphash_value key = world_key(w, "bad.test", VERIFY_GATED);
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, LOGS KILLS);
	c = acted_on("bad.test", VERIFY_GATED);
	world_expect_kill(w, CACHED_DENY, &key);
	assert_int_equal(w->kills[0].action, ACTION_KILL);
	assert_string_equal(w->kills[0].ruleset, "p");
	assert_string_equal(w->kills[0].rule, "weak");
	assert_int_equal(c->result, RESULT_KILLED);
	assert_int_equal(w->processes, 0);
	case_act(&w->bench, c);
	case_judge(&w->bench, c);
	case_act(&w->bench, c);
	world_expect_counts(w, 1, 0);
	assert_int_equal(c->result, RESULT_KILLED);
	/* Who it was came with the answer. */
	case_who(&w->bench, c);
	assert_int_equal(w->processes, 0);
	assert_string_equal(c->decoded.facts.exe, "/usr/bin/curl");
	assert_string_equal(c->decoded.facts.user, "alice");
}

/* What is stronger is asked for once more, and then nothing that is weaker. */
static void the_process_is_asked_for_after_the_connection(void **state)
{
	struct policies *first;
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, KILLS);
	first = TAKE_PTR(w->policies);
	w->bench.policies = first;
	c = acted_on("bad.test", VERIFY_GATED);
	world_expect_counts(w, 1, 0);
	world_rules(w, ENDS);
	case_judge(&w->bench, c);
	case_act(&w->bench, c);
	world_expect_counts(w, 2, 0);
	assert_int_equal(w->kills[1].action, ACTION_KILL_PROCESS);
	assert_string_equal(w->kills[1].rule, "ends");
	assert_int_equal(c->result, RESULT_PROCESS_KILLED);
	w->bench.policies = first;
	case_judge(&w->bench, c);
	case_act(&w->bench, c);
	world_expect_counts(w, 2, 0);
	assert_int_equal(c->result, RESULT_PROCESS_KILLED);
	verdict_clear(&c->verdict);
	policies_free(first);
}

static void what_cannot_be_killed_has_failed(void **state)
{
	(void)state;
	world_rules(w, KILLS);
	for (size_t i = 0; i < 5; i++) {
		CLEANUP_CASE struct case_ *c = NULL;
		static const struct world_answer answers[] = {
			{.number = -ENOENT, .text = "the connection has ended"},
			{.number = -EPERM, .text = "no policy that enforces asks for it"},
			{.number = -EIO, .text = ""},
			{.tag = MESSAGE_PROCESS_IS},
		};

		world_forget(w);
		w->answer = i < ARRAY_SIZE(answers) ? answers[i] : (struct world_answer){};
		w->warden_gone = i == 4;
		c = acted_on("bad.test", VERIFY_GATED);
		world_expect_counts(w, i != 4, 0);
		expect_failed(c, i < 3 ? answers[i].text : "the privileged half did not answer");
		case_act(&w->bench, c);
		world_expect_counts(w, i != 4, 0);
	}
}

/* It closed the connection before it could be destroyed, as it was told to. */
static void a_library_that_was_made_to_refuse(void **state)
{
	static const struct {
		uint32_t flags;
		int64_t number;
		enum action_result result;
		const char *rules;
	} examples[] = {
		{VERIFY_REJECTED, 0, RESULT_REJECTED, KILLS},
		{VERIFY_REJECTED, -ENOENT, RESULT_REJECTED, KILLS},
		{VERIFY_REJECTED, -EPERM, RESULT_FAILED, KILLS},
		{VERIFY_REJECTED, -ESRCH, RESULT_FAILED, KILLS},
		{0, 0, RESULT_KILLED, KILLS},
		{0, -ENOENT, RESULT_FAILED, KILLS},
		{VERIFY_REJECTED, 0, RESULT_PROCESS_KILLED, ENDS},
		{0, 0, RESULT_PROCESS_KILLED, ENDS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, examples[i].rules);
		w->answer.number = examples[i].number;
		w->answer.text = examples[i].number ? "why" : "";
		c = acted_on("bad.test", VERIFY_GATED | VERIFY_DENIED | examples[i].flags);
		world_expect_counts(w, 1, 0);
		assert_int_equal(c->result, examples[i].result);
		if (c->result == RESULT_FAILED)
			assert_string_equal(c->result_reason, "why");
		else
			assert_null(c->result_reason);
	}
}

/* The kernel denied it by a verdict that does not hold any more. Gated it is, even if there was no room to say so. */
static void what_was_denied_and_is_condemned_no_more(void **state)
{
	static const uint32_t flags[] = {VERIFY_DENIED, VERIFY_DENIED | VERIFY_GATED, VERIFY_DENIED | VERIFY_UNGATED};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		const struct siphash_value key = world_key(w, "good.test", flags[i]);
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, KILLS);
		c = acted_on("good.test", flags[i]);
		world_expect_release(w, CACHED_QUIET, &key);
		assert_int_equal(c->result, RESULT_NONE);
	}
}

static void latencies_count_from_the_end_of_the_verification(void **state)
{
	static const struct {
		uint64_t acted_ns, latency_us;
	} examples[] = {
		{WORLD_END_NS + 5000000, 5000}, {WORLD_END_NS + 999, 0}, {WORLD_END_NS, 0}, {WORLD_END_NS - 1, 0}, {0, 0}};
	uint64_t judged_us;

	(void)state;
	world_rules(w, KILLS);
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		w->answer.acted_ns = examples[i].acted_ns;
		c = acted_on("bad.test", VERIFY_GATED);
		assert_int_equal(c->latency_action_us, examples[i].latency_us);
		judged_us = c->latency_verdict_us;
		c->capture->verify.end_ktime_ns = 1;
		case_judge(&w->bench, c);
		assert_int_equal(c->latency_verdict_us, judged_us); /* that of the verdict that was acted upon */
	}
}

/* --- let go -------------------------------------------------------------------------------------------------------------- */

static void what_is_clean_is_let_go(void **state)
{
	const struct siphash_value key = world_key(w, "good.test", VERIFY_GATED);

	(void)state;
	world_rules(w, KILLS);
	for (size_t i = 0; i < 4; i++) {
		bool all_events = i & 1, gated = i & 2;
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		w->bench.all_events = all_events;
		c = acted_on("good.test", gated ? VERIFY_GATED : 0);
		assert_int_equal(c->result, RESULT_NONE);
		assert_int_equal(w->processes, 0);
		world_expect_counts(w, 0, 1);
		assert_int_equal(w->releases[0].socket.cookie, gated ? WORLD_COOKIE : 0);
		world_expect_cached(&w->releases[0].cached, all_events ? CACHED_PASS : CACHED_QUIET, &key);
		if (gated)
			world_expect_release(w, all_events ? CACHED_PASS : CACHED_QUIET, &key);
	}
}

/* Allowed, but each time there is something to tell of. */
static void what_only_breaks_a_rule_is_let_go(void **state)
{
	const struct siphash_value key = world_key(w, "bad.test", VERIFY_GATED);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, i == 0 ? LOGS : KILLS);
		if (i == 1)
			world_policy(w, "version: 1\nname: audit\nrules:\n" KILLS);
		w->bench.audit_only = i == 2;
		c = acted_on("bad.test", VERIFY_GATED);
		world_expect_release(w, CACHED_PASS, &key);
		assert_int_equal(c->result, i ? RESULT_WOULD_KILL : RESULT_NONE);
	}
}

static void a_verdict_that_is_remembered_is_not_said_again(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL, *gated = NULL;
	const struct siphash_value key = world_key(w, "bad.test", VERIFY_PASSED);

	(void)state;
	c = acted_on("good.test", VERIFY_PASSED);
	world_expect_counts(w, 0, 0);
	gated = acted_on("good.test", VERIFY_PASSED | VERIFY_GATED);
	world_expect_release(w, CACHED_NONE, NULL);
	/* It is the other way round by now: that is. */
	world_forget(w);
	case_free(TAKE_PTR(c));
	case_free(TAKE_PTR(gated));
	world_rules(w, KILLS);
	c = acted_on("bad.test", VERIFY_PASSED);
	world_expect_kill(w, CACHED_DENY, &key);
}

static void nothing_is_remembered_without_a_secret(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL, *gated = NULL, *condemned = NULL;

	(void)state;
	w->bench.secret = NULL;
	c = acted_on("good.test", 0);
	world_expect_counts(w, 0, 0);
	gated = acted_on("good.test", VERIFY_GATED);
	world_expect_release(w, CACHED_NONE, NULL);
	world_forget(w);
	verdict_clear(&c->verdict);
	verdict_clear(&gated->verdict);
	world_rules(w, KILLS);
	condemned = acted_on("bad.test", VERIFY_GATED);
	world_expect_kill(w, CACHED_NONE, NULL);
}

static void an_event_only_if_one_is_wanted(void **state)
{
	static const struct {
		const char *server_name, *found;
		bool all_events;
	} examples[] = {
		{"good.test", NULL, false},
		{"good.test", "\"peer-verified\"", true},
		{"bad.test", "\"result\":\"killed\"", false},
	};

	(void)state;
	world_rules(w, KILLS);
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		CLEANUP_CASE struct case_ *c = NULL;
		CLEANUP_FREE char *text = NULL;
		size_t lines;

		assert_int_equal(ftruncate(w->sink.fd, 0), 0);
		lseek(w->sink.fd, 0, SEEK_SET);
		w->bench.all_events = examples[i].all_events;
		c = acted_on(examples[i].server_name, VERIFY_GATED);
		assert_true(case_tell(&w->bench, c));
		text = world_events(w, &lines);
		assert_int_equal(lines, examples[i].found != NULL);
		assert_true(!examples[i].found || strstr(text, examples[i].found));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_kill_is_asked_for_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_process_is_asked_for_after_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_killed_has_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_library_that_was_made_to_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_denied_and_is_condemned_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(latencies_count_from_the_end_of_the_verification, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_clean_is_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(what_only_breaks_a_rule_is_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(a_verdict_that_is_remembered_is_not_said_again, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_remembered_without_a_secret, setup, teardown),
		cmocka_unit_test_setup_teardown(an_event_only_if_one_is_wanted, setup, teardown),
	};

	certificate_init();
	return cmocka_run_group_tests_name("case", tests, NULL, NULL);
}
