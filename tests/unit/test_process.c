/* Processes by pid and start: user/agent/process.c. With real processes of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "process.h"
#include "start_of.h"
#include "util.h"

/* Sleeps until it is killed. ret_parent: it is the child of that process, which waits for it; NULL: it is ours. */
static pid_t sleeper(pid_t *ret_parent)
{
	int ends[2];
	pid_t pid, child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pid = ret_parent ? fork() : 0;
		if (pid > 0)
			_exit(waitpid(pid, NULL, 0) != pid);
		prctl(PR_SET_NAME, "a) R 1 (b)", 0, 0, 0); /* a name that looks like the fields after it */
		pid = getpid();
		if (write(ends[1], &pid, sizeof(pid)) == sizeof(pid))
			for (alarm(60);;) /* does not outlive a test that fails */
				pause();
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	close(ends[0]);
	if (ret_parent)
		*ret_parent = child;
	return pid;
}

static bool lives(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void no_other_process_is_ended(void **state)
{
	pid_t parent, pid = sleeper(&parent);
	uint64_t start = start_of(pid);

	(void)state;
	assert_int_equal(process_kill((uint32_t)pid, start + 1000000000), -ESRCH);
	assert_int_equal(process_kill((uint32_t)pid, start - 1000000000), -ESRCH);
	assert_int_equal(process_kill((uint32_t)pid, 0), -ESRCH);
	assert_true(lives(pid));
	assert_int_equal(process_kill((uint32_t)pid, start), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent); /* which has waited for it */
	assert_int_equal(process_kill((uint32_t)pid, start), -ESRCH);
}

/* It has ended by itself, though there still is a process of that pid. */
static void what_has_ended_is_not_ended_again(void **state)
{
	int ends[2];
	siginfo_t info;
	pid_t parent, pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && write(ends[1], &pid, sizeof(pid)) > 0)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	assert_true(lives(pid));
	assert_int_equal(process_kill((uint32_t)pid, start_of(pid)), -ESRCH);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	close(ends[0]);
	close(ends[1]);
}

static void the_agent_ends_nothing_of_its_own(void **state)
{
	pid_t child = sleeper(NULL);

	(void)state;
	assert_int_equal(process_kill((uint32_t)child, start_of(child)), -EPERM);
	assert_int_equal(process_kill((uint32_t)getpid(), start_of(getpid())), -EPERM);
	assert_int_equal(process_kill(1, start_of(1)), -EPERM);
	assert_true(lives(child));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* The kernel's own have pid 2, but not in a container: there it is somebody's. */
static void no_kernel_thread_is_ended(void **state)
{
	CLEANUP_FREE char *name = NULL;
	size_t len;

	(void)state;
	if (file_read("/proc/2/comm", 64, &name, &len) == 0 && strcmp(name, "kthreadd\n") == 0)
		assert_int_equal(process_kill(2, start_of(2)), -EPERM);
}

static void no_process(void **state)
{
	static const uint32_t pids[] = {0, UINT32_MAX, INT32_MAX, 1U << 31};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_true(process_kill(pids[i], 1) < 0);
		assert_true(process_open(pids[i], pids[i], 1) < 0);
	}
}

static void a_process_is_described(void **state)
{
	static struct message_process is;
	uint64_t start_boottime_ns = start_of(getpid());
	char exe[4096] = "";

	(void)state;
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	memset(&is, 'x', sizeof(is));
	is.pid = (uint32_t)getpid();
	is.tid = (uint32_t)gettid();
	is.uid = 0;
	is.start_boottime_ns = start_boottime_ns;
	process_describe(&is);
	assert_int_equal(is.known, 1);
	assert_string_equal(is.exe, exe);
	assert_string_equal(is.user, "root");
	/* Whole lines, and v2's first if there is one. */
	assert_true(is.cgroup[0] != '\0');
	assert_int_equal(is.cgroup[strlen(is.cgroup) - 1], '\n');
	if (strstr(is.cgroup, "\n0::"))
		fail_msg("not the first line: %s", is.cgroup);

	is.start_boottime_ns = start_boottime_ns + 1000000000;
	process_describe(&is);
	assert_int_equal(is.known, 0);
	assert_string_equal(is.exe, "");
	assert_string_equal(is.cgroup, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_other_process_is_ended),
		cmocka_unit_test(what_has_ended_is_not_ended_again),
		cmocka_unit_test(the_agent_ends_nothing_of_its_own),
		cmocka_unit_test(no_kernel_thread_is_ended),
		cmocka_unit_test(no_process),
		cmocka_unit_test(a_process_is_described),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
