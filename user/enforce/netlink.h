/* A socket of NETLINK_SOCK_DIAG, and the network namespace that it speaks for. One request, one answer. */
#ifndef NETLINK_H
#define NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util.h"

struct netlink {
	int fd; /* -1: closed */
	dev_t netns_dev;
	ino_t netns;
	uint32_t sequence; /* of the last request */
};

/* For the namespace open at netns_fd; or, with NETNS_OWN, for the one of that inode number if it is the calling thread's own.
 * That of its own namespace the thread keeps until it ends: then *ret is not to be closed. Any other is opened in *room.
 * 0; -EXDEV: NETNS_OWN, and it is another, or the thread has changed its namespace since it first asked; other -errno. The
 * thread's own namespace is restored, or the process ends. */
int netlink_get(int netns_fd, uint32_t netns, struct netlink *room, struct netlink **ret);

/* Sends the request, whose number it sets, and waits for its answer: ret is that (what is beyond size is cut off), its length
 * at least that of a header and an error code. -EAGAIN: none came in time; -EPROTO: it was none to this; other -errno of
 * send(2) and recv(2). After an error it is closed, so that what comes late is nobody's answer, and *ret is undefined. */
int netlink_ask(struct netlink *netlink, struct nlmsghdr *request, void *ret, size_t size);

/* Takes one that is closed. The thread opens its own anew when it is asked for. */
void netlink_close(struct netlink *netlink);

#define CLEANUP_NETLINK CLEANUP(netlink_close)

#endif
