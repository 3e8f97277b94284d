/* See connection.h. Owns nothing. The socket is always named by its cookie, so the process only tells where to look: if it has ended,
 * or its number is another's by now, the namespace is found without it. */
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>

#include "destroy.h"
#include "netns.h"
#include "process.h"
#include "socket_fd.h"
#include "util.h"

/* The network namespace that the socket is in: a descriptor. */
static int netns_open(const struct connection *connection, int process_fd)
{
	int netns = process_netns_open(process_fd, connection->socket->netns);

	/* Passed to this process or inherited by it from another namespace, or the process has ended and left data behind. */
	return netns >= 0 ? netns : netns_find(connection->socket->netns);
}

static int process_hold(const struct connection *connection)
{
	return process_open(connection->pid, connection->tid, connection->start_boottime_ns);
}

/* The process's own descriptor of the socket. */
static int fd_take(const struct connection *connection, int process_fd)
{
	int pidfd CLEANUP_CLOSE = process_fd < 0 ? -1 : pidfd_open((pid_t)connection->pid, 0);

	return pidfd < 0 ? -ESRCH : socket_fd_take(pidfd, process_fd, connection->socket);
}

static int disconnect(const struct connection *connection, int process_fd)
{
	int fd CLEANUP_CLOSE = fd_take(connection, process_fd);

	return fd < 0 ? fd : socket_fd_disconnect(fd);
}

int connection_end(const struct connection *connection, const char **ret_why)
{
	int process CLEANUP_CLOSE = process_hold(connection), netns CLEANUP_CLOSE = netns_open(connection, process);
	int err = netns < 0 ? netns : socket_destroy(netns, connection->socket);

	*ret_why = "";
	if (err == -ENOENT && netns >= 0) {
		*ret_why = "the connection had ended already";
		return err;
	}
	if (!err || disconnect(connection, process) == 0)
		return 0;
	*ret_why = netns < 0          ? "no process is left in the socket's network namespace" :
		   err == -EOPNOTSUPP ? "the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)" :
					strerror(-err);
	return netns < 0 ? -ESRCH : err;
}

int connection_look(const struct connection *connection)
{
	int process CLEANUP_CLOSE = process_hold(connection), netns CLEANUP_CLOSE = netns_open(connection, process);

	return netns < 0 ? netns : socket_look(netns, connection->socket);
}

void connection_push(const struct connection *connection)
{
	int process CLEANUP_CLOSE = process_hold(connection), fd CLEANUP_CLOSE = fd_take(connection, process);

	if (fd >= 0)
		socket_fd_push(fd);
}
