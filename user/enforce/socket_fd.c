/* See socket_fd.h. The process is not trusted: it may exchange its descriptors while we look at them. So nothing is taken but
 * what /proc calls a socket, since the mere close of a file can take as long as the file's owner likes (FUSE); and what was
 * taken is handed out only if its own cookie is the right one. */
#include "socket_fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "util.h"

enum {
	LINK_MAX_BYTES = 64,       /* "socket:[…]"; a longer link is that of something else */
	DESCRIPTORS_MAX = 1 << 14, /* of one process that are looked at, for it takes 2 µs each; beyond: -E2BIG */
};

/* number: of a descriptor of the process whose directory fd/ is at dir_fd. */
static bool is_that_inode(int dir_fd, const char *number, uint64_t inode)
{
	char link[LINK_MAX_BYTES], expected[LINK_MAX_BYTES];
	ssize_t len = readlinkat(dir_fd, number, link, sizeof(link) - 1);

	if (len < 0)
		return false;
	link[len] = '\0';
	if (!inode)
		return strncmp(link, "socket:[", strlen("socket:[")) == 0;
	snprintf(expected, sizeof(expected), "socket:[%llu]", (unsigned long long)inode);
	return strcmp(link, expected) == 0;
}

/* The descriptor, if it is the socket; -ENOENT if it is not. */
static int take(int pidfd, int dir_fd, const char *number, const struct record_socket *socket)
{
	int fd CLEANUP_CLOSE = -1;
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (!is_that_inode(dir_fd, number, socket->inode))
		return -ENOENT;
	fd = pidfd_getfd(pidfd, (int)strtoul(number, NULL, 10), 0);
	if (fd < 0)
		return errno == EBADF || errno == ESRCH ? -ENOENT : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 || cookie != socket->cookie)
		return -ENOENT;
	return TAKE_FD(fd);
}

/* Takes dir_fd. */
static int take_by_inode(int pidfd, int dir_fd, const struct record_socket *socket)
{
	DIR *dir CLEANUP_CLOSEDIR = fdopendir(dir_fd);
	const struct dirent *entry;
	int fd = -ENOENT;

	if (!dir) {
		close(dir_fd);
		return -ENOMEM;
	}
	for (unsigned seen = 0; fd == -ENOENT && (entry = readdir(dir)); seen++) {
		if (seen == DESCRIPTORS_MAX)
			return -E2BIG;
		if (entry->d_name[0] != '.')
			fd = take(pidfd, dir_fd, entry->d_name, socket);
	}
	return fd;
}

int socket_fd_take(int pidfd, int process_fd, const struct record_socket *socket)
{
	int dir CLEANUP_CLOSE = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -ENOENT;
	char number[16];

	if (dir < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	if (socket->fd >= 0) {
		snprintf(number, sizeof(number), "%d", socket->fd);
		fd = take(pidfd, dir, number, socket);
	}
	return fd == -ENOENT && socket->inode ? take_by_inode(pidfd, TAKE_FD(dir), socket) : fd;
}

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) < 0 ? -errno : value;
}

/* What waits was never sent: a packet that is dropped on the way out stays at the head of the queue. */
static bool is_empty(int fd)
{
	int unsent;

	return ioctl(fd, SIOCOUTQNSD, &unsent) == 0 && !unsent;
}

/* Setting either option to what it is sends what waits. TCP_NODELAY where it is on: an application that corks between our
 * look and our call keeps its cork then. Nothing is set in vain, for that waits until a call of the process on the socket is
 * over; to look does not. */
int socket_fd_push(int fd)
{
	int protocol = option(fd, SOL_SOCKET, SO_PROTOCOL), corked, undelayed;

	if (protocol != IPPROTO_TCP)
		return protocol < 0 ? protocol : 0;
	corked = option(fd, IPPROTO_TCP, TCP_CORK);
	if (corked)
		return corked < 0 ? corked : 0;
	undelayed = option(fd, IPPROTO_TCP, TCP_NODELAY);
	if (undelayed < 0)
		return undelayed;
	if (is_empty(fd))
		return 1;
	if (setsockopt(fd, IPPROTO_TCP, undelayed ? TCP_NODELAY : TCP_CORK, &undelayed, sizeof(undelayed)) < 0)
		return -errno;
	return 1;
}

int socket_fd_disconnect(int fd)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	return connect(fd, &nobody, sizeof(nobody)) < 0 ? -errno : 0;
}
