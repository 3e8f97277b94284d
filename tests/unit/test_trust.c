/* trust.h: a path is trusted where RFC 5280 finds one, and nowhere else, whatever stands around it. What PKITS has
 * (test_pkits.c) is not repeated here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "maker.h"
#include "path.h"
#include "trust.h"

enum { FIXTURES_AT = 1900000000 /* 2030: make.sh's certificates are valid for ten years */ };

#define CA_EXTENSIONS .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"

/* Facts whose certificates this test owns. */
struct scene {
	struct facts facts;
	struct certificate *owned[FACTS_CERTS_MAX];
	struct trust_store *store;
	EVP_PKEY *keys[FACTS_CERTS_MAX];
	size_t keys_count;
};

static void scene_add(struct scene *scene, struct certificate *certificate)
{
	struct facts *facts = &scene->facts;

	assert_true(facts->certs_count < FACTS_CERTS_MAX);
	scene->owned[facts->certs_count] = certificate;
	facts->certs[facts->certs_count++] = (struct fact_cert){.certificate = certificate, .presented = true};
}

static EVP_PKEY *scene_key(struct scene *scene)
{
	EVP_PKEY *key = maker_key();

	assert_true(scene->keys_count < ARRAY_SIZE(scene->keys));
	scene->keys[scene->keys_count++] = key;
	return key;
}

static void scene_file(struct scene *scene, const char *file)
{
	scene_add(scene, fixture_certificate(file));
}

static void scene_store_file(struct scene *scene, const char *file)
{
	size_t len = 0, skipped = 9;
	CLEANUP_FREE char *pem = fixture_text(file, &len);

	trust_store_freep(&scene->store);
	assert_int_equal(trust_store_new(pem, len, &scene->store, &skipped), 0);
	assert_int_equal(skipped, 0);
}

/* One certificate, made for the store, which is freed. */
static void scene_store(struct scene *scene, struct certificate *anchor)
{
	CLEANUP_FREE char *pem = maker_pem(&anchor, 1);
	size_t skipped = 9;

	trust_store_freep(&scene->store);
	assert_int_equal(trust_store_new(pem, strlen(pem), &scene->store, &skipped), 0);
	certificate_free(anchor);
}

static void scene_clear(struct scene *scene)
{
	for (size_t i = 0; i < scene->facts.certs_count; i++)
		certificate_free(scene->owned[i]);
	for (size_t i = 0; i < scene->keys_count; i++)
		EVP_PKEY_free(scene->keys[i]);
	trust_store_free(scene->store);
}
#define CLEANUP_SCENE CLEANUP(scene_clear)

static void expect_trusted(const struct scene *scene, const struct crls *crls, int64_t at, size_t chain_count)
{
	struct trust_result result;

	if (!trust_check(scene->store, crls, &scene->facts, at, &result))
		fail_msg("not trusted: %s, depth %zu", result.why, result.depth);
	assert_true(result.trusted);
	assert_null(result.why);
	assert_int_equal(result.chain_count, chain_count);
	for (size_t i = 0; i + 1 < chain_count; i++)
		assert_true(certificate_issued_by(result.chain[i], result.chain[i + 1]));
}

static void expect_not(const struct scene *scene, const struct crls *crls, int64_t at, const char *why, size_t depth)
{
	struct trust_result result = {.trusted = true, .chain_count = 7};

	assert_false(trust_check(scene->store, crls, &scene->facts, at, &result));
	assert_false(result.trusted);
	assert_int_equal(result.chain_count, 0);
	assert_string_equal(result.why, why);
	assert_int_equal(result.depth, depth);
}

static void test_store(void **state)
{
	size_t good_len = 0, odd_len = 0, skipped = 0, count = 0;
	CLEANUP_FREE char *good = fixture_text("good-root.pem", &good_len), *odd = fixture_text("odd-utf8.pem", &odd_len);
	CLEANUP_FREE char *text = xasprintf("# roots\n%s%s%s-----BEGIN CERTIFICATE-----\n", good, odd, good);
	CLEANUP(trust_store_freep) struct trust_store *store = NULL, *none = NULL;

	(void)state;
	assert_int_equal(trust_store_new(text, strlen(text), &store, &skipped), 0);
	assert_int_equal(skipped, 3); /* no certificate, a repeated one, one cut off */
	assert_string_equal(trust_store_certificates(store, &count)[0]->subject, "CN=Good Root,O=Example Trust");
	assert_int_equal(count, 1);
	skipped = 9;
	assert_int_equal(trust_store_new(odd, odd_len, &none, &skipped), -ENODATA);
	assert_int_equal(trust_store_new("", 0, &none, &skipped), -ENODATA);
	assert_null(none);
	assert_int_equal(skipped, 9);
}

static void test_anchors_with(void **state)
{
	size_t len = 0, skipped = 0, count = 0;
	CLEANUP_FREE char *pem = fixture_text("clients.pem", &len);
	CLEANUP(trust_store_freep) struct trust_store *store = NULL;
	CLEANUP(anchors_freep) struct anchors *base = NULL, *both = NULL, *alone = NULL, *none = anchors_with(NULL, NULL, 0);
	struct certificate *more[] = {fixture_certificate("resolver-root.pem"), fixture_certificate("good-root.pem"),
				      fixture_certificate("odd-utf8.pem"), fixture_certificate("resolver-root.pem")};
	CLEANUP(certificate_freep) struct certificate *leaf = fixture_certificate("resolver-int.pem");

	(void)state;
	assert_int_equal(anchors_new(pem, len, &base, &skipped), 0);
	assert_int_equal(trust_store_new(pem, len, &store, &skipped), 0);
	both = anchors_with(base, more, ARRAY_SIZE(more));
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		certificate_free(more[i]);
	alone = anchors_with(NULL, trust_store_certificates(store, &count), 2);
	assert_int_equal(count, 2);
	trust_store_free(TAKE_PTR(store));
	anchors_free(TAKE_PTR(base));
	assert_int_equal(anchors_count(both), 3);
	assert_int_equal(anchors_count(alone), 2);
	assert_int_equal(anchors_count(none), 0);
	assert_string_equal(anchors_find(both, leaf, &count)[0]->common_name, "Example Resolver Root");
	assert_int_equal(count, 1);
	anchors_find(alone, leaf, &count);
	assert_int_equal(count, 0);
	anchors_list(none, &count);
	assert_int_equal(count, 0);
}

static void test_straight(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_store_file(&scene, "clients.pem");
	scene_file(&scene, "good-leaf.pem");
	scene_file(&scene, "good-int.pem");
	expect_trusted(&scene, NULL, FIXTURES_AT, 3);
	expect_not(&scene, NULL, 1000000000, "certificate is not yet valid", 2);
	expect_not(&scene, NULL, 4000000000, "certificate has expired", 2);
	scene_store_file(&scene, "resolver-root.pem");
	expect_not(&scene, NULL, FIXTURES_AT, "unable to get local issuer certificate", 1);
	scene.facts.certs_count = 1;
	scene_store_file(&scene, "good-root.pem");
	expect_not(&scene, NULL, FIXTURES_AT, "unable to get local issuer certificate", 0);
	scene.facts.certs_count = 2;
}

static void test_other_algorithms(void **state)
{
	static const char *const names[][2] = {
		{"ed25519-leaf.pem", "ed25519-root.pem"},
		{"rsa-leaf.pem", "rsa-root.pem"},
		{"rsapss-leaf.pem", "rsapss-root.pem"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_SCENE struct scene scene = {0};

		scene_file(&scene, names[i][0]);
		scene_store_file(&scene, names[i][1]);
		expect_trusted(&scene, NULL, FIXTURES_AT, 2);
	}
}

static void test_role(void **state)
{
	CLEANUP_SCENE struct scene client = {0}, server = {0};

	(void)state;
	scene_file(&client, "client-good.pem");
	scene_store_file(&client, "client-ca.pem");
	expect_not(&client, NULL, FIXTURES_AT, "unsuitable certificate purpose",
		   0); /* 3.0 says "unsupported", later ones too */
	client.facts.role = FACTS_ROLE_SERVER;
	expect_trusted(&client, NULL, FIXTURES_AT, 2);
	scene_file(&server, "good-leaf.pem");
	scene_file(&server, "good-int.pem");
	scene_store_file(&server, "good-root.pem");
	server.facts.role = FACTS_ROLE_CLIENT;
	expect_trusted(&server, NULL, FIXTURES_AT, 3);
	server.facts.role = FACTS_ROLE_SERVER;
	expect_not(&server, NULL, FIXTURES_AT, "unsuitable certificate purpose", 0);
}

static void test_any_certificate_is_an_anchor(void **state)
{
	CLEANUP_SCENE struct scene scene = {0}, alone = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem");
	scene_file(&scene, "good-int.pem");
	scene_file(&scene, "good-root.pem");
	scene_store_file(&scene, "good-int.pem");
	expect_trusted(&scene, NULL, FIXTURES_AT, 2);
	scene_store_file(&scene, "good-leaf.pem");
	expect_trusted(&scene, NULL, FIXTURES_AT, 1);
	expect_not(&scene, NULL, 4000000000, "certificate has expired", 0);
	scene_file(&alone, "self-signed.pem");
	scene_store_file(&alone, "good-root.pem");
	expect_not(&alone, NULL, FIXTURES_AT, "self-signed certificate", 0);
	scene_store_file(&alone, "self-signed.pem");
	expect_trusted(&alone, NULL, FIXTURES_AT, 1);
}

static void test_nothing_to_check(void **state)
{
	CLEANUP_SCENE struct scene scene = {0}, broken = {0}, empty = {0};

	(void)state;
	scene_store_file(&empty, "good-root.pem");
	expect_not(&empty, NULL, FIXTURES_AT, "there is no certificate", 0);
	scene_store_file(&scene, "good-root.pem");
	scene_file(&scene, "good-leaf.pem");
	scene_file(&scene, "good-int.pem");
	scene.facts.truncated = true;
	expect_not(&scene, NULL, FIXTURES_AT, "certificates are missing", 0);
	scene.facts.truncated = false;
	scene.facts.without_der = true;
	expect_not(&scene, NULL, FIXTURES_AT, "the certificates' bytes are not known", 0);
	scene_store_file(&broken, "good-root.pem");
	scene_file(&broken, "odd-utf8.pem");
	expect_not(&broken, NULL, FIXTURES_AT, "the leaf is not an X.509 certificate", 0);
}

static void test_lookalike(void **state)
{
	CLEANUP_SCENE struct scene scene = {0}, forged = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem");
	scene_file(&scene, "lookalike-int.pem");
	scene_file(&scene, "odd-utf8.pem");
	scene_store_file(&scene, "clients.pem");
	expect_not(&scene, NULL, FIXTURES_AT, "certificate signature failure", 0);
	scene_file(&scene, "good-int.pem");
	scene_file(&scene, "rogue-root.pem");
	expect_trusted(&scene, NULL, FIXTURES_AT, 3);
	/* The genuine issuer beside a leaf that it did not sign; and the root sent along is no anchor. */
	scene_file(&forged, "forged-leaf.pem");
	scene_file(&forged, "rogue-int.pem");
	scene_file(&forged, "rogue-root.pem");
	scene_file(&forged, "good-int.pem");
	scene_store_file(&forged, "good-root.pem");
	expect_not(&forged, NULL, FIXTURES_AT, "self-signed certificate in certificate chain", 2);
}

static void add_crl(struct crls *crls, const struct maker_crl *maker)
{
	size_t len = 0;
	CLEANUP_FREE char *der = maker_crl(maker, false, &len);
	const char *why = NULL;

	if (crls_add(crls, der, len, &why) < 0)
		fail_msg("%s", why);
}

/* As many CAs of one name as there is room for in front of the right one, each with its own key, and no key identifier
 * tells them apart: names alone lead to the first. */
static void test_same_names_in_front(void **state)
{
	CLEANUP(crls_freep) struct crls *crls = crls_new();
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *right = scene_key(&scene),
		 *wrong = scene_key(&scene);

	(void)state;
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "ca", leaf, right}));
	while (scene.facts.certs_count < FACTS_CERTS_MAX - 1)
		scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", wrong, wrong,
								    (long)scene.facts.certs_count, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", right, root, CA_EXTENSIONS}));
	scene_store(&scene, maker_certificate(&(struct maker){"root", "root", root, root, CA_EXTENSIONS}));
	expect_trusted(&scene, NULL, MAKER_NOW, 3);
	add_crl(crls, &(struct maker_crl){"ca", right});
	add_crl(crls, &(struct maker_crl){"root", root});
	expect_trusted(&scene, crls, MAKER_NOW, 3);
}

/* A CA that has changed its key twice: the anchor, too, has the name of each issuer, and the leaf does not say which it is. */
static void test_one_name_all_the_way(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *first = scene_key(&scene), *second = scene_key(&scene), *third = scene_key(&scene),
		 *leaf = scene_key(&scene);

	(void)state;
	scene_store(&scene, maker_certificate(&(struct maker){"ca", "ca", first, first, 1, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "ca", leaf, third, 4}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "ca", leaf, leaf, 5, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "ca", second, first, 2, CA_EXTENSIONS, .id = "second",
							    .issuer_id = "first"}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "ca", third, second, 3, CA_EXTENSIONS, .id = "third",
							    .issuer_id = "second"}));
	expect_trusted(&scene, NULL, MAKER_NOW, 4);
}

/* Several certificates for the right key, each signed by the root: only the last is good. */
static void test_bad_paths_in_front(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *ca = scene_key(&scene);

	(void)state;
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "ca", leaf, ca, .names = "DNS:a.example"}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, 2, .to = MAKER_NOW - 1, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, 3, .basic = "CA:FALSE"}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, 4, CA_EXTENSIONS,
							    .constraints = "critical,excluded;DNS:example"}));
	/* With a policy, because OpenSSL 3.0.20 leaks the constraints of a certificate that has none. */
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, 5, CA_EXTENSIONS, .policies = "1.2.3.4",
							    .policy_constraints = "requireExplicitPolicy:0"}));
	scene_store(&scene, maker_certificate(&(struct maker){"root", "root", root, root, CA_EXTENSIONS}));
	/* What is said is of the first that is fit by itself. */
	expect_not(&scene, NULL, MAKER_NOW, "excluded subtree violation", 0);
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, 6, CA_EXTENSIONS}));
	expect_trusted(&scene, NULL, MAKER_NOW, 3);
}

static void test_leaf_is_no_ca(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *victim = scene_key(&scene);

	(void)state;
	scene_add(&scene, maker_certificate(&(struct maker){"victim", "leaf", victim, leaf}));
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "root", leaf, root, .basic = "critical,CA:FALSE"}));
	scene_store(&scene, maker_certificate(&(struct maker){"root", "root", root, root, CA_EXTENSIONS}));
	expect_not(&scene, NULL, MAKER_NOW, "invalid CA certificate", 1);
}

/* Two certificates for one key in each layer, both signed by the layer above: 2^14 paths, and the anchor has expired. */
static void test_paths_are_bounded(void **state)
{
	enum { LAYERS = 14 };
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *keys[LAYERS + 2];
	char names[LAYERS + 2][32];

	(void)state;
	for (int i = 0; i < LAYERS + 2; i++) {
		keys[i] = scene_key(&scene);
		snprintf(names[i], sizeof(names[i]), "layer %d", i);
	}
	scene_add(&scene, maker_certificate(&(struct maker){names[0], names[1], keys[0], keys[1]}));
	for (int i = 1; i <= LAYERS; i++)
		for (int j = 0; j < 2; j++)
			scene_add(&scene, maker_certificate(&(struct maker){names[i], names[i + 1], keys[i], keys[i + 1],
									    j + 1, CA_EXTENSIONS}));
	scene_store(&scene, maker_certificate(&(struct maker){names[LAYERS + 1], names[LAYERS + 1], keys[LAYERS + 1],
							      keys[LAYERS + 1], 1, .to = MAKER_NOW - 1, CA_EXTENSIONS}));
	expect_not(&scene, NULL, MAKER_NOW, "certificate has expired", LAYERS + 1);
	expect_trusted(&scene, NULL, MAKER_NOW - 2, LAYERS + 2);
	/* Without an anchor nothing is judged, and the search itself comes to its end. */
	scene_store_file(&scene, "good-root.pem");
	expect_not(&scene, NULL, MAKER_NOW, "more certificates than are tried", LAYERS);
}

/* Every certificate may have issued every other. */
static void test_checks_are_bounded(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *unknown = maker_key();

	(void)state;
	while (scene.facts.certs_count < FACTS_CERTS_MAX)
		scene_add(&scene,
			  maker_certificate(&(struct maker){"one", "one", scene_key(&scene), unknown, CA_EXTENSIONS}));
	scene_store_file(&scene, "good-root.pem");
	expect_not(&scene, NULL, MAKER_NOW, "certificate signature failure", 0);
	EVP_PKEY_free(unknown);
}

/* "DNS:a0.example,DNS:a1.example,…" */
static char *many(const char *prefix, int count)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	for (int i = 0; i < count; i++)
		fprintf(out, "%s%s:a%d.example", i ? "," : "", prefix, i);
	fclose(out);
	return text;
}

static void test_names_are_bounded(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *ca = scene_key(&scene);
	CLEANUP_FREE char *few = many("DNS", 100), *names = many("DNS", 2000), *constraints = many("excluded;DNS", 1000);

	(void)state;
	scene_store(&scene, maker_certificate(&(struct maker){"root", "root", root, root, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "ca", leaf, ca, .names = names}));
	scene_add(&scene,
		  maker_certificate(&(struct maker){"ca", "root", ca, root, CA_EXTENSIONS, .constraints = constraints}));
	expect_not(&scene, NULL, MAKER_NOW, "more names than are compared with its name constraints", 1);
	certificate_free(scene.owned[0]);
	scene.owned[0] = maker_certificate(&(struct maker){"leaf", "ca", leaf, ca, .names = few});
	scene.facts.certs[0].certificate = scene.owned[0];
	expect_not(&scene, NULL, MAKER_NOW, "excluded subtree violation", 0);
	certificate_free(scene.owned[0]);
	scene.owned[0] = maker_certificate(&(struct maker){"leaf", "ca", leaf, ca, .names = "DNS:b.example"});
	scene.facts.certs[0].certificate = scene.owned[0];
	expect_trusted(&scene, NULL, MAKER_NOW, 3);
}

/* Each level maps every policy to every one of the next level: the tree would grow by a power with each. */
static void test_policies_are_bounded(void **state)
{
	enum { LEVELS = 12, WIDTH = 8 };
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *keys[LEVELS + 2];
	char names[LEVELS + 2][32], mappings[4096] = "", policies[1024] = "";

	(void)state;
	for (int i = 0; i < WIDTH; i++) {
		snprintf(policies + strlen(policies), sizeof(policies) - strlen(policies), "%s1.2.3.%d", i ? "," : "", i);
		for (int j = 0; j < WIDTH; j++)
			snprintf(mappings + strlen(mappings), sizeof(mappings) - strlen(mappings), "%s1.2.3.%d:1.2.3.%d",
				 i || j ? "," : "", i, j);
	}
	for (int i = 0; i < LEVELS + 2; i++) {
		keys[i] = scene_key(&scene);
		snprintf(names[i], sizeof(names[i]), "level %d", i);
	}
	scene_add(&scene, maker_certificate(&(struct maker){names[0], names[1], keys[0], keys[1], .policies = policies}));
	for (int i = 1; i <= LEVELS; i++)
		scene_add(&scene, maker_certificate(&(struct maker){
					  names[i], names[i + 1], keys[i], keys[i + 1], CA_EXTENSIONS, .policies = policies,
					  .policy_constraints = "requireExplicitPolicy:0", .mappings = mappings}));
	scene_store(&scene, maker_certificate(&(struct maker){names[LEVELS + 1], names[LEVELS + 1], keys[LEVELS + 1],
							      keys[LEVELS + 1], CA_EXTENSIONS}));
	expect_not(&scene, NULL, MAKER_NOW, "more certificate policies than are checked", 0);
}

static void test_revocation(void **state)
{
	static const struct maker_entry revoked = {.serial = 7, .reason = 1};
	CLEANUP(crls_freep) struct crls *crls = crls_new(), *revoking = crls_new();
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *ca = scene_key(&scene);

	(void)state;
	scene_store(&scene, maker_certificate(&(struct maker){"root", "root", root, root, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "ca", leaf, ca, 7}));
	scene_add(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, 3, CA_EXTENSIONS}));
	expect_trusted(&scene, NULL, MAKER_NOW, 3);
	expect_not(&scene, crls, MAKER_NOW, "unable to get certificate CRL", 0);
	add_crl(crls, &(struct maker_crl){"ca", ca});
	expect_not(&scene, crls, MAKER_NOW, "unable to get certificate CRL", 1);
	add_crl(crls, &(struct maker_crl){"root", root, .to = MAKER_NOW + 60});
	expect_trusted(&scene, crls, MAKER_NOW, 3);
	expect_not(&scene, crls, MAKER_NOW + 61, "CRL has expired", 1);
	add_crl(revoking, &(struct maker_crl){"ca", ca, .entries = &revoked, .count = 1});
	add_crl(revoking, &(struct maker_crl){"root", root});
	expect_not(&scene, revoking, MAKER_NOW, "certificate revoked", 0);
}

static void test_forged_crl(void **state)
{
	CLEANUP(crls_freep) struct crls *crls = crls_new();
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *other = scene_key(&scene);

	(void)state;
	scene_store(&scene, maker_certificate(&(struct maker){"root", "root", root, root, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "root", leaf, root, 7}));
	add_crl(crls, &(struct maker_crl){"root", other});
	expect_not(&scene, crls, MAKER_NOW, "CRL signature failure", 0);
	/* A certificate for the other key, which only the peer vouches for. */
	scene_add(&scene, maker_certificate(&(struct maker){"root", "root", other, other, 2, CA_EXTENSIONS}));
	expect_not(&scene, crls, MAKER_NOW, "CRL signature failure", 0);
}

/* An anchor that is not self-signed has an issuer, whose CRL nobody has. */
static void test_anchor_needs_no_crl(void **state)
{
	CLEANUP(crls_freep) struct crls *crls = crls_new();
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *root = scene_key(&scene), *leaf = scene_key(&scene), *ca = scene_key(&scene);

	(void)state;
	scene_store(&scene, maker_certificate(&(struct maker){"ca", "root", ca, root, CA_EXTENSIONS}));
	scene_add(&scene, maker_certificate(&(struct maker){"leaf", "ca", leaf, ca, 7}));
	add_crl(crls, &(struct maker_crl){"ca", ca});
	expect_trusted(&scene, crls, MAKER_NOW, 2);
	scene_store(&scene, certificate_ref(scene.owned[0]));
	expect_not(&scene, crls, MAKER_NOW + 2 * MAKER_DAY, "certificate has expired", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_anchors_with),
		cmocka_unit_test(test_straight),
		cmocka_unit_test(test_other_algorithms),
		cmocka_unit_test(test_role),
		cmocka_unit_test(test_any_certificate_is_an_anchor),
		cmocka_unit_test(test_nothing_to_check),
		cmocka_unit_test(test_lookalike),
		cmocka_unit_test(test_same_names_in_front),
		cmocka_unit_test(test_one_name_all_the_way),
		cmocka_unit_test(test_bad_paths_in_front),
		cmocka_unit_test(test_leaf_is_no_ca),
		cmocka_unit_test(test_paths_are_bounded),
		cmocka_unit_test(test_checks_are_bounded),
		cmocka_unit_test(test_names_are_bounded),
		cmocka_unit_test(test_policies_are_bounded),
		cmocka_unit_test(test_revocation),
		cmocka_unit_test(test_forged_crl),
		cmocka_unit_test(test_anchor_needs_no_crl),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
