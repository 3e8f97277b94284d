/* The names of users: user/agent/users.c, with an /etc of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <cmocka.h>

#include "../../user/agent/users.h"
#include "holder.h"

static const char path[] = "/etc/passwd", two[] = "anna:x:1000:1000::/:/bin/sh\nbert:x:1001:1001::/:/bin/sh\n";

enum { OLD_ENOUGH_MS = 3500 }; /* an answer from a file that has just been changed is not kept */

static void write_file(const char *name, const char *text)
{
	FILE *file CLEANUP_FCLOSE = fopen(name, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static void check_name(uint32_t uid, const char *expected)
{
	char name[MESSAGE_USER];

	memset(name, 'x', sizeof(name));
	user_name(uid, name);
	assert_string_equal(name, expected);
}

static void sleep_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* The file system keeps the time of each read. */
static bool was_read_for(uint32_t uid, const char *expected)
{
	struct stat before = {}, after = {};

	assert_int_equal(stat(path, &before), 0);
	sleep_ms(50);
	check_name(uid, expected);
	assert_int_equal(stat(path, &after), 0);
	return before.st_atim.tv_sec != after.st_atim.tv_sec || before.st_atim.tv_nsec != after.st_atim.tv_nsec;
}

static void names(void **state)
{
	(void)state;
	write_file(path, two);
	for (int i = 0; i < 2; i++) {
		check_name(1000, "anna");
		check_name(1001, "bert");
		check_name(0, "");
		check_name(UINT32_MAX, "");
	}
}

static void a_long_name_is_cut(void **state)
{
	char long_name[2 * MESSAGE_USER + 1] = "", cut[MESSAGE_USER] = "";
	char *text CLEANUP_FREE = NULL;

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(cut, 'n', sizeof(cut) - 1);
	text = xasprintf("%s:x:7:7::/:/bin/sh\n", long_name);
	write_file(path, text);
	check_name(7, cut);
}

static void no_file(void **state)
{
	(void)state;
	write_file(path, two);
	check_name(1000, "anna");
	assert_int_equal(unlink(path), 0);
	check_name(1000, "");
	write_file(path, two);
	check_name(1000, "anna");
}

/* An administrator's change counts at once, in place or by a new file, at the same size too. */
static void a_change_counts(void **state)
{
	(void)state;
	write_file(path, two);
	for (int i = 0; i < 20; i++) {
		write_file(path, i % 2 ? "anna:x:1000:1000::/:\n" : "carl:x:1000:1000::/:\n");
		check_name(1000, i % 2 ? "anna" : "carl");
		check_name(1001, "");
		write_file("/etc/passwd+", i % 2 ? "dora:x:1000:1000::/:\n" : "emil:x:1000:1000::/:\n");
		assert_int_equal(rename("/etc/passwd+", path), 0);
		check_name(1000, i % 2 ? "dora" : "emil");
	}
}

/* Once the file is old enough it is read once for each, and not again until it changes. */
static void answers_are_kept(void **state)
{
	(void)state;
	write_file(path, two);
	assert_true(was_read_for(1000, "anna"));
	assert_true(was_read_for(1000, "anna"));
	sleep_ms(OLD_ENOUGH_MS);
	assert_true(was_read_for(1000, "anna"));
	assert_false(was_read_for(1000, "anna"));
	assert_true(was_read_for(5, ""));
	assert_true(was_read_for(1001, "bert"));
	assert_false(was_read_for(5, ""));
	assert_false(was_read_for(1000, "anna"));
	assert_false(was_read_for(1001, "bert"));

	/* More than are kept: the oldest goes, and the answers stay right. */
	for (uint32_t uid = 2000; uid < 2020; uid++)
		check_name(uid, "");
	assert_true(was_read_for(1000, "anna"));
	assert_false(was_read_for(1000, "anna"));
	assert_false(was_read_for(2019, ""));

	write_file(path, "bert:x:1000:1000::/:/bin/sh\nanna:x:1001:1001::/:/bin/sh\n"); /* the same length */
	assert_true(was_read_for(1000, "bert"));
	check_name(1001, "anna");
	check_name(2019, "");
}

static int setup(void **state)
{
	char *map CLEANUP_FREE = xasprintf("0 %u 1\n", getegid());

	(void)state;
	holder_become_root();
	/* Without it no file can be made there. */
	if (holder_no_root && (holder_write("/proc/self/setgroups", "deny") || holder_write("/proc/self/gid_map", map)))
		return -1;
	return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	       mount("etc", "/etc", "tmpfs", MS_STRICTATIME, NULL) < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),           cmocka_unit_test(a_long_name_is_cut), cmocka_unit_test(no_file),
		cmocka_unit_test(a_change_counts), cmocka_unit_test(answers_are_kept),
	};

	return cmocka_run_group_tests_name("users", tests, setup, NULL);
}
