/* The digest that a certificate's signature is made of (key.h), as far as its algorithm's identifier tells.
 *
 * RSA-PSS (RFC 4055) has two, of the message and of its mask generation, each with SHA-1 as its default; the signature is as
 * strong as the weaker. Digests that are no better than one that everybody knows to be weak count as that one, so that who
 * forbids MD5 need not think of MD2. Nothing is checked or fetched here: a few table lookups. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "key.h"

static int known_as(int digest)
{
	switch (digest) {
	case NID_md2:
	case NID_md4:
	case NID_md5_sha1:
		return NID_md5;
	case NID_sha: /* the first version of SHA-1 */
		return NID_sha1;
	default:
		return digest;
	}
}

/* One that is not known here may be weak too: it is worth no more than the two that are broken. */
static int strength(int digest)
{
	switch (digest) {
	case NID_md5:
		return 1;
	case NID_sha1:
		return 2;
	case NID_undef:
		return 3;
	default:
		return 4 * EVP_MD_get_size(EVP_get_digestbynid(digest));
	}
}

/* NULL stands for the default; NID_undef: not a digest, or not known here. */
static int digest_of(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object;
	const EVP_MD *known;
	int digest;

	if (!algorithm)
		return NID_sha1;
	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	digest = known_as(OBJ_obj2nid(object));
	/* Signature algorithms are known by the name of their digest: no digest all the same. */
	known = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
	return known && EVP_MD_get_type(known) == digest ? digest : NID_undef;
}

/* Of the only mask generation there is, MGF1. */
static int mask_digest(const X509_ALGOR *generation)
{
	const ASN1_OBJECT *object;
	X509_ALGOR *algorithm;
	int digest;

	if (!generation)
		return NID_sha1;
	X509_ALGOR_get0(&object, NULL, NULL, generation);
	if (OBJ_obj2nid(object) != NID_mgf1)
		return NID_undef;
	algorithm = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), generation->parameter);
	digest = algorithm ? digest_of(algorithm) : NID_undef;
	X509_ALGOR_free(algorithm);
	return digest;
}

static int pss_digest(const X509_ALGOR *algorithm)
{
	RSA_PSS_PARAMS *params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), algorithm->parameter);
	int message, mask;

	if (!params)
		return NID_undef;
	message = digest_of(params->hashAlgorithm);
	mask = mask_digest(params->maskGenAlgorithm);
	RSA_PSS_PARAMS_free(params);
	return strength(mask) < strength(message) ? mask : message;
}

void signature_read(const X509 *x509, struct certificate *certificate)
{
	int signature = X509_get_signature_nid(x509), digest = NID_undef, key;
	const X509_ALGOR *algorithm;

	certificate->signature_algorithm = signature == NID_undef ? "unknown" : OBJ_nid2ln(signature);
	if (signature == NID_ED25519 || signature == NID_ED448) {
		certificate->signature_digest = "none";
		return;
	}
	X509_get0_signature(NULL, &algorithm, x509);
	if (signature == NID_rsassaPss)
		digest = pss_digest(algorithm);
	else if (OBJ_find_sigid_algs(signature, &digest, &key) == 1)
		digest = known_as(digest);
	certificate->signature_digest = digest == NID_undef ? "unknown" : OBJ_nid2sn(digest);
}
