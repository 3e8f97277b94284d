/* One CRL (RFC 5280 5), ready to be asked. Private to user/x509: here OpenSSL's types are in view. */
#ifndef X509_CRL_H
#define X509_CRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509v3.h>

struct crl;

/* More bytes in one CRL are refused: its entries take ten times as much memory. */
enum { CRL_DER_MAX = 64 << 20 };

/* From DER, all of it. -EBADMSG and a static *ret_why. */
int crl_new(const uint8_t *der, size_t len, struct crl **ret, const char **ret_why);
void crl_free(struct crl *crl);

X509_CRL *crl_x509(const struct crl *crl);
bool crl_is_delta(const struct crl *crl);
/* The entry for the certificate of that issuer and serial number; NULL if there is none. */
const X509_REVOKED *crl_find(const struct crl *crl, const ASN1_INTEGER *serial, const X509_NAME *issuer);
/* CRL_REASON_*; CRL_REASON_UNSPECIFIED if none is told. */
long crl_reason(const X509_REVOKED *entry);
/* True if delta tells changes since a CRL that is not younger than base: same issuer and scope, RFC 5280 5.2.4. */
bool crl_updates(const struct crl *delta, const struct crl *base);

#endif
