/* revocation.h: what a CRL says is found, and neither a peer who was revoked nor a forger of CRLs gets his way. */
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
#include "revocation.h"

#define CA_EXTENSIONS .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"

enum { ROOT, CA, LEAF, OTHER, KEYS };

/* A root, a CA and a leaf with the serial number 7. */
struct world {
	EVP_PKEY *keys[KEYS];
	struct certificate *root, *ca, *leaf;
	struct crls *crls;
	struct facts facts;
};

static void present(struct world *world, const struct certificate *certificate)
{
	world->facts.certs[world->facts.certs_count++] = (struct fact_cert){.certificate = certificate, .presented = true};
}

static void world_new(struct world *world)
{
	for (int i = 0; i < KEYS; i++)
		world->keys[i] = maker_key();
	world->root = maker_certificate(
		&(struct maker){"root", "root", world->keys[ROOT], world->keys[ROOT], 1, CA_EXTENSIONS});
	world->ca = maker_certificate(&(struct maker){"ca", "root", world->keys[CA], world->keys[ROOT], 2, CA_EXTENSIONS});
	world->leaf = maker_certificate(&(struct maker){"leaf", "ca", world->keys[LEAF], world->keys[CA], 7});
	world->crls = crls_new();
	present(world, world->leaf);
}

static void world_clear(struct world *world)
{
	for (int i = 0; i < KEYS; i++)
		EVP_PKEY_free(world->keys[i]);
	certificate_free(world->root);
	certificate_free(world->ca);
	certificate_free(world->leaf);
	crls_free(world->crls);
}
#define WORLD(name)                                   \
	CLEANUP(world_clear) struct world name = {0}; \
	(void)state;                                  \
	world_new(&name)

static void add(struct world *world, const struct maker_crl *maker)
{
	size_t len = 0;
	CLEANUP_FREE char *der = maker_crl(maker, false, &len);
	const char *why = NULL;

	if (crls_add(world->crls, der, len, &why) < 0)
		fail_msg("%s", why);
}
/* The CRL of that name, signed with that key: entries follow as {serial, reason}. */
#define ADD(world, name, by, ...)                                                                             \
	add(&(world),                                                                                         \
	    &(struct maker_crl){name, (world).keys[by], .entries = (const struct maker_entry[]){__VA_ARGS__}, \
				.count = sizeof((const struct maker_entry[]){__VA_ARGS__}) / sizeof(struct maker_entry)})

static bool revoked(struct world *world)
{
	struct revocation unused;

	path_prove(&world->facts, NULL);
	return crls_revoked(world->crls, &world->facts, world->leaf, &unused);
}

static void test_reasons(void **state)
{
	static const char *const names[] = {"unspecified", "keyCompromise",        "cACompromise",    "affiliationChanged",
					    "superseded",  "cessationOfOperation", "certificateHold", "unspecified",
					    NULL,          "privilegeWithdrawn",   "aACompromise",    "unspecified"};

	for (long reason = -1; reason < (long)ARRAY_SIZE(names); reason++) {
		struct revocation revocation = {.reason = "none", .date = 3};
		const char *want = reason < 0 ? "unspecified" : names[reason];
		WORLD(world);

		present(&world, world.ca);
		ADD(world, "ca", CA, {6, 1}, {7, reason}, {8, 1});
		path_prove(&world.facts, NULL);
		assert_int_equal(crls_revoked(world.crls, &world.facts, world.leaf, &revocation), want != NULL);
		assert_string_equal(revocation.reason, want ? want : "none"); /* 8: removeFromCRL */
		assert_int_equal(revocation.date, want ? MAKER_NOW - MAKER_DAY / 2 : 3);
	}
}

static void test_not_listed(void **state)
{
	WORLD(world);

	present(&world, world.ca);
	assert_false(revoked(&world));
	ADD(world, "ca", CA, {6, 1}, {8, 1}, {-7, 1}, {0x700, 1});
	ADD(world, "root", ROOT, {7, 1}); /* its 7 is another certificate */
	add(&world, &(struct maker_crl){"ca", world.keys[CA]});
	assert_false(revoked(&world));
	assert_int_equal(crls_count(world.crls), 3);
}

/* Whose CRL it is cannot be told, and the administrator handed it in. */
static void test_believed_if_the_ca_is_left_out(void **state)
{
	WORLD(world);

	ADD(world, "ca", CA, {7, 1});
	assert_true(revoked(&world));
}

static void test_believed_though_a_lookalike_is_sent(void **state)
{
	WORLD(world);
	CLEANUP(certificate_freep)
	struct certificate *lookalike = maker_certificate(
		&(struct maker){"ca", "ca", world.keys[OTHER], world.keys[OTHER], 9, CA_EXTENSIONS});

	present(&world, lookalike);
	ADD(world, "ca", CA, {7, 1});
	assert_true(revoked(&world));
	present(&world, world.ca);
	assert_true(revoked(&world));
}

static void test_forged_crl(void **state)
{
	WORLD(world);

	present(&world, world.ca);
	ADD(world, "ca", OTHER, {7, 1});
	assert_false(revoked(&world));
	ADD(world, "ca", CA, {7, 1});
	assert_true(revoked(&world));
}

static void test_crl_key_of_its_own(void **state)
{
	WORLD(world);
	CLEANUP(certificate_freep)
	struct certificate *no_crls = maker_certificate(&(struct maker){
		"ca", "root", world.keys[CA], world.keys[ROOT], 4, .basic = "critical,CA:TRUE", .usage = "keyCertSign"});
	CLEANUP(certificate_freep)
	struct certificate *signer = maker_certificate(
		&(struct maker){"ca", "root", world.keys[OTHER], world.keys[ROOT], 3, .usage = "critical,cRLSign"});

	ADD(world, "ca", OTHER, {7, 1});
	/* A CA that may not sign CRLs says nothing against one that it did not sign. */
	present(&world, no_crls);
	assert_true(revoked(&world));
	world.facts.certs_count = 1;
	present(&world, world.ca);
	assert_false(revoked(&world));
	present(&world, signer);
	assert_true(revoked(&world));
}

static void test_root(void **state)
{
	struct revocation revocation;
	WORLD(world);

	ADD(world, "root", OTHER, {1, 1});
	assert_false(crls_revoked(world.crls, &world.facts, world.root, &revocation));
	ADD(world, "root", ROOT, {1, 2});
	assert_true(crls_revoked(world.crls, &world.facts, world.root, &revocation));
	assert_string_equal(revocation.reason, "cACompromise");
}

static void test_expired_crl_still_counts(void **state)
{
	static const struct maker_entry entry = {7, 4, NULL};
	WORLD(world);

	present(&world, world.ca);
	add(&world,
	    &(struct maker_crl){"ca", world.keys[CA], .from = 1000000000, .to = 1000000001, .entries = &entry, .count = 1});
	assert_true(revoked(&world));
}

/* Makes the leaf anew: it says that this one issues CRLs for its issuer. */
static void name_bureau(struct world *world, const char *bureau)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
	DIST_POINT *point = DIST_POINT_new();
	X509 *x509 = X509_dup(world->leaf->x509);
	unsigned char *der = NULL;
	int len;

	GENERAL_NAME_set0_value(name, GEN_DIRNAME, maker_name(bureau));
	sk_GENERAL_NAME_push(names, name);
	point->CRLissuer = names;
	sk_DIST_POINT_push(points, point);
	assert_int_equal(X509_add1_ext_i2d(x509, NID_crl_distribution_points, points, 0, X509V3_ADD_REPLACE), 1);
	assert_true(X509_sign(x509, world->keys[CA], EVP_sha256()) > 0);
	len = i2d_X509(x509, &der);
	certificate_free(world->leaf);
	assert_int_equal(certificate_new(der, (size_t)len, &world->leaf), 0);
	world->facts.certs[0].certificate = world->leaf;
	OPENSSL_free(der);
	CRL_DIST_POINTS_free(points);
	X509_free(x509);
}

/* Nobody else may speak for a CA: not another CA whose CRL is among the files, nor who forged one under any name. */
static void test_indirect_of_a_stranger(void **state)
{
	static const struct maker_entry entry = {7, 1, "ca"};
	WORLD(world);

	add(&world, &(struct maker_crl){"bureau", world.keys[OTHER], .indirect = true, .entries = &entry, .count = 1});
	assert_false(revoked(&world));
	present(&world, world.ca);
	present(&world, world.root);
	assert_false(revoked(&world));
	name_bureau(&world, "another bureau");
	assert_false(revoked(&world));
	name_bureau(&world, "bureau");
	assert_true(revoked(&world));
}

static void test_indirect(void **state)
{
	static const struct maker_entry entries[] = {{7, 1, NULL}, {5, 1, "ca"}, {7, 2, NULL}, {7, 1, "another"}};
	struct revocation revocation;
	WORLD(world);

	name_bureau(&world, "bureau");
	add(&world, &(struct maker_crl){"bureau", world.keys[OTHER], .indirect = true, .entries = entries, .count = 1});
	add(&world, &(struct maker_crl){"bureau", world.keys[OTHER], .indirect = true, .entries = entries + 3, .count = 1});
	assert_false(revoked(&world)); /* 7 of bureau and of another */
	add(&world, &(struct maker_crl){"bureau", world.keys[OTHER], .indirect = true, .entries = entries, .count = 4});
	assert_true(revoked(&world));
	assert_true(crls_revoked(world.crls, &world.facts, world.leaf, &revocation));
	assert_string_equal(revocation.reason, "cACompromise"); /* the entry after ca's own: still ca's */
}

static void test_delta(void **state)
{
	static const struct maker_entry hold = {7, 6, NULL}, removed = {7, 8, NULL};
	struct maker_crl base, delta;
	WORLD(world);

	base = (struct maker_crl){"ca", world.keys[CA], .number = 5, .entries = &hold, .count = 1};
	delta = (struct maker_crl){"ca", world.keys[CA], .number = 9, .base = 3, .entries = &removed, .count = 1};
	present(&world, world.ca);
	add(&world, &delta);
	assert_false(revoked(&world));
	add(&world, &base);
	assert_false(revoked(&world));
	base.number = 2; /* older than what the delta starts from */
	add(&world, &base);
	assert_true(revoked(&world));
	crls_free(world.crls);
	world.crls = crls_new();
	base.number = 5;
	delta.key = world.keys[OTHER]; /* forged */
	add(&world, &base);
	add(&world, &delta);
	assert_true(revoked(&world));
}

static void test_reading(void **state)
{
	size_t first_len = 0, second_len = 0, root_len = 0, der_len = 0;
	CLEANUP_FREE char *first = NULL, *second = NULL, *der = NULL, *both = NULL, *cut = NULL;
	CLEANUP_FREE char *root = fixture_text("good-root.pem", &root_len);
	const char *why = NULL;
	WORLD(world);

	first = maker_crl(&(struct maker_crl){"ca", world.keys[CA], .to = MAKER_NOW + 100}, true, &first_len);
	second = maker_crl(&(struct maker_crl){"root", world.keys[ROOT], .to = MAKER_NOW + 50}, true, &second_len);
	der = maker_crl(&(struct maker_crl){"ca", world.keys[CA], .to = -1}, false, &der_len);
	assert_int_equal(crls_next_update(world.crls), INT64_MAX);
	assert_int_equal(crls_add(world.crls, der, der_len, &why), 0);
	assert_int_equal(crls_next_update(world.crls), INT64_MAX);
	both = xasprintf("0 a comment\n%s%s\n%s", first, root, second);
	assert_int_equal(crls_add(world.crls, both, strlen(both), &why), 0);
	assert_int_equal(crls_count(world.crls), 3);
	assert_int_equal(crls_next_update(world.crls), MAKER_NOW + 50);
	assert_null(why);
	/* All or nothing. */
	cut = xasprintf("%s-----BEGIN X509 CRL-----\nAAAA\n", first);
	assert_int_equal(crls_add(world.crls, cut, strlen(cut), &why), -EBADMSG);
	assert_string_equal(why, "a PEM block is broken");
	assert_int_equal(crls_add(world.crls, root, root_len, &why), -ENODATA);
	assert_string_equal(why, "no CRL in it");
	assert_int_equal(crls_add(world.crls, "", 0, &why), -ENODATA);
	for (size_t len = 0; len < der_len; len++) /* cut off anywhere */
		assert_true(crls_add(world.crls, der, len, &why) < 0);
	assert_int_equal(crls_add(world.crls, der, der_len + 1, &why), -EBADMSG); /* the NUL behind it */
	assert_string_equal(why, "bytes after the CRL");
	assert_int_equal(crls_count(world.crls), 3);
}

/* Encrypted PEM must not ask anybody for a password. */
static void test_encrypted(void **state)
{
	static const char text[] =
		"-----BEGIN X509 CRL-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899"
		"AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END X509 CRL-----\n";
	const char *why = NULL;
	WORLD(world);

	assert_int_equal(crls_add(world.crls, text, strlen(text), &why), -EBADMSG);
	assert_string_equal(why, "not a CRL");
}

static EVP_PKEY *key_of(const char *type)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* Ed25519 and RSA-PSS are not made over a plain hash. */
static void test_other_signatures(void **state)
{
	static const char *const types[] = {"ED25519", "RSA-PSS", "RSA"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		EVP_PKEY *key = key_of(types[i]);
		CLEANUP(certificate_freep) struct certificate *signer = NULL;
		WORLD(world);

		signer = maker_certificate(&(struct maker){"ca", "root", key, world.keys[ROOT], 9, CA_EXTENSIONS});
		present(&world, world.ca);
		ADD(world, "ca", OTHER, {7, 1});
		EVP_PKEY_free(world.keys[OTHER]);
		world.keys[OTHER] = key;
		ADD(world, "ca", OTHER, {7, 1});
		assert_false(revoked(&world));
		present(&world, signer);
		assert_true(revoked(&world));
	}
}

/* The same question again and again, with more keys than answers are kept for. */
static void test_many_signers(void **state)
{
	struct certificate *signers[FACTS_CERTS_MAX] = {0};
	EVP_PKEY *keys[FACTS_CERTS_MAX] = {0};
	WORLD(world);

	present(&world, world.ca);
	ADD(world, "ca", OTHER, {7, 1});
	for (size_t i = 0; i < CRL_CHECKS_MAX + 4; i++) {
		keys[i] = maker_key();
		signers[i] = maker_certificate(
			&(struct maker){"ca", "root", keys[i], world.keys[ROOT], 10 + (long)i, CA_EXTENSIONS});
		/* Beyond the bound it is believed: it harms nobody but him who sends so many. */
		assert_int_equal(revoked(&world), i + 1 > CRL_CHECKS_MAX);
		present(&world, signers[i]);
	}
	for (size_t i = 0; i < CRL_CHECKS_MAX + 4; i++) {
		EVP_PKEY_free(keys[i]);
		certificate_free(signers[i]);
	}
}

static void test_large(void **state)
{
	enum { COUNT = 50000, STEP = 7919 };
	struct maker_entry *entries = xcalloc(COUNT, sizeof(*entries));
	struct revocation revocation;
	WORLD(world);

	/* Every even number once, in an order that is no order: the step has no factor in common with the count. */
	for (long i = 0; i < COUNT; i++)
		entries[i] = (struct maker_entry){2 * (i * STEP % COUNT) + 2, i % 2 ? 1 : -1, NULL};
	add(&world, &(struct maker_crl){"ca", world.keys[CA], .entries = entries, .count = COUNT});
	for (long serial = 1; serial <= 2 * COUNT; serial += 997) {
		CLEANUP(certificate_freep)
		struct certificate *one = maker_certificate(
			&(struct maker){"leaf", "ca", world.keys[LEAF], world.keys[CA], serial});

		assert_int_equal(crls_revoked(world.crls, &world.facts, one, &revocation), serial % 2 == 0);
	}
	free(entries);
}

static void test_same_serials(void **state)
{
	enum { COUNT = 4097 };
	struct maker_entry *entries = xcalloc(COUNT, sizeof(*entries));
	CLEANUP_FREE char *der = NULL;
	const char *why = NULL;
	size_t len = 0;
	WORLD(world);

	for (size_t i = 0; i < COUNT; i++)
		entries[i] = (struct maker_entry){7, -1, NULL};
	der = maker_crl(&(struct maker_crl){"ca", world.keys[CA], .entries = entries, .count = COUNT}, false, &len);
	assert_int_equal(crls_add(world.crls, der, len, &why), -EBADMSG);
	assert_string_equal(why, "too many entries with the same serial number");
	add(&world, &(struct maker_crl){"ca", world.keys[CA], .entries = entries, .count = COUNT - 1});
	assert_true(revoked(&world));
	free(entries);
}

static void test_stack(void **state)
{
	STACK_OF(X509_CRL) * stack;
	WORLD(world);

	ADD(world, "ca", CA, {7, 1});
	add(&world, &(struct maker_crl){"root", world.keys[ROOT]});
	stack = crls_stack(world.crls);
	assert_int_equal(sk_X509_CRL_num(stack), 2);
	assert_int_equal(X509_CRL_verify(sk_X509_CRL_value(stack, 0), world.keys[CA]), 1);
	assert_int_equal(X509_CRL_verify(sk_X509_CRL_value(stack, 0), world.keys[ROOT]), 0);
	assert_int_equal(X509_CRL_get0_by_cert(sk_X509_CRL_value(stack, 0), NULL, world.leaf->x509), 1);
	assert_int_equal(X509_CRL_get0_by_cert(sk_X509_CRL_value(stack, 0), NULL, world.ca->x509), 0);
	sk_X509_CRL_free(stack);
	assert_int_equal(crls_count(world.crls), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_not_listed),
		cmocka_unit_test(test_believed_if_the_ca_is_left_out),
		cmocka_unit_test(test_believed_though_a_lookalike_is_sent),
		cmocka_unit_test(test_forged_crl),
		cmocka_unit_test(test_crl_key_of_its_own),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_expired_crl_still_counts),
		cmocka_unit_test(test_indirect),
		cmocka_unit_test(test_indirect_of_a_stranger),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_encrypted),
		cmocka_unit_test(test_other_signatures),
		cmocka_unit_test(test_many_signers),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_same_serials),
		cmocka_unit_test(test_stack),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
