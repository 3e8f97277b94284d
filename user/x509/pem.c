/* PEM text into DER (pem.h), and into certificates (certificate.h).
 *
 * Text comes from files that an operator named, some from the network (`pin`). Other blocks (keys, CRLs) and text between
 * blocks are passed over; a CERTIFICATE block must be right. Each byte of the text is looked at a fixed number of times,
 * whatever it says. */
#include "pem.h"

#include <errno.h>
#include <string.h>

#include "certificate.h"

static const char begin[] = "-----BEGIN CERTIFICATE-----";
static const char end[] = "-----END CERTIFICATE-----";
static const char dashes[] = "-----";

static void pem_skip(struct pem_text *text, const char *to)
{
	text->len -= (size_t)(to - text->at);
	text->at = to;
}

int pem_next(struct pem_text *text, uint8_t **ret_der, size_t *ret_len)
{
	CLEANUP_FREE uint8_t *der = NULL;
	const char *body, *stop;
	size_t len;

	body = memmem(text->at, text->len, begin, sizeof(begin) - 1);
	if (!body) {
		pem_skip(text, text->at + text->len);
		return 0;
	}
	body += sizeof(begin) - 1;
	pem_skip(text, body);
	/* The next dashes, whatever they begin: looking for the right end would cross other blocks, again and again. */
	stop = memmem(text->at, text->len, dashes, sizeof(dashes) - 1);
	if (!stop || text->len - (size_t)(stop - body) < sizeof(end) - 1 || memcmp(stop, end, sizeof(end) - 1) != 0)
		return -EBADMSG;
	len = (size_t)(stop - body);
	der = xcalloc(len / 4 + 1, 3);
	if (!base64_decode(body, len, true, der, &len) || len == 0 || len > CERTIFICATE_DER_MAX)
		return -EBADMSG;
	pem_skip(text, stop + sizeof(end) - 1);
	*ret_der = TAKE_PTR(der);
	*ret_len = len;
	return 1;
}

int certificates_from_pem(const char *text, size_t len, struct certificate ***ret, size_t *ret_count)
{
	struct pem_text rest = {text, len};
	struct certificate **certificates = NULL;
	size_t count = 0, room = 0;
	int r;

	for (;;) {
		CLEANUP_FREE uint8_t *der = NULL;
		size_t der_len;

		r = pem_next(&rest, &der, &der_len);
		if (r <= 0)
			break;
		if (count == room) {
			room = room ? 2 * room : 8;
			certificates = xrealloc(certificates, room, sizeof(*certificates));
		}
		r = certificate_new(der, der_len, &certificates[count]);
		if (r < 0)
			break;
		count++;
	}
	if (r == 0 && count == 0)
		r = -ENODATA;
	if (r < 0) {
		certificates_free(certificates, count);
		return r;
	}
	*ret = certificates;
	*ret_count = count;
	return 0;
}

void certificates_free(struct certificate **certificates, size_t count)
{
	for (size_t i = 0; i < count; i++)
		certificate_free(certificates[i]);
	free(certificates);
}
