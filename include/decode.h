/* A capture as facts: bytes and flags of the kernel half in the terms of policy and event. Pure. */
#ifndef DECODE_H
#define DECODE_H

#include "capture.h"
#include "facts.h"

/* Facts that borrow the capture's certificates and own their texts. */
struct decoded {
	struct facts facts;                       /* all but exe, user and the proven path */
	char *server_name, *expected_host, *comm; /* what facts points to; comm is escaped */
};
void decoded_clear(struct decoded *decoded);

/* library: who said it (enum library_kind). The capture must outlive *ret. */
void capture_decode(const struct capture *capture, enum library_kind library, struct decoded *ret);

/* False: the socket in the record is unknown, or cannot be the one: it is not to be named, let alone ended. */
bool capture_socket_fits(const struct capture *capture);

#endif
