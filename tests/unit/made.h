/* Certificates made on the spot, for any unit test. Include after cmocka.h. */
#ifndef MADE_H
#define MADE_H

#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fixture.h"

/* What is to be made. Names are common names; issuer NULL: self-issued, by key itself. Extensions as openssl.cnf has them. */
struct made_order {
	const char *name, *issuer;
	EVP_PKEY *key, *issuer_key;
	const char *basic, *constraints, *san;
	const char *key_id, *issuer_key_id; /* "DER:…", of subjectKeyIdentifier and authorityKeyIdentifier */
	int name_type;                      /* of the issuer's name; 0: MBSTRING_ASC */
};

#define MADE_CA "critical,CA:TRUE"

static inline struct certificate *made_from(const X509 *x509)
{
	struct certificate *certificate = NULL;
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);

	assert_true(len > 0);
	assert_int_equal(certificate_new(der, (size_t)len, &certificate), 0);
	assert_true(certificate->parsed);
	OPENSSL_free(der);
	return certificate;
}

static inline void made_extend(X509 *x509, int nid, const char *value)
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

static inline void made_name(X509_NAME *name, const char *text, int type)
{
	assert_int_equal(
		X509_NAME_add_entry_by_txt(name, "CN", type ? type : MBSTRING_ASC, (const uint8_t *)text, -1, -1, 0), 1);
}

/* All but the signature. */
static inline X509 *made_unsigned(struct made_order order)
{
	static long serial;
	X509 *x509 = X509_new();

	assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
	made_name(X509_get_subject_name(x509), order.name, 0);
	made_name(X509_get_issuer_name(x509), order.issuer ? order.issuer : order.name, order.name_type);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	assert_int_equal(X509_set_pubkey(x509, order.key), 1);
	made_extend(x509, NID_basic_constraints, order.basic);
	made_extend(x509, NID_name_constraints, order.constraints);
	made_extend(x509, NID_subject_alt_name, order.san);
	made_extend(x509, NID_subject_key_identifier, order.key_id);
	made_extend(x509, NID_authority_key_identifier, order.issuer_key_id);
	return x509;
}

static inline struct certificate *made(struct made_order order)
{
	X509 *x509 = made_unsigned(order);
	struct certificate *certificate;

	assert_true(X509_sign(x509, order.issuer_key ? order.issuer_key : order.key, EVP_sha256()) > 0);
	certificate = made_from(x509);
	X509_free(x509);
	return certificate;
}

static inline EVP_PKEY *made_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

static inline EVP_PKEY *fixture_key(const char *file)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	EVP_PKEY *key;
	BIO *bio;

	text = fixture_text(file, &len);
	bio = BIO_new_mem_buf(text, (int)len);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_non_null(key);
	BIO_free(bio);
	return key;
}

#endif
