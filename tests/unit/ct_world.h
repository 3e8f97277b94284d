/* Logs, lists of logs and leaves with SCTs, made by OpenSSL: for the tests of ct.h. Include after cmocka.h. All are static
 * inline, so that a test need not use each. */
#ifndef CT_WORLD_H
#define CT_WORLD_H

#include <string.h>
#include <time.h>

#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ct.h"
#include "util.h"

/* 2026-06-01; the leaves expire at the start of 2027. */
#define NOW INT64_C(1780272000)
#define NOT_AFTER INT64_C(1798761600)
#define USABLE "\"state\":{\"usable\":{\"timestamp\":\"2020-01-01T00:00:00Z\"}}"

/* Keys: of logs (RSA_LOG has an RSA key), of somebody else, and of two CAs. */
enum { LOG_A, LOG_B, LOG_C, RSA_LOG, STRANGER, THE_CA, OTHER_CA, KEYS };

struct world {
	EVP_PKEY *keys[KEYS];
	char *spki[KEYS], id[KEYS][PIN_CHARS + 1]; /* base64, as in a list */
	uint8_t raw_id[KEYS][SHA256_BYTES];
	struct certificate *ca, *other_ca;
};

static struct world world;

/* An SCT to be made: of that log, by that key. */
struct sct_order {
	int log, signer;
	int64_t ms;
	const char *extensions;
	int other_issuer, wrong_algorithm;
};
#define MS(seconds) ((seconds)*1000)

/* An item of a list: an operator with one log. more: members of the log, NULL for usable. */
struct entry {
	const char *operator;
	int log;
	const char *more;
};

static inline struct certificate *world_certificate(const X509 *x509)
{
	struct certificate *certificate = NULL;
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);

	assert_int_equal(certificate_new(der, (size_t)len, &certificate), 0);
	assert_true(certificate->parsed);
	OPENSSL_free(der);
	return certificate;
}

static inline void world_extend(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* A certificate of the_ca's name that is not signed yet. */
static inline X509 *world_x509(const char *subject, EVP_PKEY *key)
{
	X509 *x509 = X509_new();

	assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 4711);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, (const uint8_t *)subject, -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(x509), "CN", MBSTRING_ASC, (const uint8_t *)"CA", -1, -1, 0);
	ASN1_TIME_set(X509_getm_notBefore(x509), NOT_AFTER - 365 * 86400);
	ASN1_TIME_set(X509_getm_notAfter(x509), NOT_AFTER);
	assert_int_equal(X509_set_pubkey(x509, key), 1);
	return x509;
}

static inline struct certificate *world_ca(EVP_PKEY *key)
{
	X509 *x509 = world_x509("CA", key);
	struct certificate *certificate;

	world_extend(x509, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	certificate = world_certificate(x509);
	X509_free(x509);
	return certificate;
}

static inline int world_make(void **state)
{
	(void)state;
	for (int i = 0; i < KEYS; i++) {
		unsigned char *der = NULL;
		int len;

		world.keys[i] = i == RSA_LOG ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048) :
					       EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		len = i2d_PUBKEY(world.keys[i], &der);
		world.spki[i] = xcalloc((size_t)len * 2, 1);
		EVP_EncodeBlock((unsigned char *)world.spki[i], der, len);
		EVP_Digest(der, (size_t)len, world.raw_id[i], NULL, EVP_sha256(), NULL);
		pin_encode(world.raw_id[i], world.id[i]);
		OPENSSL_free(der);
	}
	world.ca = world_ca(world.keys[THE_CA]);
	world.other_ca = world_ca(world.keys[OTHER_CA]);
	return 0;
}

static inline int world_free(void **state)
{
	(void)state;
	for (int i = 0; i < KEYS; i++) {
		EVP_PKEY_free(world.keys[i]);
		free(world.spki[i]);
	}
	certificate_free(world.ca);
	certificate_free(world.other_ca);
	return 0;
}

/* --- leaves ---------------------------------------------------------------------------------------------------------- */

static inline uint8_t *world_number(uint8_t *at, uint64_t number, int bytes)
{
	while (bytes-- > 0)
		*at++ = (uint8_t)(number >> (8 * bytes));
	return at;
}

/* What a log signs (RFC 6962 3.2), written without a look at the code that is tested. */
static inline size_t world_signed_bytes(const struct sct_order *order, const uint8_t *tbs, size_t tbs_len, uint8_t *out)
{
	const char *extensions = order->extensions ? order->extensions : "";
	const struct certificate *issuer = order->other_issuer ? world.other_ca : world.ca;
	uint8_t *at = world_number(out, 0, 2);

	at = world_number(at, (uint64_t)order->ms, 8);
	at = world_number(at, 1, 2);
	memcpy(at, issuer->spki_sha256, SHA256_BYTES);
	at = world_number(at + SHA256_BYTES, tbs_len, 3);
	memcpy(at, tbs, tbs_len);
	at = world_number(at + tbs_len, strlen(extensions), 2);
	memcpy(at, extensions, strlen(extensions));
	return (size_t)(at - out) + strlen(extensions);
}

static inline SCT *world_sct(const struct sct_order *order, const uint8_t *tbs, size_t tbs_len)
{
	EVP_PKEY *key = world.keys[order->signer];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *data = xcalloc(tbs_len + 256, 1), signature[1024];
	size_t len = sizeof(signature), data_len = world_signed_bytes(order, tbs, tbs_len, data);
	bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	SCT *sct = SCT_new();

	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &len, data, data_len), 1);
	assert_int_equal(SCT_set_version(sct, SCT_VERSION_V1), 1);
	assert_int_equal(SCT_set1_log_id(sct, world.raw_id[order->log], SHA256_BYTES), 1);
	SCT_set_timestamp(sct, (uint64_t)order->ms);
	if (order->extensions)
		assert_int_equal(SCT_set1_extensions(sct, (const uint8_t *)order->extensions, strlen(order->extensions)), 1);
	rsa = order->wrong_algorithm ? !rsa : rsa;
	assert_int_equal(SCT_set_signature_nid(sct, rsa ? NID_sha256WithRSAEncryption : NID_ecdsa_with_SHA256), 1);
	assert_int_equal(SCT_set1_signature(sct, signature, len), 1);
	EVP_MD_CTX_free(ctx);
	free(data);
	return sct;
}

/* What stands in the extension: a TLS list of SCTs in an OCTET STRING. By OpenSSL's allocator. */
static inline int world_sct_list(const struct sct_order *orders, size_t count, const uint8_t *tbs, size_t tbs_len,
				 unsigned char **ret)
{
	STACK_OF(SCT) *scts = sk_SCT_new_null();
	int len;

	for (size_t i = 0; i < count; i++)
		assert_true(sk_SCT_push(scts, world_sct(&orders[i], tbs, tbs_len)) > 0);
	len = i2d_SCT_LIST(scts, ret);
	assert_true(len > 0);
	SCT_LIST_free(scts);
	return len;
}

static inline void world_add_raw(X509 *x509, const uint8_t *value, int len)
{
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension;

	assert_int_equal(ASN1_OCTET_STRING_set(octets, value, len), 1);
	extension = X509_EXTENSION_create_by_NID(NULL, NID_ct_precert_scts, 0, octets);
	assert_int_equal(X509_add_ext(x509, extension, 1), 1); /* in the middle of the others */
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(octets);
}

/* A leaf as it is before the SCTs are added, signed, and its TBSCertificate. */
static inline X509 *world_bare(unsigned char **ret_tbs, int *ret_len)
{
	X509 *x509 = world_x509("www.example.org", world.keys[STRANGER]);

	world_extend(x509, NID_subject_alt_name, "DNS:www.example.org");
	world_extend(x509, NID_ext_key_usage, "serverAuth");
	assert_true(X509_sign(x509, world.keys[THE_CA], EVP_sha256()) > 0);
	*ret_tbs = NULL;
	*ret_len = i2d_re_X509_tbs(x509, ret_tbs);
	assert_true(*ret_len > 0);
	return x509;
}

/* The leaf with `times` such extensions of these bytes. */
static inline struct certificate *world_leaf_raw(const uint8_t *value, int len, int times)
{
	struct certificate *leaf;
	unsigned char *tbs;
	int tbs_len;
	X509 *x509 = world_bare(&tbs, &tbs_len);

	for (int i = 0; i < times; i++)
		world_add_raw(x509, value, len);
	assert_true(X509_sign(x509, world.keys[THE_CA], EVP_sha256()) > 0);
	leaf = world_certificate(x509);
	X509_free(x509);
	OPENSSL_free(tbs);
	return leaf;
}

/* The extension's bytes that the leaf gets from these orders. By OpenSSL's allocator. */
static inline int world_list_of(const struct sct_order *orders, size_t count, unsigned char **ret)
{
	unsigned char *tbs;
	int tbs_len, len;
	X509 *x509 = world_bare(&tbs, &tbs_len);

	*ret = NULL;
	len = world_sct_list(orders, count, tbs, (size_t)tbs_len, ret);
	X509_free(x509);
	OPENSSL_free(tbs);
	return len;
}

static inline struct certificate *world_leaf(const struct sct_order *orders, size_t count)
{
	struct certificate *leaf;
	unsigned char *list;
	int len = world_list_of(orders, count, &list);

	leaf = world_leaf_raw(list, len, 1);
	OPENSSL_free(list);
	return leaf;
}
#define LEAF(...) world_leaf((const struct sct_order[]){__VA_ARGS__}, ARRAY_SIZE(((const struct sct_order[]){__VA_ARGS__})))

/* --- lists ----------------------------------------------------------------------------------------------------------- */

/* Every second one is a tiled log: an operator has either or both. */
static inline char *world_list_text(const struct entry *entries, size_t count)
{
	char *text = xstrdup("{\"version\":\"1.0\",\"log_list_timestamp\":\"2026-05-30T12:00:00Z\",\"operators\":[");

	for (size_t i = 0; i < count; i++) {
		char *before = text;

		text = xasprintf(
			"%s%s\n{\"name\":\"%s\",\"email\":[\"ct@example.org\"],\"%s\":[{\"description\":\"Log %zu\","
			"\"log_id\":\"%s\",\"key\":\"%s\",\"url\":\"https://log.example/\",\"mmd\":86400,%s}]}",
			before, i ? "," : "", entries[i].operator, i % 2 ? "tiled_logs" : "logs", i,
			world.id[entries[i].log], world.spki[entries[i].log], entries[i].more ? entries[i].more : USABLE);
		free(before);
	}
	return strcat(xrealloc(text, strlen(text) + 4, 1), "]}\n");
}

static inline struct ct_logs *world_logs(const struct entry *entries, size_t count)
{
	CLEANUP_FREE char *text = world_list_text(entries, count), *why = NULL;
	struct ct_logs *logs = NULL;
	int err = ct_logs_new(text, strlen(text), &logs, &why);

	if (err)
		fail_msg("%s\n%s", why, text);
	return logs;
}
#define LOGS(...) world_logs((const struct entry[]){__VA_ARGS__}, ARRAY_SIZE(((const struct entry[]){__VA_ARGS__})))

#endif
