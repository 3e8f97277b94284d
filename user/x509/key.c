/* The key in a certificate (key.h): what it is, its pin, and the hash of its usual encoding.
 *
 * One key can be written in several ways: an EC point compressed or not, a curve by name or by its parameters, an RSA key as
 * rsaEncryption or as RSASSA-PSS, lengths with more bytes than they need. Each has another pin. A pin is of the bytes as they
 * stand; where a key is to be recognized whatever it is wrapped in (`forbid`), there is a second hash, of the encoding
 * that everybody uses: named curve, uncompressed point, rsaEncryption, DER. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "der.h"
#include "key.h"

/* Keys beyond these are dear: one check takes up to 6 ms instead of less than one. None is in use by a public CA. */
enum { RSA_BITS_MAX = 8192, RSA_EXPONENT_BITS_MAX = 32, DSA_BITS_MAX = 3072, EC_BITS_MAX = 521 };

/* By the algorithm's identifier, so that a key of a known kind that does not decode is still named. */
static const char *key_algorithm(int nid)
{
	switch (nid) {
	case NID_rsaEncryption:
		return "RSA";
	case NID_rsassaPss:
		return "RSA-PSS";
	case NID_X9_62_id_ecPublicKey:
		return "EC";
	case NID_ED25519:
		return "ED25519";
	case NID_ED448:
		return "ED448";
	case NID_X25519:
		return "X25519";
	case NID_X448:
		return "X448";
	case NID_dsa:
		return "DSA";
	case NID_dhKeyAgreement:
	case NID_dhpublicnumber:
		return "DH";
	default:
		return "unknown";
	}
}

/* A curve that has a name and is not over a binary field, whose arithmetic is slow. */
static bool is_usual_curve(const EVP_PKEY *key)
{
	char type[32], name[64];
	size_t len = 0;

	return EVP_PKEY_get_group_name(key, name, sizeof(name), &len) == 1 &&
	       EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_FIELD_TYPE, type, sizeof(type), &len) == 1 &&
	       strcmp(type, SN_X9_62_prime_field) == 0;
}

static bool is_dear(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);
	BIGNUM *exponent = NULL;
	bool dear;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		dear = bits > RSA_BITS_MAX || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1 ||
		       BN_num_bits(exponent) > RSA_EXPONENT_BITS_MAX;
		BN_free(exponent);
		return dear;
	case EVP_PKEY_EC:
		return bits > EC_BITS_MAX || !is_usual_curve(key);
	case EVP_PKEY_DSA:
		return bits > DSA_BITS_MAX;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return false;
	default:
		return true;
	}
}

/* A new key with the same modulus and exponent that is not bound to a signature scheme; NULL if it cannot be made. */
static EVP_PKEY *plain_rsa(const EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *modulus = NULL, *exponent = NULL;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *plain = NULL;

	if (ctx && builder && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1 &&
	    (params = OSSL_PARAM_BLD_to_param(builder)) && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &plain, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(modulus);
	BN_free(exponent);
	EVP_PKEY_CTX_free(ctx);
	return plain;
}

/* The same key as it is usually written; NULL if it cannot be made. */
static EVP_PKEY *usual(EVP_PKEY *key)
{
	EVP_PKEY *copy;

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA_PSS)
		return plain_rsa(key);
	copy = EVP_PKEY_dup(key);
	/* A curve without a name stays as it is. */
	if (copy && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		EVP_PKEY_set_utf8_string_param(copy, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP);
		EVP_PKEY_set_utf8_string_param(copy, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
					       OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
	}
	return copy;
}

static bool is_short(const struct der_element *element)
{
	uint8_t header[DER_HEADER_MAX];

	return der_header(element->tag, element->content_len, header) == element->whole_len - element->content_len;
}

/* SEQUENCE of two INTEGERs (RFC 8017 A.1.1), with no more bytes than it needs. OpenSSL has seen to the integers. */
static bool is_usual_rsa(const uint8_t *data, size_t len)
{
	struct der_bytes bytes = {data, len};
	struct der_element list, modulus, exponent;

	if (!der_next(&bytes, &list) || !is_short(&list) || bytes.len)
		return false;
	bytes = (struct der_bytes){list.content, list.content_len};
	return der_next(&bytes, &modulus) && is_short(&modulus) && der_next(&bytes, &exponent) && is_short(&exponent) &&
	       !bytes.len;
}

/* Most keys: no need to make them anew, which takes longer than all the rest. encoded: the outside in DER. */
static bool is_usual(const X509_PUBKEY *key, const struct certificate *certificate, const uint8_t *encoded, int encoded_len)
{
	uint8_t hash[SHA256_BYTES];
	const unsigned char *data;
	ASN1_OBJECT *object;
	X509_ALGOR *algorithm;
	int len, type;

	if (encoded_len <= 0 || X509_PUBKEY_get0_param(&object, &data, &len, &algorithm, key) != 1)
		return false;
	sha256(encoded, (size_t)encoded_len, hash);
	if (memcmp(hash, certificate->spki_sha256, SHA256_BYTES) != 0)
		return false;
	X509_ALGOR_get0(NULL, &type, NULL, algorithm);
	switch (OBJ_obj2nid(object)) {
	case NID_rsaEncryption:
		return type == V_ASN1_NULL && is_usual_rsa(data, (size_t)len);
	case NID_X9_62_id_ecPublicKey:
		return type == V_ASN1_OBJECT && len > 0 && data[0] == POINT_CONVERSION_UNCOMPRESSED;
	default:
		return false;
	}
}

static void read_usual(const X509_PUBKEY *key, EVP_PKEY *decoded, struct certificate *certificate)
{
	unsigned char *as_is = NULL, *encoded = NULL;
	int len = i2d_X509_PUBKEY(key, &as_is);
	EVP_PKEY *plain = NULL;

	memcpy(certificate->key_sha256, certificate->spki_sha256, SHA256_BYTES);
	if (!is_usual(key, certificate, as_is, len)) {
		plain = usual(decoded);
		len = plain ? i2d_PUBKEY(plain, &encoded) : -1;
		if (len > 0)
			sha256(encoded, (size_t)len, certificate->key_sha256);
	}
	OPENSSL_free(as_is);
	OPENSSL_free(encoded);
	EVP_PKEY_free(plain);
}

static void read_pin(X509_PUBKEY *key, struct certificate *certificate)
{
	struct der_bytes bytes = {certificate->der, certificate->der_len};
	struct der_element whole, tbs;
	struct der_tbs parts;
	unsigned char *encoded = NULL;
	int len;

	if (der_next(&bytes, &whole)) {
		bytes = (struct der_bytes){whole.content, whole.content_len};
		if (der_next(&bytes, &tbs) && der_tbs(tbs.whole, tbs.whole_len, &parts)) {
			sha256(parts.spki.whole, parts.spki.whole_len, certificate->spki_sha256);
			return;
		}
	}
	/* BER of indefinite length, which OpenSSL takes: the bytes have no plain place, the DER of the key stands for them. */
	len = i2d_X509_PUBKEY(key, &encoded);
	sha256(encoded, len > 0 ? (size_t)len : 0, certificate->spki_sha256);
	OPENSSL_free(encoded);
}

void key_read(X509 *x509, struct certificate *certificate)
{
	X509_PUBKEY *key = X509_get_X509_PUBKEY(x509);
	EVP_PKEY *decoded = X509_get0_pubkey(x509);
	ASN1_OBJECT *object = NULL;
	int bits = decoded ? EVP_PKEY_get_bits(decoded) : 0;

	certificate->key_algorithm = X509_PUBKEY_get0_param(&object, NULL, NULL, NULL, key) == 1 ?
					     key_algorithm(OBJ_obj2nid(object)) :
					     "unknown";
	certificate->key_bits = bits > 0 ? (unsigned)bits : 0;
	certificate->dear_key = decoded && is_dear(decoded);
	read_pin(key, certificate);
	if (decoded)
		read_usual(key, decoded, certificate);
}
