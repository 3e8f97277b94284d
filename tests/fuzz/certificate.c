/* Fuzz target: one certificate. The input is taken as DER; as a signed part and a signature, where it has such; and cut in
 * two at a place that its last byte names. Every answer must be a certificate that keeps certificate.h's promises. */
#include <errno.h>
#include <string.h>

#include "certificate.h"
#include "der.h"
#include "fuzz.h"

enum { NAMES_MAX = 1 << 14 }; /* names held against constraints; path.c bounds it, too */

static void ask(const struct certificate *c)
{
	bool own = certificate_issued_by(c, c);

	HOLDS(own == certificate_issued_by(c, c));
	HOLDS(!own || certificate_names_chain(c, c));
	HOLDS(!certificate_names_chain(c, c) || c->self_issued);
	if (!c->parsed || certificate_permits_cost(c, c) > NAMES_MAX)
		return;
	HOLDS(certificate_permits(c, c, false) || !certificate_permits(c, c, true));
}

static bool differ(const char *a, const char *b)
{
	return a ? !b || strcmp(a, b) != 0 : b != NULL;
}

/* What the bytes say must not depend on how the certificate came about. */
static void compare(const struct certificate *a, const struct certificate *b)
{
	HOLDS(a->parsed == b->parsed && !differ(a->subject, b->subject) && !differ(a->issuer, b->issuer));
	HOLDS(!differ(a->common_name, b->common_name) && !differ(a->serial, b->serial));
	HOLDS(a->sans_count == b->sans_count && a->sans_total == b->sans_total && a->key_bits == b->key_bits);
	HOLDS(a->may_sign == b->may_sign && a->path_len == b->path_len && a->has_twin == b->has_twin);
	HOLDS(memcmp(a->spki_sha256, b->spki_sha256, SHA256_BYTES) == 0);
	HOLDS(memcmp(a->key_sha256, b->key_sha256, SHA256_BYTES) == 0);
}

static void from_parts(const uint8_t *tbs, size_t tbs_len, const uint8_t *signature, size_t len, unsigned unused,
		       const struct certificate *whole)
{
	CLEANUP(certificate_freep) struct certificate *c = NULL;
	int r = certificate_new_from_parts(tbs, tbs_len, signature, len, unused, &c);

	HOLDS(r == 0 || (r == -EINVAL && !c));
	if (r < 0)
		return;
	certificate_check(c);
	if (whole && memcmp(c->sha256, whole->sha256, SHA256_BYTES) == 0)
		compare(c, whole);
}

static void take_apart(const uint8_t *data, size_t len, const struct certificate *whole)
{
	struct der_bytes bytes = {data, len};
	struct der_element outer, tbs, algorithm, bits;
	size_t cut = len ? data[len - 1] * len / 256 : 0;

	from_parts(data, cut, data + cut, len - cut, len ? data[0] % 16 : 0, NULL);
	if (!der_next(&bytes, &outer))
		return;
	bytes = (struct der_bytes){outer.content, outer.content_len};
	if (der_next(&bytes, &tbs) && der_next(&bytes, &algorithm) && der_next(&bytes, &bits) && bits.content_len)
		from_parts(tbs.whole, tbs.whole_len, bits.content + 1, bits.content_len - 1, bits.content[0], whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(certificate_freep) struct certificate *c = NULL;
	CLEANUP(certificate_freep) struct certificate *again = NULL;
	int r = certificate_new(data, len, &c);

	if (len == 0 || len > CERTIFICATE_DER_MAX) {
		HOLDS(r == -EINVAL && !c);
		take_apart(data, len, NULL);
		return 0;
	}
	HOLDS(r == 0 && (c->parsed || (c->der_len == len && memcmp(c->der, data, len) == 0)));
	certificate_check(c);
	ask(c);
	HOLDS(certificate_new(c->der, c->der_len, &again) == 0);
	HOLDS(memcmp(c->sha256, again->sha256, SHA256_BYTES) == 0);
	compare(c, again);
	take_apart(data, len, c);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	return der_mutate(data, len, max, seed);
}
