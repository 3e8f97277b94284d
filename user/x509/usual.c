/* A certificate in the form in which everybody writes it (key.h), as far as its signature does not say.
 *
 * Signed is the TBSCertificate alone. What stands around it a peer may write as he likes, as long as his client takes it. GnuTLS
 * takes lengths in more bytes than they need, an algorithm with a NULL or without one, and the two numbers of an ECDSA or DSA
 * signature in any encoding; OpenSSL refuses some of these. Each way gives another hash, so a certificate that is forbidden by its
 * hash would pass; and where OpenSSL refuses the signature no link could be proven, so rules that look for an issuer would not
 * see it. So whatever is around the signed part is made anew before anything is read. It is no other for honest certificates, and
 * is how one is put together of which only the signed part and the signature are known (certificate_new_from_parts).
 *
 * The signed part is not touched. What this cannot take apart stays as it is. */
#include <string.h>

#include "der.h"
#include "key.h"

enum { DER_NULL = 0x05, DER_INDEFINITE = 0x80 };

static bool same_bytes(const struct der_element *a, const struct der_element *b)
{
	return a->content_len == b->content_len && memcmp(a->content, b->content, a->content_len) == 0;
}

/* Takes an AlgorithmIdentifier apart: its OID. True if it has no parameters, or NULL. */
static bool without_parameters(const struct der_element *algorithm, struct der_element *ret_oid)
{
	struct der_bytes bytes = {algorithm->content, algorithm->content_len};
	struct der_element parameters;

	if (!der_next(&bytes, ret_oid))
		return false;
	return bytes.len == 0 || (der_next(&bytes, &parameters) && bytes.len == 0 && parameters.tag == DER_NULL &&
				  parameters.content_len == 0);
}

/* Whether both say the same: then the one that is signed stands for both. */
static bool same_algorithm(const struct der_element *a, const struct der_element *b)
{
	struct der_element oid, other;

	return same_bytes(a, b) || (without_parameters(a, &oid) && without_parameters(b, &other) && oid.tag == other.tag &&
				    same_bytes(&oid, &other));
}

/* The two INTEGERs of an ECDSA or DSA signature, and nothing else. */
static bool pair_read(const uint8_t *data, size_t len, struct der_element ret[2])
{
	struct der_bytes bytes = {data, len};
	struct der_element list;

	if (len >= 4 && data[0] == DER_SEQUENCE && data[1] == DER_INDEFINITE && !data[len - 2] && !data[len - 1])
		bytes = (struct der_bytes){data + 2, len - 4}; /* two zeros end it */
	else if (der_next(&bytes, &list) && list.tag == DER_SEQUENCE && bytes.len == 0)
		bytes = (struct der_bytes){list.content, list.content_len};
	else
		return false;
	for (int i = 0; i < 2; i++)
		if (!der_next(&bytes, &ret[i]) || ret[i].tag != DER_INTEGER || ret[i].content_len == 0)
			return false;
	return bytes.len == 0;
}

/* The number is never below zero, whatever its first bit says. Needs room for the content, a header and one byte. */
static uint8_t *put_number(uint8_t *at, const struct der_element *number)
{
	const uint8_t *p = number->content;
	size_t len = number->content_len;
	bool sign;

	while (len > 1 && *p == 0) {
		p++;
		len--;
	}
	sign = *p & 0x80;
	at += der_header(DER_INTEGER, len + sign, at);
	if (sign)
		*at++ = 0;
	memcpy(at, p, len);
	return at + len;
}

static bool is_pair(const X509 *x509)
{
	int digest, key = NID_undef;

	return OBJ_find_sigid_algs(X509_get_signature_nid(x509), &digest, &key) == 1 &&
	       (key == NID_X9_62_id_ecPublicKey || key == NID_dsa);
}

/* New memory; NULL if the signature is none of two numbers. */
static uint8_t *usual_pair(const uint8_t *data, size_t len, size_t *ret_len)
{
	struct der_element pair[2];
	uint8_t *out, *numbers;
	size_t count;

	if (!pair_read(data, len, pair))
		return NULL;
	numbers = xcalloc(len + 2 * (DER_HEADER_MAX + 1), 1);
	count = (size_t)(put_number(put_number(numbers, &pair[0]), &pair[1]) - numbers);
	out = xcalloc(DER_HEADER_MAX + count, 1);
	*ret_len = der_header(DER_SEQUENCE, count, out);
	memcpy(out + *ret_len, numbers, count);
	*ret_len += count;
	free(numbers);
	return out;
}

uint8_t *certificate_usual(const X509 *x509, const uint8_t *der, size_t len, size_t *ret_len)
{
	struct der_bytes bytes = {der, len};
	struct der_element whole, tbs, algorithm, bits;
	CLEANUP_FREE uint8_t *pair = NULL;
	struct der_tbs parts;
	size_t pair_len = 0;
	uint8_t *usual;

	if (!der_next(&bytes, &whole) || bytes.len)
		return NULL;
	bytes = (struct der_bytes){whole.content, whole.content_len};
	if (!der_next(&bytes, &tbs) || !der_next(&bytes, &algorithm) || !der_next(&bytes, &bits) || bytes.len ||
	    bits.tag != DER_BIT_STRING || bits.content_len < 2 || !der_tbs(tbs.whole, tbs.whole_len, &parts))
		return NULL;
	if (same_algorithm(&algorithm, &parts.algorithm))
		algorithm = parts.algorithm;
	if (is_pair(x509))
		pair = usual_pair(bits.content + 1, bits.content_len - 1, &pair_len);
	usual = certificate_join(&tbs, &algorithm, pair ? pair : bits.content + 1, pair ? pair_len : bits.content_len - 1,
				 bits.content[0], ret_len);
	if (*ret_len != len || memcmp(usual, der, len) != 0)
		return usual;
	free(usual);
	return NULL;
}
