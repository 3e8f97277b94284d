/* See netns.h. Processes come and go while /proc is read: what has vanished is skipped. Threads are looked at only if no
 * process has the namespace, for there may be many of them and one in a namespace of its own is rare. */
#include "netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "util.h"

static DIR *dir_open(int at_fd, const char *path)
{
	int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/* Of an open that failed: -ENOENT if it has vanished or is not ours to see; -errno if we have no room for it. */
static int no_room(void)
{
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
}

/* ns/net of the process or thread, if it is that one; -ENOENT if not. */
static int open_if(int at_fd, const char *id, uint32_t inode)
{
	char path[64];
	struct stat stat;
	int fd CLEANUP_CLOSE = -1;

	snprintf(path, sizeof(path), "%.32s/ns/net", id);
	if (fstatat(at_fd, path, &stat, 0) < 0 || stat.st_ino != inode)
		return -ENOENT;
	fd = openat(at_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return no_room();
	/* It may have gone to another one meanwhile. */
	return fstat(fd, &stat) == 0 && stat.st_ino == inode ? TAKE_FD(fd) : -ENOENT;
}

static int find_in(DIR *dir, uint32_t inode, bool threads)
{
	const struct dirent *entry;
	int fd = -ENOENT;

	while (fd == -ENOENT && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (threads) {
			char path[64];
			snprintf(path, sizeof(path), "%.32s/task", entry->d_name);
			DIR *tasks CLEANUP_CLOSEDIR = dir_open(dirfd(dir), path);
			fd = tasks ? find_in(tasks, inode, false) : no_room();
		} else {
			fd = open_if(dirfd(dir), entry->d_name, inode);
		}
	}
	return fd;
}

int netns_find(uint32_t inode)
{
	DIR *proc CLEANUP_CLOSEDIR = dir_open(AT_FDCWD, "/proc");
	int fd;

	if (!proc)
		return -errno;
	fd = find_in(proc, inode, false);
	if (fd != -ENOENT)
		return fd;
	rewinddir(proc);
	return find_in(proc, inode, true);
}
