/* The privileged side of having a library file looked at: starts the confined process (which gives up its rights itself, see
 * confine.c), waits for its answer with a deadline, ends and reaps it.
 *
 * Trusts nothing that comes back: exactly one answer of exactly the right size from a process that ended well. Bounds:
 * ASK_TIMEOUT_MS for the whole of it, without what it waited for a processor, which is not its fault, and at most
 * ASK_WAITED_MAX_MS of that; the child never outlives child_answer.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "library.h"
#include "util.h"

enum {
	OUT_OF_THE_WAY = 16, /* descriptors are moved here first, so that none overwrites another */
	SCHEDSTAT_MAX = 256, /* three numbers */
	NS_PER_MS = 1000000,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In the child: only async-signal-safe calls until exec. */
static void __attribute__((noreturn)) child_exec(char *const argv[], pid_t parent, int go, int file, int answer)
{
	static char *const environment[] = {NULL};
	sigset_t none;
	char byte;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent || read(go, &byte, 1) != 1)
		_exit(1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	file = fcntl(file, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	answer = fcntl(answer, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	if (null < 0 || file < 0 || answer < 0 || (null = fcntl(null, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY)) < 0)
		_exit(1);
	for (int fd = 0; fd < FILE_FD; fd++)
		if (dup2(null, fd) < 0)
			_exit(1);
	if (dup2(file, FILE_FD) < 0 || dup2(answer, ANSWER_FD) < 0 || close_range(ANSWER_FD + 1, ~0u, 0) < 0)
		_exit(1);
	execve("/proc/self/exe", argv, environment);
	_exit(1);
}

int child_start(const char *command, const char *argument, int file, struct child *ret)
{
	char *const argv[] = {(char *)"tlswarden", (char *)command, (char *)argument, NULL};
	int go[2], answer[2];
	pid_t parent = getpid(), pid;

	if (pipe2(answer, O_CLOEXEC) < 0)
		return -errno;
	CLEANUP_CLOSE int read_end = answer[0], write_end = answer[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		return -errno;
	CLEANUP_CLOSE int go_theirs = go[0], go_ours = go[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(go_ours); /* or it would wait for itself if we died */
		child_exec(argv, parent, go_theirs, file, write_end);
	}
	*ret = (struct child){.pid = pid, .go = TAKE_FD(go_ours), .answer = TAKE_FD(read_end)};
	return 0;
}

/* How long it has waited for a processor, up to when it had one last: the second number of its schedstat, in ns. 0 where that is
 * not to be had. */
static int64_t waited_ms(pid_t pid)
{
	char path[32], *text CLEANUP_FREE = NULL, *rest;
	int64_t ms;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	if (file_read(path, SCHEDSTAT_MAX, &text, &len) < 0)
		return 0;
	(void)strtoull(text, &rest, 10);
	ms = (int64_t)(strtoull(rest, NULL, 10) / NS_PER_MS);
	return ms < ASK_WAITED_MAX_MS ? ms : ASK_WAITED_MAX_MS;
}

/* One answer and then the end of the pipe, or -EPROTO; -ETIMEDOUT at the deadline. room: one byte more than an answer. */
static int answer_read(pid_t pid, int pipe_fd, char *room, size_t size)
{
	int64_t deadline = now_ms() + ASK_TIMEOUT_MS;
	size_t len = 0;

	for (;;) {
		struct pollfd ready = {.fd = pipe_fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t got;
		int r;

		if (left <= 0)
			left += waited_ms(pid);
		if (left <= 0)
			return -ETIMEDOUT;
		r = poll(&ready, 1, (int)left);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		got = read(pipe_fd, room + len, size + 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		len += (size_t)got;
		if (len > size || (got == 0 && len != size))
			return -EPROTO;
		if (got == 0)
			return 0;
	}
}

/* The pipe's end is held by the child alone, so an answer means that it is ending: then the signal changes nothing. The
 * pid is ours until it is waited for. */
static int child_end(pid_t pid)
{
	pid_t waited;
	int status;

	kill(pid, SIGKILL);
	do
		waited = waitpid(pid, &status, 0);
	while (waited < 0 && errno == EINTR);
	if (waited < 0)
		return -errno;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return -ETIMEDOUT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}

int child_answer(struct child *child, void *ret_answer, size_t size)
{
	CLEANUP_CLOSE int go = child->go, answer = child->answer;
	char *room CLEANUP_FREE = xcalloc(1, size + 1);
	int r = send(go, "", 1, MSG_NOSIGNAL) == 1 ? answer_read(child->pid, answer, room, size) : -errno;
	int ended = child_end(child->pid);

	*child = (struct child){.go = -1, .answer = -1};
	if (r == -ETIMEDOUT || ended == -ETIMEDOUT)
		return -ETIMEDOUT;
	if (r < 0 || ended < 0)
		return r < 0 ? r : ended;
	memcpy(ret_answer, room, size);
	return 0;
}
