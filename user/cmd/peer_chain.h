/* The certificates that a TLS server presents. Private to user/cmd. */
#ifndef PEER_CHAIN_H
#define PEER_CHAIN_H

#include "certificate.h"

/* Makes one TLS 1.2 or 1.3 handshake with host (a name or an address) and gives what was presented, leaf first; nothing is
 * verified and nothing is sent beyond the handshake. On failure -errno, and new text in *ret_error. Has no time limit of its
 * own. */
int peer_chain(const char *host, const char *port, struct certificate ***ret, size_t *ret_count, char **ret_error);

#endif
