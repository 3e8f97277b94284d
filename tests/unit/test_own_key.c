/* The key of a verdict that depends on who verifies: by the path of the executable, each part of which matters, or by the process;
 * and what is known of an executable when its process is gone. */
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

static struct siphash_value digest_of(const char *exe)
{
	struct siphash_value digest;

	assert_true(capture_exe_digest(exe, &secret, &digest));
	return digest;
}

static struct siphash_value key_of(struct siphash_value of, uint32_t uid, struct siphash_value exe)
{
	struct siphash_value key;

	capture_key_exe(&of, uid, &exe, &secret, &key);
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
	struct siphash_value digest;
	struct siphash s;

	(void)state;
	siphash_begin(&s, &secret);
	name_add(&s, "curl (deleted)");
	name_add(&s, "bin");
	name_add(&s, "usr");
	digest = siphash_end(&s);
	assert_true(same(digest_of("/usr/bin/curl (deleted)"), digest));
	siphash_begin(&s, &secret);
	siphash_add(&s, 2 | 1000ULL << 32);
	siphash_add(&s, 11);
	siphash_add(&s, 12);
	siphash_add(&s, digest.a);
	siphash_add(&s, digest.b);
	assert_true(same(key_of(general, 1000, digest), siphash_end(&s)));
}

static void each_path_has_its_own_digest(void **state)
{
	static const char *const exes[] = {
		"/usr/bin/curl", "/usr/bin/curl ",    "/usr/bin/Curl",  "/usr/bin/curl (deleted)",
		"/usr/curl/bin", "/bin/curl",         "/curl",          "/usr/usr/bin/curl",
		"/usr/bincurl",  "/bin/usr/curl",     "/usr/bin\ncurl", "/\1/\2",
		"/\2/\1",        "/usr/bin/curl\377",
	};
	struct siphash_value other;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exes); i++)
		for (size_t j = 0; j < i; j++)
			assert_false(same(digest_of(exes[i]), digest_of(exes[j])));
	assert_true(capture_exe_digest(exes[0], &(const struct siphash_key){1, 2}, &other));
	assert_false(same(other, digest_of(exes[0])));
}

static void each_has_its_own_key(void **state)
{
	const struct siphash_value digest = digest_of("/usr/bin/curl"), key = key_of(general, 1000, digest);
	const struct record_verify verify = {.uid = 1000};
	struct siphash_value other;

	(void)state;
	assert_false(same(key, general));
	assert_false(same(key, digest));
	assert_false(same(key, key_of(general, 1001, digest)));
	assert_false(same(key, key_of(general, 1000, digest_of("/usr/bin/wget"))));
	assert_false(same(key, key_of((struct siphash_value){12, 11}, 1000, digest)));
	assert_false(same(key, key_of(digest, 1000, general)));
	capture_key_exe(&general, 1000, &digest, &(const struct siphash_key){1, 2}, &other);
	assert_false(same(key, other));
	capture_key_process(&general, &verify, &secret, &other);
	assert_false(same(key, other));
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
		assert_false(capture_exe_digest(exes[i], &secret, &key));
	memset(longest + 5, 'x', VERDICT_CHUNK);
	assert_false(capture_exe_digest(longest, &secret, &key));
	assert_true(key.a == 1 && key.b == 2);
	longest[5 + VERDICT_CHUNK - 1] = '\0';
	digest_of(longest);
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

/* --- whose executable is gone --------------------------------------------------------------------------------------------- */

static struct exes exes;

static int setup_exes(void **state)
{
	setup(state);
	w->bench.exes = &exes;
	world_rules(w, LABORATORY);
	return 0;
}

static int teardown_exes(void **state)
{
	exes_clear(&exes);
	return teardown(state);
}

/* Verified by who executed that; the warden finds who executes `now`. */
static struct case_ *acted_by(const char *then, const char *now)
{
	struct capture *capture = world_capture(w, "bad.test", VERIFY_GATED);

	assert_true(capture_exe_digest(then, &w->secret, &capture->verify.exe));
	world_forget(w);
	w->answer.exe = now;
	return world_acted(w, capture);
}

/* It was seen once; then it is known whoever has gone. */
static void who_has_gone(void **state)
{
	static const char excepted[] = "/opt/lab/probe";

	(void)state;
	for (int i = 0; i < 2; i++) {
		CLEANUP_CASE struct case_ *before = acted_by(excepted, NULL), *seen = NULL, *gone = NULL, *other = NULL;

		assert_int_equal(before->verdict.count, i == 0);
		seen = acted_by(excepted, excepted);
		assert_int_equal(seen->verdict.count, 0);
		gone = acted_by(excepted, NULL);
		assert_int_equal(gone->verdict.count, 0);
		assert_string_equal(gone->decoded.facts.exe, excepted);
		assert_true(!gone->process.known && seen->process.known);
		other = acted_by("/usr/bin/curl", NULL);
		assert_int_equal(other->verdict.count, 1);
		assert_null(other->decoded.facts.exe);
	}
}

/* Whoever executes something else before he is looked at is judged by what he executed. */
static void who_has_executed_something_else(void **state)
{
	const struct siphash_value key = world_key_exe(w, "bad.test", VERIFY_GATED, "/usr/bin/curl");
	CLEANUP_CASE struct case_ *seen = acted_by("/usr/bin/curl", "/usr/bin/curl"), *c = NULL;

	(void)state;
	assert_int_equal(seen->verdict.count, 1);
	c = acted_by("/usr/bin/curl", "/opt/lab/probe");
	assert_string_equal(c->decoded.facts.exe, "/usr/bin/curl");
	world_expect_kill(w, CACHED_DENY, &key);
}

/* What is found does not go to the digest of another. */
static void what_was_executed_is_not_known(void **state)
{
	const struct siphash_value key = world_key_exe(w, "bad.test", VERIFY_GATED, "/opt/lab/probe");
	CLEANUP_CASE struct case_ *c = acted_by("/usr/bin/curl", "/opt/lab/probe"), *gone = NULL;

	(void)state;
	assert_int_equal(c->verdict.count, 0);
	world_expect_release(w, CACHED_QUIET, &key);
	gone = acted_by("/usr/bin/curl", NULL);
	assert_int_equal(gone->verdict.count, 1);
}

static void the_first_goes(void **state)
{
	char path[32];

	(void)state;
	for (uint64_t i = 0; i < EXES_MAX + 3; i++) {
		snprintf(path, sizeof(path), "/usr/bin/%u", (unsigned)i);
		exes_add(&exes, &(const struct siphash_value){i, 7}, path);
		exes_add(&exes, &(const struct siphash_value){i, 7}, "/another"); /* it is there */
	}
	for (uint64_t i = 0; i < EXES_MAX + 3; i++) {
		const char *found = exes_find(&exes, &(const struct siphash_value){i, 7});

		snprintf(path, sizeof(path), "/usr/bin/%u", (unsigned)i);
		if (i < 3)
			assert_null(found);
		else
			assert_string_equal(found, path);
		assert_null(exes_find(&exes, &(const struct siphash_value){7, i + 8}));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_is_what_the_header_says),
		cmocka_unit_test(each_path_has_its_own_digest),
		cmocka_unit_test(each_has_its_own_key),
		cmocka_unit_test(what_has_none),
		cmocka_unit_test_setup_teardown(what_depends_on_the_executable_is_remembered_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_depends_on_an_executable_unknown_is_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(what_may_depend_on_the_unit_is_remembered_for_the_process, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_gone, setup_exes, teardown_exes),
		cmocka_unit_test_setup_teardown(who_has_executed_something_else, setup_exes, teardown_exes),
		cmocka_unit_test_setup_teardown(what_was_executed_is_not_known, setup_exes, teardown_exes),
		cmocka_unit_test_setup_teardown(the_first_goes, setup_exes, teardown_exes),
	};

	certificate_init();
	return cmocka_run_group_tests_name("own_key", tests, NULL, NULL);
}
