/* /proc, read for the judge. Owns nothing; holds a process by its directory, so that a pid used again is no danger. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

enum { STAT_MAX = 4096, STAT_START = 22 /* proc(5), counted from 1 */, NS_PER_S = 1000000000 };

uint64_t process_ticks(uint64_t start_boottime_ns)
{
	return start_boottime_ns / (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

static int start_ticks_of(int process_fd, uint64_t *ret)
{
	char *text CLEANUP_FREE = NULL, *field;
	int fd CLEANUP_CLOSE = openat(process_fd, "stat", O_RDONLY | O_CLOEXEC);
	size_t len;
	int err;

	if (fd < 0)
		return -errno;
	err = fd_read_all(fd, STAT_MAX, &text, &len);
	if (err)
		return err;
	/* The name, field 2, may hold anything: its end is the last parenthesis. */
	field = strrchr(text, ')');
	for (int number = 2; field && number < STAT_START; number++)
		field = strchr(field + 1, ' ');
	if (!field)
		return -EPROTO;
	*ret = strtoull(field + 1, NULL, 10);
	return 0;
}

int process_open(uint32_t pid, uint32_t tid, uint64_t start_boottime_ns)
{
	char path[32];
	uint64_t ticks = 0;
	int fd CLEANUP_CLOSE = -1, thread, err;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	err = start_ticks_of(fd, &ticks);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	if (ticks != process_ticks(start_boottime_ns))
		return -ESRCH;
	snprintf(path, sizeof(path), "task/%u", tid);
	thread = openat(fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return thread >= 0 ? thread : TAKE_FD(fd);
}

/* /etc/passwd only: a name service over the network would hold up every event. */
static void user_name(uint32_t uid, char *ret, size_t size)
{
	FILE *file CLEANUP_FCLOSE = fopen("/etc/passwd", "re");
	struct passwd entry, *found;
	char line[4096];

	ret[0] = '\0';
	while (file && fgetpwent_r(file, &entry, line, sizeof(line), &found) == 0)
		if (entry.pw_uid == uid) {
			snprintf(ret, size, "%s", entry.pw_name);
			return;
		}
}

void process_describe(const struct message_process *asked, struct message_process *ret)
{
	int fd CLEANUP_CLOSE = process_open(asked->pid, asked->tid, asked->start_boottime_ns);
	ssize_t len;

	*ret = *asked;
	ret->known = 0;
	ret->exe[0] = '\0';
	user_name(asked->uid, ret->user, sizeof(ret->user));
	if (fd < 0)
		return;
	len = readlinkat(fd, "exe", ret->exe, sizeof(ret->exe) - 1);
	if (len < 0)
		return;
	ret->exe[len] = '\0';
	ret->known = 1;
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
