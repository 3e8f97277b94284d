/* Fuzz target: validation against a trust store: parcels (fuzz.h) of certificates, anchors and CRLs. A chain that is
 * trusted must be one, of what was presented and what the store has, and CRLs can only take trust away. */
#include <string.h>

#include <openssl/err.h>

#include "fuzz.h"
#include "path.h"
#include "trust.h"

enum { PRESENTED = 1, CHAIN = 2, ANCHOR = 4, CRL = 64, SERVER = 128 /* of the first: a server asks */ };

struct scene {
	struct facts facts;
	struct certificate *certificates[FACTS_CERTS_MAX];
	char *pem;
	struct crls *crls;
	struct trust_store *store;
};

static void add_certificate(struct scene *scene, const struct parcel *parcel)
{
	CLEANUP(certificate_freep) struct certificate *certificate = NULL;
	struct facts *facts = &scene->facts;

	if (certificate_new(parcel->data, parcel->len, &certificate) < 0)
		return;
	if (parcel->flags & ANCHOR) {
		CLEANUP_FREE char *before = scene->pem;
		CLEANUP_FREE char *block = pem_of(certificate);

		scene->pem = xasprintf("%s%s", before, block);
	}
	for (size_t i = 0; i < facts->certs_count; i++)
		if (memcmp(facts->certs[i].certificate->sha256, certificate->sha256, SHA256_BYTES) == 0)
			return;
	if (facts->certs_count == FACTS_CERTS_MAX || (parcel->flags & ANCHOR && !(parcel->flags & PRESENTED)))
		return;
	scene->certificates[facts->certs_count] = certificate;
	facts->certs[facts->certs_count++] = (struct fact_cert){
		.certificate = TAKE_PTR(certificate), .presented = true, .chain = (parcel->flags & CHAIN) != 0};
}

static void scene_read(struct scene *scene, const uint8_t *data, size_t len)
{
	struct parcel parcels[PARCELS_MAX];
	size_t count = parcels_read(data, len, parcels), skipped;
	const char *why;

	scene->pem = xstrdup("");
	scene->crls = crls_new();
	for (size_t i = 0; i < count; i++) {
		if (parcels[i].flags & CRL)
			crls_add(scene->crls, (const char *)parcels[i].data, parcels[i].len, &why);
		else
			add_certificate(scene, &parcels[i]);
	}
	scene->facts.role = count && parcels[0].flags & SERVER ? FACTS_ROLE_SERVER : FACTS_ROLE_CLIENT;
	if (trust_store_new(scene->pem, strlen(scene->pem), &scene->store, &skipped) < 0)
		HOLDS(!scene->store);
}

static void scene_clear(struct scene *scene)
{
	trust_store_free(scene->store);
	crls_free(scene->crls);
	for (size_t i = 0; i < scene->facts.certs_count; i++)
		certificate_free(scene->certificates[i]);
	free(scene->pem);
}

static bool in_store(const struct trust_store *store, const struct certificate *certificate)
{
	struct certificate *const *known;
	size_t count = 0;

	known = trust_store_certificates(store, &count);
	for (size_t i = 0; i < count; i++)
		if (memcmp(known[i]->sha256, certificate->sha256, SHA256_BYTES) == 0)
			return true;
	return false;
}

static bool ask(const struct scene *scene, const struct crls *crls, int64_t at)
{
	const struct facts *facts = &scene->facts;
	struct trust_result result, again;
	bool trusted = trust_check(scene->store, crls, facts, at, &result);

	HOLDS(ERR_peek_error() == 0);
	HOLDS(result.trusted == trusted && (trusted || (is_line(result.why) && *result.why && result.chain_count == 0)));
	HOLDS(trust_check(scene->store, crls, facts, at, &again) == trusted && again.chain_count == result.chain_count);
	if (!trusted)
		return false;
	HOLDS(result.chain_count >= 1 && result.chain_count <= FACTS_CERTS_MAX);
	HOLDS(memcmp(result.chain[0]->sha256, facts->certs[0].certificate->sha256, SHA256_BYTES) == 0);
	HOLDS(in_store(scene->store, result.chain[result.chain_count - 1]));
	for (size_t i = 0; i + 1 < result.chain_count; i++) {
		HOLDS(certificate_issued_by(result.chain[i], result.chain[i + 1]));
		HOLDS(result.chain[i]->not_before <= at && at <= result.chain[i]->not_after);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(scene_clear) struct scene scene = {0};
	const int64_t times[] = {1500000000, 1900000000};

	scene_read(&scene, data, len);
	if (!scene.store)
		return 0;
	path_prove(&scene.facts, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		bool trusted = ask(&scene, NULL, times[i]), with_crls = ask(&scene, scene.crls, times[i]);

		HOLDS(trusted || !with_crls);
	}
	scene.facts.truncated = true;
	HOLDS(!ask(&scene, NULL, times[0]));
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	return parcels_mutate(data, len, max, seed, true);
}
