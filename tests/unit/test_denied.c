/* What the kernel condemned, and what became of it: either may come first, and each goes with its own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../user/agent/deferred.h"
#include "../../user/agent/denied.h"
#include "case_world.h"

static struct case_world *w;
static struct denied denied;

static int setup(void **state)
{
	(void)state;
	w = world_new();
	world_rules(w, KILLS);
	denied = (struct denied){};
	w->bench.outcomes = &denied.outcomes;
	return 0;
}

static int teardown(void **state)
{
	struct case_ *c;

	(void)state;
	while ((c = holds_take_due(&denied.waiting, 0, true)))
		case_free(c);
	denied_clear(&denied);
	world_free(w);
	return 0;
}

static struct case_ *case_of(uint64_t number, uint32_t flags)
{
	struct capture *capture = world_capture(w, "bad.test", flags);

	capture->verify.head.id.ktime_ns = number;
	return case_new(&w->bench, capture);
}

static struct case_ *outcome(const struct case_ *c, int64_t number, const char *text)
{
	struct message message = {.tag = MESSAGE_KILLED, .number = number};

	message.killed.id = c->capture->verify.head.id;
	message.killed.cookie = c->capture->verify.socket.cookie;
	message.killed.process = (struct message_process){.pid = WORLD_PID, .known = 1, .exe = "/usr/bin/curl"};
	message.killed.acted_ns = c->capture->verify.end_ktime_ns + 3000;
	snprintf(message.text, sizeof(message.text), "%s", text);
	return denied_outcome(&denied, &message);
}

static void finish(struct case_ *c, enum action_result result, const char *why)
{
	case_judge(&w->bench, c);
	case_act(&w->bench, c);
	assert_int_equal(c->result, result);
	if (why)
		assert_string_equal(c->result_reason, why);
	assert_string_equal(c->decoded.facts.exe, "/usr/bin/curl");
	assert_int_equal(c->latency_verdict_us, 0); /* it was known */
	assert_int_equal(c->latency_action_us, 3);
	assert_int_equal(w->kills_count, 0); /* nothing was asked for */
	assert_int_equal(w->processes, 0);
}

static void the_record_first(void **state)
{
	struct case_ *first = case_of(1, VERIFY_DENIED | VERIFY_GATED), *second = case_of(2, VERIFY_DENIED | VERIFY_GATED);

	(void)state;
	assert_true(denied_hold(&denied, first, 0));
	assert_true(denied_hold(&denied, second, 0));
	assert_ptr_equal(outcome(second, 0, ""), second);
	finish(second, RESULT_KILLED, NULL);
	assert_ptr_equal(outcome(first, -EIO, "no luck"), first);
	finish(first, RESULT_FAILED, "no luck");
	case_free(first);
	case_free(second);
}

static void the_outcome_first(void **state)
{
	CLEANUP_CASE struct case_ *c = case_of(1, VERIFY_DENIED | VERIFY_GATED), *other = case_of(2, VERIFY_DENIED);

	(void)state;
	assert_null(outcome(c, 0, ""));
	assert_true(denied_hold(&denied, other, 0)); /* that is not its own */
	other = NULL;
	assert_false(denied_hold(&denied, c, 0));
	finish(c, RESULT_KILLED, NULL);
}

/* Whether it is condemned depends on who it is, which the outcome says: it may be gone by now. */
static void who_it_was(void **state)
{
	CLEANUP_CASE struct case_ *c = case_of(1, VERIFY_DENIED | VERIFY_GATED);
	struct case_ *same = c;

	(void)state;
	world_rules(w, LABORATORY);
	assert_true(denied_hold(&denied, same, 0));
	assert_ptr_equal(outcome(c, 0, ""), c);
	finish(c, RESULT_KILLED, NULL);
}

/* Then the warden is asked, as of any other. */
static void no_outcome(void **state)
{
	struct case_ *c = case_of(1, VERIFY_DENIED | VERIFY_GATED);

	(void)state;
	assert_true(denied_hold(&denied, c, 100));
	assert_null(holds_take_due(&denied.waiting, 100 + HOLD_MS * 1000000ULL - 1, false));
	assert_ptr_equal(holds_take_due(&denied.waiting, 100 + HOLD_MS * 1000000ULL, false), c);
	case_judge(&w->bench, c);
	case_act(&w->bench, c);
	assert_int_equal(w->kills_count, 1);
	assert_int_equal(c->result, RESULT_KILLED);
	case_free(c);
}

/* What the judge decides, and handshakes that may yet be verified, do not wait. */
static void who_does_not_wait(void **state)
{
	static const uint32_t flags[] = {0, VERIFY_GATED, VERIFY_DENIED | VERIFY_UNNOTICED, VERIFY_DENIED | VERIFY_NONE_YET,
					 VERIFY_DENIED | VERIFY_AFTER};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		CLEANUP_CASE struct case_ *c = case_of(i, flags[i]);

		assert_false(denied_hold(&denied, c, 0));
	}
	for (size_t i = 0; i < HELD_MAX; i++)
		assert_true(denied_hold(&denied, case_of(i, VERIFY_DENIED), 0));
	CLEANUP_CASE struct case_ *more = case_of(HELD_MAX, VERIFY_DENIED);
	assert_false(denied_hold(&denied, more, 0));
}

/* While an answer is awaited each outcome and each gate-timeout is kept, and of others the newest. */
static void messages_that_wait(void **state)
{
	static const uint32_t tags[] = {MESSAGE_KILLED,       MESSAGE_GATE,   MESSAGE_KILLED, MESSAGE_GATE_TIMEOUT,
					MESSAGE_GATE_TIMEOUT, MESSAGE_OUTPUT, MESSAGE_GATE,   MESSAGE_KILLED};
	static const int64_t kept[] = {0, 6, 2, 3, 4, 5, 7};
	struct deferreds deferreds = {};
	struct message message = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		message.tag = tags[i];
		message.number = (int64_t)i;
		deferreds_add(&deferreds, &message, -1);
	}
	assert_int_equal(deferreds.count, ARRAY_SIZE(kept));
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_int_equal(deferreds.items[i].message.number, kept[i]);
	free(deferreds.items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_record_first, setup, teardown),
		cmocka_unit_test_setup_teardown(the_outcome_first, setup, teardown),
		cmocka_unit_test_setup_teardown(who_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(no_outcome, setup, teardown),
		cmocka_unit_test_setup_teardown(who_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_that_wait, setup, teardown),
	};

	return cmocka_run_group_tests_name("denied", tests, NULL, NULL);
}
