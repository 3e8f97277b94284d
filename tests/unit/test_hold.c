/* Handshakes that wait for a verification: each is taken once, by its session, by its verification, or when its time is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>

#include "../../user/agent/hold.h"
#include "random_case.h"
#include "util.h"

#define MS 1000000ULL

static struct holds *holds;

static int setup(void **state)
{
	(void)state;
	holds = xcalloc(1, sizeof(*holds));
	return 0;
}

static void unhold(struct case_ *c)
{
	free(c->capture);
	free(c);
}

static int teardown(void **state)
{
	struct case_ *c;

	(void)state;
	while ((c = holds_take_due(holds, 0, true)))
		unhold(c);
	free(holds);
	return 0;
}

static struct record_id id_of(uint64_t number)
{
	return (struct record_id){.pid_tgid = number << 32 | 5, .ktime_ns = 100 + number};
}

/* Of process number, with session 1000 + number. */
static void add(uint64_t number, uint64_t now_ns)
{
	struct case_ *c = xcalloc(1, sizeof(*c));

	c->capture = xcalloc(1, sizeof(*c->capture));
	c->capture->verify.head.id = id_of(number);
	c->acted = (enum action)ACTION_LOG;
	c->latency_verdict_us = number; /* a mark */
	holds_add(holds, (uint32_t)number, 1000 + number, now_ns, c);
}

/* The number of what was taken, 0 for nothing. */
static uint64_t number_of(struct case_ *c)
{
	uint64_t number = c ? c->latency_verdict_us : 0;

	if (c)
		unhold(c);
	return number;
}

static uint64_t take(uint64_t pid, uint64_t session)
{
	return number_of(holds_take(holds, (uint32_t)pid, session));
}

static uint64_t take_id(struct record_id id)
{
	return number_of(holds_take_id(holds, &id));
}

static uint64_t take_due(uint64_t now_ns, bool any)
{
	return number_of(holds_take_due(holds, now_ns, any));
}

static void it_is_taken_by_its_session(void **state)
{
	(void)state;
	assert_int_equal(take(1, 1001), 0);
	for (uint64_t i = 1; i <= 3; i++)
		add(i, 0);
	assert_int_equal(take(2, 1001), 0);
	assert_int_equal(take(1, 1002), 0);
	assert_int_equal(take(2, 1002), 2);
	assert_int_equal(take(2, 1002), 0);
	assert_int_equal(take(1, 1001), 1);
	assert_int_equal(take(3, 1003), 3);
	assert_int_equal(holds->count, 0);
}

static void it_is_taken_by_its_verification(void **state)
{
	struct record_id id = id_of(2);

	(void)state;
	assert_int_equal(take_id(id), 0);
	for (uint64_t i = 1; i <= 3; i++)
		add(i, 0);
	id.ktime_ns++;
	assert_int_equal(take_id(id), 0);
	id = id_of(2);
	id.pid_tgid++; /* another thread */
	assert_int_equal(take_id(id), 0);
	assert_int_equal(take_id((struct record_id){}), 0);
	assert_int_equal(holds->count, 3);
	assert_int_equal(take_id(id_of(2)), 2);
	assert_int_equal(take_id(id_of(2)), 0);
	assert_int_equal(take(2, 1002), 0);
	/* The others are where they were. */
	assert_int_equal(take_due(0, true), 1);
	assert_int_equal(take_id(id_of(3)), 3);
	assert_int_equal(take_due(0, true), 0);
}

/* A session can hold twice, after a renegotiation: the first goes first. */
static void the_same_twice_is_taken_in_its_order(void **state)
{
	(void)state;
	add(7, 0);
	add(7, 1);
	holds->items[1].c->latency_verdict_us = 8;
	assert_int_equal(take_id(id_of(7)), 7);
	assert_int_equal(take_id(id_of(7)), 8);
	assert_int_equal(take_id(id_of(7)), 0);
}

static void whose_time_is_up_is_due(void **state)
{
	(void)state;
	assert_int_equal(holds_wait_ms(holds, 0), -1);
	add(1, 0);
	add(2, 300 * MS);
	assert_int_equal(take_due(HOLD_MS * MS - 1, false), 0);
	assert_in_range(holds_wait_ms(holds, 0), HOLD_MS, HOLD_MS + 1);
	assert_int_equal(holds_wait_ms(holds, HOLD_MS * MS - 1), 1); /* it does not wake too soon, and spin */
	assert_int_equal(holds_wait_ms(holds, HOLD_MS * MS), 0);
	assert_int_equal(take_due(HOLD_MS * MS, false), 1);
	assert_int_equal(take_due(HOLD_MS * MS, false), 0);
	assert_in_range(holds_wait_ms(holds, HOLD_MS * MS), 300, 301);
	assert_int_equal(take_due((HOLD_MS + 300) * MS, false), 2);
	assert_int_equal(holds_wait_ms(holds, HOLD_MS * MS), -1);
}

static void full_it_gives_the_oldest(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= HELD_MAX; i++) {
		assert_false(holds_full(holds));
		add(i, i);
	}
	assert_true(holds_full(holds));
	assert_int_equal(take_id(id_of(HELD_MAX)), HELD_MAX);
	assert_false(holds_full(holds));
	add(HELD_MAX, HELD_MAX);
	assert_int_equal(take_due(0, true), 1);
	assert_false(holds_full(holds));
	assert_int_equal(take(HELD_MAX / 2, 1000 + HELD_MAX / 2), HELD_MAX / 2);
	assert_int_equal(holds->count, HELD_MAX - 2);
}

/* In any order and by any way: each is given once, and those that are due in the order of their deadlines. */
static void many_at_random(void **state)
{
	enum { STEPS = 30000, NUMBERS = 3000 };
	CLEANUP_FREE bool *held = xcalloc(NUMBERS, sizeof(*held));
	uint64_t now_ns = 0, last_due = 0;
	size_t count = 0;

	(void)state;
	random_start();
	for (size_t i = 0; i < STEPS; i++) {
		uint64_t number = 1 + random_below(NUMBERS - 1), got = 0;
		size_t how = random_below(4);

		now_ns += random_below(4) * MS;
		if (how == 0 && !held[number] && !holds_full(holds)) {
			add(number, now_ns);
			held[number] = true;
			count++;
			continue;
		}
		if (how == 3) {
			uint64_t deadline_ns = holds->count ? holds->items[0].deadline_ns : 0;

			got = take_due(now_ns, false);
			assert_int_equal(got != 0, deadline_ns && deadline_ns <= now_ns);
			assert_true(!got || deadline_ns >= last_due);
			last_due = got ? deadline_ns : last_due;
			assert_true(!got || held[got]);
			number = got ? got : number;
		} else {
			got = how == 1 ? take(number, 1000 + number) : take_id(id_of(number));
			assert_int_equal(got, held[number] ? number : 0);
		}
		count -= got != 0;
		held[number] = got ? false : held[number];
		assert_int_equal(holds->count, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_taken_by_its_session, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_taken_by_its_verification, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_twice_is_taken_in_its_order, setup, teardown),
		cmocka_unit_test_setup_teardown(whose_time_is_up_is_due, setup, teardown),
		cmocka_unit_test_setup_teardown(full_it_gives_the_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_random, setup, teardown),
	};

	return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
