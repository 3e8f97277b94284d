/* The little of DER (X.690) that is walked by hand: finding elements by place, in bytes that are an attacker's. */
#ifndef DER_H
#define DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct der_element {
	uint8_t tag;          /* low tag numbers only */
	const uint8_t *whole; /* header and content, within the bytes that were given */
	size_t whole_len;
	const uint8_t *content;
	size_t content_len;
};

/* What is not yet read. */
struct der_bytes {
	const uint8_t *at;
	size_t len;
};

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 /* [0] of TBSCertificate */ };

/* Takes the next element off bytes. False (both untouched) at the end, and for what OpenSSL may take but is not DER:
 * indefinite lengths, high tag numbers; lengths in more bytes than needed are taken as OpenSSL takes them. */
bool der_next(struct der_bytes *bytes, struct der_element *ret);

/* Elements of a TBSCertificate (RFC 5280 4.1). False if they are not there, or do not fill the bytes. */
struct der_tbs {
	struct der_element algorithm; /* AlgorithmIdentifier of the signature */
	struct der_element spki;      /* SubjectPublicKeyInfo */
};
bool der_tbs(const uint8_t *tbs, size_t len, struct der_tbs *ret);

/* Bytes of the header for that tag and content length, written to out: at most DER_HEADER_MAX. Shortest form. */
enum { DER_HEADER_MAX = 2 + sizeof(size_t) };
size_t der_header(uint8_t tag, size_t content_len, uint8_t out[DER_HEADER_MAX]);

#endif
