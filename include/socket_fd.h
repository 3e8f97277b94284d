/* A process's own socket in our hands: a second descriptor of it, by pidfd_getfd(2). Privileged: CAP_SYS_PTRACE, and
 * CAP_DAC_READ_SEARCH for the list of its descriptors. Each of these may wait as long as the process likes. What is done
 * through it happens in the socket's network namespace, whichever that is. */
#ifndef SOCKET_FD_H
#define SOCKET_FD_H

#include <linux/types.h>
#include <stdint.h>

#include "records.h"

/* A descriptor of the socket with socket->cookie, which the process has open: first socket->fd is tried, then, if that is
 * another one or unknown (-1), all of its descriptors that name socket->inode. process_fd: an O_PATH descriptor of /proc/PID
 * or of /proc/PID/task/TID (process.h). pidfd: of the same process. The cookie is asked of each before it is handed out.
 * -ENOENT: the process has no such socket (any more); other -errno. */
int socket_fd_take(int pidfd, int process_fd, const struct record_socket *socket);

/* Makes what waits in the socket's queue go at once (release it first, or the gate drops it again), and changes nothing
 * else: a socket that the application corked stays corked, and its data waits for the application (tcp(7), TCP_CORK). 1:
 * pushed; 0: it is corked, or no TCP socket: nothing was done; -errno. */
int socket_fd_push(int fd);

/* Dissolves the connection (connect(2) with AF_UNSPEC): what waits in its queue is thrown away, a TCP peer gets a reset, the
 * process an error. For where SOCK_DESTROY is refused. 0 or -errno. */
int socket_fd_disconnect(int fd);

#endif
