/* Certificates and CRLs made on the spot, for what no file of fixtures has. Include after cmocka.h. All static inline. */
#ifndef MAKER_H
#define MAKER_H

#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "facts.h"

enum { MAKER_NOW = 1700000000, MAKER_DAY = 86400 };

/* Names are common names. */
struct maker {
	const char *subject, *issuer;
	EVP_PKEY *key, *issuer_key;
	long serial;
	int64_t from, to; /* 0: a day around MAKER_NOW */
	const char *basic, *usage, *extended, *names, *constraints, *policies, *policy_constraints, *mappings;
	const char *id, *issuer_id; /* key identifiers, as any text */
};

static inline EVP_PKEY *maker_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

static inline X509_NAME *maker_name(const char *common_name)
{
	X509_NAME *name = X509_NAME_new();

	assert_int_equal(
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0), 1);
	return name;
}

static inline void maker_extension(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *extension = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	if (!value)
		return;
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* OIDs with commas between them: certificatePolicies is the one that needs a configuration file otherwise. */
static inline void maker_policies(X509 *x509, const char *oids)
{
	CERTIFICATEPOLICIES *policies = CERTIFICATEPOLICIES_new();
	CLEANUP_FREE char *list = xstrdup(oids ? oids : "");
	char *save = NULL;

	for (char *oid = strtok_r(list, ",", &save); oid; oid = strtok_r(NULL, ",", &save)) {
		POLICYINFO *policy = POLICYINFO_new();

		policy->policyid = OBJ_txt2obj(oid, 1);
		assert_non_null(policy->policyid);
		sk_POLICYINFO_push(policies, policy);
	}
	if (oids)
		assert_int_equal(X509_add1_ext_i2d(x509, NID_certificate_policies, policies, 0, 0), 1);
	CERTIFICATEPOLICIES_free(policies);
}

static inline ASN1_OCTET_STRING *maker_octets(const char *text)
{
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();

	assert_int_equal(ASN1_OCTET_STRING_set(octets, (const unsigned char *)text, -1), 1);
	return octets;
}

static inline void maker_ids(X509 *x509, const char *id, const char *issuer_id)
{
	ASN1_OCTET_STRING *octets = maker_octets(id ? id : "");
	AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();

	authority->keyid = maker_octets(issuer_id ? issuer_id : "");
	if (id)
		assert_int_equal(X509_add1_ext_i2d(x509, NID_subject_key_identifier, octets, 0, 0), 1);
	if (issuer_id)
		assert_int_equal(X509_add1_ext_i2d(x509, NID_authority_key_identifier, authority, 0, 0), 1);
	ASN1_OCTET_STRING_free(octets);
	AUTHORITY_KEYID_free(authority);
}

static inline struct certificate *maker_certificate(const struct maker *maker)
{
	X509_NAME *subject = maker_name(maker->subject), *issuer = maker_name(maker->issuer);
	struct certificate *certificate = NULL;
	X509 *x509 = X509_new();
	unsigned char *der = NULL;
	int len;

	X509_set_version(x509, X509_VERSION_3);
	X509_set_subject_name(x509, subject);
	X509_set_issuer_name(x509, issuer);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), maker->serial ? maker->serial : 1);
	ASN1_TIME_set(X509_getm_notBefore(x509), maker->from ? maker->from : MAKER_NOW - MAKER_DAY);
	ASN1_TIME_set(X509_getm_notAfter(x509), maker->to ? maker->to : MAKER_NOW + MAKER_DAY);
	X509_set_pubkey(x509, maker->key);
	maker_extension(x509, NID_basic_constraints, maker->basic);
	maker_extension(x509, NID_key_usage, maker->usage);
	maker_extension(x509, NID_ext_key_usage, maker->extended);
	maker_extension(x509, NID_subject_alt_name, maker->names);
	maker_extension(x509, NID_name_constraints, maker->constraints);
	maker_policies(x509, maker->policies);
	maker_ids(x509, maker->id, maker->issuer_id);
	maker_extension(x509, NID_policy_constraints, maker->policy_constraints);
	maker_extension(x509, NID_policy_mappings, maker->mappings);
	assert_true(X509_sign(x509, maker->issuer_key, EVP_sha256()) > 0);
	len = i2d_X509(x509, &der);
	assert_int_equal(certificate_new(der, (size_t)len, &certificate), 0);
	assert_true(certificate->parsed);
	OPENSSL_free(der);
	X509_NAME_free(subject);
	X509_NAME_free(issuer);
	X509_free(x509);
	return certificate;
}

/* PEM text of certificates, one after the other; new memory. */
static inline char *maker_pem(struct certificate *const *certificates, size_t count)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(PEM_write_bio_X509(bio, certificates[i]->x509), 1);
	len = BIO_get_mem_data(bio, &data);
	text = xstrndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

struct maker_entry {
	long serial, reason; /* reason -1: none is told */
	const char *issuer;  /* certificateIssuer, or NULL */
};

struct maker_crl {
	const char *issuer;
	EVP_PKEY *key;
	int64_t from, to;  /* 0: a day around MAKER_NOW; to -1: no nextUpdate */
	long number, base; /* 0: none */
	bool indirect;
	const struct maker_entry *entries;
	size_t count;
};

static inline void maker_entry_issuer(X509_REVOKED *revoked, const char *issuer)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();

	GENERAL_NAME_set0_value(name, GEN_DIRNAME, maker_name(issuer));
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(X509_REVOKED_add1_ext_i2d(revoked, NID_certificate_issuer, names, 1, 0), 1);
	GENERAL_NAMES_free(names);
}

static inline void maker_crl_entry(X509_CRL *crl, const struct maker_entry *entry)
{
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_TIME *time = ASN1_TIME_set(NULL, MAKER_NOW - MAKER_DAY / 2);

	ASN1_INTEGER_set(serial, entry->serial);
	X509_REVOKED_set_serialNumber(revoked, serial);
	X509_REVOKED_set_revocationDate(revoked, time);
	if (entry->reason >= 0) {
		ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

		ASN1_ENUMERATED_set(reason, entry->reason);
		assert_int_equal(X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, 0), 1);
		ASN1_ENUMERATED_free(reason);
	}
	if (entry->issuer)
		maker_entry_issuer(revoked, entry->issuer);
	assert_int_equal(X509_CRL_add0_revoked(crl, revoked), 1);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(time);
}

static inline void maker_crl_number(X509_CRL *crl, int nid, long value)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();

	ASN1_INTEGER_set(number, value);
	if (value)
		assert_int_equal(X509_CRL_add1_ext_i2d(crl, nid, number, nid == NID_delta_crl, 0), 1);
	ASN1_INTEGER_free(number);
}

static inline X509_CRL *maker_crl_x509(const struct maker_crl *maker)
{
	X509_CRL *crl = X509_CRL_new();
	X509_NAME *issuer = maker_name(maker->issuer);
	ASN1_TIME *from = ASN1_TIME_set(NULL, maker->from ? maker->from : MAKER_NOW - MAKER_DAY);
	ASN1_TIME *to = ASN1_TIME_set(NULL, maker->to ? maker->to : MAKER_NOW + MAKER_DAY);

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, issuer);
	X509_CRL_set1_lastUpdate(crl, from);
	if (maker->to >= 0)
		X509_CRL_set1_nextUpdate(crl, to);
	for (size_t i = 0; i < maker->count; i++)
		maker_crl_entry(crl, &maker->entries[i]);
	maker_crl_number(crl, NID_crl_number, maker->number);
	maker_crl_number(crl, NID_delta_crl, maker->base);
	if (maker->indirect) {
		ISSUING_DIST_POINT *scope = ISSUING_DIST_POINT_new();

		scope->indirectCRL = 0xff;
		assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, scope, 1, 0), 1);
		ISSUING_DIST_POINT_free(scope);
	}
	assert_true(X509_CRL_sign(crl, maker->key,
				  EVP_PKEY_get_base_id(maker->key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
	X509_NAME_free(issuer);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return crl;
}

/* DER, or PEM; new memory. */
static inline char *maker_crl(const struct maker_crl *maker, bool pem, size_t *ret_len)
{
	X509_CRL *crl = maker_crl_x509(maker);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	assert_int_equal(pem ? PEM_write_bio_X509_CRL(bio, crl) : i2d_X509_CRL_bio(bio, crl), 1);
	len = BIO_get_mem_data(bio, &data);
	copy = xcalloc((size_t)len + 1, 1);
	memcpy(copy, data, (size_t)len);
	*ret_len = (size_t)len;
	BIO_free(bio);
	X509_CRL_free(crl);
	return copy;
}

#endif
