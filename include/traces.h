/* Which TLS implementations left their traces in a file: names of functions and texts, searched in its bytes.
 *
 * Before a file is asked, which costs a process, and to tell what cannot be covered. Read in pieces, never mapped (a file cut short
 * would end us), never parsed. That a trace is there proves nothing: a file may name what it does not have. */
#ifndef TRACES_H
#define TRACES_H

#include <stdint.h>

enum trace {
	/* Names of functions that probes sit on, as they stand in a string table: worth asking. */
	TRACE_X509_VERIFY = 1 << 0,
	TRACE_SSL = 1 << 1,
	TRACE_GNUTLS = 1 << 2,
	/* Code of the same libraries whose names are gone. */
	TRACE_OPENSSL_TEXT = 1 << 3,
	TRACE_GNUTLS_TEXT = 1 << 4,
	/* Others, which are not covered. */
	TRACE_GO = 1 << 5,
	TRACE_RUSTLS = 1 << 6,
	TRACE_NSS = 1 << 7,
	TRACE_MBEDTLS = 1 << 8,
	TRACE_WOLFSSL = 1 << 9,
	TRACE_JAVA = 1 << 10,
	TRACE_ASKABLE = TRACE_X509_VERIFY | TRACE_SSL | TRACE_GNUTLS,
};

enum { TRACES_BYTES_MAX = 1 << 30 }; /* of a file; what lies behind is not seen */

/* Reads the file open at fd from its start; *ret: enum trace, all that were found in its first TRACES_BYTES_MAX. 0 or -errno. */
int traces_search(int fd, int64_t size, uint32_t *ret);

/* What a file with these traces has that cannot be covered: "Go's crypto/x509", …; NULL: nothing. Static. Where a name stands beside a
 * text of the same library it counts as covered; of a file that was asked, and has none of these functions after all, take TRACE_ASKABLE
 * out first. */
const char *traces_name(uint32_t traces);
/* Why that is not covered, as a user wants to read it; NULL: there is nothing. Static. */
const char *traces_why(uint32_t traces);

#endif
