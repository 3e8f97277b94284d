/* CERTIFICATE blocks of a PEM text (RFC 7468), one after the other. */
#ifndef PEM_H
#define PEM_H

#include <stddef.h>
#include <stdint.h>

/* What is not yet read; borrowed. */
struct pem_text {
	const char *at;
	size_t len;
};

/* The next block's bytes in new memory: 1; 0 at the end of the text. -EBADMSG if a block has no end, is no base64, is empty
 * or has more than CERTIFICATE_DER_MAX bytes: text then stands behind its first line, and the caller may go on. */
int pem_next(struct pem_text *text, uint8_t **ret_der, size_t *ret_len);

#endif
