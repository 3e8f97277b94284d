/* sock_diag over netlink: SOCK_DESTROY, after which the peer gets a reset and the process ECONNABORTED; and the look whether
 * a socket is there.
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
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "util.h"

enum {
	ANSWER_WAIT_S = 2,  /* the kernel answers at once; if it does not, -EAGAIN */
	ANSWER_BYTES = 512, /* what is beyond is attributes, and cut off */
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

struct answer {
	struct nlmsghdr header;
	union {
		struct nlmsgerr error;
		struct inet_diag_msg socket;
		char bytes[ANSWER_BYTES];
	};
};

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

static void request_name(struct request *request, const struct record_socket *target)
{
	struct inet_diag_sockid *id = &request->body.id;

	request->body.sdiag_family = (uint8_t)target->family;
	request->body.sdiag_protocol = target->protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	request->body.idiag_states = ~0U;
	id->idiag_sport = htons(target->local_port);
	id->idiag_dport = htons(target->peer_port);
	id->idiag_if = target->bound_if; /* the kernel finds a bound socket by its device only */
	memcpy(id->idiag_src, target->local_ip, sizeof(target->local_ip));
	memcpy(id->idiag_dst, target->peer_ip, sizeof(target->peer_ip));
	id->idiag_cookie[0] = (uint32_t)target->cookie;
	id->idiag_cookie[1] = (uint32_t)(target->cookie >> 32);
}

/* What the kernel thinks is the source when it is asked for one UDP socket, is the peer; not so when it is to destroy it. */
static void request_swap_ends(struct inet_diag_sockid *id)
{
	struct inet_diag_sockid from = *id;

	id->idiag_sport = from.idiag_dport;
	id->idiag_dport = from.idiag_sport;
	memcpy(id->idiag_src, from.idiag_dst, sizeof(id->idiag_src));
	memcpy(id->idiag_dst, from.idiag_src, sizeof(id->idiag_dst));
}

/* 0: an answer other than an error, or the error 0. */
static int ask(int netns_fd, const struct request *request, struct answer *ret)
{
	struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int fd CLEANUP_CLOSE = netlink_open(netns_fd);
	ssize_t got;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, request, sizeof(*request), 0) != sizeof(*request))
		return -errno;
	got = recv(fd, ret, sizeof(*ret), 0);
	if (got < 0)
		return -errno;
	if ((size_t)got < sizeof(ret->header) + sizeof(ret->error.error))
		return -EPROTO;
	return ret->header.nlmsg_type == NLMSG_ERROR ? ret->error.error : 0;
}

/* A kernel whose tcp_diag or udp_diag is missing, a module that may not be loaded any more, says of every socket that there
 * is none. A list of the sockets in no state at all is empty; or it fails in the same way. */
static int check_protocol(int netns_fd, const struct request *asked)
{
	static bool known[IPPROTO_UDP + 1]; /* of all threads */
	struct request request = *asked;
	struct answer answer = {};
	int err;

	if (__atomic_load_n(&known[asked->body.sdiag_protocol], __ATOMIC_RELAXED))
		return 0;
	request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.body.idiag_states = 0;
	err = ask(netns_fd, &request, &answer);
	if (!err && answer.header.nlmsg_type == NLMSG_DONE)
		err = answer.error.error; /* the same place */
	__atomic_store_n(&known[asked->body.sdiag_protocol], !err, __ATOMIC_RELAXED);
	return err == -ENOENT ? -EPROTONOSUPPORT : err;
}

/* -ENOENT only of a socket that is not there. */
static int ask_of_socket(int netns_fd, const struct request *request, struct answer *ret)
{
	int err = ask(netns_fd, request, ret);

	/* -ESTALE: there is a socket between these ends, but another one. */
	if (err != -ENOENT && err != -ESTALE)
		return err;
	err = check_protocol(netns_fd, request);
	return err ? err : -ENOENT;
}

int socket_look(int netns_fd, const struct record_socket *target)
{
	struct request request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST}};
	struct answer answer = {};
	int err;

	request_name(&request, target);
	if (request.body.sdiag_protocol == IPPROTO_UDP)
		request_swap_ends(&request.body.id);
	err = ask_of_socket(netns_fd, &request, &answer);
	if (err)
		return err;
	if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    answer.header.nlmsg_len < sizeof(answer.header) + sizeof(answer.socket))
		return -EPROTO;
	/* UDP: it has no peer. TCP: it ended in good order, and only its ports are kept. */
	return answer.socket.idiag_state == TCP_CLOSE || answer.socket.idiag_state == TCP_TIME_WAIT ? -ENOENT : 0;
}

int socket_destroy(int netns_fd, const struct record_socket *target)
{
	struct request request = {.header = {.nlmsg_len = sizeof(request),
					     .nlmsg_type = SOCK_DESTROY,
					     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
	struct answer answer = {};
	int err;

	/* What is no connection any more is found as well, and nobody should be told that we ended it. */
	err = socket_look(netns_fd, target);
	if (err)
		return err;
	request_name(&request, target);
	err = ask_of_socket(netns_fd, &request, &answer);
	if (err)
		return err;
	return answer.header.nlmsg_type == NLMSG_ERROR ? 0 : -EPROTO;
}
