/* The key of a verdict that depends on who verifies: by the path of the executable, each part of which matters, or by the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "case_world.h"
#include "verdict_key.h"

static const struct siphash_key secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
static const struct siphash_value general = {11, 12};

static bool same(struct siphash_value a, struct siphash_value b)
{
	return a.a == b.a && a.b == b.b;
}

static struct siphash_value key_of(const char *exe)
{
	struct siphash_value key;

	assert_true(capture_key_exe(&general, 1000, exe, &secret, &key));
	return key;
}

static void name_add(struct siphash *s, const char *name)
{
	uint64_t words[16] = {0};

	memcpy(words, name, strlen(name));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		siphash_add(s, words[i]);
}

/* The contract of verdict_key.h, written out once more. */
static void the_key_is_what_the_header_says(void **state)
{
	struct siphash s;

	(void)state;
	siphash_begin(&s, &secret);
	siphash_add(&s, 2 | 1000ULL << 32);
	siphash_add(&s, 11);
	siphash_add(&s, 12);
	name_add(&s, "curl (deleted)");
	name_add(&s, "bin");
	name_add(&s, "usr");
	assert_true(same(key_of("/usr/bin/curl (deleted)"), siphash_end(&s)));
}

static void each_has_its_own(void **state)
{
	static const char *const exes[] = {
		"/usr/bin/curl", "/usr/bin/curl ",    "/usr/bin/Curl",  "/usr/bin/curl (deleted)",
		"/usr/curl/bin", "/bin/curl",         "/curl",          "/usr/usr/bin/curl",
		"/usr/bincurl",  "/bin/usr/curl",     "/usr/bin\ncurl", "/\1/\2",
		"/\2/\1",        "/usr/bin/curl\377",
	};
	struct siphash_value other, process;
	struct record_verify verify = {.uid = 1000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exes); i++) {
		const struct siphash_value key = key_of(exes[i]);

		for (size_t j = 0; j < i; j++)
			assert_false(same(key, key_of(exes[j])));
		assert_false(same(key, general));
	}
	assert_true(capture_key_exe(&general, 1001, exes[0], &secret, &other));
	assert_false(same(other, key_of(exes[0])));
	assert_true(capture_key_exe(&(const struct siphash_value){12, 11}, 1000, exes[0], &secret, &other));
	assert_false(same(other, key_of(exes[0])));
	assert_true(capture_key_exe(&general, 1000, exes[0], &(const struct siphash_key){1, 2}, &other));
	assert_false(same(other, key_of(exes[0])));
	capture_key_process(&general, &verify, &secret, &process);
	assert_false(same(process, key_of(exes[0])));
}

/* A name of 127 bytes fills its chunk; a longer one cannot be told from another that begins alike. */
static void what_has_none(void **state)
{
	static const char *const exes[] = {
		"", "/", "//", "curl", "usr/bin/curl", "/usr//curl", "/usr/bin/", "memfd:x (deleted)"};
	char longest[VERDICT_CHUNK + 16] = "/usr/";
	struct siphash_value key = {1, 2};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exes); i++)
		assert_false(capture_key_exe(&general, 1000, exes[i], &secret, &key));
	memset(longest + 5, 'x', VERDICT_CHUNK);
	assert_false(capture_key_exe(&general, 1000, longest, &secret, &key));
	assert_true(key.a == 1 && key.b == 2);
	longest[5 + VERDICT_CHUNK - 1] = '\0';
	key_of(longest);
}

/* --- what the judge has remembered under it ----------------------------------------------------------------------------- */

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

/* Also if what it executes has been replaced. */
static void what_depends_on_the_executable_is_remembered_for_it(void **state)
{
	static const struct {
		const char *exe;
		bool killed;
	} examples[] = {{"/opt/lab/probe", false},
			{"/opt/lab/a/b", false},
			{"/usr/bin/curl", true},
			{"/usr/bin/curl (deleted)", true}};

	(void)state;
	world_rules(w, LABORATORY);
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		const struct siphash_value key = world_key_exe(w, "bad.test", VERIFY_GATED, examples[i].exe);
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		w->answer.exe = examples[i].exe;
		c = acted_on("bad.test", VERIFY_GATED);
		assert_int_equal(w->processes, 1);
		if (examples[i].killed)
			world_expect_kill(w, CACHED_DENY, &key);
		else
			world_expect_release(w, CACHED_QUIET, &key);
		assert_int_equal(c->result, examples[i].killed ? RESULT_KILLED : RESULT_NONE);
	}
}

/* One that has gone, and one whose executable has no key. */
static void what_depends_on_an_executable_unknown_is_not_remembered(void **state)
{
	static const char *const exes[] = {NULL, "memfd:nowhere (deleted)"};

	(void)state;
	world_rules(w, LABORATORY);
	for (size_t i = 0; i < ARRAY_SIZE(exes); i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		w->answer.exe = exes[i];
		c = acted_on("bad.test", VERIFY_GATED);
		world_expect_kill(w, CACHED_NONE, NULL);
	}
}

/* The same executable may run in another unit, and then be judged otherwise: the verdict is that process's alone. */
static void what_may_depend_on_the_unit_is_remembered_for_the_process(void **state)
{
	static const char *const rules[] = {
		"  - {id: r, match: [{unit: a.service}], " WEAK ", action: kill}\n",
		"  - {id: r, match: [{any: true}], except: {container: bbbbbbbbbbbb}, " WEAK ", action: kill}\n",
		LABORATORY "  - {id: other, match: [{unit: b.service}], " WEAK "}\n",
	};
	const struct siphash_value key = world_key_process(w, "bad.test", VERIFY_GATED);

	(void)state;
	w->answer.exe = "/usr/bin/curl";
	w->answer.cgroup = "0::/system.slice/a.service\n";
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, rules[i]);
		c = acted_on("bad.test", VERIFY_GATED);
		world_expect_kill(w, CACHED_DENY, &key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_is_what_the_header_says),
		cmocka_unit_test(each_has_its_own),
		cmocka_unit_test(what_has_none),
		cmocka_unit_test_setup_teardown(what_depends_on_the_executable_is_remembered_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_depends_on_an_executable_unknown_is_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(what_may_depend_on_the_unit_is_remembered_for_the_process, setup, teardown),
	};

	certificate_init();
	return cmocka_run_group_tests_name("own_key", tests, NULL, NULL);
}
