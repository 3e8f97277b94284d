/* The confined process's other side: user/library/child.c, with children that answer, hang, or get no processor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../user/library/child.h"
#include "library.h"
#include "util.h"

enum {
	LONGER_MS = ASK_TIMEOUT_MS + 300, /* that the starved one waits before it answers */
	HOG_SECONDS = 120,                /* at most */
	NS_PER_MS = 1000000,
};

/* How long this process has waited for a processor. */
static int64_t waited_ms(void)
{
	char *text CLEANUP_FREE = NULL;
	unsigned long long waited = 0;
	size_t len;

	if (file_read("/proc/self/schedstat", 256, &text, &len) < 0 || sscanf(text, "%*u %llu", &waited) != 1)
		return -1;
	return (int64_t)(waited / NS_PER_MS);
}

/* On the first processor that this process may use. */
static int settle_down(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return -1;
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

/* Goes where the hog is, gives way to it, and answers when it has waited for longer than an answer may take. */
static int answer_starved(void)
{
	const struct sched_param none = {};
	int64_t waited = 0;

	if (settle_down() < 0 || sched_setscheduler(0, SCHED_IDLE, &none) < 0)
		return 1;
	while (waited >= 0 && waited < LONGER_MS)
		waited = waited_ms();
	return write(ANSWER_FD, &waited, sizeof(waited)) == sizeof(waited) ? 0 : 1;
}

static int answer_at_once(void)
{
	const int64_t answer = 42;

	return write(ANSWER_FD, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1;
}

static int answer_never(void)
{
	while (pause() < 0)
		;
	return 1;
}

static int ask(const char *command, int64_t *ret)
{
	int file CLEANUP_CLOSE = open("/dev/null", O_RDONLY | O_CLOEXEC), r;
	struct child child;

	assert_int_equal(child_start(command, NULL, file, &child), 0);
	r = child_answer(&child, ret, sizeof(*ret));
	assert_int_equal(child.go, -1);
	return r;
}

static void answers(void **state)
{
	int64_t answer = 0;

	(void)state;
	assert_int_equal(ask("at-once", &answer), 0);
	assert_int_equal(answer, 42);
}

static void hangs(void **state)
{
	int64_t answer = 7;

	(void)state;
	assert_int_equal(ask("never", &answer), -ETIMEDOUT);
	assert_int_equal(answer, 7);
}

static pid_t hog_start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		alarm(HOG_SECONDS);
		if (settle_down() < 0)
			_exit(1);
		for (volatile unsigned turns = 0;; turns++)
			;
	}
	return pid;
}

/* On a host where others want the processors, too, a library is not refused for that. */
static void gets_no_processor(void **state)
{
	int64_t answer = 0;
	pid_t hog = hog_start();
	int r;

	(void)state;
	assert_true(hog > 0);
	r = ask("starved", &answer);
	kill(hog, SIGKILL);
	assert_int_equal(waitpid(hog, NULL, 0), hog);
	assert_int_equal(r, 0);
	assert_true(answer >= LONGER_MS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(hangs),
		cmocka_unit_test(gets_no_processor),
	};

	/* child_start starts /proc/self/exe. */
	if (argc == 2 && strcmp(argv[1], "at-once") == 0)
		return answer_at_once();
	if (argc == 2 && strcmp(argv[1], "never") == 0)
		return answer_never();
	if (argc == 2 && strcmp(argv[1], "starved") == 0)
		return answer_starved();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
