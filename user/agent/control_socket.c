/* See control_socket.h. A socket's file outlives whoever made it: one that nobody listens at is taken away, one that somebody does is
 * left alone, and what is no socket is never touched. Two agents that start at once take turns by a lock on the directory. */
#include "control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

enum {
	LOCK_TRIES = 100, /* then it goes on without: whoever may read the directory can hold the lock for ever */
	LOCK_TRY_MS = 10,
};

/* What is wrong is put into words once, here. */
static int wrong(int err, char **ret_why, const char *path, const char *what)
{
	CLEANUP_FREE char *safe = text_escape(path, strlen(path));

	*ret_why = xasprintf("%s: %s", safe, what ? what : strerror(-err));
	return err;
}

/* Its last component only: a path whose parents are missing is a slip of the hand. */
static int directory_make(const char *path, char **ret_why)
{
	CLEANUP_FREE char *copy = xstrdup(path);
	const char *directory = dirname(copy);

	if (mkdir(directory, 0755) == 0)
		return chmod(directory, 0755) < 0 ? wrong(-errno, ret_why, directory, NULL) : 0;
	return errno == EEXIST ? 0 : wrong(-errno, ret_why, directory, NULL);
}

/* A descriptor that holds the lock, in most cases, until it is closed; -errno. */
static int directory_lock(const char *path)
{
	const struct timespec pause = {.tv_nsec = LOCK_TRY_MS * 1000000L};
	CLEANUP_FREE char *copy = xstrdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int tries = 0; fd >= 0 && tries < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; tries++)
		nanosleep(&pause, NULL);
	return fd < 0 ? -errno : fd;
}

/* Whether somebody listens there: -EADDRINUSE, and *ret_why says who. */
static int ask_who(const struct sockaddr_un *address, char **ret_why)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CLEANUP_FREE char *who = NULL;
	struct ucred peer = {};
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return wrong(-errno, ret_why, address->sun_path, NULL);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno != EAGAIN)
		return errno == ECONNREFUSED || errno == ENOENT ? 0 : wrong(-errno, ret_why, address->sun_path, NULL);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 0)
		who = xasprintf("another agent answers there, process %d", (int)peer.pid);
	return wrong(-EADDRINUSE, ret_why, address->sun_path, who ? who : "another agent answers there");
}

/* Makes the place free. */
static int place_clear(const struct sockaddr_un *address, char **ret_why)
{
	struct stat there;
	int err;

	if (lstat(address->sun_path, &there) < 0)
		return errno == ENOENT ? 0 : wrong(-errno, ret_why, address->sun_path, NULL);
	if (!S_ISSOCK(there.st_mode))
		return wrong(-EEXIST, ret_why, address->sun_path, "that is no socket, and is left as it is");
	err = ask_who(address, ret_why);
	if (!err && unlink(address->sun_path) < 0 && errno != ENOENT)
		err = wrong(-errno, ret_why, address->sun_path, NULL);
	return err;
}

static int listening(const struct sockaddr_un *address, int backlog, int *ret)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* The file gets the mode that the socket has, so that at no time there is another. */
	if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    listen(fd, backlog) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

int control_socket_open(const char *path, int backlog, struct control_socket *ret, char **ret_why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_CLOSE int lock = -1, fd = -1;
	struct stat made;
	int err;

	if (!path[0] || strlen(path) >= sizeof(address.sun_path))
		return wrong(-ENAMETOOLONG, ret_why, path, path[0] ? "a socket's path has at most 107 bytes" : "no path");
	memcpy(address.sun_path, path, strlen(path));
	err = directory_make(path, ret_why);
	if (err)
		return err;
	lock = directory_lock(path);
	err = lock < 0 ? wrong(lock, ret_why, path, NULL) : place_clear(&address, ret_why);
	if (err)
		return err;
	err = listening(&address, backlog, &fd);
	if (err)
		return wrong(err, ret_why, path, NULL);
	if (lstat(path, &made) < 0)
		return wrong(-errno, ret_why, path, NULL);
	*ret = (struct control_socket){.fd = TAKE_FD(fd), .path = xstrdup(path), .made = made};
	return 0;
}

void control_socket_close(struct control_socket *socket)
{
	struct stat there;

	if (lstat(socket->path, &there) == 0 && there.st_ino == socket->made.st_ino && there.st_dev == socket->made.st_dev)
		unlink(socket->path);
	close(socket->fd);
	free(socket->path);
}
