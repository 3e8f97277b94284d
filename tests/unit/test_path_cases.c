/* path.h, case by case: what a peer may send beside, around and instead of the right chain, and every kind of key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "made.h"
#include "path.h"
#include "random_case.h"

#define CLEANUP_CERTIFICATE CLEANUP(certificate_freep)
#define CLEANUP_ANCHORS CLEANUP(anchors_freep)

/* Root, intermediate, leaf, and whatever else a case needs. */
static EVP_PKEY *keys[8];

static int keys_make(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = made_key();
	return 0;
}

static int keys_free(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

static struct anchors *anchors_of(struct certificate *const *certificates, size_t count)
{
	CLEANUP_ANCHORS struct anchors *none = NULL;
	size_t skipped = 0;

	assert_int_equal(anchors_new("", 0, &none, &skipped), 0);
	return anchors_with(none, certificates, count);
}

/* Facts of certificates that are the caller's. in_chain: bit i, the certificate is in the application's chain. */
static struct facts facts_of(struct certificate *const *certificates, size_t count, uint32_t in_chain)
{
	struct facts facts = {.certs_count = count};

	for (size_t i = 0; i < count; i++)
		facts.certs[i] = (struct fact_cert){
			.certificate = certificates[i], .presented = true, .chain = in_chain >> i & 1};
	return facts;
}

/* The path is exactly that, and each link of it holds. */
static void expect_path(const struct facts *facts, struct certificate *const *want, size_t count)
{
	assert_int_equal(facts->path_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_memory_equal(facts->path[i]->sha256, want[i]->sha256, SHA256_BYTES);
		if (i > 0)
			assert_true(certificate_issued_by(facts->path[i - 1], facts->path[i]));
	}
}
#define EXPECT_PATH(facts, ...)                                        \
	expect_path(facts, (struct certificate *const[]){__VA_ARGS__}, \
		    ARRAY_SIZE(((struct certificate *const[]){__VA_ARGS__})))

static void free_all(struct certificate **certificates, size_t count)
{
	for (size_t i = 0; i < count; i++)
		certificate_free(certificates[i]);
}

/* --- any order, any junk ------------------------------------------------------------------------------------------------- */

/* The leaf first, as always; behind it the right chain in any order, among everything that may confuse: one path. */
static void any_order_among_junk(void **state)
{
	static const char *const files[] = {
		"good-leaf.pem", "good-int.pem",   "good-root.pem", "lookalike-int.pem", "rogue-root.pem",
		"odd-utf8.pem",  "good-int.pem",   "good-leaf.pem", "cross-int-a.pem",   "cross-int-b.pem",
		"many-sans.pem", "broken-san.pem", "v1-root.pem",   "odd-utf8.pem",      "good-root.pem",
		"rsa-root.pem",  "ext-40k.pem",    "odd-nul.pem",   "client-ca.pem",     "expired-leaf.pem",
	};
	struct certificate *certificates[ARRAY_SIZE(files)], *leaf, *middle, *root;

	(void)state;
	random_start();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		certificates[i] = fixture_certificate(files[i]);
	leaf = certificates[0];
	middle = certificates[1];
	root = certificates[2];
	for (int round = 0; round < 200; round++) {
		struct facts facts;

		for (size_t i = ARRAY_SIZE(files) - 1; i > 1; i--) {
			size_t other = 1 + random_below(i);
			struct certificate *swapped = certificates[i];

			certificates[i] = certificates[other];
			certificates[other] = swapped;
		}
		facts = facts_of(certificates, ARRAY_SIZE(files), (uint32_t)random_bits());
		assert_true(path_prove(&facts, NULL));
		EXPECT_PATH(&facts, leaf, middle, root);
		for (size_t i = 0; i < facts.certs_count; i++) {
			bool proven = false;

			for (size_t j = 0; j < 3; j++)
				proven |= memcmp(facts.certs[i].certificate->sha256, facts.path[j]->sha256, SHA256_BYTES) ==
					  0;
			assert_int_equal(facts.certs[i].proven, proven);
		}
	}
	free_all(certificates, ARRAY_SIZE(files));
}

/* Nothing is parsed but the leaf, or all but the leaf. */
static void among_what_is_no_certificate(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *leaf = fixture_certificate("good-leaf.pem");
	CLEANUP_CERTIFICATE struct certificate *odd = fixture_certificate("odd-utf8.pem"), *middle = NULL;
	struct certificate *list[FACTS_CERTS_MAX];
	struct facts facts;

	(void)state;
	middle = fixture_certificate("good-int.pem");
	list[0] = leaf;
	for (size_t i = 1; i < FACTS_CERTS_MAX; i++)
		list[i] = odd;
	facts = facts_of(list, FACTS_CERTS_MAX, UINT32_MAX);
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf);
	list[FACTS_CERTS_MAX - 1] = middle;
	facts = facts_of(list, FACTS_CERTS_MAX, 0x7ffffffe);
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf, middle);
}

/* The intermediate that the peer left out is one that this host knows. Dates do not matter. */
static void what_was_not_sent(void **state)
{
	struct certificate *known[] = {fixture_certificate("good-int.pem"), fixture_certificate("good-root.pem"),
				       fixture_certificate("lookalike-int.pem"), fixture_certificate("rogue-root.pem")};
	CLEANUP_ANCHORS struct anchors *all = anchors_of(known, 4), *root_only = anchors_of(known + 1, 1);
	CLEANUP_CERTIFICATE struct certificate *leaf = fixture_certificate("expired-leaf.pem");
	struct facts facts = facts_of(&leaf, 1, 0);

	(void)state;
	assert_true(path_prove(&facts, all));
	EXPECT_PATH(&facts, leaf, known[0], known[1]);
	assert_true(path_prove(&facts, root_only));
	EXPECT_PATH(&facts, leaf);
	free_all(known, 4);
}

/* --- keys of every kind -------------------------------------------------------------------------------------------------- */

static struct certificate *with_bit_changed(const struct certificate *certificate)
{
	CLEANUP_FREE uint8_t *der = memcpy(xcalloc(certificate->der_len, 1), certificate->der, certificate->der_len);
	struct certificate *changed = NULL;

	der[certificate->der_len - 1] ^= 1; /* the last of the signature */
	assert_int_equal(certificate_new(der, certificate->der_len, &changed), 0);
	return changed;
}

/* The right root proves the leaf; not if one bit of the signature is another; and a root of the same name with another key, in
 * front of it, does not. */
static void every_kind_of_key(void **state)
{
	static const char *const kinds[][2] = {
		{"good-int", "good-root"}, {"p384-leaf", "p384-root"},     {"p521-leaf", "p521-root"},
		{"rsa-leaf", "rsa-root"},  {"rsapss-leaf", "rsapss-root"}, {"ed25519-leaf", "ed25519-root"},
		{"dsa-leaf", "dsa-root"},  {"ed448-leaf", "ed448-root"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		CLEANUP_FREE char *leaf_file = xasprintf("%s.pem", kinds[i][0]),
				  *root_file = xasprintf("%s.pem", kinds[i][1]);
		CLEANUP_CERTIFICATE struct certificate *leaf = fixture_certificate(leaf_file),
						       *changed = with_bit_changed(leaf);
		CLEANUP_CERTIFICATE struct certificate *root = fixture_certificate(root_file), *lookalike = NULL;
		struct certificate *list[3] = {leaf};
		X509 *x509 = X509_dup(root->x509);
		struct facts facts;

		X509_set_pubkey(x509, keys[7]);
		assert_true(X509_sign(x509, keys[7], EVP_sha256()) > 0);
		lookalike = made_from(x509);
		assert_string_equal(lookalike->subject, root->subject);
		list[1] = lookalike;
		list[2] = root;
		facts = facts_of(list, 3, 2);
		assert_true(path_prove(&facts, NULL));
		EXPECT_PATH(&facts, leaf, root);
		list[0] = changed;
		facts = facts_of(list, 3, 6);
		assert_true(path_prove(&facts, NULL));
		EXPECT_PATH(&facts, changed);
		assert_false(root->dear_key || leaf->dear_key);
		X509_free(x509);
	}
}

/* --- who looks like the CA ----------------------------------------------------------------------------------------------- */

/* The same name, the same key identifier, another key; in the application's chain, presented, and known to this host. */
static void the_same_name_and_key_identifier(void **state)
{
	static const char id[] = "DER:04:04:01:02:03:04", issuer_id[] = "DER:30:06:80:04:01:02:03:04";
	struct made_order genuine = {"CA", .key = keys[0], .basic = MADE_CA, .key_id = id};
	struct made_order twin = {"CA", .key = keys[1], .basic = MADE_CA, .key_id = id};
	struct made_order order = {"leaf", "CA", keys[2], keys[0], .issuer_key_id = issuer_id};
	CLEANUP_CERTIFICATE struct certificate *real = made(genuine), *lookalike = made(twin), *leaf = made(order);
	struct certificate *list[] = {leaf, lookalike, real};
	CLEANUP_ANCHORS struct anchors *both = anchors_of(list + 1, 2), *wrong = anchors_of(list + 1, 1);
	struct facts facts;

	(void)state;
	for (uint32_t in_chain = 0; in_chain < 8; in_chain++) {
		facts = facts_of(list, 3, in_chain);
		assert_true(path_prove(&facts, wrong));
		EXPECT_PATH(&facts, leaf, real);
		facts = facts_of(list, 2, in_chain);
		assert_true(path_prove(&facts, NULL));
		EXPECT_PATH(&facts, leaf);
		assert_true(path_prove(&facts, both));
		EXPECT_PATH(&facts, leaf, real);
	}
	facts = facts_of(list, 1, 0);
	assert_true(path_prove(&facts, wrong));
	EXPECT_PATH(&facts, leaf);
}

/* Key identifiers that do not fit: only a hint (RFC 5280 4.2.1.1), the signature counts. */
static void wrong_key_identifiers(void **state)
{
	struct made_order ca = {"CA", .key = keys[0], .basic = MADE_CA, .key_id = "DER:04:04:09:09:09:09"};
	struct made_order order = {"leaf", "CA", keys[2], keys[0], .issuer_key_id = "DER:30:06:80:04:01:02:03:04"};
	CLEANUP_CERTIFICATE struct certificate *issuer = made(ca), *leaf = made(order);
	struct facts facts = facts_of((struct certificate *const[]){leaf, issuer}, 2, 0);

	(void)state;
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf, issuer);
}

/* RFC 5280 7.1: case, spaces and the type of a string make no other name. Other letters do, and the key alone is no issuer. */
static void how_the_name_is_written(void **state)
{
	static const struct {
		const char *issuer;
		int type;
		size_t length;
	} names[] = {
		{"Test CA", V_ASN1_PRINTABLESTRING, 2},
		{"Test CA", V_ASN1_UTF8STRING, 2},
		{"TEST ca", 0, 2},
		{"  Test   CA ", V_ASN1_UTF8STRING, 2},
		{"TestCA", 0, 1},
		{"Test CA.", 0, 1},
	};
	CLEANUP_CERTIFICATE struct certificate *ca = made((struct made_order){"Test CA", .key = keys[0], .basic = MADE_CA});

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct made_order order = {"leaf", names[i].issuer, keys[2], keys[0], .name_type = names[i].type};
		CLEANUP_CERTIFICATE struct certificate *leaf = made(order);
		CLEANUP_ANCHORS struct anchors *anchors = anchors_of(&ca, 1);
		struct facts facts = facts_of((struct certificate *const[]){leaf, ca}, 2, 0);

		assert_true(path_prove(&facts, NULL));
		assert_int_equal(facts.path_count, names[i].length);
		facts.certs_count = 1;
		assert_true(path_prove(&facts, anchors));
		assert_int_equal(facts.path_count, names[i].length);
	}
}

/* --- leaves that are their own issuer ------------------------------------------------------------------------------------ */

static void a_self_signed_leaf(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *leaf = made((struct made_order){"CA", .key = keys[0], .basic = MADE_CA});
	CLEANUP_CERTIFICATE struct certificate *other = made((struct made_order){"CA", .key = keys[1], .basic = MADE_CA});
	CLEANUP_ANCHORS struct anchors *anchors = anchors_of(&leaf, 1);
	struct facts facts = facts_of((struct certificate *const[]){leaf, other, leaf}, 3, 1);

	(void)state;
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf);
	assert_true(facts.certs[2].proven);
	facts.certs[0].chain = false;
	assert_true(path_prove(&facts, anchors));
	EXPECT_PATH(&facts, leaf);
}

/* Issuer and subject have the same name, and another key signed: that CA stands above. */
static void a_leaf_with_its_issuers_name(void **state)
{
	struct made_order order = {"CA", "CA", keys[2], keys[0], .san = "DNS:leaf.test"};
	CLEANUP_CERTIFICATE struct certificate *leaf = made(order);
	CLEANUP_CERTIFICATE struct certificate *ca = made((struct made_order){"CA", .key = keys[0], .basic = MADE_CA});
	struct facts facts = facts_of((struct certificate *const[]){leaf, ca}, 2, 0);

	(void)state;
	assert_true(leaf->self_issued);
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf, ca);
}

/* --- two paths ----------------------------------------------------------------------------------------------------------- */

/* A leaf below an intermediate's key for which two roots vouch: by `first` and `second`, in that order of preference. What
 * is asked is which root the path ends at; 0: neither. */
static int root_reached(struct made_order first_root, struct made_order second_root, const char *first, const char *second)
{
	struct made_order one = {"middle", first_root.name, keys[2], first_root.key, .basic = first};
	struct made_order two = {"middle", second_root.name, keys[2], second_root.key, .basic = second};
	struct made_order below = {"below", "middle", keys[3], keys[2], .basic = MADE_CA};
	struct made_order leaf = {"leaf", "below", keys[4], keys[3], .san = "DNS:www.leaf.test"};
	struct certificate *list[] = {made(leaf), made(below), made(one), made(two), made(first_root), made(second_root)};
	struct facts facts = facts_of(list, ARRAY_SIZE(list), 0x37);
	int reached = 0;

	assert_true(path_prove(&facts, NULL));
	for (int i = 1; i <= 2; i++)
		if (facts.path[facts.path_count - 1] == list[3 + i]) {
			EXPECT_PATH(&facts, list[0], list[1], list[1 + i], list[3 + i]);
			reached = i;
		}
	free_all(list, ARRAY_SIZE(list));
	return reached;
}

static void a_path_that_leads_nowhere(void **state)
{
	struct made_order a = {"A", .key = keys[0], .basic = MADE_CA}, b = {"B", .key = keys[1], .basic = MADE_CA};
	struct made_order narrow = {"A", .key = keys[0], .basic = MADE_CA, .constraints = "permitted;DNS:other.test"};
	struct made_order without = {"A", .key = keys[0], .basic = MADE_CA, .constraints = "excluded;DNS:leaf.test"};
	struct made_order wide = {"A", .key = keys[0], .basic = MADE_CA, .constraints = "permitted;DNS:leaf.test"};
	struct made_order flat = {"A", .key = keys[0], .basic = "critical,CA:TRUE,pathlen:1"};
	struct made_order deep = {"A", .key = keys[0], .basic = "critical,CA:TRUE,pathlen:2"};
	struct made_order no_ca = {"A", .key = keys[0], .basic = "critical,CA:FALSE"};

	(void)state;
	assert_int_equal(root_reached(a, b, MADE_CA, MADE_CA), 1);
	assert_int_equal(root_reached(wide, b, MADE_CA, MADE_CA), 1);
	assert_int_equal(root_reached(narrow, b, MADE_CA, MADE_CA), 2);
	assert_int_equal(root_reached(without, b, MADE_CA, MADE_CA), 2);
	assert_int_equal(root_reached(deep, b, MADE_CA, MADE_CA), 1);
	assert_int_equal(root_reached(flat, b, MADE_CA, MADE_CA), 2);
	assert_int_equal(root_reached(no_ca, b, MADE_CA, MADE_CA), 2);
	assert_int_equal(root_reached(a, b, "critical,CA:TRUE,pathlen:0", MADE_CA), 2);
	assert_int_equal(root_reached(a, b, "critical,CA:FALSE", MADE_CA), 2);
	assert_int_equal(root_reached(a, b, MADE_CA, "critical,CA:FALSE"), 1);
	assert_int_equal(root_reached(narrow, b, MADE_CA, "critical,CA:TRUE,pathlen:0"), 0);
}

/* A root that was cross-signed by an older one: known itself, the path ends there; else it goes on to the one that is known. */
static void a_root_that_was_cross_signed(void **state)
{
	struct made_order order = {"leaf", "new", keys[2], keys[1]};
	struct made_order crossed = {"new", "old", keys[1], keys[0], .basic = MADE_CA};
	CLEANUP_CERTIFICATE struct certificate *leaf = made(order), *cross = made(crossed);
	CLEANUP_CERTIFICATE struct certificate *new = made((struct made_order){"new", .key = keys[1], .basic = MADE_CA});
	CLEANUP_CERTIFICATE struct certificate *old = made((struct made_order){"old", .key = keys[0], .basic = MADE_CA});
	CLEANUP_ANCHORS struct anchors *knows_new = anchors_of(&new, 1), *knows_old = anchors_of(&old, 1);
	struct certificate *list[] = {leaf, new, cross};
	struct facts facts = facts_of(list, 3, 0);

	(void)state;
	assert_true(path_prove(&facts, knows_new));
	EXPECT_PATH(&facts, leaf, new);
	assert_true(path_prove(&facts, knows_old));
	EXPECT_PATH(&facts, leaf, cross, old);
	/* Only the cross-signed one was sent, the root is known: what was sent is tried first, and leads nowhere. */
	list[1] = cross;
	facts = facts_of(list, 2, 0);
	assert_true(path_prove(&facts, knows_new));
	EXPECT_PATH(&facts, leaf, new);
}

/* Two CAs that signed each other: no circle. */
static void a_circle(void **state)
{
	struct made_order a = {"A", "B", keys[0], keys[1], .basic = MADE_CA},
			  b = {"B", "A", keys[1], keys[0], .basic = MADE_CA};
	struct made_order order = {"leaf", "A", keys[2], keys[0]};
	CLEANUP_CERTIFICATE struct certificate *first = made(a), *second = made(b), *again = made(a), *leaf = made(order);
	struct facts facts = facts_of((struct certificate *const[]){leaf, first, second, again}, 4, 0xf);

	(void)state;
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf, first, second);
}

/* --- bounds -------------------------------------------------------------------------------------------------------------- */

/* As many CAs of the leaf's issuer's name as one may send, among what is no certificate, and more in the trust store. The
 * application's chain is looked at first. */
static void many_issuers_of_one_name(void **state)
{
	enum { STORE = 100 };
	CLEANUP_CERTIFICATE struct certificate *odd = fixture_certificate("odd-utf8.pem");
	CLEANUP_CERTIFICATE struct certificate *real = made((struct made_order){"CA", .key = keys[0], .basic = MADE_CA});
	CLEANUP_CERTIFICATE struct certificate *leaf = made((struct made_order){"leaf", "CA", keys[2], keys[0]});
	CLEANUP_ANCHORS struct anchors *crowd = NULL, *store = NULL;
	struct certificate *list[FACTS_CERTS_MAX] = {leaf}, *others[STORE];
	struct facts facts;

	(void)state;
	for (size_t i = 0; i < STORE; i++)
		others[i] = made((struct made_order){"CA", .key = keys[1 + i % 7], .issuer_key = keys[1], .basic = MADE_CA});
	for (size_t i = 1; i < FACTS_CERTS_MAX; i++)
		list[i] = i % 5 ? others[i] : odd;
	crowd = anchors_of(others + FACTS_CERTS_MAX, STORE - FACTS_CERTS_MAX);
	store = anchors_of(&real, 1);
	facts = facts_of(list, FACTS_CERTS_MAX, 0);
	assert_true(path_prove(&facts, NULL));
	EXPECT_PATH(&facts, leaf);
	assert_true(path_prove(&facts, store));
	EXPECT_PATH(&facts, leaf, real);
	assert_false(path_prove(&facts, crowd));
	EXPECT_PATH(&facts, leaf);
	assert_true(facts.path_cut);
	list[FACTS_CERTS_MAX - 1] = real;
	facts = facts_of(list, FACTS_CERTS_MAX, UINT32_C(1) << (FACTS_CERTS_MAX - 1));
	assert_true(path_prove(&facts, crowd));
	EXPECT_PATH(&facts, leaf, real);
	free_all(others, STORE);
}

/* A chain that fills all room, in reverse: it is proven whole. Its root, which the host knows, has no room left, and that is
 * told; with one link less it has. */
static void the_longest_chain(void **state)
{
	EVP_PKEY *chain_keys[FACTS_CERTS_MAX + 1];
	struct certificate *list[FACTS_CERTS_MAX], *all[FACTS_CERTS_MAX + 1];
	CLEANUP_ANCHORS struct anchors *anchors = NULL;
	struct facts facts;

	(void)state;
	for (size_t i = 0; i <= FACTS_CERTS_MAX; i++)
		chain_keys[i] = i < ARRAY_SIZE(keys) ? keys[i] : made_key();
	for (size_t i = 0; i <= FACTS_CERTS_MAX; i++) {
		CLEANUP_FREE char *name = xasprintf("%zu", i), *above = xasprintf("%zu", i < FACTS_CERTS_MAX ? i + 1 : i);

		all[i] = made((struct made_order){name, above, chain_keys[i], chain_keys[i < FACTS_CERTS_MAX ? i + 1 : i],
						  .basic = MADE_CA});
		if (i < FACTS_CERTS_MAX)
			list[i ? FACTS_CERTS_MAX - i : 0] = all[i];
	}
	anchors = anchors_of(all + FACTS_CERTS_MAX, 1);
	facts = facts_of(list, FACTS_CERTS_MAX, 0);
	assert_false(path_prove(&facts, anchors));
	assert_true(facts.path_cut);
	expect_path(&facts, all, FACTS_CERTS_MAX);
	list[0] = all[1];
	facts = facts_of(list, FACTS_CERTS_MAX - 1, 0);
	assert_true(path_prove(&facts, anchors));
	expect_path(&facts, all + 1, FACTS_CERTS_MAX);
	free_all(all, FACTS_CERTS_MAX + 1);
	for (size_t i = ARRAY_SIZE(keys); i <= FACTS_CERTS_MAX; i++)
		EVP_PKEY_free(chain_keys[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_among_junk),
		cmocka_unit_test(among_what_is_no_certificate),
		cmocka_unit_test(what_was_not_sent),
		cmocka_unit_test(every_kind_of_key),
		cmocka_unit_test(the_same_name_and_key_identifier),
		cmocka_unit_test(wrong_key_identifiers),
		cmocka_unit_test(how_the_name_is_written),
		cmocka_unit_test(a_self_signed_leaf),
		cmocka_unit_test(a_leaf_with_its_issuers_name),
		cmocka_unit_test(a_path_that_leads_nowhere),
		cmocka_unit_test(a_root_that_was_cross_signed),
		cmocka_unit_test(a_circle),
		cmocka_unit_test(many_issuers_of_one_name),
		cmocka_unit_test(the_longest_chain),
	};

	certificate_init();
	return cmocka_run_group_tests_name("path cases", tests, keys_make, keys_free);
}
