/* Ends one connection, named by its cookie; or says whether it is open. Privileged: CAP_NET_ADMIN in the socket's network
 * namespace. TCP, and UDP sockets that are connected. */
#ifndef DESTROY_H
#define DESTROY_H

#include <linux/types.h>

#include "records.h"

enum { NETNS_OWN = -1 };

/* SOCK_DESTROY (sock_diag(7)) in the network namespace open at netns_fd (of /proc/PID/ns/net); or, with NETNS_OWN, in the one
 * that socket->netns names, if that is the calling thread's own: the cheapest, for nothing is opened. The kernel looks the
 * socket up by addresses and destroys it only if the cookie is that one. 0; -ENOENT: it is gone already; -EXDEV: NETNS_OWN,
 * and it is in another (or the thread has changed its own since it first asked: a descriptor finds it all the same);
 * -EOPNOTSUPP: the kernel has no CONFIG_INET_DIAG_DESTROY; -EPROTONOSUPPORT: it has no tcp_diag or udp_diag, and cannot say
 * whether the socket is there: a refusal, not "gone"; other -errno. The calling thread's own namespace is restored, or the
 * process ends; the thread keeps a netlink socket in it. Waits as long as a call of the process holds the socket. */
int socket_destroy(int netns_fd, const struct record_socket *socket);

/* 0: there is such a socket, and it is not closed; -ENOENT: there is none; -EXDEV, -EPROTONOSUPPORT as above; other -errno. */
int socket_look(int netns_fd, const struct record_socket *socket);

#endif
