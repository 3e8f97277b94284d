/* When notices are read in rounds: user/enforce/rounds.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../user/enforce/rounds.h"
#include "util.h"

enum { MS = 1000000, BEGIN = 4, WARY = 8 };

static const uint64_t start_ns = 5000 * (uint64_t)MS;

/* That many at once. */
static bool come(struct rounds *rounds, unsigned count, uint64_t now_ns)
{
	rounds_look(rounds, now_ns);
	while (count--)
		rounds_count(rounds);
	return rounds_begin(rounds, now_ns);
}

/* A round that brings so many. */
static bool brings(struct rounds *rounds, unsigned count)
{
	uint64_t end_ns = rounds->since_ns + ROUND_NS;

	assert_true(rounds_due(rounds, end_ns));
	while (count--)
		rounds_count(rounds);
	return rounds_go_on(rounds, 1, end_ns);
}

static struct rounds begun(void)
{
	struct rounds rounds = {};

	assert_true(come(&rounds, BEGIN, start_ns));
	assert_true(rounds.on);
	return rounds;
}

static void few_are_read_at_once(void **state)
{
	struct rounds rounds = {};

	(void)state;
	/* Three within the time of a round, again and again; and never four. */
	for (unsigned i = 0; i < 100; i++)
		assert_false(come(&rounds, 3, start_ns + i * (uint64_t)ROUND_NS));
	assert_false(rounds.on);
}

static void several_within_its_time_begin_one(void **state)
{
	struct rounds rounds = {};

	(void)state;
	for (unsigned i = 0; i < BEGIN - 1; i++)
		assert_false(come(&rounds, 1, start_ns + i * MS));
	assert_true(come(&rounds, 1, start_ns + ROUND_NS - 1));
	assert_true(rounds.on);
	assert_false(rounds_due(&rounds, start_ns + ROUND_NS));
}

static void uneven_ones_stay_in_rounds(void **state)
{
	static const unsigned brought[] = {1, 5, 0, 1, 1, 2, 0, 0, 0, 9, 1, 0, 1, 3};
	struct rounds rounds = begun();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(brought); i++)
		assert_true(brings(&rounds, brought[i]));
}

static void lean_ones_in_a_row_end_them(void **state)
{
	struct rounds rounds = begun();

	(void)state;
	assert_true(brings(&rounds, 2));
	for (unsigned i = 0; i < 3; i++)
		assert_true(brings(&rounds, i % 2));
	assert_false(brings(&rounds, 1));
	assert_false(rounds.on);
	/* They were worth it: nothing is in the way of the next. */
	assert_true(come(&rounds, BEGIN, rounds.since_ns + ROUND_NS));
}

static void one_after_the_other_is_read_at_once_for_a_while(void **state)
{
	struct rounds rounds = begun();
	uint64_t end_ns;

	(void)state;
	assert_true(brings(&rounds, 1));
	assert_false(brings(&rounds, 1));
	end_ns = rounds.since_ns;
	for (unsigned i = 1; i < 1000 / 16; i++)
		assert_false(come(&rounds, WARY - 1, end_ns + i * (uint64_t)ROUND_NS));
	assert_true(come(&rounds, BEGIN, end_ns + 1000 * (uint64_t)MS));
}

static void many_begin_them_even_then(void **state)
{
	struct rounds rounds = begun();

	(void)state;
	brings(&rounds, 0);
	assert_false(brings(&rounds, 0));
	assert_true(come(&rounds, WARY, rounds.since_ns + ROUND_NS));
}

static void missed_ticks_are_one_round(void **state)
{
	struct rounds rounds = begun();

	(void)state;
	rounds_count(&rounds);
	rounds_count(&rounds);
	assert_true(rounds_go_on(&rounds, 3, start_ns + 3 * (uint64_t)ROUND_NS + 7));
	/* The clock's steps are even. */
	assert_false(rounds_due(&rounds, start_ns + 4 * (uint64_t)ROUND_NS - 1));
	assert_true(rounds_due(&rounds, start_ns + 4 * (uint64_t)ROUND_NS));
	assert_int_equal(rounds.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_read_at_once),
		cmocka_unit_test(several_within_its_time_begin_one),
		cmocka_unit_test(uneven_ones_stay_in_rounds),
		cmocka_unit_test(lean_ones_in_a_row_end_them),
		cmocka_unit_test(one_after_the_other_is_read_at_once_for_a_while),
		cmocka_unit_test(many_begin_them_even_then),
		cmocka_unit_test(missed_ticks_are_one_round),
	};

	return cmocka_run_group_tests_name("rounds", tests, NULL, NULL);
}
