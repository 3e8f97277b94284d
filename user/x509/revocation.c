/* CRLs that an administrator hands in (revocation.h): is a certificate revoked by any of them?
 *
 * The files are believed, for he named them; what the peer sent is not. A peer who was revoked would like a CRL to be
 * dismissed, so only a certificate that is proven to have signed his can speak against a CRL: others of its name, which he
 * may have made himself, can only confirm it. That a CRL is forged where it came from is found out whenever the true issuer
 * is at hand. The bounds are CRL_CHECKS_MAX, and those of crl.c. */
#include "revocation.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crl.h"
#include "der.h"

enum { DEAR_CHECKS = 8 }; /* checks that one with a dear key counts for */

struct crls {
	struct crl **items;
	size_t count;
};

struct crls *crls_new(void)
{
	return xcalloc(1, sizeof(struct crls));
}

static void cut(struct crls *crls, size_t count)
{
	while (crls->count > count)
		crl_free(crls->items[--crls->count]);
}

void crls_free(struct crls *crls)
{
	if (!crls)
		return;
	cut(crls, 0);
	free(crls->items);
	free(crls);
}

void crls_freep(struct crls **crls)
{
	crls_free(*crls);
}

size_t crls_count(const struct crls *crls)
{
	return crls->count;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static int add_der(struct crls *crls, const uint8_t *der, size_t len, const char **ret_why)
{
	struct crl *crl;
	int r = crl_new(der, len, &crl, ret_why);

	if (r < 0)
		return r;
	crls->items = xrealloc(crls->items, crls->count + 1, sizeof(struct crl *));
	crls->items[crls->count++] = crl;
	return 0;
}

/* The next PEM block: 1 if it is a CRL and was added, 0 if it is something else; -ENODATA at the end of the text. */
static int add_block(struct crls *crls, BIO *text, const char **ret_why)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long len = 0;
	int r = 0;

	/* Never the function that also decrypts: it would ask for a password. */
	if (PEM_read_bio(text, &name, &header, &der, &len) != 1) {
		r = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? -ENODATA : -EBADMSG;
		*ret_why = "a PEM block is broken";
	} else if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
		r = add_der(crls, der, (size_t)len, ret_why);
		r = r < 0 ? r : 1;
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	ERR_clear_error();
	return r;
}

/* The tag of a SEQUENCE is also the digit 0, with which a comment in front of PEM may begin. */
static bool is_der(const char *data, size_t len)
{
	struct der_bytes bytes = {(const uint8_t *)data, len};
	struct der_element whole;

	return der_next(&bytes, &whole) && whole.tag == DER_SEQUENCE &&
	       (bytes.len == 0 || !memmem(data, len, "-----BEGIN", strlen("-----BEGIN")));
}

int crls_add(struct crls *crls, const char *data, size_t len, const char **ret_why)
{
	size_t before = crls->count;
	const char *why = "";
	BIO *text;
	int r;

	if (is_der(data, len)) {
		r = add_der(crls, (const uint8_t *)data, len, &why);
		if (r < 0)
			*ret_why = why;
		return r;
	}
	text = BIO_new_mem_buf(data, len > INT32_MAX ? INT32_MAX : (int)len);
	if (!text)
		abort(); /* as util.h has it: no memory */
	do
		r = add_block(crls, text, &why);
	while (r >= 0);
	BIO_free(text);
	if (r == -ENODATA && crls->count > before)
		return 0;
	cut(crls, before);
	*ret_why = r == -ENODATA ? "no CRL in it" : why;
	return r;
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

static int64_t seconds(const ASN1_TIME *time, int64_t unreadable)
{
	struct tm tm = {0};

	if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
		return unreadable;
	return timegm(&tm);
}

int64_t crls_next_update(const struct crls *crls)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < crls->count; i++) {
		int64_t next = seconds(X509_CRL_get0_nextUpdate(crl_x509(crls->items[i])), INT64_MAX);

		first = next < first ? next : first;
	}
	return first;
}

/* Whether a certificate's key made the CRL's signature; spent: what was spent on checks in this call. */
static bool signed_by(const struct crl *crl, const struct certificate *signer, int *spent)
{
	X509_CRL *x509 = crl_x509(crl);
	EVP_PKEY *key = signer->x509 ? X509_get0_pubkey(signer->x509) : NULL;

	if (!key || X509_NAME_cmp(X509_get_subject_name(signer->x509), X509_CRL_get_issuer(x509)) != 0)
		return false;
	*spent += signer->dear_key ? DEAR_CHECKS : 1;
	return *spent <= CRL_CHECKS_MAX && X509_CRL_verify(x509, key) == 1;
}

/* The certificate that is proven to have signed this one, and may sign CRLs: only its word counts against a CRL. */
static const struct certificate *proven_issuer(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i + 1 < facts->path_count; i++) {
		const struct certificate *issuer = facts->path[i + 1];

		if (memcmp(facts->path[i]->sha256, certificate->sha256, SHA256_BYTES) != 0)
			continue;
		return issuer->x509 && (X509_get_key_usage(issuer->x509) & KU_CRL_SIGN) ? issuer : NULL;
	}
	/* A root signs its own. */
	return certificate->self_issued && certificate_issued_by(certificate, certificate) ? certificate : NULL;
}

/* Whether the certificate says that who issued this CRL speaks for its issuer (RFC 5280 4.2.1.13). */
static bool names_crl_issuer(const struct certificate *certificate, const X509_NAME *crl_issuer)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(certificate->x509, NID_crl_distribution_points, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_DIST_POINT_num(points) && !found; i++) {
		const GENERAL_NAMES *names = sk_DIST_POINT_value(points, i)->CRLissuer;

		for (int k = 0; k < sk_GENERAL_NAME_num(names) && !found; k++) {
			const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, k);

			found = name->type == GEN_DIRNAME && X509_NAME_cmp(name->d.directoryName, crl_issuer) == 0;
		}
	}
	CRL_DIST_POINTS_free(points);
	return found;
}

/* Whether to believe what crl says about the certificate. */
static bool believed(const struct crl *crl, const struct facts *facts, const struct certificate *certificate, int *spent)
{
	const struct certificate *issuer = proven_issuer(facts, certificate);
	const X509_NAME *crl_issuer = X509_CRL_get_issuer(crl_x509(crl));

	if (X509_NAME_cmp(crl_issuer, X509_get_issuer_name(certificate->x509)) != 0)
		return names_crl_issuer(certificate, crl_issuer);
	if (!issuer || signed_by(crl, issuer, spent))
		return true;
	/* A CA may sign its CRLs with a key of their own, and may have had another one before. */
	for (size_t i = 1; i < facts->path_count; i++)
		if (facts->path[i] != issuer && signed_by(crl, facts->path[i], spent))
			return true;
	for (size_t i = 0; i < facts->beside_count; i++)
		if (signed_by(crl, facts->beside[i], spent))
			return true;
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!facts->certs[i].proven && signed_by(crl, facts->certs[i].certificate, spent))
			return true;
	return *spent > CRL_CHECKS_MAX;
}

static const char *reason_text(long reason)
{
	static const char *const names[] = {
		[CRL_REASON_UNSPECIFIED] = "unspecified",
		[CRL_REASON_KEY_COMPROMISE] = "keyCompromise",
		[CRL_REASON_CA_COMPROMISE] = "cACompromise",
		[CRL_REASON_AFFILIATION_CHANGED] = "affiliationChanged",
		[CRL_REASON_SUPERSEDED] = "superseded",
		[CRL_REASON_CESSATION_OF_OPERATION] = "cessationOfOperation",
		[CRL_REASON_CERTIFICATE_HOLD] = "certificateHold",
		[CRL_REASON_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
		[CRL_REASON_AA_COMPROMISE] = "aACompromise",
	};

	return reason >= 0 && (size_t)reason < ARRAY_SIZE(names) && names[reason] ? names[reason] : "unspecified";
}

static const X509_REVOKED *entry_of(const struct crl *crl, const struct certificate *certificate)
{
	return crl_find(crl, X509_get0_serialNumber(certificate->x509), X509_get_issuer_name(certificate->x509));
}

/* A delta CRL may take back what an older CRL, or an older delta, said. */
static bool taken_back(const struct crls *crls, const struct crl *crl, const struct facts *facts,
		       const struct certificate *certificate, int *spent)
{
	for (size_t i = 0; i < crls->count; i++) {
		const struct crl *delta = crls->items[i];
		const X509_REVOKED *entry = crl_updates(delta, crl) ? entry_of(delta, certificate) : NULL;

		if (entry && crl_reason(entry) == CRL_REASON_REMOVE_FROM_CRL && believed(delta, facts, certificate, spent))
			return true;
	}
	return false;
}

bool crls_revoked(const struct crls *crls, const struct facts *facts, const struct certificate *certificate,
		  struct revocation *ret)
{
	bool revoked = false;
	int spent = 0;

	if (!certificate->x509)
		return false;
	for (size_t i = 0; i < crls->count && !revoked; i++) {
		const struct crl *crl = crls->items[i];
		const X509_REVOKED *entry = entry_of(crl, certificate);
		long reason = entry ? crl_reason(entry) : CRL_REASON_REMOVE_FROM_CRL;

		if (reason == CRL_REASON_REMOVE_FROM_CRL || !believed(crl, facts, certificate, &spent) ||
		    taken_back(crls, crl, facts, certificate, &spent))
			continue;
		*ret = (struct revocation){reason_text(reason), seconds(X509_REVOKED_get0_revocationDate(entry), INT64_MIN)};
		revoked = true;
	}
	ERR_clear_error(); /* of keys that do not decode */
	return revoked;
}

void *crls_stack(const struct crls *crls)
{
	STACK_OF(X509_CRL) *stack = sk_X509_CRL_new_reserve(NULL, (int)crls->count);

	if (!stack)
		abort(); /* as util.h has it: no memory */
	for (size_t i = 0; i < crls->count; i++)
		sk_X509_CRL_push(stack, crl_x509(crls->items[i]));
	return stack;
}
