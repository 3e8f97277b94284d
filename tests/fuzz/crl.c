/* Fuzz target: CRL files, held against certificates: parcels (fuzz.h) of both. A CRL that does not read changes nothing; the
 * same one twice changes no answer. */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "fuzz.h"
#include "path.h"
#include "revocation.h"

enum { PRESENTED = 1, CHAIN = 2, CRL = 64, CERTIFICATES_MAX = 8 };

static void add_crl(struct crls *crls, const struct parcel *parcel)
{
	const char *data = (const char *)parcel->data, *why = NULL;
	size_t before = crls_count(crls);
	int64_t next = crls_next_update(crls);
	int r = crls_add(crls, data, parcel->len, &why);

	HOLDS(ERR_peek_error() == 0);
	if (r < 0) {
		HOLDS((r == -EBADMSG || r == -ENODATA) && is_line(why) && *why);
		HOLDS(crls_count(crls) == before && crls_next_update(crls) == next);
		return;
	}
	HOLDS(r == 0 && crls_count(crls) > before && crls_next_update(crls) <= next);
}

static void add_all(struct crls *crls, const struct parcel *parcels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parcels[i].flags & CRL)
			add_crl(crls, &parcels[i]);
}

static void ask(const struct crls *crls, const struct facts *facts, bool answers[CERTIFICATES_MAX])
{
	for (size_t i = 0; i < facts->certs_count; i++) {
		struct revocation revocation = {0};

		answers[i] = crls_revoked(crls, facts, facts->certs[i].certificate, &revocation);
		HOLDS(!answers[i] || (is_line(revocation.reason) && revocation.reason[0]));
		HOLDS(!answers[i] || strcmp(revocation.reason, "removeFromCRL") != 0);
		HOLDS(!answers[i] || crls_count(crls) > 0);
		HOLDS(ERR_peek_error() == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct parcel parcels[PARCELS_MAX];
	size_t count = parcels_read(data, len, parcels);
	CLEANUP(crls_freep) struct crls *crls = crls_new();
	bool answers[CERTIFICATES_MAX], again[CERTIFICATES_MAX];
	struct certificate *certificates[CERTIFICATES_MAX];
	struct facts facts = {0};

	for (size_t i = 0; i < count && facts.certs_count < CERTIFICATES_MAX; i++) {
		struct certificate **certificate = &certificates[facts.certs_count];

		if (parcels[i].flags & CRL || certificate_new(parcels[i].data, parcels[i].len, certificate) < 0)
			continue;
		facts.certs[facts.certs_count++] = (struct fact_cert){
			.certificate = *certificate, .presented = true, .chain = (parcels[i].flags & CHAIN) != 0};
	}
	path_prove(&facts, NULL);
	add_all(crls, parcels, count);
	ask(crls, &facts, answers);
	ask(crls, &facts, again);
	HOLDS(memcmp(answers, again, facts.certs_count * sizeof(*answers)) == 0);
	for (size_t i = 0; i < facts.certs_count; i++)
		certificate_free(certificates[i]);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	return parcels_mutate(data, len, max, seed, true);
}
