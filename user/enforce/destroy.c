/* sock_diag over netlink: SOCK_DESTROY, after which the peer gets a reset and the process ECONNABORTED; and the look whether
 * a socket is there.
 *
 * The request goes to the kernel in the network namespace of the socket, so the calling thread enters it for as long as it
 * takes to open the netlink socket: a netlink socket belongs to the namespace it was made in. */
#include "destroy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"
#include "util.h"

enum { ANSWER_BYTES = 512 /* what is beyond is attributes, and cut off */ };

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
static int ask(struct netlink *netlink, struct request *request, struct answer *ret)
{
	int err = netlink_ask(netlink, &request->header, ret, sizeof(*ret));

	return !err && ret->header.nlmsg_type == NLMSG_ERROR ? ret->error.error : err;
}

/* A kernel whose tcp_diag or udp_diag is missing, a module that may not be loaded any more, says of every socket that there
 * is none. A list of the sockets in no state at all is empty; or it fails in the same way. */
static int check_protocol(struct netlink *netlink, const struct request *asked)
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
	err = ask(netlink, &request, &answer);
	netlink_close(netlink); /* a list can be more than one answer */
	if (!err && answer.header.nlmsg_type == NLMSG_DONE)
		err = answer.error.error; /* the same place */
	__atomic_store_n(&known[asked->body.sdiag_protocol], !err, __ATOMIC_RELAXED);
	return err == -ENOENT ? -EPROTONOSUPPORT : err;
}

/* -ENOENT only of a socket that is not there. */
static int ask_of_socket(struct netlink *netlink, struct request *request, struct answer *ret)
{
	int err = ask(netlink, request, ret);

	/* -ESTALE: there is a socket between these ends, but another one. */
	if (err != -ENOENT && err != -ESTALE)
		return err;
	err = check_protocol(netlink, request);
	return err ? err : -ENOENT;
}

static int look(struct netlink *netlink, const struct record_socket *target)
{
	struct request request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST}};
	struct answer answer = {};
	int err;

	request_name(&request, target);
	if (request.body.sdiag_protocol == IPPROTO_UDP)
		request_swap_ends(&request.body.id);
	err = ask_of_socket(netlink, &request, &answer);
	if (err)
		return err;
	if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    answer.header.nlmsg_len < sizeof(answer.header) + sizeof(answer.socket))
		return -EPROTO;
	/* UDP: it has no peer. TCP: it ended in good order, and only its ports are kept. */
	return answer.socket.idiag_state == TCP_CLOSE || answer.socket.idiag_state == TCP_TIME_WAIT ? -ENOENT : 0;
}

static int destroy(struct netlink *netlink, const struct record_socket *target)
{
	struct request request = {.header = {.nlmsg_len = sizeof(request),
					     .nlmsg_type = SOCK_DESTROY,
					     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
	struct answer answer = {};
	int err;

	/* What is no connection any more is found as well, and nobody should be told that we ended it. */
	err = look(netlink, target);
	if (err)
		return err;
	request_name(&request, target);
	err = ask_of_socket(netlink, &request, &answer);
	if (err)
		return err;
	return answer.header.nlmsg_type == NLMSG_ERROR ? 0 : -EPROTO;
}

int socket_look(int netns_fd, const struct record_socket *target)
{
	struct netlink room CLEANUP_NETLINK = {.fd = -1}, *netlink;
	int err = netlink_get(netns_fd, target->netns, &room, &netlink);

	return err ? err : look(netlink, target);
}

int socket_destroy(int netns_fd, const struct record_socket *target)
{
	struct netlink room CLEANUP_NETLINK = {.fd = -1}, *netlink;
	int err = netlink_get(netns_fd, target->netns, &room, &netlink);

	return err ? err : destroy(netlink, target);
}
