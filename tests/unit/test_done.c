/* Kills done before they are asked for: each is told once, to who asks for that very one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>

#include "../../user/agent/done.h"
#include "random_case.h"
#include "util.h"

static struct dones dones;

static int setup(void **state)
{
	(void)state;
	dones = (struct dones){};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dones_clear(&dones);
	return 0;
}

static struct record_id id_of(uint64_t number)
{
	return (struct record_id){.pid_tgid = number << 32 | 7, .ktime_ns = 1000 + number};
}

static void add_as(uint64_t number, uint32_t known)
{
	static struct message answer;
	const struct record_id id = id_of(number);

	answer = (struct message){.tag = MESSAGE_KILLED, .token = 5, .number = -1000 - (int64_t)number};
	answer.killed.process.pid = (uint32_t)number;
	answer.killed.process.known = known;
	answer.killed.acted_ns = 10 * number;
	snprintf(answer.killed.process.exe, sizeof(answer.killed.process.exe), "/usr/bin/%u", (unsigned)number);
	snprintf(answer.text, sizeof(answer.text), "why %u", (unsigned)number);
	dones_add(&dones, &id, 100 + number, &answer);
}

static void add(uint64_t number)
{
	add_as(number, 0);
}

static void add_known(uint64_t number)
{
	add_as(number, 1);
}

/* True if it was there; then it is whole. */
static bool take(uint64_t number)
{
	static struct message answer;
	const struct record_id id = id_of(number);
	char text[32], exe[32];

	memset(&answer, 0xee, sizeof(answer));
	answer.tag = MESSAGE_KILLED;
	answer.token = 9;
	if (!dones_take(&dones, &id, 100 + number, &answer))
		return false;
	snprintf(text, sizeof(text), "why %u", (unsigned)number);
	snprintf(exe, sizeof(exe), "/usr/bin/%u", (unsigned)number);
	assert_int_equal(answer.tag, MESSAGE_KILLED);
	assert_int_equal(answer.token, 9); /* that of the question */
	assert_int_equal(answer.number, -1000 - (int64_t)number);
	assert_string_equal(answer.text, text);
	assert_string_equal(answer.killed.process.exe, exe);
	assert_int_equal(answer.killed.process.pid, number);
	assert_int_equal(answer.killed.acted_ns, 10 * number);
	return true;
}

/* As often as it is asked for, until it is taken. */
static void who_it_was(void **state)
{
	struct message_process process = {.pid = 77}, before = process;
	const struct record_id id = id_of(1), unknown = id_of(2);

	(void)state;
	assert_false(dones_process(&dones, &id, 101, &process));
	add(2);
	assert_false(dones_process(&dones, &unknown, 102, &process)); /* it had gone before it was looked at */
	add_known(1);
	assert_false(dones_process(&dones, &id, 100, &process));
	assert_memory_equal(&process, &before, sizeof(process));
	for (int i = 0; i < 2; i++) {
		process = before;
		assert_true(dones_process(&dones, &id, 101, &process));
		assert_string_equal(process.exe, "/usr/bin/1");
		assert_int_equal(process.pid, 1);
		assert_int_equal(process.known, 1);
	}
	assert_true(take(1));
	assert_false(dones_process(&dones, &id, 101, &process));
}

static void it_is_told_once(void **state)
{
	(void)state;
	assert_false(take(1));
	add(1);
	add(2);
	assert_true(take(1));
	assert_false(take(1));
	assert_true(take(2));
	assert_false(take(2));
}

/* Thread, time and socket: one that differs is another. */
static void only_to_who_asks_for_that_one(void **state)
{
	struct message answer = {.tag = MESSAGE_KILLED, .number = 42, .text = "untouched"}, before = answer;
	struct record_id id = id_of(3), other = id;

	(void)state;
	add(3);
	assert_false(dones_take(&dones, &id, 104, &answer));
	assert_false(dones_take(&dones, &id, 0, &answer));
	other.pid_tgid++;
	assert_false(dones_take(&dones, &other, 103, &answer));
	other = id;
	other.ktime_ns++;
	assert_false(dones_take(&dones, &other, 103, &answer));
	other = (struct record_id){};
	assert_false(dones_take(&dones, &other, 0, &answer));
	assert_memory_equal(&answer, &before, sizeof(answer));
	assert_true(take(3));
}

/* That nothing was done is told by no answer. */
static void what_was_not_done_is_only_forgotten(void **state)
{
	struct message answer = {.tag = MESSAGE_KILLED, .number = -ECANCELED};
	const struct record_id id = id_of(1);

	(void)state;
	dones_add(&dones, &id, 101, &answer);
	assert_true(dones_has(&dones, &id, 101));
	assert_false(take(1));
	assert_false(dones_has(&dones, &id, 101));
	assert_int_equal(dones.count, 0);
}

/* A verification can be done twice: the answer to each is there. */
static void the_same_twice_is_told_twice(void **state)
{
	(void)state;
	add(4);
	add(4);
	assert_true(take(4));
	assert_true(take(4));
	assert_false(take(4));
}

static void the_longest_text_is_kept(void **state)
{
	static struct message answer, got;
	const struct record_id id = id_of(1);

	(void)state;
	answer = (struct message){.tag = MESSAGE_KILLED, .number = -EIO};
	memset(answer.text, 't', sizeof(answer.text) - 1);
	memset(answer.killed.process.exe, 'e', sizeof(answer.killed.process.exe) - 1);
	memset(answer.killed.process.cgroup, 'c', sizeof(answer.killed.process.cgroup) - 1);
	dones_add(&dones, &id, 1, &answer);
	got = (struct message){.tag = MESSAGE_KILLED};
	assert_true(dones_take(&dones, &id, 1, &got));
	assert_memory_equal(&got, &answer, sizeof(got));
}

static void the_oldest_is_forgotten(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= DONE_MAX + 10; i++)
		add(i);
	for (uint64_t i = 1; i <= 10; i++)
		assert_false(take(i));
	for (uint64_t i = 11; i <= DONE_MAX + 10; i++)
		assert_true(take(i));
	for (uint64_t i = 1; i <= DONE_MAX + 10; i++)
		assert_false(take(i));
}

static void clearing_forgets_all(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 50; i++)
		add(i);
	assert_true(take(20));
	dones_clear(&dones);
	for (uint64_t i = 1; i <= 50; i++)
		assert_false(take(i));
	dones_clear(&dones);
	add(1);
	assert_true(take(1));
}

/* Whatever the order: what was among the last DONE_MAX and was not taken is there. */
static void many_at_random(void **state)
{
	enum { STEPS = 40000, NUMBERS = 5000 };
	CLEANUP_FREE uint64_t *added = xcalloc(NUMBERS, sizeof(*added)); /* when; 0: it is not there */
	uint64_t adds = 0;

	(void)state;
	random_start();
	for (size_t i = 0; i < STEPS; i++) {
		uint64_t number = 1 + random_below(NUMBERS - 1);
		bool there = added[number] && adds - added[number] < DONE_MAX;

		if (random_below(3) && !there) {
			add(number);
			added[number] = ++adds;
		} else {
			assert_int_equal(take(number), there);
			added[number] = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(only_to_who_asks_for_that_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_not_done_is_only_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_twice_is_told_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(the_longest_text_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(clearing_forgets_all, setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_random, setup, teardown),
	};

	return cmocka_run_group_tests_name("done", tests, NULL, NULL);
}
