/* certificate.signature_digest: by what the algorithm's identifier says, whatever it says. RSA-PSS also as a link of a path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "made.h"
#include "path.h"

static EVP_PKEY *rsa, *pss, *ec;

static int keys_make(void **state)
{
	(void)state;
	rsa = fixture_key("rsa-root.key");
	pss = fixture_key("rsapss-root.key");
	ec = made_key();
	return 0;
}

static int keys_free(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(pss);
	EVP_PKEY_free(ec);
	return 0;
}

/* A certificate whose signature claims to be of that algorithm. parameters: of type, may be NULL. */
static struct certificate *claiming(ASN1_OBJECT *algorithm, int type, void *parameters)
{
	X509 *x509 = made_unsigned((struct made_order){"leaf", "root", ec});
	struct certificate *certificate;
	const X509_ALGOR *outer;

	assert_true(X509_sign(x509, ec, EVP_sha256()) > 0);
	X509_get0_signature(NULL, &outer, x509);
	assert_int_equal(X509_ALGOR_set0((X509_ALGOR *)outer, algorithm, type, parameters), 1);
	certificate = made_from(x509);
	X509_free(x509);
	return certificate;
}

static void expect_named(int nid, const char *digest)
{
	CLEANUP(certificate_freep) struct certificate *c = claiming(OBJ_nid2obj(nid), V_ASN1_NULL, NULL);

	if (strcmp(c->signature_digest, digest) != 0)
		fail_msg("%s: %s instead of %s", OBJ_nid2sn(nid), c->signature_digest, digest);
	assert_int_equal(ERR_peek_error(), 0);
}

static void by_name(void **state)
{
	(void)state;
	expect_named(NID_md5WithRSAEncryption, "MD5");
	expect_named(NID_md2WithRSAEncryption, "MD5");
	expect_named(NID_md4WithRSAEncryption, "MD5");
	expect_named(NID_md5WithRSA, "MD5");
	expect_named(NID_sha1WithRSAEncryption, "SHA1");
	expect_named(NID_sha1WithRSA, "SHA1");
	expect_named(NID_shaWithRSAEncryption, "SHA1");
	expect_named(NID_dsaWithSHA1, "SHA1");
	expect_named(NID_dsaWithSHA, "SHA1");
	expect_named(NID_ecdsa_with_SHA1, "SHA1");
	expect_named(NID_sha224WithRSAEncryption, "SHA224");
	expect_named(NID_sha256WithRSAEncryption, "SHA256");
	expect_named(NID_sha384WithRSAEncryption, "SHA384");
	expect_named(NID_sha512WithRSAEncryption, "SHA512");
	expect_named(NID_dsa_with_SHA256, "SHA256");
	expect_named(NID_ecdsa_with_SHA384, "SHA384");
	expect_named(NID_ecdsa_with_SHA512, "SHA512");
	expect_named(NID_RSA_SHA3_256, "SHA3-256");
	expect_named(NID_ripemd160WithRSA, "RIPEMD160");
	expect_named(NID_ED25519, "none");
	expect_named(NID_ED448, "none");
	/* No signature algorithm, or one that does not say. */
	expect_named(NID_rsaEncryption, "unknown");
	expect_named(NID_sha1, "unknown");
	expect_named(NID_ecdsa_with_Recommended, "unknown");
	expect_named(NID_rsassaPss, "unknown");
}

static void of_fixtures(void **state)
{
	static const char *const files[][2] = {
		{"good-leaf.pem", "SHA256"},  {"rsa-leaf.pem", "SHA256"}, {"rsapss-leaf.pem", "SHA256"},
		{"ed25519-leaf.pem", "none"}, {"ed448-leaf.pem", "none"}, {"dsa-leaf.pem", "SHA256"},
		{"p521-leaf.pem", "SHA256"},  {"v1-root.pem", "SHA256"},
	};
	CLEANUP(certificate_freep) struct certificate *unparsed = fixture_certificate("odd-utf8.pem");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP(certificate_freep) struct certificate *c = fixture_certificate(files[i][0]);

		assert_string_equal(c->signature_digest, files[i][1]);
	}
	assert_null(unparsed->signature_digest);
}

static void nobody_knows(void **state)
{
	CLEANUP(certificate_freep)
	struct certificate *c = claiming(OBJ_txt2obj("1.3.6.1.4.1.99999.7", 1), V_ASN1_UNDEF, NULL);

	(void)state;
	assert_string_equal(c->signature_digest, "unknown");
	assert_string_equal(c->signature_algorithm, "unknown");
}

/* --- RSA-PSS: parameters that were written by hand ------------------------------------------------------------------------ */

static X509_ALGOR *algorithm_of(int nid)
{
	X509_ALGOR *algorithm = nid ? X509_ALGOR_new() : NULL;

	if (algorithm)
		X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), V_ASN1_NULL, NULL);
	return algorithm;
}

/* 0: the field is left out. generation other than MGF1: without a digest in it. */
static void expect_parameters(int message, int generation, int mask, const char *digest)
{
	RSA_PSS_PARAMS *params = RSA_PSS_PARAMS_new();
	CLEANUP(certificate_freep) struct certificate *c = NULL;
	ASN1_STRING *packed = NULL, *inner = NULL;
	X509_ALGOR *of_mask = algorithm_of(mask);

	params->hashAlgorithm = algorithm_of(message);
	params->maskGenAlgorithm = algorithm_of(generation);
	if (of_mask) {
		assert_non_null(ASN1_item_pack(of_mask, ASN1_ITEM_rptr(X509_ALGOR), &inner));
		X509_ALGOR_set0(params->maskGenAlgorithm, OBJ_nid2obj(generation), V_ASN1_SEQUENCE, inner);
	}
	assert_non_null(ASN1_item_pack(params, ASN1_ITEM_rptr(RSA_PSS_PARAMS), &packed));
	c = claiming(OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, packed);
	if (strcmp(c->signature_digest, digest) != 0)
		fail_msg("%d, %d, %d: %s instead of %s", message, generation, mask, c->signature_digest, digest);
	assert_int_equal(ERR_peek_error(), 0);
	X509_ALGOR_free(of_mask);
	RSA_PSS_PARAMS_free(params);
}

static void pss_parameters(void **state)
{
	(void)state;
	expect_parameters(0, 0, 0, "SHA1");
	expect_parameters(NID_sha256, NID_mgf1, NID_sha256, "SHA256");
	expect_parameters(NID_sha512, NID_mgf1, NID_sha256, "SHA256");
	expect_parameters(NID_sha256, NID_mgf1, NID_sha512, "SHA256");
	expect_parameters(NID_sha256, 0, 0, "SHA1");
	expect_parameters(0, NID_mgf1, NID_sha256, "SHA1");
	expect_parameters(NID_sha256, NID_mgf1, NID_sha1, "SHA1");
	expect_parameters(NID_sha1, NID_mgf1, NID_md5, "MD5");
	expect_parameters(NID_md4, NID_mgf1, NID_sha256, "MD5");
	expect_parameters(NID_sha3_256, NID_mgf1, NID_sha3_512, "SHA3-256");
	/* What cannot be known may be weak, but what is known to be weaker is told. */
	expect_parameters(NID_sha256, NID_mgf1, 0, "unknown");
	expect_parameters(NID_sha256, NID_pbes2, NID_sha256, "unknown");
	expect_parameters(NID_sha256, NID_mgf1, NID_rsaEncryption, "unknown");
	expect_parameters(NID_sha256WithRSAEncryption, NID_mgf1, NID_sha512, "unknown");
	expect_parameters(NID_sha1, NID_pbes2, NID_sha256, "SHA1");
	expect_parameters(NID_md5, NID_mgf1, 0, "MD5");
}

/* Bytes that are no parameters. */
static void pss_garbage(void **state)
{
	static const uint8_t bytes[][8] = {
		{0x30, 0x80}, {0x30, 3, 0xa0, 1, 5}, {0x30, 4, 0xa0, 2, 0x30, 0}, {0x30, 2, 5, 0}};
	static const size_t lengths[] = {2, 5, 6, 4};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		ASN1_STRING *string = ASN1_STRING_new();
		CLEANUP(certificate_freep) struct certificate *c = NULL;
		X509 *x509 = made_unsigned((struct made_order){"leaf", "root", ec});
		const X509_ALGOR *outer;
		unsigned char *der = NULL;
		int len;

		assert_true(X509_sign(x509, ec, EVP_sha256()) > 0);
		X509_get0_signature(NULL, &outer, x509);
		ASN1_STRING_set(string, bytes[i], (int)lengths[i]);
		X509_ALGOR_set0((X509_ALGOR *)outer, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, string);
		len = i2d_X509(x509, &der);
		assert_int_equal(certificate_new(der, (size_t)len, &c), 0);
		if (c->parsed)
			assert_string_equal(c->signature_digest, "unknown");
		assert_int_equal(ERR_peek_error(), 0);
		OPENSSL_free(der);
		X509_free(x509);
	}
}

/* --- RSA-PSS signatures that are good --------------------------------------------------------------------------------------- */

static struct certificate *signed_pss(EVP_PKEY *key, const EVP_MD *message, const EVP_MD *mask, int salt)
{
	X509 *x509 = made_unsigned((struct made_order){"leaf", "root", ec, .san = "DNS:leaf.test"});
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx = NULL;
	struct certificate *certificate;

	assert_int_equal(EVP_DigestSignInit(ctx, &key_ctx, message, NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(key_ctx, mask), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, salt), 1);
	assert_true(X509_sign_ctx(x509, ctx) > 0);
	certificate = made_from(x509);
	EVP_MD_CTX_free(ctx);
	X509_free(x509);
	return certificate;
}

/* The root's key proves what it signed, of a plain RSA key and of an RSASSA-PSS key; the other root's key does not. */
static void pss_links(void **state)
{
	const EVP_MD *const digests[] = {EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512()};
	EVP_PKEY *const keys[] = {rsa, pss};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		struct made_order right = {"root", .key = keys[k], .basic = MADE_CA};
		struct made_order wrong = {"root", .key = keys[1 - k], .basic = MADE_CA};
		CLEANUP(certificate_freep) struct certificate *root = made(right), *other = made(wrong);

		for (size_t i = 0; i < ARRAY_SIZE(digests) * ARRAY_SIZE(digests); i++) {
			const EVP_MD *message = digests[i / ARRAY_SIZE(digests)], *mask = digests[i % ARRAY_SIZE(digests)];
			int weaker = EVP_MD_get_size(message) < EVP_MD_get_size(mask) ? EVP_MD_get_type(message) :
											EVP_MD_get_type(mask);
			CLEANUP(certificate_freep)
			struct certificate *leaf = signed_pss(keys[k], message, mask, i % 2 ? -1 : 20);
			struct facts facts = {.certs_count = 3};

			facts.certs[0].certificate = leaf;
			facts.certs[1].certificate = other;
			facts.certs[2].certificate = root;
			assert_true(path_prove(&facts, NULL));
			assert_int_equal(facts.path_count, 2);
			assert_ptr_equal(facts.path[1], root);
			assert_string_equal(leaf->signature_algorithm, "rsassaPss");
			assert_string_equal(leaf->signature_digest, OBJ_nid2sn(weaker));
		}
	}
}

/* A plain RSA key of the same numbers. */
static EVP_PKEY *unbound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *plain = NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	const char *const names[] = {"n", "e", "d"};
	BIGNUM *numbers[3] = {NULL};
	OSSL_PARAM *params;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(EVP_PKEY_get_bn_param(key, names[i], &numbers[i]), 1);
		assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, names[i], numbers[i]), 1);
	}
	params = OSSL_PARAM_BLD_to_param(builder);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &plain, EVP_PKEY_KEYPAIR, params), 1);
	for (size_t i = 0; i < 3; i++)
		BN_free(numbers[i]);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	EVP_PKEY_CTX_free(ctx);
	return plain;
}

/* An RSASSA-PSS key may be bound to one digest (RFC 4055 3.1): with another it proves nothing, though the numbers are right. */
static void a_bound_key(void **state)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	CLEANUP(certificate_freep) struct certificate *root = NULL, *plain_root = NULL, *good = NULL, *bad = NULL;
	EVP_PKEY *bound = NULL, *plain;
	X509 *x509;

	(void)state;
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	EVP_PKEY_CTX_set_rsa_pss_keygen_md(ctx, EVP_sha512());
	EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(ctx, EVP_sha512());
	EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(ctx, 64);
	assert_int_equal(EVP_PKEY_keygen(ctx, &bound), 1);
	plain = unbound(bound);
	x509 = made_unsigned((struct made_order){"root", .key = bound, .basic = MADE_CA});
	assert_true(X509_sign(x509, bound, EVP_sha512()) > 0);
	root = made_from(x509);
	assert_string_equal(root->key_algorithm, "RSA-PSS");
	assert_true(certificate_issued_by(root, root));
	plain_root = made((struct made_order){"root", .key = plain, .basic = MADE_CA});
	good = signed_pss(bound, EVP_sha512(), EVP_sha512(), 64);
	bad = signed_pss(plain, EVP_sha1(), EVP_sha1(), 64);
	assert_true(certificate_issued_by(good, root));
	assert_true(certificate_issued_by(good, plain_root));
	assert_false(certificate_issued_by(bad, root));
	assert_true(certificate_issued_by(bad, plain_root));
	X509_free(x509);
	EVP_PKEY_free(plain);
	EVP_PKEY_free(bound);
	EVP_PKEY_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_name),        cmocka_unit_test(of_fixtures), cmocka_unit_test(nobody_knows),
		cmocka_unit_test(pss_parameters), cmocka_unit_test(pss_garbage), cmocka_unit_test(pss_links),
		cmocka_unit_test(a_bound_key),
	};

	certificate_init();
	return cmocka_run_group_tests_name("signature", tests, keys_make, keys_free);
}
