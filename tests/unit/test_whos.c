/* Who a process is, remembered for a moment: only of the same process, in the same program, user and cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>

#include "../../user/agent/whos.h"
#include "case_world.h"

#define S_NS 1000000000ULL

static struct whos whos;

static int teardown(void **state)
{
	(void)state;
	whos_clear(&whos);
	return 0;
}

static struct who_key key_of(uint32_t pid)
{
	return (struct who_key){.pid = pid, .uid = 5, .start_boottime_ns = 77, .exec_id = 3, .cgroup_id = 9};
}

static void add(const struct who_key *key, const char *exe, uint64_t now_ns)
{
	struct message_process process = {.pid = key->pid, .tid = key->pid, .known = 1};

	snprintf(process.exe, sizeof(process.exe), "%s", exe);
	whos_add(&whos, key, &process, now_ns);
}

static void it_is_known_for_a_moment(void **state)
{
	const struct who_key key = key_of(11);
	struct message_process found = {.pid = 1}, before = found;

	(void)state;
	assert_false(whos_find(&whos, &key, 12, S_NS, &found));
	assert_memory_equal(&found, &before, sizeof(found));
	add(&key, "/usr/bin/curl", S_NS);
	assert_true(whos_find(&whos, &key, 12, S_NS + WHO_MS * 1000000ULL - 1, &found));
	assert_string_equal(found.exe, "/usr/bin/curl");
	assert_int_equal(found.pid, 11);
	assert_int_equal(found.tid, 12); /* the thread that is asked about, not that which was */
	assert_int_equal(found.known, 1);
	assert_false(whos_find(&whos, &key, 12, S_NS + WHO_MS * 1000000ULL, &found));
}

static void another_is_not_known(void **state)
{
	struct who_key others[] = {key_of(12), key_of(11), key_of(11), key_of(11), key_of(11)};
	const struct who_key key = key_of(11);
	struct message_process found;

	(void)state;
	others[1].uid++;
	others[2].start_boottime_ns++;
	others[3].exec_id++;
	others[4].cgroup_id++;
	add(&key, "/usr/bin/curl", S_NS);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(whos_find(&whos, &others[i], 11, S_NS, &found));
	assert_true(whos_find(&whos, &key, 11, S_NS, &found));
}

/* Without its cgroup it cannot be told apart; and a process that has gone says nothing. */
static void what_is_not_remembered(void **state)
{
	struct who_key key = key_of(11);
	const struct message_process gone = {.pid = 11};
	struct message_process found;

	(void)state;
	whos_add(&whos, &key, &gone, S_NS);
	assert_false(whos_find(&whos, &key, 11, S_NS, &found));
	key.cgroup_id = 0;
	add(&key, "/usr/bin/curl", S_NS);
	assert_false(whos_find(&whos, &key, 11, S_NS, &found));
}

static void the_oldest_goes(void **state)
{
	struct message_process found;

	(void)state;
	for (uint32_t pid = 1; pid <= WHOS_MAX + 3; pid++) {
		const struct who_key key = key_of(pid);

		add(&key, pid % 2 ? "/usr/bin/odd" : "/usr/bin/even", S_NS);
	}
	for (uint32_t pid = 1; pid <= WHOS_MAX + 3; pid++) {
		const struct who_key key = key_of(pid);

		assert_int_equal(whos_find(&whos, &key, pid, S_NS, &found), pid > 3);
		if (pid > 3)
			assert_string_equal(found.exe, pid % 2 ? "/usr/bin/odd" : "/usr/bin/even");
	}
}

/* --- a judge that has one ------------------------------------------------------------------------------------------------ */

static struct capture *capture_of(struct case_world *w, uint64_t exec_id)
{
	struct capture *capture = world_capture(w, "bad.test", 0);

	capture->verify.exec_id = exec_id;
	capture->verify.cgroup_id = 9;
	return capture;
}

static void the_warden_is_asked_once(void **state)
{
	struct case_world *w = world_new();

	(void)state;
	w->bench.whos = &whos;
	world_rules(w, LABORATORY);
	w->answer.exe = "/opt/lab/client";
	for (uint64_t i = 0; i < 3; i++) {
		CLEANUP_CASE struct case_ *c = world_acted(w, capture_of(w, 1));

		assert_int_equal(c->verdict.count, 0); /* it is excepted */
		assert_int_equal(w->processes, 1);
		assert_int_equal(c->process.tid, WORLD_TID);
	}
	/* Another program, though the process is the same. */
	w->answer.exe = "/usr/bin/curl";
	for (uint64_t i = 0; i < 3; i++) {
		CLEANUP_CASE struct case_ *c = world_acted(w, capture_of(w, 2));

		assert_int_equal(c->verdict.count, 1);
		assert_int_equal(w->processes, 2);
		assert_int_equal(w->kills_count, i + 1);
		assert_int_equal(w->kills[i].exec_id, 2);
		assert_int_equal(w->kills[i].cgroup_id, 9);
	}
	world_free(w);
}

/* What a kill's answer said of the process is remembered as well. */
static void the_answer_to_a_kill_says_who(void **state)
{
	struct case_world *w = world_new();

	(void)state;
	w->bench.whos = &whos;
	w->answer.exe = "/usr/bin/curl";
	world_rules(w, KILLS);
	for (int i = 0; i < 2; i++) {
		CLEANUP_CASE struct case_ *c = world_acted(w, capture_of(w, 1));

		case_who(&w->bench, c);
		assert_string_equal(c->decoded.facts.exe, "/usr/bin/curl");
	}
	assert_int_equal(w->processes, 0);
	world_rules(w, LABORATORY);
	{
		CLEANUP_CASE struct case_ *c = world_acted(w, capture_of(w, 1));

		assert_int_equal(c->verdict.count, 1);
	}
	assert_int_equal(w->processes, 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(it_is_known_for_a_moment, teardown),
		cmocka_unit_test_teardown(another_is_not_known, teardown),
		cmocka_unit_test_teardown(what_is_not_remembered, teardown),
		cmocka_unit_test_teardown(the_oldest_goes, teardown),
		cmocka_unit_test_teardown(the_warden_is_asked_once, teardown),
		cmocka_unit_test_teardown(the_answer_to_a_kill_says_who, teardown),
	};

	return cmocka_run_group_tests_name("whos", tests, NULL, NULL);
}
