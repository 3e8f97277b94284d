/* The other SHA-256 that a certificate signed with ECDSA can have (key.h).
 *
 * If (r, s) is an ECDSA signature, (r, n - s) is one too, n being the order of the curve, and anybody can work it out: so who
 * serves a certificate that is forbidden by its hash can serve one with another hash, equally good to every client. Both
 * hashes are therefore known here. The curve is the issuer's, who is not at hand: it is taken to be the smallest of the
 * usual ones that the numbers fit into. Whatever else is not exactly as DER wants it has no twin; OpenSSL refuses
 * such signatures, and takes nothing around them but what records.h has made anew. */
#include <string.h>

#include <openssl/ec.h>

#include "der.h"
#include "key.h"

enum { TWIN_BYTES_MAX = 160 }; /* two numbers of P-521 and what is around them; a longer signature is of another curve */

/* The order of the smallest usual curve above both numbers; NULL if there is none. */
static BIGNUM *order_above(const BIGNUM *r, const BIGNUM *s)
{
	static const int curves[] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};

	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		EC_GROUP *group = EC_GROUP_new_by_curve_name(curves[i]);
		BIGNUM *order = group ? BN_dup(EC_GROUP_get0_order(group)) : NULL;

		EC_GROUP_free(group);
		if (order && BN_cmp(r, order) < 0 && BN_cmp(s, order) < 0)
			return order;
		BN_free(order);
	}
	return NULL;
}

/* The signature with n - s in place of s; its length, or 0. */
static size_t other_signature(const uint8_t *signature, size_t len, uint8_t out[TWIN_BYTES_MAX])
{
	const uint8_t *p = signature;
	ECDSA_SIG *pair = len <= TWIN_BYTES_MAX ? d2i_ECDSA_SIG(NULL, &p, (long)len) : NULL;
	BIGNUM *order = pair ? order_above(ECDSA_SIG_get0_r(pair), ECDSA_SIG_get0_s(pair)) : NULL;
	BIGNUM *r = order ? BN_dup(ECDSA_SIG_get0_r(pair)) : NULL;
	unsigned char *encoded = NULL;
	int encoded_len = 0;

	if (r && !BN_is_negative(ECDSA_SIG_get0_s(pair)) && BN_sub(order, order, ECDSA_SIG_get0_s(pair)) == 1 &&
	    ECDSA_SIG_set0(pair, r, order) == 1) {
		r = order = NULL; /* the pair's now */
		encoded_len = i2d_ECDSA_SIG(pair, &encoded);
	}
	if (encoded_len > 0 && encoded_len <= TWIN_BYTES_MAX)
		memcpy(out, encoded, (size_t)encoded_len);
	else
		encoded_len = 0;
	OPENSSL_free(encoded);
	BN_free(r);
	BN_free(order);
	ECDSA_SIG_free(pair);
	return (size_t)encoded_len;
}

static bool is_ecdsa(const X509 *x509)
{
	int digest, key = NID_undef;

	return OBJ_find_sigid_algs(X509_get_signature_nid(x509), &digest, &key) == 1 && key == NID_X9_62_id_ecPublicKey;
}

void twin_read(const X509 *x509, struct certificate *certificate)
{
	struct der_bytes bytes = {certificate->der, certificate->der_len};
	struct der_element whole, tbs, algorithm, bits;
	uint8_t signature[TWIN_BYTES_MAX];
	CLEANUP_FREE uint8_t *der = NULL;
	size_t len, der_len;

	if (!is_ecdsa(x509) || !der_next(&bytes, &whole))
		return;
	bytes = (struct der_bytes){whole.content, whole.content_len};
	if (!der_next(&bytes, &tbs) || !der_next(&bytes, &algorithm) || !der_next(&bytes, &bits) || bits.content_len < 2)
		return;
	len = other_signature(bits.content + 1, bits.content_len - 1, signature);
	if (len == 0)
		return;
	der = certificate_join(&tbs, &algorithm, signature, len, bits.content[0], &der_len);
	sha256(der, der_len, certificate->twin_sha256);
	certificate->has_twin = true;
}
