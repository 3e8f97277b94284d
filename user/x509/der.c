/* DER by hand (der.h), for two things that OpenSSL does not give: the bytes of the key as they stand in the certificate, and
 * a whole certificate put together from its signed part.
 *
 * Trusts nothing: every length is compared with what is left before it is used; no recursion, no memory. It never decides
 * whether a certificate is well formed; OpenSSL does that. */
#include "der.h"

enum { LONG_LENGTH_MAX = 4 }; /* bytes of a length; more is refused, certificates are far smaller */

bool der_next(struct der_bytes *bytes, struct der_element *ret)
{
	const uint8_t *p = bytes->at;
	size_t header = 2, content = 0;

	if (bytes->len < 2 || (p[0] & 0x1f) == 0x1f)
		return false;
	if (p[1] < 0x80) {
		content = p[1];
	} else {
		size_t count = p[1] & 0x7f;

		if (count == 0 || count > LONG_LENGTH_MAX || count > bytes->len - 2)
			return false;
		for (size_t i = 0; i < count; i++)
			content = content << 8 | p[2 + i];
		header += count;
	}
	if (content > bytes->len - header)
		return false;
	*ret = (struct der_element){
		.tag = p[0],
		.whole = p,
		.whole_len = header + content,
		.content = p + header,
		.content_len = content,
	};
	bytes->at += header + content;
	bytes->len -= header + content;
	return true;
}

bool der_tbs(const uint8_t *tbs, size_t len, struct der_tbs *ret)
{
	struct der_bytes bytes = {tbs, len};
	struct der_element element, algorithm, spki;

	if (!der_next(&bytes, &element) || element.tag != DER_SEQUENCE || bytes.len)
		return false;
	bytes = (struct der_bytes){element.content, element.content_len};
	if (!der_next(&bytes, &element))
		return false;
	if (element.tag == DER_VERSION && !der_next(&bytes, &element))
		return false;
	if (element.tag != DER_INTEGER)
		return false;
	if (!der_next(&bytes, &algorithm) || algorithm.tag != DER_SEQUENCE)
		return false;
	/* issuer, validity, subject */
	for (int i = 0; i < 3; i++)
		if (!der_next(&bytes, &element) || element.tag != DER_SEQUENCE)
			return false;
	if (!der_next(&bytes, &spki) || spki.tag != DER_SEQUENCE)
		return false;
	*ret = (struct der_tbs){.algorithm = algorithm, .spki = spki};
	return true;
}

size_t der_header(uint8_t tag, size_t content_len, uint8_t out[DER_HEADER_MAX])
{
	size_t count = 0;

	out[0] = tag;
	if (content_len < 0x80) {
		out[1] = (uint8_t)content_len;
		return 2;
	}
	for (size_t rest = content_len; rest; rest >>= 8)
		count++;
	out[1] = (uint8_t)(0x80 | count);
	for (size_t i = 0; i < count; i++)
		out[2 + i] = (uint8_t)(content_len >> (8 * (count - 1 - i)));
	return 2 + count;
}
