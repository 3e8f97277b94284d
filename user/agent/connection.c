/* See connection.h. Owns nothing. The socket is always named by its cookie, so the process only tells where to look, if that is
 * not where the agent is: if it has ended, or its number is another's by now, the namespace is found without it. */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>

#include "destroy.h"
#include "netns.h"
#include "process.h"
#include "socket_fd.h"
#include "util.h"

enum { THREAD = O_EXCL }; /* PIDFD_THREAD: pidfd_open(2), since 6.9; before: -EINVAL */

struct push {
	struct work work;
	struct connection connection;
};

typedef int (*socket_fn)(int netns_fd, const struct record_socket *socket);

static int process_hold(const struct connection *connection)
{
	return process_open(connection->pid, connection->tid, connection->start_boottime_ns);
}

/* The network namespace that the socket is in: a descriptor. */
static int netns_open(const struct connection *connection)
{
	int process CLEANUP_CLOSE = process_hold(connection);
	int netns = process_netns_open(process, connection->socket.netns);

	/* Passed to this process or inherited by it from another namespace, or the process has ended and left data behind. */
	return netns >= 0 ? netns : netns_find(connection->socket.netns);
}

/* Wherever the socket is. *ret_nowhere: the error is that of looking for its namespace. */
static int anywhere(socket_fn what, const struct connection *connection, bool *ret_nowhere)
{
	int netns CLEANUP_CLOSE = -1, err = what(NETNS_OWN, &connection->socket);

	*ret_nowhere = false;
	if (err != -EXDEV)
		return err;
	netns = netns_open(connection);
	*ret_nowhere = netns < 0;
	return netns < 0 ? netns : what(netns, &connection->socket);
}

static int fd_take_from(uint32_t id, unsigned flags, int process_fd, const struct record_socket *socket)
{
	int pidfd CLEANUP_CLOSE = pidfd_open((pid_t)id, flags);

	return pidfd < 0 ? -ESRCH : socket_fd_take(pidfd, process_fd, socket);
}

/* The process's own descriptor of the socket. Its first thread may have ended before the others. */
static int fd_take(const struct connection *connection, int process_fd)
{
	int fd = process_fd < 0 ? -ESRCH : fd_take_from(connection->pid, 0, process_fd, &connection->socket);

	if (process_fd < 0 || (fd != -ENOENT && fd != -ESRCH) || connection->tid == connection->pid)
		return fd;
	return fd_take_from(connection->tid, THREAD, process_fd, &connection->socket);
}

static int disconnect(const struct connection *connection)
{
	int process CLEANUP_CLOSE = process_hold(connection), fd CLEANUP_CLOSE = fd_take(connection, process);

	return fd < 0 ? fd : socket_fd_disconnect(fd);
}

int connection_end(const struct connection *connection, const char **ret_why)
{
	bool nowhere;
	int err = anywhere(socket_destroy, connection, &nowhere);

	*ret_why = "";
	if (err == -ENOENT && !nowhere) {
		*ret_why = "the connection had ended already";
		return err;
	}
	if (!err || disconnect(connection) == 0)
		return 0;
	*ret_why = nowhere            ? "no process is left in the socket's network namespace" :
		   err == -EOPNOTSUPP ? "the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)" :
					strerror(-err);
	return nowhere ? -ESRCH : err;
}

int connection_look(const struct connection *connection)
{
	bool ignored;

	return anywhere(socket_look, connection, &ignored);
}

static void push_run(struct work *work)
{
	const struct connection *connection = &((struct push *)work)->connection;
	int process CLEANUP_CLOSE = process_hold(connection), fd CLEANUP_CLOSE = fd_take(connection, process);

	if (fd >= 0)
		socket_fd_push(fd);
}

bool connection_push(struct workers *workers, const struct connection *connection)
{
	struct push *push = xcalloc(1, sizeof(*push));

	*push = (struct push){.work = {.run = push_run, .owner = connection->pid, .unwaited = true},
			      .connection = *connection};
	if (workers_add(workers, &push->work) == 0)
		return true;
	free(push);
	return false;
}
