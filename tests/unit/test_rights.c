/* Root's rights given up: what the process can do afterwards. Each test in a child, for it is for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "rights.h"
#include "util.h"

static bool has_no_capability(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		if (data[i].effective || data[i].permitted || data[i].inheritable)
			return false;
	return true;
}

/* The number of the first thing that is not as it should be, or 0. */
static int child_dropped(uid_t before)
{
	uid_t real, effective, saved;
	int fd;

	if (rights_drop() < 0)
		return 1;
	if (getresuid(&real, &effective, &saved) < 0 || real != effective || effective != saved)
		return 2;
	if (before == 0 ? real == 0 : real != before)
		return 3;
	if (before == 0 && (getgroups(0, NULL) != 0 || getegid() == 0 || setgid(0) == 0))
		return 4;
	if (setuid(0) == 0 || seteuid(0) == 0)
		return 5;
	if (!has_no_capability())
		return 6;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 7;
	fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return 8;
	return rights_drop() == 0 ? 0 : 9; /* a second time changes nothing */
}

static int in_child(int (*run)(uid_t), uid_t argument)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(run(argument));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_as_it_was_started(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_dropped, geteuid()), 0);
}

/* Of an ordinary user who holds capabilities, as a service may be started. */
static int child_of_a_user(uid_t uid)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{.effective = 1u << CAP_DAC_READ_SEARCH, .permitted = 1u << CAP_DAC_READ_SEARCH, .inheritable = 0}};

	if (geteuid() == 0 && (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setgid(uid) < 0 ||
			       setuid(uid) < 0 || syscall(SYS_capset, &head, data) < 0 || has_no_capability()))
		return 100;
	return child_dropped(geteuid());
}

static void test_of_a_user(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_of_a_user, 12345), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_it_was_started),
		cmocka_unit_test(test_of_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
