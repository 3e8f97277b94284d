/* path.h: only checked signatures make a path, whatever lies beside the leaf, in whatever order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "fixture.h"
#include "path.h"

enum { PRESENTED = 1, CHAIN = 2 };

/* Facts whose certificates this test owns. */
struct scene {
	struct facts facts;
	struct certificate *owned[FACTS_CERTS_MAX];
};

static void scene_add(struct scene *scene, struct certificate *certificate, int where)
{
	struct facts *facts = &scene->facts;

	assert_true(facts->certs_count < FACTS_CERTS_MAX);
	scene->owned[facts->certs_count] = certificate;
	facts->certs[facts->certs_count++] = (struct fact_cert){
		.certificate = certificate,
		.presented = where & PRESENTED,
		.chain = where & CHAIN,
	};
}

static void scene_file(struct scene *scene, const char *file, int where)
{
	scene_add(scene, fixture_certificate(file), where);
}

static void scene_clear(struct scene *scene)
{
	for (size_t i = 0; i < scene->facts.certs_count; i++)
		certificate_free(scene->owned[i]);
}
#define CLEANUP_SCENE CLEANUP(scene_clear)

static struct anchors *anchors_from(const char *file)
{
	CLEANUP_FREE char *text = NULL;
	struct anchors *anchors = NULL;
	size_t len = 0, skipped = 0;

	text = fixture_text(file, &len);
	assert_int_equal(anchors_new(text, len, &anchors, &skipped), 0);
	assert_int_equal(skipped, 0);
	return anchors;
}
#define CLEANUP_ANCHORS CLEANUP(anchors_freep)

/* The path is made of these files' certificates, and proven says the same. */
static void expect_path(const struct facts *facts, const char *const *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP(certificate_freep) struct certificate *want = fixture_certificate(files[i]);

		if (i >= facts->path_count || memcmp(facts->path[i]->sha256, want->sha256, SHA256_BYTES))
			fail_msg("%s is not number %zu of the path", files[i], i);
	}
	assert_int_equal(facts->path_count, count);
	for (size_t i = 0; i < facts->certs_count; i++) {
		bool there = false;

		for (size_t j = 0; j < facts->path_count; j++)
			there |= !memcmp(facts->path[j]->sha256, facts->certs[i].certificate->sha256, SHA256_BYTES);
		assert_int_equal(facts->certs[i].proven, there);
	}
}
#define EXPECT_PATH(facts, ...) \
	expect_path(facts, (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static void test_straight(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem", PRESENTED | CHAIN);
	scene_file(&scene, "good-int.pem", PRESENTED | CHAIN);
	scene_file(&scene, "good-root.pem", CHAIN);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "good-leaf.pem", "good-int.pem", "good-root.pem");
}

static void test_out_of_order_with_junk(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem", PRESENTED);
	scene_file(&scene, "resolver-int.pem", PRESENTED);
	scene_file(&scene, "odd-utf8.pem", PRESENTED);
	scene_file(&scene, "good-root.pem", PRESENTED);
	scene_file(&scene, "lookalike-int.pem", PRESENTED);
	scene_file(&scene, "good-int.pem", PRESENTED);
	scene_file(&scene, "rogue-root.pem", PRESENTED);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "good-leaf.pem", "good-int.pem", "good-root.pem");
}

/* The attack that pinning on what was presented falls for. */
static void test_genuine_issuer_beside_a_forged_leaf(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "forged-1111.pem", PRESENTED);
	scene_file(&scene, "resolver-int.pem", PRESENTED | CHAIN);
	scene_file(&scene, "resolver-root.pem", PRESENTED | CHAIN);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "forged-1111.pem");
}

static void test_lookalike_proves_nothing(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem", PRESENTED);
	scene_file(&scene, "lookalike-int.pem", PRESENTED | CHAIN);
	scene_file(&scene, "rogue-root.pem", CHAIN);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "good-leaf.pem");
}

static void test_anchor_ends_the_path(void **state)
{
	CLEANUP_ANCHORS struct anchors *anchors = anchors_from("clients.pem");
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem", PRESENTED);
	scene_file(&scene, "good-int.pem", PRESENTED);
	assert_true(path_prove(&scene.facts, anchors));
	EXPECT_PATH(&scene.facts, "good-leaf.pem", "good-int.pem", "good-root.pem");
	/* And without one it ends where no issuer is known. */
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "good-leaf.pem", "good-int.pem");
}

/* An intermediate that the store knows too: the one of the facts stands on the path. */
static void test_anchor_that_is_presented(void **state)
{
	CLEANUP_ANCHORS struct anchors *anchors = anchors_from("good-leaf.full.pem");
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem", PRESENTED);
	scene_file(&scene, "good-int.pem", PRESENTED);
	assert_true(path_prove(&scene.facts, anchors));
	EXPECT_PATH(&scene.facts, "good-leaf.pem", "good-int.pem", "good-root.pem");
	assert_ptr_equal(scene.facts.path[1], scene.facts.certs[1].certificate);
}

static void test_cross_signed_prefers_what_reaches_a_root(void **state)
{
	CLEANUP_ANCHORS struct anchors *b = anchors_from("cross-root-b.pem");
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "cross-leaf.pem", PRESENTED);
	scene_file(&scene, "cross-int-a.pem", PRESENTED);
	scene_file(&scene, "cross-int-b.pem", PRESENTED);
	assert_true(path_prove(&scene.facts, b));
	EXPECT_PATH(&scene.facts, "cross-leaf.pem", "cross-int-b.pem", "cross-root-b.pem");
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "cross-leaf.pem", "cross-int-a.pem");
}

static void test_cross_signed_prefers_the_applications_chain(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "cross-leaf.pem", PRESENTED | CHAIN);
	scene_file(&scene, "cross-int-a.pem", PRESENTED);
	scene_file(&scene, "cross-root-a.pem", PRESENTED);
	scene_file(&scene, "cross-int-b.pem", CHAIN);
	scene_file(&scene, "cross-root-b.pem", CHAIN);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "cross-leaf.pem", "cross-int-b.pem", "cross-root-b.pem");
}

static void test_repeated_certificate(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "good-leaf.pem", PRESENTED);
	scene_file(&scene, "good-int.pem", PRESENTED);
	scene_file(&scene, "good-leaf.pem", PRESENTED);
	scene_file(&scene, "good-int.pem", CHAIN);
	scene_file(&scene, "good-root.pem", CHAIN);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "good-leaf.pem", "good-int.pem", "good-root.pem");
}

static void test_self_signed_leaf(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "self-signed.pem", PRESENTED);
	scene_file(&scene, "good-int.pem", PRESENTED);
	assert_true(path_prove(&scene.facts, NULL));
	EXPECT_PATH(&scene.facts, "self-signed.pem");
}

static void test_long(void **state)
{
	CLEANUP_ANCHORS struct anchors *anchors = anchors_from("big-root.pem");
	CLEANUP_SCENE struct scene scene = {0};

	(void)state;
	scene_file(&scene, "big-leaf.pem", PRESENTED);
	for (int i = 11; i >= 1; i--) {
		CLEANUP_FREE char *file = xasprintf("big-int-%d.pem", i);

		scene_file(&scene, file, PRESENTED);
	}
	assert_true(path_prove(&scene.facts, anchors));
	assert_int_equal(scene.facts.path_count, 13);
	assert_string_equal(scene.facts.path[12]->subject, "CN=Big Root");
}

static void test_nothing_to_prove(void **state)
{
	CLEANUP_SCENE struct scene truncated = {0}, broken = {0};
	struct facts empty = {.path_count = 3};

	(void)state;
	assert_true(path_prove(&empty, NULL));
	assert_int_equal(empty.path_count, 0);
	scene_file(&truncated, "good-leaf.pem", PRESENTED);
	scene_file(&truncated, "good-int.pem", PRESENTED);
	truncated.facts.certs[1].proven = true;
	truncated.facts.truncated = true;
	assert_true(path_prove(&truncated.facts, NULL));
	assert_int_equal(truncated.facts.path_count, 0);
	assert_false(truncated.facts.certs[0].proven || truncated.facts.certs[1].proven);
	scene_file(&broken, "odd-utf8.pem", PRESENTED);
	scene_file(&broken, "good-int.pem", PRESENTED);
	assert_true(path_prove(&broken.facts, NULL));
	assert_int_equal(broken.facts.path_count, 0);
}

/* A CA's certificate made on the spot: subject and issuer by number, key and issuer's key. */
static struct certificate *made(int subject, int issuer, EVP_PKEY *key, EVP_PKEY *issuer_key, long serial)
{
	X509 *x509 = X509_new();
	X509_NAME *names[] = {X509_NAME_new(), X509_NAME_new()};
	struct certificate *certificate = NULL;
	X509_EXTENSION *basic;
	unsigned char *der = NULL;
	int len;

	for (int i = 0; i < 2; i++) {
		char text[32];

		snprintf(text, sizeof(text), "layer %d", i ? issuer : subject);
		X509_NAME_add_entry_by_txt(names[i], "CN", MBSTRING_ASC, (unsigned char *)text, -1, -1, 0);
	}
	X509_set_subject_name(x509, names[0]);
	X509_set_issuer_name(x509, names[1]);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), serial);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	X509_set_pubkey(x509, key);
	X509_set_version(x509, X509_VERSION_3);
	basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
	X509_add_ext(x509, basic, -1);
	X509_EXTENSION_free(basic);
	assert_true(X509_sign(x509, issuer_key, EVP_sha256()) > 0);
	len = i2d_X509(x509, &der);
	assert_int_equal(certificate_new(der, (size_t)len, &certificate), 0);
	assert_true(certificate->parsed);
	OPENSSL_free(der);
	X509_NAME_free(names[0]);
	X509_NAME_free(names[1]);
	X509_free(x509);
	return certificate;
}

static EVP_PKEY *new_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

/* As many self-issued certificates of one name as there is room for, each with its own key: every one may have issued every
 * other. Only the last signed the leaf, and only the last but one signed the last. */
static void test_checks_are_bounded(void **state)
{
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *keys[FACTS_CERTS_MAX], *unknown = new_key();

	(void)state;
	for (int i = 0; i < FACTS_CERTS_MAX; i++)
		keys[i] = new_key();
	for (int i = 0; i < FACTS_CERTS_MAX; i++) {
		EVP_PKEY *issuer = i == 0                   ? keys[FACTS_CERTS_MAX - 1] :
				   i == FACTS_CERTS_MAX - 1 ? keys[FACTS_CERTS_MAX - 2] :
							      unknown;

		scene_add(&scene, made(1, 1, keys[i], issuer, i + 1), PRESENTED);
	}
	/* 32 checks for the leaf, 31 for the one above, and then one is left. */
	assert_false(path_prove(&scene.facts, NULL));
	assert_int_equal(scene.facts.path_count, 3);
	assert_true(scene.facts.certs[FACTS_CERTS_MAX - 1].proven && scene.facts.certs[FACTS_CERTS_MAX - 2].proven);
	/* Without the lookalikes in between all of that is proven with few checks. */
	scene.facts.certs[1] = scene.facts.certs[FACTS_CERTS_MAX - 1];
	scene.facts.certs[2] = scene.facts.certs[FACTS_CERTS_MAX - 2];
	scene.facts.certs_count = 3;
	assert_true(path_prove(&scene.facts, NULL));
	assert_int_equal(scene.facts.path_count, 3);
	for (int i = 0; i < FACTS_CERTS_MAX; i++) {
		certificate_free(i > 2 ? scene.owned[i] : NULL);
		EVP_PKEY_free(keys[i]);
	}
	EVP_PKEY_free(unknown);
}

/* Two certificates for one key in each layer, both issued by the layer above: 2^14 paths of 56 links, and no root. */
static void test_paths_are_bounded(void **state)
{
	enum { LAYERS = 14, WIDTH = 2 };
	CLEANUP_SCENE struct scene scene = {0};
	EVP_PKEY *keys[LAYERS + 2];

	(void)state;
	for (int i = 0; i < LAYERS + 2; i++)
		keys[i] = new_key();
	scene_add(&scene, made(0, 1, keys[0], keys[1], 1), PRESENTED);
	for (int i = 1; i <= LAYERS; i++)
		for (int j = 0; j < WIDTH; j++)
			scene_add(&scene, made(i, i + 1, keys[i], keys[i + 1], 2 + j), PRESENTED);
	assert_false(path_prove(&scene.facts, NULL));
	assert_int_equal(scene.facts.path_count, LAYERS + 1);
	for (size_t i = 0; i + 1 < scene.facts.path_count; i++)
		assert_true(certificate_issued_by(scene.facts.path[i], scene.facts.path[i + 1]));
	for (int i = 0; i < LAYERS + 2; i++)
		EVP_PKEY_free(keys[i]);
}

static void test_anchors(void **state)
{
	CLEANUP_FREE char *bundle = NULL, *odd = NULL, *text = NULL;
	CLEANUP_ANCHORS struct anchors *anchors = NULL, *none = NULL;
	CLEANUP(certificate_freep) struct certificate *leaf = fixture_certificate("forged-leaf.pem");
	CLEANUP(certificate_freep) struct certificate *intermediate = fixture_certificate("rogue-int.pem");
	CLEANUP(certificate_freep) struct certificate *broken = fixture_certificate("odd-utf8.pem");
	size_t len = 0, skipped = 0, count = 9;

	(void)state;
	bundle = fixture_text("clients.pem", &len);
	odd = fixture_text("odd-utf8.pem", &len);
	text = xasprintf("%s%s%s-----BEGIN CERTIFICATE-----\n", bundle, odd, bundle);
	assert_int_equal(anchors_new(text, strlen(text), &anchors, &skipped), 0);
	assert_int_equal(anchors_count(anchors), 2);
	assert_int_equal(skipped, 4); /* no certificate, two repeated, one cut off */
	assert_string_equal(anchors_find(anchors, intermediate, &count)[0]->subject, "CN=Rogue Root");
	assert_int_equal(count, 1);
	anchors_find(anchors, leaf, &count);
	assert_int_equal(count, 0);
	anchors_find(anchors, broken, &count);
	assert_int_equal(count, 0);
	assert_int_equal(anchors_new("", 0, &none, &skipped), 0);
	assert_int_equal(skipped, 0);
	assert_int_equal(anchors_count(none), 0);
	anchors_find(none, leaf, &count);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_straight),
		cmocka_unit_test(test_out_of_order_with_junk),
		cmocka_unit_test(test_genuine_issuer_beside_a_forged_leaf),
		cmocka_unit_test(test_lookalike_proves_nothing),
		cmocka_unit_test(test_anchor_ends_the_path),
		cmocka_unit_test(test_anchor_that_is_presented),
		cmocka_unit_test(test_cross_signed_prefers_what_reaches_a_root),
		cmocka_unit_test(test_cross_signed_prefers_the_applications_chain),
		cmocka_unit_test(test_repeated_certificate),
		cmocka_unit_test(test_self_signed_leaf),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_nothing_to_prove),
		cmocka_unit_test(test_checks_are_bounded),
		cmocka_unit_test(test_paths_are_bounded),
		cmocka_unit_test(test_anchors),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
