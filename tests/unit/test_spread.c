/* Percentiles of a spread lie within a quarter of the true ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spread.h"

static void test_empty(void **state)
{
	const struct spread spread = {};

	(void)state;
	assert_int_equal(spread_count(&spread), 0);
	assert_int_equal(spread_at(&spread, 500), 0);
}

/* Each value alone is told as itself or as at most a quarter more, up to the bound. */
static void test_one(void **state)
{
	(void)state;
	for (uint64_t value = 0; value < 1 << 25; value += 1 + value / 50) {
		struct spread spread = {};

		spread_add(&spread, value);
		for (unsigned permille = 1; permille <= 1000; permille += 333) {
			assert_true(spread_at(&spread, permille) >= value);
			assert_true(spread_at(&spread, permille) <= value + value / 4);
		}
		assert_int_equal(spread_count(&spread), 1);
	}
}

static void test_beyond(void **state)
{
	struct spread spread = {};

	(void)state;
	spread_add(&spread, UINT64_MAX);
	spread_add(&spread, 1 << 25);
	assert_int_equal(spread_count(&spread), 2);
	assert_int_equal(spread_at(&spread, 1000), (1 << 25) - 1);
}

static void test_percentiles(void **state)
{
	struct spread spread = {};

	(void)state;
	for (unsigned i = 1; i <= 1000; i++)
		spread_add(&spread, i);
	for (unsigned permille = 1; permille <= 1000; permille++) {
		assert_true(spread_at(&spread, permille) >= permille);
		assert_true(spread_at(&spread, permille) <= permille + permille / 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_beyond),
		cmocka_unit_test(test_percentiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
