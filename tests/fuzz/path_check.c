/* What path.h promises of every path, whatever was presented: checked here from the finished facts, with OpenSSL asked anew
 * for each signature. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "fuzz.h"
#include "path.h"

static bool same(const struct certificate *a, const struct certificate *b)
{
	return memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
}

static bool signed_by(const struct certificate *subject, const struct certificate *issuer)
{
	EVP_PKEY *key;
	bool good;

	if (!subject->x509 || !issuer->x509 ||
	    X509_NAME_cmp(X509_get_issuer_name(subject->x509), X509_get_subject_name(issuer->x509)) != 0)
		return false;
	key = X509_get0_pubkey(issuer->x509);
	good = key && X509_verify(subject->x509, key) == 1;
	ERR_clear_error();
	return good;
}

static bool presented(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (same(facts->certs[i].certificate, certificate))
			return true;
	return false;
}

static bool listed(const struct certificate *const *list, size_t count, const struct certificate *certificate)
{
	for (size_t i = 0; i < count; i++)
		if (same(list[i], certificate))
			return true;
	return false;
}

/* certificate at `at` stands above all those below it. */
static void check_issuer(const struct facts *facts, size_t at)
{
	const struct certificate *ca = facts->path[at];
	int between = 0;

	HOLDS(signed_by(facts->path[at - 1], ca));
	HOLDS(ca->may_sign);
	for (size_t i = 0; i < at; i++) {
		const struct certificate *below = facts->path[i];

		HOLDS(!same(below, ca));
		HOLDS(memcmp(below->spki_sha256, ca->spki_sha256, SHA256_BYTES) != 0 ||
		      strcmp(below->subject, ca->subject) != 0);
		if (i > 0 && below->self_issued)
			continue;
		between += i > 0;
		HOLDS(certificate_permits(ca, below, i == 0));
	}
	HOLDS(ca->path_len < 0 || between <= ca->path_len);
}

static void check_beside(const struct facts *facts, const struct certificate *const *known, size_t count)
{
	HOLDS(facts->beside_count <= FACTS_BESIDE_MAX);
	for (size_t i = 0; i < facts->beside_count; i++) {
		const struct certificate *anchor = facts->beside[i];
		bool signs = false;

		HOLDS(listed(known, count, anchor) && !presented(facts, anchor));
		HOLDS(!listed(facts->path, facts->path_count, anchor) && !listed(facts->beside, i, anchor));
		for (size_t j = 0; j < facts->certs_count && !signs; j++)
			signs = !facts->certs[j].proven && signed_by(facts->certs[j].certificate, anchor);
		HOLDS(signs);
	}
}

void path_check(struct facts *facts, const struct anchors *anchors, struct certificate *const *known, size_t known_count)
{
	const struct certificate *const *roots = (const struct certificate *const *)known;
	bool whole = path_prove(facts, anchors), can_start;
	struct facts first = *facts;

	HOLDS(facts->path_cut == !whole && facts->path_count <= FACTS_CERTS_MAX);
	can_start = !facts->truncated && facts->certs_count > 0 && facts->certs[0].certificate->parsed;
	HOLDS((facts->path_count > 0) == can_start);
	HOLDS(facts->path_count == 0 || facts->path[0] == facts->certs[0].certificate);
	for (size_t i = 0; i < facts->path_count; i++) {
		HOLDS(presented(facts, facts->path[i]) || listed(roots, known_count, facts->path[i]));
		if (i > 0)
			check_issuer(facts, i);
	}
	for (size_t i = 0; i < facts->certs_count; i++)
		HOLDS(facts->certs[i].proven == listed(facts->path, facts->path_count, facts->certs[i].certificate));
	check_beside(facts, roots, known_count);
	HOLDS(ERR_peek_error() == 0);
	/* What is kept of the first search must not change the second. */
	HOLDS(path_prove(facts, anchors) == whole && facts->path_count == first.path_count);
	HOLDS(memcmp(facts->path, first.path, facts->path_count * sizeof(facts->path[0])) == 0);
	HOLDS(facts->beside_count == first.beside_count);
}
