/* A signature alone is no authority: what a CA may sign (path.h), one key in several encodings, and what all that costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fixture.h"
#include "path.h"

#define CA "critical,CA:TRUE"

/* A certificate to be made. Names are common names; issuer NULL: self-issued. */
struct order {
	const char *name, *issuer;
	EVP_PKEY *key, *issuer_key;
	const char *basic, *usage, *constraints, *san;
	bool first_version;
};

static void extend(X509 *x509, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, NULL, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void name_set(X509_NAME *name, const char *text)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)text, -1, -1, 0), 1);
}

static struct certificate *certificate_of(const X509 *x509)
{
	struct certificate *certificate = NULL;
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);

	assert_int_equal(certificate_new(der, (size_t)len, &certificate), 0);
	assert_true(certificate->parsed);
	OPENSSL_free(der);
	return certificate;
}

static struct certificate *make(struct order order)
{
	static long serial;
	X509 *x509 = X509_new();
	struct certificate *certificate;

	assert_int_equal(X509_set_version(x509, order.first_version ? X509_VERSION_1 : X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
	name_set(X509_get_subject_name(x509), order.name);
	name_set(X509_get_issuer_name(x509), order.issuer ? order.issuer : order.name);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	assert_int_equal(X509_set_pubkey(x509, order.key), 1);
	extend(x509, NID_basic_constraints, order.basic);
	extend(x509, NID_key_usage, order.usage);
	extend(x509, NID_name_constraints, order.constraints);
	extend(x509, NID_subject_alt_name, order.san);
	assert_true(X509_sign(x509, order.issuer_key ? order.issuer_key : order.key, EVP_sha256()) > 0);
	certificate = certificate_of(x509);
	X509_free(x509);
	return certificate;
}

static EVP_PKEY *new_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

/* A pinned root, a leaf's key below it, and three more. */
static EVP_PKEY *keys[5];

static int keys_make(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = new_key();
	return 0;
}

static int keys_free(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

/* Takes the certificates over. All are presented, none is in the application's chain. Gives the length of the path. */
static size_t path_of(struct certificate *const *certificates, size_t count, struct facts *facts)
{
	*facts = (struct facts){.certs_count = count};
	for (size_t i = 0; i < count; i++)
		facts->certs[i] = (struct fact_cert){.certificate = certificates[i], .presented = true};
	path_prove(facts, NULL);
	return facts->path_count;
}

static size_t path_length(struct certificate *const *certificates, size_t count)
{
	struct facts facts;
	size_t length = path_of(certificates, count, &facts);

	for (size_t i = 0; i < count; i++)
		certificate_free(certificates[i]);
	return length;
}
#define PATH_LENGTH(...) \
	path_length((struct certificate *const[]){__VA_ARGS__}, ARRAY_SIZE(((struct certificate *const[]){__VA_ARGS__})))

static struct certificate *root(const char *constraints)
{
	return make((struct order){"root", .key = keys[0], .basic = CA, .constraints = constraints});
}

static struct certificate *forged(void)
{
	return make((struct order){"forged", "middle", keys[2], keys[1], .san = "DNS:victim.test,IP:1.1.1.1"});
}

static struct certificate *middle(const char *basic, const char *usage)
{
	return make((struct order){"middle", "root", keys[1], keys[0], basic, usage});
}

/* Who has the key of a genuine server's certificate signs another one with it: the genuine CA's key is not above that. */
static void a_leafs_key_signs_nothing(void **state)
{
	(void)state;
	assert_int_equal(PATH_LENGTH(forged(), middle(CA, NULL), root(NULL)), 3);
	assert_int_equal(PATH_LENGTH(forged(), middle(CA, "critical,keyCertSign"), root(NULL)), 3);
	assert_int_equal(PATH_LENGTH(forged(), middle("critical,CA:FALSE", NULL), root(NULL)), 1);
	assert_int_equal(PATH_LENGTH(forged(), middle(NULL, NULL), root(NULL)), 1);
	assert_int_equal(PATH_LENGTH(forged(), middle(NULL, "critical,keyCertSign"), root(NULL)), 1);
	assert_int_equal(PATH_LENGTH(forged(), middle(CA, "critical,digitalSignature,cRLSign"), root(NULL)), 1);
}

/* Version 1 has no extensions: a root may be one, an intermediate not, whatever it says. */
static void the_first_version(void **state)
{
	struct order old_root = {"root", .key = keys[0], .first_version = true};
	struct order old_middle = {"middle", "root", keys[1], keys[0], .basic = CA, .first_version = true};

	(void)state;
	assert_int_equal(PATH_LENGTH(forged(), middle(CA, NULL), make(old_root)), 3);
	assert_int_equal(PATH_LENGTH(forged(), make(old_middle), root(NULL)), 1);
}

/* Two answers are none. */
static void an_extension_that_repeats(void **state)
{
	struct certificate *good = middle(CA, NULL), *twice;
	X509 *x509 = X509_dup(good->x509);

	(void)state;
	extend(x509, NID_basic_constraints, "critical,CA:FALSE");
	assert_true(X509_sign(x509, keys[0], EVP_sha256()) > 0);
	twice = certificate_of(x509);
	assert_false(twice->may_sign);
	assert_int_equal(PATH_LENGTH(forged(), twice, root(NULL)), 1);
	X509_free(x509);
	certificate_free(good);
}

static void path_length_constraint(void **state)
{
	struct order below = {"below", "middle", keys[3], keys[1], .basic = CA};
	struct order leaf = {"leaf", "below", keys[2], keys[3]};
	struct order renewed = {"middle", "middle", keys[4], keys[1], .basic = CA}; /* self-issued: does not count */
	struct order leaf_of_renewed = {"leaf", "middle", keys[2], keys[4]};

	(void)state;
	assert_int_equal(PATH_LENGTH(forged(), middle("CA:TRUE,pathlen:0", NULL), root(NULL)), 3);
	assert_int_equal(PATH_LENGTH(make(leaf), make(below), middle("CA:TRUE,pathlen:0", NULL), root(NULL)), 2);
	assert_int_equal(PATH_LENGTH(make(leaf), make(below), middle("CA:TRUE,pathlen:1", NULL), root(NULL)), 4);
	assert_int_equal(PATH_LENGTH(make(leaf_of_renewed), make(renewed), middle("CA:TRUE,pathlen:0", NULL), root(NULL)),
			 4);
}

static void name_constraints(void **state)
{
	struct order named = {"victim.test", "middle", keys[2], keys[1]};

	(void)state;
	assert_int_equal(
		PATH_LENGTH(forged(), middle(CA, NULL), root("permitted;DNS:test,permitted;IP:1.1.1.0/255.255.255.0")), 3);
	assert_int_equal(PATH_LENGTH(forged(), middle(CA, NULL), root("permitted;DNS:customer.example")), 2);
	assert_int_equal(PATH_LENGTH(forged(), middle(CA, NULL), root("excluded;IP:1.1.1.0/255.255.255.0")), 2);
	/* A common name is a name where there is no other. */
	assert_int_equal(PATH_LENGTH(make(named), middle(CA, NULL), root("permitted;DNS:customer.example")), 2);
	assert_int_equal(PATH_LENGTH(make(named), middle(CA, NULL), root("permitted;DNS:test")), 3);
}

static struct anchors *anchors_of(const struct certificate *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct anchors *anchors = NULL;
	size_t skipped;
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, certificate->x509), 1);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(anchors_new(text, (size_t)len, &anchors, &skipped), 0);
	BIO_free(bio);
	return anchors;
}

/* An intermediate that is also sent as a root of its own does not hide the root that this host knows. */
static void a_root_that_was_merely_sent(void **state)
{
	struct order own = {"middle", .key = keys[1], .basic = CA};
	struct certificate *certificates[] = {forged(), make(own), middle(CA, NULL), root(NULL)};
	CLEANUP(anchors_freep) struct anchors *anchors = anchors_of(certificates[3]);
	struct facts facts;

	(void)state;
	assert_int_equal(path_of(certificates, 3, &facts), 2);
	path_prove(&facts, anchors);
	assert_int_equal(facts.path_count, 3);
	assert_ptr_equal(facts.path[1], certificates[2]);
	assert_memory_equal(facts.path[2]->sha256, certificates[3]->sha256, SHA256_BYTES);
	assert_int_equal(facts.beside_count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(certificates); i++)
		certificate_free(certificates[i]);
}

/* The leaf cannot be read, or a certificate is missing, so there is no path; the root of what lies beside is seen. */
static void an_anchor_beside_the_path(void **state)
{
	struct certificate *certificates[] = {fixture_certificate("odd-utf8.pem"), middle(CA, NULL), root(NULL)};
	CLEANUP(anchors_freep) struct anchors *anchors = anchors_of(certificates[2]);
	struct facts facts;

	(void)state;
	assert_int_equal(path_of(certificates, 2, &facts), 0);
	path_prove(&facts, anchors);
	assert_int_equal(facts.path_count, 0);
	assert_int_equal(facts.beside_count, 1);
	assert_memory_equal(facts.beside[0]->sha256, certificates[2]->sha256, SHA256_BYTES);
	facts.certs[0].certificate = certificates[1];
	facts.certs_count = 1;
	facts.truncated = true;
	path_prove(&facts, anchors);
	assert_int_equal(facts.path_count, 0);
	assert_int_equal(facts.beside_count, 1);
	for (size_t i = 0; i < ARRAY_SIZE(certificates); i++)
		certificate_free(certificates[i]);
}

/* --- one key, several encodings ------------------------------------------------------------------------------------- */

static struct certificate *with_key(EVP_PKEY *key)
{
	return make((struct order){"leaf", "root", key, keys[0]});
}

static void one_key_in_several_encodings(void **state)
{
	static const char *const forms[][2] = {
		{"named_curve", "uncompressed"}, {"named_curve", "compressed"}, {"named_curve", "hybrid"},
		{"explicit", "uncompressed"},    {"explicit", "compressed"},
	};
	CLEANUP(certificate_freep) struct certificate *usual = with_key(keys[2]), *other = with_key(keys[3]);

	(void)state;
	assert_memory_equal(usual->key_sha256, usual->spki_sha256, SHA256_BYTES);
	assert_memory_not_equal(usual->key_sha256, other->key_sha256, SHA256_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		EVP_PKEY *key = EVP_PKEY_dup(keys[2]);
		CLEANUP(certificate_freep) struct certificate *c = NULL;

		EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, forms[i][0]);
		EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, forms[i][1]);
		c = with_key(key);
		assert_memory_equal(c->key_sha256, usual->spki_sha256, SHA256_BYTES);
		assert_int_equal(memcmp(c->spki_sha256, usual->spki_sha256, SHA256_BYTES) == 0, i == 0);
		EVP_PKEY_free(key);
	}
}

/* The same modulus and exponent as an RSA and as an RSA-PSS key. */
static void one_rsa_key_of_two_kinds(void **state)
{
	CLEANUP(certificate_freep) struct certificate *pss = fixture_certificate("rsapss-root.pem");
	CLEANUP(certificate_freep) struct certificate *rsa = fixture_certificate("rsa-root.pem"), *plain = NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	BIGNUM *n = NULL, *e = NULL;
	OSSL_PARAM *params;

	(void)state;
	assert_memory_equal(rsa->key_sha256, rsa->spki_sha256, SHA256_BYTES);
	assert_int_equal(EVP_PKEY_get_bn_param(X509_get0_pubkey(pss->x509), "n", &n), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(X509_get0_pubkey(pss->x509), "e", &e), 1);
	OSSL_PARAM_BLD_push_BN(builder, "n", n);
	OSSL_PARAM_BLD_push_BN(builder, "e", e);
	params = OSSL_PARAM_BLD_to_param(builder);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	plain = with_key(key);
	assert_string_equal(plain->key_algorithm, "RSA");
	assert_memory_equal(plain->spki_sha256, pss->key_sha256, SHA256_BYTES);
	assert_memory_equal(plain->key_sha256, pss->key_sha256, SHA256_BYTES);
	assert_memory_not_equal(pss->spki_sha256, pss->key_sha256, SHA256_BYTES);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	BN_free(n);
	BN_free(e);
}

/* --- one certificate, two hashes ------------------------------------------------------------------------------------ */

/* The twin of a certificate's twin is the certificate; both are signed by the same key. */
static void an_ecdsa_signature_has_a_twin(void **state)
{
	static const char *const curves[] = {"P-256", "P-384", "P-521"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i]);
		CLEANUP(certificate_freep) struct certificate *one = NULL, *two = NULL;
		EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(i == 0 ? SN_X9_62_prime256v1 :
									i == 1 ? SN_secp384r1 :
										 SN_secp521r1));
		const ASN1_BIT_STRING *signature;
		unsigned char *encoded = NULL;
		BIGNUM *s = BN_new();
		const uint8_t *p;
		ECDSA_SIG *pair;
		X509 *x509;
		int len;

		one = make((struct order){"x", .key = key, .basic = CA});
		x509 = X509_dup(one->x509);
		X509_get0_signature(&signature, NULL, x509);
		p = ASN1_STRING_get0_data(signature);
		pair = d2i_ECDSA_SIG(NULL, &p, ASN1_STRING_length(signature));
		BN_sub(s, EC_GROUP_get0_order(group), ECDSA_SIG_get0_s(pair));
		ECDSA_SIG_set0(pair, BN_dup(ECDSA_SIG_get0_r(pair)), s);
		len = i2d_ECDSA_SIG(pair, &encoded);
		ASN1_STRING_set((ASN1_STRING *)signature, encoded, len);
		two = certificate_of(x509);
		assert_true(one->has_twin && two->has_twin);
		assert_true(certificate_issued_by(two, one));
		assert_memory_not_equal(one->sha256, two->sha256, SHA256_BYTES);
		assert_memory_equal(one->twin_sha256, two->sha256, SHA256_BYTES);
		assert_memory_equal(two->twin_sha256, one->sha256, SHA256_BYTES);
		OPENSSL_free(encoded);
		ECDSA_SIG_free(pair);
		EC_GROUP_free(group);
		X509_free(x509);
		EVP_PKEY_free(key);
	}
}

static void others_have_none(void **state)
{
	static const char *const files[] = {"rsa-leaf.pem", "rsapss-leaf.pem", "ed25519-leaf.pem", "odd-utf8.pem"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP(certificate_freep) struct certificate *c = fixture_certificate(files[i]);

		assert_false(c->has_twin);
	}
}

/* --- what it costs -------------------------------------------------------------------------------------------------- */

/* An RSA key of those sizes; that nobody has its private half does not matter to who checks. */
static EVP_PKEY *public_rsa(int bits, int exponent_bits)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *n = BN_new(), *e = BN_new();
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;

	BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
	BN_rand(e, exponent_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
	OSSL_PARAM_BLD_push_BN(builder, "n", n);
	OSSL_PARAM_BLD_push_BN(builder, "e", e);
	params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_fromdata_init(ctx);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	return key;
}

/* The certificate with another signature: of that length, as if an RSA key of that size had made it with SHA-256. */
static struct certificate *with_signature(const struct certificate *certificate, int bits)
{
	uint8_t *der = memcpy(xcalloc(certificate->der_len, 1), certificate->der, certificate->der_len);
	const uint8_t *p = der;
	X509 *x509 = d2i_X509(NULL, &p, (long)certificate->der_len);
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *outer;
	struct certificate *made;
	uint8_t *bytes = xcalloc((size_t)bits / 8, 1);

	memset(bytes, 0x11, (size_t)bits / 8);
	X509_get0_signature(&signature, &outer, x509);
	ASN1_STRING_set((ASN1_STRING *)signature, bytes, bits / 8);
	X509_ALGOR_set0((X509_ALGOR *)outer, OBJ_nid2obj(NID_sha256WithRSAEncryption), V_ASN1_NULL, NULL);
	X509_ALGOR_set0((X509_ALGOR *)X509_get0_tbs_sigalg(x509), OBJ_nid2obj(NID_sha256WithRSAEncryption), V_ASN1_NULL,
			NULL);
	assert_true(i2d_re_X509_tbs(x509, NULL) > 0); /* or the old one is written again */
	made = certificate_of(x509);
	X509_free(x509);
	free(bytes);
	free(der);
	return made;
}

/* As many certificates as there is room for, each of which may have issued each other, with keys that take long. */
static void dear_keys_are_bounded(void **state)
{
	static const int sizes[][2] = {{8192, 32}, {8192, 64}, {16384, 64}, {3072, 3000}, {4096, 17}};

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		int bits = sizes[s][0];
		bool dear = sizes[s][0] > 8192 || sizes[s][1] > 32;
		struct certificate *certificates[FACTS_CERTS_MAX];
		struct facts facts;

		for (size_t i = 0; i < FACTS_CERTS_MAX; i++) {
			EVP_PKEY *key = public_rsa(bits, sizes[s][1]);
			struct certificate *c = make((struct order){"x", .key = key, .issuer_key = keys[0], .basic = CA});

			certificates[i] = with_signature(c, bits);
			assert_int_equal(certificates[i]->dear_key, dear);
			certificate_free(c);
			EVP_PKEY_free(key);
		}
		assert_int_equal(path_of(certificates, FACTS_CERTS_MAX, &facts), 1);
		assert_int_equal(facts.path_cut, dear);
		for (size_t i = 0; i < FACTS_CERTS_MAX; i++)
			certificate_free(certificates[i]);
	}
}

/* A CA with as many constraints as names in the leaf: their product is what comparing costs. */
static void names_and_constraints_are_bounded(void **state)
{
	enum { COUNT = 1500 };
	CLEANUP_FREE char *san = xstrdup("DNS:n.test"), *permitted = xstrdup("permitted;DNS:m.test");
	struct certificate *certificates[3];
	struct facts facts;

	(void)state;
	for (int i = 1; i < COUNT; i++) {
		CLEANUP_FREE char *shorter = san, *fewer = permitted;

		san = xasprintf("%s,DNS:n.test", shorter);
		permitted = xasprintf("%s,permitted;DNS:m.test", fewer);
	}
	certificates[0] = make((struct order){"leaf", "middle", keys[2], keys[1], .san = san});
	certificates[1] = make((struct order){"middle", "root", keys[1], keys[0], CA, .constraints = permitted});
	certificates[2] = root(NULL);
	assert_int_equal(path_of(certificates, 3, &facts), 1);
	assert_true(facts.path_cut);
	for (size_t i = 0; i < 3; i++)
		certificate_free(certificates[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leafs_key_signs_nothing),
		cmocka_unit_test(the_first_version),
		cmocka_unit_test(an_extension_that_repeats),
		cmocka_unit_test(path_length_constraint),
		cmocka_unit_test(name_constraints),
		cmocka_unit_test(a_root_that_was_merely_sent),
		cmocka_unit_test(an_anchor_beside_the_path),
		cmocka_unit_test(one_key_in_several_encodings),
		cmocka_unit_test(one_rsa_key_of_two_kinds),
		cmocka_unit_test(an_ecdsa_signature_has_a_twin),
		cmocka_unit_test(others_have_none),
		cmocka_unit_test(dear_keys_are_bounded),
		cmocka_unit_test(names_and_constraints_are_bounded),
	};

	certificate_init();
	return cmocka_run_group_tests_name("authority", tests, keys_make, keys_free);
}
