/* A process that holds sockets, and does with them what it is told. Include after cmocka.h.
 *
 * Both ends of a connection over loopback are its own: [0] is the one that connected and that the record names, [1] its peer.
 * It ends when the test's end of the control socket closes. */
#ifndef HOLDER_H
#define HOLDER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/types.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "records.h"
#include "util.h"

enum {
	HOLDER_WAIT_S = 30, /* only so that a test that fails does not hang */
	HOLDER_PORT = 4433, /* of UDP sockets in a network namespace of their own */
};

enum holder_kind { HOLD_IPV4, HOLD_IPV6, HOLD_MAPPED, HOLD_KINDS };

enum holder_order {
	HOLDER_NAME,       /* name [end], as the probe would */
	HOLDER_READ,       /* how many bytes there were, or -errno; waits for them */
	HOLDER_SEND,       /* value bytes; 0 or -errno */
	HOLDER_CORK,       /* 0 or -errno: TCP_CORK becomes value */
	HOLDER_NODELAY,    /* the same */
	HOLDER_IS_CORKED,  /* TCP_CORK */
	HOLDER_IS_NODELAY, /* TCP_NODELAY */
	HOLDER_UNSENT,     /* bytes that never were sent */
	HOLDER_WAY_OUT,    /* IPv4 packets can leave (in a network namespace of its own): value */
	HOLDER_MOVE,       /* [0] to another descriptor; where it was there is [1] as well */
	HOLDER_CLOSE,
};

struct holder_message {
	enum holder_order order;
	int end, value;
	struct record_socket socket; /* of the answer */
};

struct holder {
	pid_t pid;
	int control, pidfd, process_fd, netns_fd;
	struct record_socket socket;
};

static inline int holder_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd CLEANUP_CLOSE = socket(AF_INET, SOCK_DGRAM, 0);

	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* With or without the address 127.0.0.1: a packet that has no way out stays at the head of the queue, as at the gate. */
static inline int holder_way_out(bool there)
{
	struct ifreq request = {.ifr_name = "lo"};
	struct sockaddr_in *address = (void *)&request.ifr_addr;
	int fd CLEANUP_CLOSE = socket(AF_INET, SOCK_DGRAM, 0);

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = there ? htonl(INADDR_LOOPBACK) : 0;
	return ioctl(fd, SIOCSIFADDR, &request) < 0 ? -errno : 0;
}

static inline socklen_t holder_address(enum holder_kind kind, bool connecting, in_port_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	*ret = (struct sockaddr_storage){};
	if (kind == HOLD_IPV4 || (kind == HOLD_MAPPED && !connecting)) {
		*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
	*v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
	inet_pton(AF_INET6, kind == HOLD_IPV6 ? "::1" : "::ffff:127.0.0.1", &v6->sin6_addr);
	return sizeof(*v6);
}

/* 0 or -errno. port: to be bound to, or 0: a UDP socket that was stays in the kernel's tables when it has lost its peer. */
static inline int holder_connect(enum holder_kind kind, int type, in_port_t port, int ends[2])
{
	struct sockaddr_storage own;
	socklen_t own_len = holder_address(kind, true, htons(port), &own);
	struct sockaddr_storage address;
	socklen_t len = holder_address(kind, false, 0, &address);
	int server = socket(address.ss_family, type, 0);
	struct timeval wait = {.tv_sec = HOLDER_WAIT_S};

	if (bind(server, (void *)&address, len) < 0 || (type == SOCK_STREAM && listen(server, 1) < 0))
		return -errno;
	len = sizeof(address);
	getsockname(server, (void *)&address, &len);
	len = holder_address(kind, true, ((struct sockaddr_in *)(void *)&address)->sin_port, &address);
	ends[0] = socket(address.ss_family, type, 0);
	if (port && bind(ends[0], (void *)&own, own_len) < 0)
		return -errno;
	if (connect(ends[0], (void *)&address, len) < 0)
		return -errno;
	ends[1] = type == SOCK_STREAM ? accept(server, NULL, NULL) : server;
	if (type == SOCK_STREAM)
		close(server);
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return ends[1] < 0 ? -errno : 0;
}

static inline void holder_name_end(const struct sockaddr_storage *address, uint8_t ip[16], __u16 *port)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	*port = ntohs(v4->sin_port);
	if (address->ss_family == AF_INET)
		memcpy(ip, &v4->sin_addr, sizeof(v4->sin_addr));
	else
		memcpy(ip, &v6->sin6_addr, sizeof(v6->sin6_addr));
}

static inline void holder_name(int fd, struct record_socket *ret)
{
	struct sockaddr_storage address = {};
	socklen_t len = sizeof(address), cookie_len = sizeof(uint64_t), int_len = sizeof(int);
	uint64_t cookie = 0;
	struct stat stat = {};

	*ret = (struct record_socket){.how = SOCKET_FD, .fd = fd};
	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_len);
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &ret->protocol, &int_len);
	ret->cookie = cookie;
	getsockname(fd, (void *)&address, &len);
	ret->family = address.ss_family;
	holder_name_end(&address, ret->local_ip, &ret->local_port);
	len = sizeof(address);
	if (getpeername(fd, (void *)&address, &len) == 0)
		holder_name_end(&address, ret->peer_ip, &ret->peer_port);
	fstat(fd, &stat);
	ret->inode = stat.st_ino;
	if (fstatat(AT_FDCWD, "/proc/thread-self/ns/net", &stat, 0) == 0)
		ret->netns = (__u32)stat.st_ino;
}

static inline int holder_set(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static inline int holder_get(int fd, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, IPPROTO_TCP, option, &value, &len) < 0 ? -errno : value;
}

static inline int holder_do(int ends[2], struct holder_message *message)
{
	int fd = ends[message->end], value = message->value;
	char bytes[4096] = "";
	ssize_t len;

	switch (message->order) {
	case HOLDER_NAME:
		holder_name(fd, &message->socket);
		return 0;
	case HOLDER_READ:
		len = recv(fd, bytes, sizeof(bytes), 0);
		return len < 0 ? -errno : (int)len;
	case HOLDER_SEND:
		return send(fd, bytes, (size_t)value, MSG_NOSIGNAL) < 0 ? -errno : 0;
	case HOLDER_CORK:
		return holder_set(fd, TCP_CORK, value);
	case HOLDER_NODELAY:
		return holder_set(fd, TCP_NODELAY, value);
	case HOLDER_IS_CORKED:
		return holder_get(fd, TCP_CORK);
	case HOLDER_IS_NODELAY:
		return holder_get(fd, TCP_NODELAY);
	case HOLDER_UNSENT:
		return ioctl(fd, SIOCOUTQNSD, &value) < 0 ? -errno : value;
	case HOLDER_WAY_OUT:
		return holder_way_out(value);
	case HOLDER_MOVE:
		ends[0] = dup(fd);
		return dup2(ends[1], fd) < 0 ? -errno : 0;
	case HOLDER_CLOSE:
		return close(fd) < 0 ? -errno : 0;
	}
	return -EINVAL;
}

static inline void holder_run(int control, bool own_netns, enum holder_kind kind, int type)
{
	struct holder_message message = {};
	int ends[2] = {-1, -1}, result = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (own_netns)
		result = unshare(CLONE_NEWNET) < 0 ? -errno : holder_loopback_up();
	if (!result)
		result = holder_connect(kind, type, own_netns && type == SOCK_DGRAM ? HOLDER_PORT : 0, ends);
	do {
		message.value = result;
		if (send(control, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
			break;
		if (recv(control, &message, sizeof(message), 0) != sizeof(message))
			break;
		result = holder_do(ends, &message);
	} while (true);
	_exit(0);
}

static inline int holder_answer(struct holder *holder)
{
	struct holder_message message;

	assert_int_equal(recv(holder->control, &message, sizeof(message), 0), sizeof(message));
	holder->socket = message.order == HOLDER_NAME && message.socket.cookie ? message.socket : holder->socket;
	return message.value;
}

static inline int holder_order(struct holder *holder, enum holder_order order, int end, int value)
{
	struct holder_message message = {.order = order, .end = end, .value = value};

	assert_int_equal(send(holder->control, &message, sizeof(message), MSG_NOSIGNAL), sizeof(message));
	return holder_answer(holder);
}

static inline void holder_start(struct holder *ret, bool own_netns, enum holder_kind kind, int type)
{
	CLEANUP_FREE char *process = NULL, *netns = NULL;
	struct timeval wait = {.tv_sec = 2 * HOLDER_WAIT_S};
	int control[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	*ret = (struct holder){.control = control[0]};
	setsockopt(ret->control, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	ret->pid = fork();
	assert_true(ret->pid >= 0);
	if (ret->pid == 0) {
		close(control[0]);
		holder_run(control[1], own_netns, kind, type);
	}
	close(control[1]);
	assert_int_equal(holder_answer(ret), 0);
	process = xasprintf("/proc/%d", ret->pid);
	netns = xasprintf("/proc/%d/ns/net", ret->pid);
	ret->pidfd = pidfd_open(ret->pid, 0);
	ret->process_fd = open(process, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret->netns_fd = open(netns, O_RDONLY | O_CLOEXEC);
	assert_true(ret->pidfd >= 0 && ret->process_fd >= 0 && ret->netns_fd >= 0);
	assert_int_equal(holder_order(ret, HOLDER_NAME, 0, 0), 0);
}

/* Its descriptors of the process stay. */
static inline void holder_end(struct holder *holder)
{
	if (holder->pid <= 0)
		return;
	kill(holder->pid, SIGKILL);
	waitpid(holder->pid, NULL, 0);
	holder->pid = 0;
}

static inline void holder_free(struct holder *holder)
{
	holder_end(holder);
	close(holder->control);
	close(holder->pidfd);
	close(holder->process_fd);
	close(holder->netns_fd);
}
#define CLEANUP_HOLDER CLEANUP(holder_free)

static inline int holder_write(const char *path, const char *text)
{
	int fd CLEANUP_CLOSE = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static bool holder_no_root; /* but in a user namespace of its own */

/* First thing in main: who is not root becomes it in a user namespace and a network namespace of its own, where the same can
 * be tried; where the machine does not allow that, the tests fail and say so. */
static inline void holder_become_root(void)
{
	CLEANUP_FREE char *map = xasprintf("0 %u 1\n", geteuid());
	int err;

	if (geteuid() == 0)
		return;
	holder_no_root = true;
	err = unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ? -errno : holder_write("/proc/self/uid_map", map);
	if (!err)
		err = holder_loopback_up();
	if (err)
		fprintf(stderr, "neither root nor a user namespace: %s\n", strerror(-err));
}

#endif
