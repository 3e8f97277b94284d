/* The key in a certificate, and what the certificate lets that key sign. Private to user/x509: here OpenSSL's types are in
 * view. */
#ifndef X509_KEY_H
#define X509_KEY_H

#include <openssl/x509.h>

#include "certificate.h"
#include "der.h"

void sha256(const uint8_t *data, size_t len, uint8_t out[SHA256_BYTES]);

/* Fills key_algorithm, key_bits, dear_key, spki_sha256 and key_sha256; der must be set. */
void key_read(X509 *x509, struct certificate *certificate);
/* Fills signature_algorithm and signature_digest. */
void signature_read(const X509 *x509, struct certificate *certificate);
/* Fills twin_sha256 and has_twin; der must be set. */
void twin_read(const X509 *x509, struct certificate *certificate);
/* The whole DER of a signed part, an algorithm and a signature's bits, in new memory. */
uint8_t *certificate_join(const struct der_element *tbs, const struct der_element *algorithm, const uint8_t *signature,
			  size_t signature_len, unsigned unused_bits, size_t *ret_len);

/* The same certificate with all that is around its signed part as it is usually written, in new memory; NULL if it is so
 * already, or cannot be taken apart (usual.c). x509: the same, parsed. */
uint8_t *certificate_usual(const X509 *x509, const uint8_t *der, size_t len, size_t *ret_len);

/* Fills is_ca, may_sign, path_len and constraints; self_issued must be set. */
void authority_read(X509 *x509, struct certificate *certificate);

#endif
