/* SOCK_DESTROY over netlink: the peer gets a reset, the process ECONNABORTED.
 *
 * The request goes to the kernel in the network namespace of the socket, so the calling thread enters it for as long as it
 * takes to open the netlink socket: a netlink socket belongs to the namespace it was made in. */
#include "destroy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "util.h"

enum { ANSWER_WAIT_S = 2 }; /* the kernel answers at once; if it does not, -EAGAIN */

static bool same_namespace(int a, int b)
{
	struct stat first, second;
	return !fstat(a, &first) && !fstat(b, &second) && first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

static int netlink_open(int netns_fd)
{
	int own CLEANUP_CLOSE = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd, err;

	if (own < 0)
		return -errno;
	if (same_namespace(own, netns_fd)) {
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		return fd < 0 ? -errno : fd;
	}
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	err = fd < 0 ? -errno : fd;
	/* A warden left in a stranger's namespace would act on the wrong sockets from then on. */
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return err;
}

int socket_destroy(int netns_fd, const struct record_socket *target)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = SOCK_DESTROY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.body = {.sdiag_family = target->family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr body;
		char rest[256];
	} answer;
	struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int fd CLEANUP_CLOSE = netlink_open(netns_fd);
	ssize_t got;

	if (fd < 0)
		return fd;
	request.body.id.idiag_sport = htons(target->local_port);
	request.body.id.idiag_dport = htons(target->peer_port);
	request.body.id.idiag_if = target->bound_if; /* the kernel finds a bound socket by its device only */
	memcpy(request.body.id.idiag_src, target->local_ip, sizeof(target->local_ip));
	memcpy(request.body.id.idiag_dst, target->peer_ip, sizeof(target->peer_ip));
	request.body.id.idiag_cookie[0] = (uint32_t)target->cookie;
	request.body.id.idiag_cookie[1] = (uint32_t)(target->cookie >> 32);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, &request, sizeof(request), 0) != sizeof(request))
		return -errno;
	got = recv(fd, &answer, sizeof(answer), 0);
	if (got < 0)
		return -errno;
	if ((size_t)got < sizeof(answer.header) + sizeof(answer.body) || answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.body.error;
}
