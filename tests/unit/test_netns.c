/* Network namespaces by number: user/enforce/netns.c, with processes of the test's own. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "holder.h"
#include "netns.h"

static uint32_t number_of(int netns_fd)
{
	struct stat stat = {};

	assert_int_equal(fstat(netns_fd, &stat), 0);
	return (uint32_t)stat.st_ino;
}

static int check_found(uint32_t number)
{
	int fd CLEANUP_CLOSE = netns_find(number);

	if (fd < 0)
		return fd;
	assert_int_equal(number_of(fd), number);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	return 0;
}

static void our_own(void **state)
{
	int own CLEANUP_CLOSE = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(check_found(number_of(own)), 0);
}

/* When that has ended, the namespace still is there, in our descriptor; but nobody is in it. */
static void of_one_process(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(holder.socket.netns, number_of(holder.netns_fd));
	assert_int_equal(check_found(holder.socket.netns), 0);
	holder_end(&holder);
	assert_int_equal(check_found(number_of(holder.netns_fd)), -ENOENT);
}

static void *move_out(void *ret_pipe)
{
	int result = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
	struct stat stat = {};

	if (!result && fstatat(AT_FDCWD, "/proc/thread-self/ns/net", &stat, 0) == 0)
		result = write(*(int *)ret_pipe, &stat.st_ino, sizeof(stat.st_ino)) < 0;
	for (;;)
		pause();
	return NULL;
}

/* leader_ends: the first thread ends, and the process goes on. */
static void check_of_one_thread(bool leader_ends)
{
	CLEANUP_FREE char *leader = NULL;
	int ends[2], process = -1;
	ino_t number = 0;
	struct stat stat;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(2 * HOLDER_WAIT_S);
		if (pthread_create(&thread, NULL, move_out, &ends[1]) != 0)
			_exit(1);
		if (leader_ends)
			pthread_exit(NULL);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &number, sizeof(number)), sizeof(number));
	close(ends[0]);
	leader = xasprintf("/proc/%d/ns/net", pid);
	/* A thread that has ended is in no namespace. */
	while (leader_ends && fstatat(AT_FDCWD, leader, &stat, 0) == 0)
		usleep(1000);
	process = check_found((uint32_t)number);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(process, 0);
	assert_int_equal(check_found((uint32_t)number), -ENOENT);
}

static void of_one_thread(void **state)
{
	(void)state;
	check_of_one_thread(false);
	check_of_one_thread(true);
}

static void of_nobody(void **state)
{
	(void)state;
	assert_int_equal(check_found(0), -ENOENT);
	assert_int_equal(check_found(1), -ENOENT);
	assert_int_equal(check_found(UINT32_MAX), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own),
		cmocka_unit_test(of_one_process),
		cmocka_unit_test(of_one_thread),
		cmocka_unit_test(of_nobody),
	};

	holder_become_root();
	return cmocka_run_group_tests_name("netns", tests, NULL, NULL);
}
