/* Trust stores: RFC 5280 path validation of what a peer presented, at a time that the caller names. Pure. */
#ifndef TRUST_H
#define TRUST_H

#include "facts.h"
#include "revocation.h"

struct trust_store;

/* From PEM text: the certificates in it are the trust anchors, self-signed or not. Broken or repeated blocks are counted in
 * *ret_skipped. -ENODATA: no certificate in it. */
int trust_store_new(const char *pem, size_t len, struct trust_store **ret, size_t *ret_skipped);
void trust_store_free(struct trust_store *store);
void trust_store_freep(struct trust_store **store);
/* Its certificates, borrowed: also of use as anchors (path.h). */
struct certificate *const *trust_store_certificates(const struct trust_store *store, size_t *ret_count);

struct trust_result {
	bool trusted;
	const char *why; /* static, if not trusted: "unable to get local issuer certificate" */
	size_t depth;    /* if not trusted: of the certificate that failed, 0 the leaf */
	/* The validated chain, leaf first, ending in a trust anchor; borrowed from the facts and the store. 0 if not trusted. */
	const struct certificate *chain[FACTS_CERTS_MAX];
	size_t chain_count;
};

/* RFC 5280 6.1 (dates, names, CA rights, path length, name constraints, certificate policies as they are with any-policy and
 * no demand for one, unknown critical extensions), with facts->certs[0] as the target, all other certificates of the facts as
 * what may stand between, and the store's as trust anchors, at that time (seconds since 1970). A leaf that is itself in the store
 * is a path of one. As OpenSSL has it, and stricter than the RFC: an anchor's own dates and constraints count; the extended key
 * usage, of the leaf and of CAs, must be that of a TLS server (role client or unknown) or TLS client (role server), if there is
 * one; a DSA key that inherits its parameters is not known, and a self-issued certificate without an authority key identifier
 * ends the path. Hashes and key sizes do not matter. crls NULL: revocation is not asked; otherwise 6.3: each certificate but the
 * anchor needs a valid CRL among them, whose signer is on the path or among the facts. False if the facts are truncated or
 * without DER. If any path is good it is found, up to bounds that honest chains do not come near (trust.c). ret is filled in
 * either case; returns ret->trusted. */
bool trust_check(const struct trust_store *store, const struct crls *crls, const struct facts *facts, int64_t at,
		 struct trust_result *ret);

#endif
