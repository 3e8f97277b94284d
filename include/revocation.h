/* CRLs (RFC 5280 5) that an administrator hands in: is a certificate revoked by any of them? Pure, not for several threads:
 * answers about signatures are kept. */
#ifndef REVOCATION_H
#define REVOCATION_H

#include "facts.h"

struct crls;

struct crls *crls_new(void);
void crls_free(struct crls *crls);
void crls_freep(struct crls **crls);
/* All CRLs of one file: PEM blocks (others are passed over), or one in DER. -EBADMSG or -ENODATA, and a static *ret_why; then
 * crls is as before. */
int crls_add(struct crls *crls, const char *data, size_t len, const char **ret_why);
size_t crls_count(const struct crls *crls);
/* The earliest nextUpdate of all, in seconds since 1970; INT64_MAX if none has one. */
int64_t crls_next_update(const struct crls *crls);

struct revocation {
	const char *reason; /* static: "keyCompromise", or "unspecified" */
	int64_t date;       /* when it was revoked, seconds since 1970; INT64_MIN if not readable */
};

/* True if a CRL lists the certificate. A CRL speaks of a certificate if it names its issuer; or, being indirect, names it in
 * the entry, and the certificate names that CRL's issuer in its distribution points: else one CA could revoke what others
 * issued. It is believed, for the administrator handed it in and a peer must not escape by leaving its CA out or by sending
 * another of that name; but not if the certificate's issuer is known from the proven path, has the CRL's name and may sign
 * CRLs, and the CRL is signed neither by its key nor by that of any certificate of that name among those of the facts, the path
 * and `beside`. removeFromCRL counts as not revoked, and a delta CRL with it takes back what the CRLs before it said. A CRL past
 * its nextUpdate still counts: what was revoked stays so. So does one with an extension that is not known here. At most
 * CRL_CHECKS_MAX signatures are checked in one call, with a dear key fewer; beyond it the CRL is believed. */
enum { CRL_CHECKS_MAX = 16 };
bool crls_revoked(const struct crls *crls, const struct facts *facts, const struct certificate *certificate,
		  struct revocation *ret);

/* What trust.c needs: a new STACK_OF(X509_CRL) of borrowed ones, to be freed with sk_X509_CRL_free. */
void *crls_stack(const struct crls *crls);

#endif
