/* See netlink.h. Owns the socket that each thread keeps for its own network namespace; it is closed when the thread ends.
 *
 * A netlink socket belongs to the namespace it was made in, whatever the thread that asks has done since, and keeps it alive:
 * as long as it is open no other namespace has that inode number. So it is kept by that number. For the same reason those of
 * other namespaces are not kept, or a container's would outlive it. */
#include "netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "destroy.h"

enum { ANSWER_WAIT_S = 2 /* the kernel answers at once; if it does not, -EAGAIN */ };

static _Thread_local struct netlink kept = {.fd = -1};
static pthread_key_t ends; /* of threads: then what they keep is closed */
static pthread_once_t ends_once = PTHREAD_ONCE_INIT;
static int ends_err;

void netlink_close(struct netlink *netlink)
{
	if (netlink->fd >= 0)
		close(netlink->fd);
	netlink->fd = -1;
}

static void on_end(void *netlink)
{
	netlink_close(netlink);
}

static void ends_begin(void)
{
	ends_err = -pthread_key_create(&ends, on_end);
}

/* In the namespace that the thread is in. Connected: the kernel alone can send it anything. */
static int socket_open(void)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int fd CLEANUP_CLOSE = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0 || connect(fd, (const void *)&kernel, sizeof(kernel)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int socket_open_in(int netns_fd, int own_fd)
{
	int fd;

	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	fd = socket_open();
	/* A warden left in a stranger's namespace would act on the wrong sockets from then on. */
	if (setns(own_fd, CLONE_NEWNET) < 0)
		abort();
	return fd;
}

static bool is_for(const struct netlink *netlink, const struct stat *netns)
{
	return netlink->netns == netns->st_ino && netlink->netns_dev == netns->st_dev;
}

static int own_open(struct stat *ret)
{
	int fd CLEANUP_CLOSE = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 || fstat(fd, ret) < 0 ? -errno : TAKE_FD(fd);
}

/* own: the namespace that the thread is in. */
static int keep(const struct stat *own)
{
	int err = pthread_once(&ends_once, ends_begin), fd;

	netlink_close(&kept);
	err = err ? -err : ends_err;
	if (!err)
		err = -pthread_setspecific(ends, &kept);
	if (err)
		return err;
	fd = socket_open();
	if (fd < 0)
		return fd;
	kept.fd = fd;
	kept.netns_dev = own->st_dev;
	kept.netns = own->st_ino;
	return 0;
}

static int get_own(uint32_t netns, struct netlink **ret)
{
	struct stat own = {};
	int fd CLEANUP_CLOSE = -1, err;

	if (kept.fd < 0) {
		fd = own_open(&own);
		err = fd < 0 ? fd : keep(&own);
		if (err)
			return err;
	}
	if (kept.netns != netns)
		return -EXDEV;
	*ret = &kept;
	return 0;
}

static int get_of(int netns_fd, struct netlink *room, struct netlink **ret)
{
	int own_fd CLEANUP_CLOSE = -1, err;
	struct stat asked, own = {};

	if (fstat(netns_fd, &asked) < 0)
		return -errno;
	if (kept.fd >= 0 && is_for(&kept, &asked)) {
		*ret = &kept;
		return 0;
	}
	own_fd = own_open(&own);
	if (own_fd < 0)
		return own_fd;
	if (asked.st_ino == own.st_ino && asked.st_dev == own.st_dev) {
		err = keep(&own);
		if (!err)
			*ret = &kept;
		return err;
	}
	err = socket_open_in(netns_fd, own_fd);
	if (err < 0)
		return err;
	*room = (struct netlink){.fd = err};
	*ret = room;
	return 0;
}

int netlink_get(int netns_fd, uint32_t netns, struct netlink *room, struct netlink **ret)
{
	return netns_fd == NETNS_OWN ? get_own(netns, ret) : get_of(netns_fd, room, ret);
}

int netlink_ask(struct netlink *netlink, struct nlmsghdr *request, void *ret, size_t size)
{
	const struct nlmsghdr *answer = ret;
	ssize_t got = -1;
	int err = 0;

	request->nlmsg_seq = ++netlink->sequence;
	if (send(netlink->fd, request, request->nlmsg_len, 0) >= 0)
		got = recv(netlink->fd, ret, size, 0);
	if (got < 0)
		err = -errno;
	else if ((size_t)got < NLMSG_HDRLEN + sizeof(int) || answer->nlmsg_seq != request->nlmsg_seq)
		err = -EPROTO;
	if (err)
		netlink_close(netlink);
	return err;
}
