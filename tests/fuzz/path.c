/* Fuzz target: the proven path among certificates as they come: parcels (fuzz.h) of DER, the first that is no anchor being
 * the leaf. Each path found is checked (path_check.c). */
#include <string.h>

#include "fuzz.h"
#include "path.h"

enum { PRESENTED = 1, CHAIN = 2, ANCHOR = 4, TRUNCATED = 128 /* of the first parcel: something is missing */ };

struct scene {
	struct facts facts;
	struct certificate *certificates[PARCELS_MAX], *known[PARCELS_MAX];
	size_t count, known_count;
};

/* As facts.h has it: each certificate once. */
static void add_fact(struct facts *facts, const struct certificate *certificate, uint8_t flags)
{
	for (size_t i = 0; i < facts->certs_count; i++) {
		if (memcmp(facts->certs[i].certificate->sha256, certificate->sha256, SHA256_BYTES) != 0)
			continue;
		facts->certs[i].presented |= flags & PRESENTED;
		facts->certs[i].chain |= (flags & CHAIN) != 0;
		return;
	}
	if (facts->certs_count < FACTS_CERTS_MAX)
		facts->certs[facts->certs_count++] = (struct fact_cert){
			.certificate = certificate, .presented = flags & PRESENTED, .chain = (flags & CHAIN) != 0};
}

static void add_parcel(struct scene *scene, const struct parcel *parcel)
{
	struct certificate *certificate = NULL;

	if (certificate_new(parcel->data, parcel->len, &certificate) < 0)
		return;
	certificate_check(certificate);
	scene->certificates[scene->count++] = certificate;
	if (parcel->flags & ANCHOR)
		scene->known[scene->known_count++] = certificate;
	if (!(parcel->flags & ANCHOR) || parcel->flags & (PRESENTED | CHAIN))
		add_fact(&scene->facts, certificate, parcel->flags);
}

static struct anchors *anchors_of(const struct scene *scene)
{
	CLEANUP_FREE char *text = xstrdup("");
	struct anchors *anchors = NULL;
	size_t skipped;

	for (size_t i = 0; i < scene->known_count; i++) {
		CLEANUP_FREE char *before = text;
		CLEANUP_FREE char *block = pem_of(scene->known[i]);

		text = xasprintf("%s%s", before, block);
	}
	HOLDS(anchors_new(text, strlen(text), &anchors, &skipped) == 0);
	HOLDS(anchors_count(anchors) + skipped == scene->known_count);
	return anchors;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct parcel parcels[PARCELS_MAX];
	size_t count = parcels_read(data, len, parcels);
	CLEANUP(anchors_freep) struct anchors *anchors = NULL;
	struct scene scene = {0};

	for (size_t i = 0; i < count; i++)
		add_parcel(&scene, &parcels[i]);
	scene.facts.truncated = count > 0 && parcels[0].flags & TRUNCATED;
	if (scene.known_count)
		anchors = anchors_of(&scene);
	path_check(&scene.facts, anchors, scene.known, scene.known_count);
	for (size_t i = 0; i < scene.count; i++)
		certificate_free(scene.certificates[i]);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	return parcels_mutate(data, len, max, seed, true);
}
