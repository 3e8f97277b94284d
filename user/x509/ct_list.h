/* A list of Certificate Transparency logs as it was read (ct.h). Private to user/x509: here OpenSSL's types are in view.
 * Times are milliseconds since 1970, as in an SCT. */
#ifndef X509_CT_LIST_H
#define X509_CT_LIST_H

#include <openssl/evp.h>

#include "ct.h"

/* Who ran the log until then. */
struct ct_tenure {
	int64_t end;
	size_t run_by;
};

struct ct_log {
	uint8_t id[SHA256_BYTES]; /* SHA-256 of the DER of key */
	EVP_PKEY *key;            /* RSA, or EC on a named curve */
	int64_t counts_until;     /* SCTs from before count: INT64_MIN none, INT64_MAX all */
	int64_t start, end;       /* a leaf's notAfter must be in [start, end); INT64_MIN, INT64_MAX: any */
	size_t run_by;            /* index of a name: the same name is the same operator */
	struct ct_tenure *tenures;
	size_t tenures_count;
};

struct ct_logs {
	struct ct_log *items;
	size_t count;
	char **operators;
	size_t operators_count;
	int64_t published; /* log_list_timestamp, in seconds */
};

#endif
