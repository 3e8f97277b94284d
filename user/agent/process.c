/* /proc, read for the judge. Owns nothing; holds a process by its directory, so that a pid used again is no danger. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "users.h"
#include "util.h"

enum {
	STAT_MAX = 4096, /* some 400 bytes, given in one piece */
	STAT_PARENT = 4, /* fields of proc(5)'s stat, counted from 1 */
	STAT_FLAGS = 9,
	STAT_START = 22,
	FLAG_KERNEL_THREAD = 0x00200000, /* PF_KTHREAD, the same in all kernels */
	CGROUP_MAX = 1 << 17,            /* /proc/PID/cgroup: a dozen lines of at most PATH_MAX; larger is not looked at */
	NS_PER_S = 1000000000,
};

uint64_t process_ticks(uint64_t start_boottime_ns)
{
	return start_boottime_ns / (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Of proc(5)'s stat. */
struct process_stat {
	uint64_t parent, flags, start_ticks;
};

static int stat_read(int process_fd, struct process_stat *ret)
{
	uint64_t *const fields[STAT_START + 1] = {
		[STAT_PARENT] = &ret->parent, [STAT_FLAGS] = &ret->flags, [STAT_START] = &ret->start_ticks};
	char text[STAT_MAX];
	const char *field;
	int fd CLEANUP_CLOSE = openat(process_fd, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	*ret = (struct process_stat){};
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	/* The name, field 2, may hold anything: its end is the last parenthesis. */
	field = strrchr(text, ')');
	for (int number = 3; field && number <= STAT_START; number++) {
		field = strchr(field + 1, ' ');
		if (field && fields[number])
			*fields[number] = strtoull(field + 1, NULL, 10);
	}
	return field ? 0 : -EPROTO;
}

/* /proc/PID, if that is the process. */
static int leader_open(uint32_t pid, uint64_t start_boottime_ns, struct process_stat *ret)
{
	char path[32];
	int fd CLEANUP_CLOSE = -1, err;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	err = stat_read(fd, ret);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	return ret->start_ticks == process_ticks(start_boottime_ns) ? TAKE_FD(fd) : -ESRCH;
}

int process_open(uint32_t pid, uint32_t tid, uint64_t start_boottime_ns)
{
	struct process_stat stat;
	char path[32];
	int fd CLEANUP_CLOSE = leader_open(pid, start_boottime_ns, &stat), thread;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "task/%u", tid);
	thread = openat(fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return thread >= 0 ? thread : TAKE_FD(fd);
}

int process_kill(uint32_t pid, uint64_t start_boottime_ns)
{
	/* First, so that what is then seen to be the process is the one that is held: if another has that pid by now, the one
	 * that is held has ended, and the signal goes nowhere. */
	int held CLEANUP_CLOSE = pidfd_open((pid_t)pid, 0), process CLEANUP_CLOSE = -1;
	struct process_stat stat = {};

	if (held < 0)
		return -errno;
	process = leader_open(pid, start_boottime_ns, &stat);
	if (process < 0)
		return process;
	if (pid == 1 || pid == (uint32_t)getpid() || stat.parent == (uint64_t)getpid() || stat.flags & FLAG_KERNEL_THREAD)
		return -EPERM;
	/* One that has ended and is not yet waited for takes a signal too, and nobody should be told that we ended it. */
	if (poll(&(struct pollfd){.fd = held, .events = POLLIN}, 1, 0) == 1)
		return -ESRCH;
	return pidfd_send_signal(held, SIGKILL, NULL, 0) < 0 ? -errno : 0;
}

enum { RANKS = 3 };

/* In which order cgroup_read looks at them. */
static unsigned line_rank(const char *line)
{
	static const char named[] = ":name=systemd:";

	if (strncmp(line, "0::", 3) == 0)
		return 0;
	return strncmp(line + strspn(line, "0123456789"), named, strlen(named)) == 0 ? 1 : 2;
}

/* Whole lines, as far as there is room. */
static void lines_copy(const char *text, char *ret, size_t size)
{
	size_t used = 0, len;

	for (unsigned rank = 0; rank < RANKS; rank++)
		for (const char *line = text; *line; line += len) {
			len = strcspn(line, "\n");
			len += line[len] == '\n';
			if (line_rank(line) != rank || used + len >= size)
				continue;
			memcpy(ret + used, line, len);
			used += len;
		}
	ret[used] = '\0';
}

/* Left empty if it cannot be read. */
static void cgroup_describe(int process_fd, char *ret, size_t size)
{
	int fd CLEANUP_CLOSE = openat(process_fd, "cgroup", O_RDONLY | O_CLOEXEC);
	char *text CLEANUP_FREE = NULL;
	size_t len;

	ret[0] = '\0';
	if (fd >= 0 && fd_read_all(fd, CGROUP_MAX, &text, &len) == 0)
		lines_copy(text, ret, size);
}

void process_describe(struct message_process *process)
{
	int fd CLEANUP_CLOSE = process_open(process->pid, process->tid, process->start_boottime_ns);
	ssize_t len;

	process->known = 0;
	process->exe[0] = '\0';
	process->cgroup[0] = '\0';
	user_name(process->uid, process->user);
	if (fd < 0)
		return;
	len = readlinkat(fd, "exe", process->exe, sizeof(process->exe) - 1);
	if (len < 0)
		return;
	process->exe[len] = '\0';
	cgroup_describe(fd, process->cgroup, sizeof(process->cgroup));
	process->known = 1;
}

static int netns_open(int dir_fd, const char *path, uint32_t netns)
{
	int fd CLEANUP_CLOSE = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat) < 0)
		return -errno;
	return stat.st_ino == netns ? TAKE_FD(fd) : -ENOENT;
}

int process_netns_open(int process_fd, uint32_t netns)
{
	int fd = netns_open(process_fd, "ns/net", netns);

	return fd >= 0 ? fd : netns_open(AT_FDCWD, "/proc/thread-self/ns/net", netns);
}
