/* What was verified is kept by its key, up to the bounds, and the one kept longest ago goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>

#include "../../user/agent/remember.h"
#include "random_case.h"
#include "util.h"

static void memory_cleanup(struct memory **memory)
{
	memory_free(*memory);
}
#define CLEANUP_MEMORY CLEANUP(memory_cleanup)

/* len bytes that are no certificate: kept all the same. */
static struct certificate *certificate_of(size_t len, uint8_t mark)
{
	CLEANUP_FREE uint8_t *bytes = xcalloc(len, 1);
	struct certificate *certificate;

	bytes[0] = mark;
	assert_int_equal(certificate_new(bytes, len, &certificate), 0);
	return certificate;
}

/* Takes hold of certificate, count times. */
static struct capture capture_of(struct certificate *certificate, size_t count, uint64_t mark)
{
	struct capture capture = {.verify = {.session = mark, .head.library = 3}, .count = count, .digested = true};

	for (size_t i = 0; i < count; i++) {
		capture.certificates[i] = certificate;
		capture.objects[i] = mark + i;
		capture.digests[i] = (struct siphash_value){mark, i};
	}
	return capture;
}

static void keep(struct memory *memory, struct certificate *certificate, uint64_t a, uint64_t b)
{
	struct capture capture = capture_of(certificate, 1, a);
	struct siphash_value key = {a, b};

	memory_keep(memory, &key, &capture);
}

static bool knows(const struct memory *memory, uint64_t a, uint64_t b)
{
	return memory_find(memory, &(struct siphash_value){a, b}) != NULL;
}

static void what_is_kept_is_found(void **state)
{
	CLEANUP(certificate_freep) struct certificate *first = certificate_of(100, 1), *second = certificate_of(50, 2);
	CLEANUP_MEMORY struct memory *memory = memory_new();
	struct capture capture = capture_of(first, 2, 77), *found;
	struct siphash_value key = {1, 2};

	(void)state;
	capture.certificates[1] = second;
	capture.digested_bytes = 150;
	assert_false(knows(memory, 1, 2));
	memory_keep(memory, &key, &capture);
	assert_int_equal(memory_count(memory), 1);
	assert_int_equal(memory_bytes(memory), 150);
	assert_int_equal(first->refs, 2);
	assert_false(knows(memory, 1, 3) || knows(memory, 2, 2) || knows(memory, 0, 0));
	found = remembered_capture(memory_find(memory, &key));
	assert_memory_equal(&found->verify, &capture.verify, sizeof(found->verify));
	assert_int_equal(found->count, 2);
	assert_true(found->digested);
	assert_int_equal(found->digested_bytes, 150);
	for (size_t i = 0; i < 2; i++) {
		assert_ptr_equal(found->certificates[i], capture.certificates[i]);
		assert_int_equal(found->objects[i], capture.objects[i]);
		assert_memory_equal(&found->digests[i], &capture.digests[i], sizeof(found->digests[i]));
	}
	/* It is its own. */
	assert_int_equal(first->refs, 3);
	memory_free(TAKE_PTR(memory));
	assert_int_equal(first->refs, 2);
	assert_int_equal(found->certificates[1]->der_len, 50);
	capture_free(found);
	assert_int_equal(first->refs, 1);
}

/* Twice the same is one. */
static void the_same_key_is_one(void **state)
{
	CLEANUP(certificate_freep) struct certificate *certificate = certificate_of(100, 1);
	CLEANUP_MEMORY struct memory *memory = memory_new();

	(void)state;
	for (size_t i = 0; i < 10; i++)
		keep(memory, certificate, 5, 6);
	assert_int_equal(memory_count(memory), 1);
	assert_int_equal(memory_bytes(memory), 100);
	assert_int_equal(certificate->refs, 2);
	keep(memory, certificate, 5, 7); /* the same bucket */
	keep(memory, certificate, 5 + (1ULL << 40), 6);
	assert_int_equal(memory_count(memory), 3);
	assert_true(knows(memory, 5, 6) && knows(memory, 5, 7) && knows(memory, 5 + (1ULL << 40), 6));
	assert_false(knows(memory, 5, 8));
}

static void the_oldest_goes_first(void **state)
{
	CLEANUP(certificate_freep) struct certificate *certificate = certificate_of(10, 1);
	CLEANUP_MEMORY struct memory *memory = memory_new();

	(void)state;
	for (size_t i = 0; i < REMEMBERED_MAX; i++)
		keep(memory, certificate, i, 0);
	assert_int_equal(memory_count(memory), REMEMBERED_MAX);
	assert_true(knows(memory, 0, 0));
	/* Kept anew: the oldest, and one in the middle, which then is the newest already. */
	keep(memory, certificate, 0, 0);
	keep(memory, certificate, 100, 0);
	keep(memory, certificate, 100, 0);
	for (size_t victim = 1; victim < REMEMBERED_MAX; victim++) {
		if (victim == 100)
			continue;
		assert_true(knows(memory, victim, 0));
		keep(memory, certificate, victim, 1);
		assert_false(knows(memory, victim, 0));
		assert_int_equal(memory_count(memory), REMEMBERED_MAX);
	}
	assert_true(knows(memory, 0, 0) && knows(memory, 100, 0));
	keep(memory, certificate, 0, 2);
	assert_false(knows(memory, 0, 0));
	assert_true(knows(memory, 100, 0) && knows(memory, 1, 1));
	keep(memory, certificate, 0, 3);
	assert_false(knows(memory, 100, 0));
	assert_true(knows(memory, 1, 1));
}

static void bytes_have_a_bound(void **state)
{
	enum { LEN = 40000, FIT = REMEMBERED_BYTES / LEN };
	CLEANUP(certificate_freep) struct certificate *certificate = certificate_of(LEN, 1), *small = certificate_of(1, 2);
	CLEANUP_MEMORY struct memory *memory = memory_new();
	struct capture large = capture_of(certificate, PRESENTED_MAX + CHAIN_MAX, 9);

	(void)state;
	_Static_assert((int)FIT < (int)REMEMBERED_MAX, "the bytes are the bound here");
	for (size_t i = 0; i < FIT + 10; i++)
		keep(memory, certificate, i, 1);
	assert_int_equal(memory_count(memory), FIT);
	assert_int_equal(memory_bytes(memory), (size_t)FIT * LEN);
	assert_false(knows(memory, 9, 1));
	assert_true(knows(memory, 10, 1));
	/* One of 32 puts out as many as it must. */
	memory_keep(memory, &(struct siphash_value){1, 9}, &large);
	assert_true(knows(memory, 1, 9));
	assert_int_equal(memory_count(memory), FIT + 1 - large.count);
	assert_true(memory_bytes(memory) <= REMEMBERED_BYTES);
	/* And small ones put out none while there is room. */
	for (size_t i = 0; i < 1000; i++)
		keep(memory, small, i, 2);
	assert_int_equal(memory_count(memory), FIT + 1 - large.count + 1000);
}

static void many_at_random(void **state)
{
	enum { INSERTS = 100000, KEYS = 20000 };
	CLEANUP(certificate_freep) struct certificate *certificate = certificate_of(700, 1);
	CLEANUP_MEMORY struct memory *memory = memory_new();
	CLEANUP_FREE size_t *last = xcalloc(KEYS, sizeof(*last)); /* when each was kept */
	size_t newest = 0, found = 0;

	(void)state;
	random_start();
	for (size_t i = 1; i <= INSERTS; i++) {
		uint64_t number = random_below(KEYS);

		keep(memory, certificate, number * 0x9e3779b97f4a7c15, number);
		last[number] = i;
		assert_true(memory_count(memory) <= REMEMBERED_MAX);
		assert_int_equal(memory_bytes(memory), memory_count(memory) * 700);
		newest = number;
	}
	assert_int_equal(memory_count(memory), REMEMBERED_MAX);
	assert_true(knows(memory, newest * 0x9e3779b97f4a7c15, newest));
	/* Those there are the ones kept last. */
	for (size_t i = 0; i < KEYS; i++) {
		size_t later = 0;

		if (i % 97 == 0) {
			for (size_t j = 0; j < KEYS; j++)
				later += last[j] > last[i];
			assert_int_equal(knows(memory, i * 0x9e3779b97f4a7c15, i), later < REMEMBERED_MAX);
		}
		found += knows(memory, i * 0x9e3779b97f4a7c15, i);
	}
	assert_int_equal(found, REMEMBERED_MAX);
	assert_int_equal(certificate->refs, REMEMBERED_MAX + 1);
}

static void nothing_is_freed_gladly(void **state)
{
	(void)state;
	memory_free(NULL);
	memory_free(memory_new());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_is_found), cmocka_unit_test(the_same_key_is_one),
		cmocka_unit_test(the_oldest_goes_first), cmocka_unit_test(bytes_have_a_bound),
		cmocka_unit_test(many_at_random),        cmocka_unit_test(nothing_is_freed_gladly),
	};
	return cmocka_run_group_tests_name("remember", tests, NULL, NULL);
}
