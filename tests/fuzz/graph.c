/* Fuzz target: the proven path among certificates that are made as the input says, seven bytes for each, with good
 * signatures whoever is said to be the issuer. So the search meets what no change of finished certificates gives: circles,
 * issuers with several keys and names with several issuers, limits of path length and of names. The path must be the one
 * that a plain search without bounds finds (path.h), wherever the real one did not meet a bound. */
#include <string.h>

#include <openssl/x509v3.h>

#include "fuzz.h"
#include "path.h"

enum { RECIPE = 7, MADE_MAX = 14, KEPT = 4096, STEPS_MAX = 20000 };
enum { NAMES = 6, KEYS = 6 };

/* Flags of the last byte. */
enum { PRESENTED = 1, CHAIN = 2, ANCHOR = 4 };

/* One line of the input. */
struct recipe {
	uint8_t subject, issuer, key, signer; /* numbers of names and keys */
	uint8_t rights;                       /* bits: no CA, no keyCertSign, version 1, broken signature */
	uint8_t limits; /* low half: pathLenConstraint, if below 4; high half: names it may vouch for, if below 5 */
	uint8_t flags;
};
enum { NO_CA = 1, NO_CERT_SIGN = 2, VERSION_1 = 4, FORGED = 8, NO_NAME = 16 };

static EVP_PKEY *key_of(uint8_t number)
{
	static EVP_PKEY *keys[KEYS];
	uint8_t seed[32] = {number % KEYS};

	if (!keys[number % KEYS])
		keys[number % KEYS] = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	return keys[number % KEYS];
}

static void set_name(X509_NAME *name, uint8_t number)
{
	char text[] = "CA 0";

	text[3] = (char)('0' + number % NAMES);
	HOLDS(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text, -1, -1, 0) == 1);
}

static void extend(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	HOLDS(extension && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void extend_all(X509 *x509, const struct recipe *recipe)
{
	char basic[] = "critical,CA:TRUE,pathlen:0", names[] = "critical,permitted;DNS:n0.test", san[] = "DNS:a.n0.test";

	if (recipe->rights & VERSION_1)
		return;
	X509_set_version(x509, X509_VERSION_3);
	basic[sizeof(basic) - 2] = (char)('0' + recipe->limits % 4);
	if ((recipe->limits & 15) >= 4)
		basic[strlen("critical,CA:TRUE")] = '\0';
	extend(x509, NID_basic_constraints, recipe->rights & NO_CA ? "critical,CA:FALSE" : basic);
	extend(x509, NID_key_usage, recipe->rights & NO_CERT_SIGN ? "digitalSignature" : "keyCertSign,cRLSign");
	if (recipe->limits >> 4 < 5) {
		names[strlen("critical,permitted;DNS:n")] = (char)('0' + (recipe->limits >> 4) % 2);
		extend(x509, NID_name_constraints, names);
	}
	san[strlen("DNS:a.n")] = (char)('0' + recipe->subject % 2);
	if (!(recipe->rights & NO_NAME))
		extend(x509, NID_subject_alt_name, san);
}

static struct certificate *make(const struct recipe *recipe)
{
	X509 *x509 = X509_new();
	struct certificate *certificate = NULL;
	unsigned char *der = NULL;
	int len;

	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	ASN1_TIME_set_string(X509_getm_notBefore(x509), "20240101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x509), "20440101000000Z");
	set_name(X509_get_subject_name(x509), recipe->subject);
	set_name(X509_get_issuer_name(x509), recipe->issuer);
	X509_set_pubkey(x509, key_of(recipe->key));
	extend_all(x509, recipe);
	HOLDS(X509_sign(x509, key_of(recipe->signer), NULL) > 0);
	len = i2d_X509(x509, &der);
	HOLDS(len > 0);
	if (recipe->rights & FORGED)
		der[len - 1] ^= 1;
	HOLDS(certificate_new(der, (size_t)len, &certificate) == 0 && certificate->parsed);
	OPENSSL_free(der);
	X509_free(x509);
	return certificate;
}

/* Signing takes most of the time: what was made lately is kept. */
static struct certificate *made(const struct recipe *recipe)
{
	static struct {
		struct recipe recipe;
		struct certificate *certificate;
	} kept[KEPT];
	struct recipe wanted = *recipe;
	size_t slot = 0;

	wanted.flags = 0;
	for (size_t i = 0; i < RECIPE; i++)
		slot = slot * 131 + ((const uint8_t *)&wanted)[i];
	slot %= KEPT;
	if (!kept[slot].certificate || memcmp(&kept[slot].recipe, &wanted, sizeof(wanted)) != 0) {
		certificate_free(kept[slot].certificate);
		kept[slot].certificate = make(&wanted);
		kept[slot].recipe = wanted;
	}
	return certificate_ref(kept[slot].certificate);
}

struct scene {
	struct facts facts;
	struct certificate *made[MADE_MAX], *known[MADE_MAX];
	size_t count, known_count;
	struct anchors *anchors;
};

static void scene_clear(struct scene *scene)
{
	anchors_free(scene->anchors);
	for (size_t i = 0; i < scene->count; i++)
		certificate_free(scene->made[i]);
}

static bool same(const struct certificate *a, const struct certificate *b)
{
	return memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
}

/* Where it stands among the certificates of the facts, or their number. */
static size_t place(const struct facts *facts, const struct certificate *certificate)
{
	size_t i = 0;

	while (i < facts->certs_count && !same(facts->certs[i].certificate, certificate))
		i++;
	return i;
}

static void scene_add(struct scene *scene, const struct recipe *recipe)
{
	struct certificate *certificate = made(recipe);
	struct facts *facts = &scene->facts;
	size_t at = place(facts, certificate);

	scene->made[scene->count++] = certificate;
	if (recipe->flags & ANCHOR)
		scene->known[scene->known_count++] = certificate;
	if (recipe->flags & ANCHOR && !(recipe->flags & (PRESENTED | CHAIN)))
		return;
	if (at == facts->certs_count)
		facts->certs[facts->certs_count++] = (struct fact_cert){.certificate = certificate};
	facts->certs[at].presented |= recipe->flags & PRESENTED;
	facts->certs[at].chain |= (recipe->flags & CHAIN) != 0;
}

/* The plain search. */
struct plain {
	const struct scene *scene;
	enum { UNKNOWN, GOOD, BAD } links[MADE_MAX][MADE_MAX]; /* whether the one is signed by the other */
	const struct certificate *path[MADE_MAX], *best[MADE_MAX];
	size_t count, best_count, steps;
};

static size_t number_of(const struct scene *scene, const struct certificate *certificate)
{
	size_t i = 0;

	while (i < scene->count && !same(scene->made[i], certificate))
		i++;
	HOLDS(i < scene->count);
	return i;
}

static bool is_signed(struct plain *plain, const struct certificate *subject, const struct certificate *issuer)
{
	size_t below = number_of(plain->scene, subject), ca = number_of(plain->scene, issuer);

	if (plain->links[below][ca] == UNKNOWN)
		plain->links[below][ca] = certificate_issued_by(subject, issuer) ? GOOD : BAD;
	return plain->links[below][ca] == GOOD;
}

static bool above(struct plain *plain, const struct certificate *ca)
{
	int between = 0;

	if (!ca->may_sign || !is_signed(plain, plain->path[plain->count - 1], ca))
		return false;
	for (size_t i = 0; i < plain->count; i++) {
		const struct certificate *below = plain->path[i];

		if (same(below, ca) || (strcmp(below->subject, ca->subject) == 0 &&
					memcmp(below->spki_sha256, ca->spki_sha256, SHA256_BYTES) == 0))
			return false;
		if (i > 0 && below->self_issued)
			continue;
		between += i > 0;
		if (!certificate_permits(ca, below, i == 0))
			return false;
	}
	return ca->path_len < 0 || between <= ca->path_len;
}

static bool is_root(const struct scene *scene, const struct certificate *certificate)
{
	size_t at = place(&scene->facts, certificate);

	for (size_t i = 0; i < scene->known_count; i++)
		if (same(scene->known[i], certificate))
			return true;
	return at < scene->facts.certs_count && scene->facts.certs[at].chain;
}

static bool plain_search(struct plain *plain);

static bool plain_try(struct plain *plain, const struct certificate *ca)
{
	bool done;

	if (!above(plain, ca))
		return false;
	plain->path[plain->count++] = ca;
	done = plain_search(plain);
	plain->count--;
	return done;
}

static bool plain_search(struct plain *plain)
{
	const struct certificate *top = plain->path[plain->count - 1];
	const struct facts *facts = &plain->scene->facts;
	struct certificate *const *found;
	size_t count = 0;
	bool ends = is_signed(plain, top, top), root = ends && is_root(plain->scene, top);

	if (++plain->steps > STEPS_MAX)
		return true;
	if (root || plain->count > plain->best_count) {
		memcpy(plain->best, plain->path, sizeof(plain->best));
		plain->best_count = plain->count;
	}
	if (ends)
		return root;
	for (int chain = 1; chain >= 0; chain--)
		for (size_t i = 0; i < facts->certs_count; i++)
			if (facts->certs[i].chain == chain && plain_try(plain, facts->certs[i].certificate))
				return true;
	found = anchors_find(plain->scene->anchors, top, &count);
	for (size_t i = 0; i < count; i++)
		if (place(facts, found[i]) == facts->certs_count && plain_try(plain, found[i]))
			return true;
	return false;
}

static void compare(const struct scene *scene)
{
	const struct facts *facts = &scene->facts;
	struct plain plain = {.scene = scene, .count = 1};

	if (facts->certs_count == 0 || facts->path_cut)
		return;
	plain.path[0] = facts->certs[0].certificate;
	plain_search(&plain);
	if (plain.steps > STEPS_MAX)
		return;
	HOLDS(plain.best_count == facts->path_count);
	for (size_t i = 0; i < plain.best_count; i++)
		HOLDS(same(plain.best[i], facts->path[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(scene_clear) struct scene scene = {0};

	for (; len >= RECIPE && scene.count < MADE_MAX; data += RECIPE, len -= RECIPE) {
		struct recipe recipe;

		memcpy(&recipe, data, RECIPE);
		recipe.subject %= NAMES;
		recipe.issuer %= NAMES;
		recipe.key %= KEYS;
		recipe.signer %= KEYS;
		recipe.rights &= NO_CA | NO_CERT_SIGN | VERSION_1 | FORGED | NO_NAME;
		scene_add(&scene, &recipe);
	}
	scene.anchors = anchors_with(NULL, scene.known, scene.known_count);
	path_check(&scene.facts, scene.anchors, scene.known, scene.known_count);
	compare(&scene);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	size_t count = len / RECIPE, one = count ? seed / 8 % count : 0, other = count ? seed / 2048 % count : 0;
	uint8_t *line = data + one * RECIPE;

	switch (count ? seed % 8 : 7) {
	case 0: /* signed by another one of the list, rightly */
		line[1] = data[other * RECIPE];
		line[3] = data[other * RECIPE + 2];
		return len;
	case 1: /* a line more */
		if (len + RECIPE > max)
			return len;
		memmove(line + RECIPE, line, len - one * RECIPE);
		return len + RECIPE;
	case 2: /* a line less */
		memmove(line, line + RECIPE, len - (one + 1) * RECIPE);
		return len - RECIPE;
	case 3:
		line[RECIPE - 1] ^= (uint8_t)(1U << (seed / 2048 % 3));
		return len;
	default:
		return LLVMFuzzerMutate(data, len, max);
	}
}
