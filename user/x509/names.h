/* Names inside a certificate, as text. Private to user/x509: here OpenSSL's types are in view. */
#ifndef X509_NAMES_H
#define X509_NAMES_H

#include <openssl/x509.h>

#include "certificate.h"

/* RFC 2253 text, escaped; "" for an empty name. New memory. */
char *name_text(const X509_NAME *name);
/* The value of the last attribute of that kind, escaped; NULL if there is none. New memory. */
char *name_attribute(const X509_NAME *name, int nid);

/* Fills sans, sans_count and sans_total from every subjectAltName extension; sets error if one is broken, or there are
 * two. */
void sans_read(const X509 *x509, struct certificate *certificate);

#endif
