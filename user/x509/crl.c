/* One CRL, ready to be asked (crl.h): OpenSSL parses it, this file makes asking it cheap.
 *
 * A CRL may have a million entries, and is asked for each connection. OpenSSL would sort it at the first question and hash all
 * of it whenever its signature is checked, for every chain anew. So an X509_CRL_METHOD of our own stands in for these two
 * steps, wherever OpenSSL takes them: entries are sorted here when the CRL is loaded, the hash that was signed is worked out
 * once, and the answers for the last keys are kept. Which key may be asked about, and what an entry means, remains OpenSSL's.
 *
 * The file comes from the administrator, but perhaps out of the network, and nothing is signed yet: CRL_DER_MAX bounds the
 * memory, ISSUER_NAMES_MAX and SAME_SERIAL_MAX what one question costs. */
#include "crl.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "der.h"
#include "util.h"

enum {
	KEYS_MAX = 16,          /* answers about signatures that are kept; beyond it the oldest is forgotten */
	ISSUER_NAMES_MAX = 16,  /* names of one certificateIssuer; a CRL with more is refused */
	SAME_SERIAL_MAX = 4096, /* entries with one serial number, of several issuers; a CRL with more is refused */
};

struct entry {
	uint64_t key; /* of the serial number, so that most comparisons need not look at it */
	const X509_REVOKED *revoked;
	const ASN1_INTEGER *serial;
	const GENERAL_NAMES *issuer; /* NULL: that of the CRL */
};

struct answer {
	EVP_PKEY *key; /* NULL: not used yet */
	bool proven;
};

struct crl {
	X509_CRL *x509;
	struct entry *entries; /* by serial number */
	size_t count;
	GENERAL_NAMES **issuers; /* those of entries, owned */
	size_t issuers_count;
	ASN1_INTEGER *number, *base; /* base: of a delta CRL; NULL if not told */
	const EVP_MD *md;            /* of the signature; NULL: it is not made over a plain hash, tbs is needed */
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned hash_len;
	int key_type; /* EVP_PKEY_*, if md is set */
	ASN1_TYPE *tbs;
	struct answer answers[KEYS_MAX];
	size_t answers_next;
};

/* --- the signature -------------------------------------------------------------------------------------------------- */

static bool verify_hash(const struct crl *crl, const ASN1_BIT_STRING *signature, EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx;
	bool proven;

	if (EVP_PKEY_get_base_id(key) != crl->key_type || (signature->flags & 7) /* bits left over */)
		return false;
	ctx = EVP_PKEY_CTX_new(key, NULL);
	proven = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, crl->md) == 1 &&
		 EVP_PKEY_verify(ctx, signature->data, (size_t)signature->length, crl->hash, crl->hash_len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return proven;
}

static int method_verify(X509_CRL *x509, EVP_PKEY *key)
{
	struct crl *crl = X509_CRL_get_meth_data(x509);
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;
	struct answer *answer;

	for (size_t i = 0; i < KEYS_MAX; i++)
		if (crl->answers[i].key && EVP_PKEY_eq(crl->answers[i].key, key) == 1)
			return crl->answers[i].proven;
	X509_CRL_get0_signature(x509, &signature, &algorithm);
	answer = &crl->answers[crl->answers_next++ % KEYS_MAX];
	EVP_PKEY_free(answer->key);
	EVP_PKEY_up_ref(key);
	*answer = (struct answer){
		key, crl->md ? verify_hash(crl, signature, key) :
			       ASN1_item_verify(ASN1_ITEM_rptr(ASN1_ANY), algorithm, signature, crl->tbs, key) == 1};
	ERR_clear_error();
	return answer->proven;
}

static bool hash_signed(struct crl *crl, const struct der_element *tbs)
{
	int nid = X509_CRL_get_signature_nid(crl->x509), md = NID_undef, key = NID_undef;
	const uint8_t *p = tbs->whole;

	if (OBJ_find_sigid_algs(nid, &md, &key) == 1 && md != NID_undef && key != NID_rsassaPss)
		crl->md = EVP_get_digestbynid(md);
	crl->key_type = EVP_PKEY_type(key);
	if (crl->md && EVP_Digest(tbs->whole, tbs->whole_len, crl->hash, &crl->hash_len, crl->md, NULL) == 1)
		return true;
	crl->md = NULL;
	crl->tbs = d2i_ASN1_TYPE(NULL, &p, (long)tbs->whole_len);
	return crl->tbs;
}

/* --- the entries ---------------------------------------------------------------------------------------------------- */

/* Length and first bytes. */
static uint64_t key_of(const ASN1_INTEGER *serial)
{
	const uint8_t *data = ASN1_STRING_get0_data(serial);
	size_t len = (size_t)ASN1_STRING_length(serial);
	uint64_t key = len > 0xff ? 0xff : len;

	for (size_t i = 0; i < sizeof(key) - 1; i++)
		key = key << 8 | (i < len ? data[i] : 0);
	return key;
}

/* Any order will do in which equal numbers are together. */
static int compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return ASN1_INTEGER_cmp(a->serial, b->serial);
}

static bool is_of(const struct crl *crl, const struct entry *entry, const X509_NAME *issuer)
{
	if (!entry->issuer)
		return X509_NAME_cmp(issuer, X509_CRL_get_issuer(crl->x509)) == 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(entry->issuer); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(entry->issuer, i);

		if (name->type == GEN_DIRNAME && X509_NAME_cmp(issuer, name->d.directoryName) == 0)
			return true;
	}
	return false;
}

const X509_REVOKED *crl_find(const struct crl *crl, const ASN1_INTEGER *serial, const X509_NAME *issuer)
{
	const struct entry wanted = {.key = key_of(serial), .serial = serial};
	size_t low = 0, high = crl->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&crl->entries[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < crl->count && compare(&crl->entries[low], &wanted) == 0; low++)
		if (is_of(crl, &crl->entries[low], issuer))
			return crl->entries[low].revoked;
	return NULL;
}

long crl_reason(const X509_REVOKED *entry)
{
	ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
	long value = reason ? ASN1_ENUMERATED_get(reason) : CRL_REASON_UNSPECIFIED;

	ASN1_ENUMERATED_free(reason);
	return value;
}

/* 0: not listed; 1: revoked; 2: removed from the CRL. issuer NULL: that of the CRL. */
static int method_find(X509_CRL *x509, X509_REVOKED **ret, const ASN1_INTEGER *serial, const X509_NAME *issuer)
{
	const struct crl *crl = X509_CRL_get_meth_data(x509);
	const X509_REVOKED *entry = crl_find(crl, serial, issuer ? issuer : X509_CRL_get_issuer(x509));

	if (!entry)
		return 0;
	if (ret)
		*ret = (X509_REVOKED *)entry;
	return crl_reason(entry) == CRL_REASON_REMOVE_FROM_CRL ? 2 : 1;
}

/* RFC 5280 5.3.3: a certificateIssuer holds for the entries after it, too. */
static bool read_issuer(struct crl *crl, const X509_REVOKED *revoked, const GENERAL_NAMES **issuer)
{
	GENERAL_NAMES *names;

	if (X509_REVOKED_get_ext_by_NID(revoked, NID_certificate_issuer, -1) < 0)
		return true;
	names = X509_REVOKED_get_ext_d2i(revoked, NID_certificate_issuer, NULL, NULL);
	if (!names)
		return false;
	/* Room doubles at each power of two. */
	if ((crl->issuers_count & (crl->issuers_count - 1)) == 0)
		crl->issuers = xrealloc(crl->issuers, crl->issuers_count ? 2 * crl->issuers_count : 1,
					sizeof(*crl->issuers));
	crl->issuers[crl->issuers_count++] = names;
	*issuer = names;
	return sk_GENERAL_NAME_num(names) <= ISSUER_NAMES_MAX;
}

static bool read_entries(struct crl *crl, const char **ret_why)
{
	STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl->x509);
	int count = list ? sk_X509_REVOKED_num(list) : 0;
	const GENERAL_NAMES *issuer = NULL;

	crl->entries = xcalloc((size_t)count, sizeof(*crl->entries));
	for (int i = 0; i < count; i++) {
		const X509_REVOKED *revoked = sk_X509_REVOKED_value(list, i);
		const ASN1_INTEGER *serial = X509_REVOKED_get0_serialNumber(revoked);

		if (!read_issuer(crl, revoked, &issuer)) {
			*ret_why = "an entry's certificateIssuer is broken or too long";
			return false;
		}
		crl->entries[crl->count++] = (struct entry){key_of(serial), revoked, serial, issuer};
	}
	qsort(crl->entries, crl->count, sizeof(*crl->entries), compare);
	for (size_t i = SAME_SERIAL_MAX; i < crl->count; i++)
		if (compare(&crl->entries[i - SAME_SERIAL_MAX], &crl->entries[i]) == 0) {
			*ret_why = "too many entries with the same serial number";
			return false;
		}
	return true;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

/* OpenSSL gives a new CRL the method that is the default at that moment, and has no other way to set one. */
static X509_CRL *parse(const uint8_t *der, size_t len, const char **ret_why)
{
	static X509_CRL_METHOD *method;
	const uint8_t *p = der;
	X509_CRL *x509;

	if (!method)
		method = X509_CRL_METHOD_new(NULL, NULL, method_find, method_verify);
	if (!method)
		abort(); /* as util.h has it: no memory */
	X509_CRL_set_default_method(method);
	x509 = d2i_X509_CRL(NULL, &p, (long)len);
	X509_CRL_set_default_method(NULL);
	*ret_why = "not a CRL";
	if (x509 && p != der + len) {
		*ret_why = "bytes after the CRL";
		X509_CRL_free(x509);
		return NULL;
	}
	return x509;
}

/* The part that is signed. OpenSSL also takes what is not DER, where it has no plain place. */
static bool find_signed(const uint8_t *der, size_t len, struct der_element *ret)
{
	struct der_bytes bytes = {der, len};
	struct der_element whole;

	if (!der_next(&bytes, &whole))
		return false;
	bytes = (struct der_bytes){whole.content, whole.content_len};
	return der_next(&bytes, ret);
}

/* An extension that stands there but cannot be read, or twice. */
static bool is_broken(const X509_CRL *x509, int nid, const void *read)
{
	return !read && X509_CRL_get_ext_by_NID(x509, nid, -1) >= 0;
}

int crl_new(const uint8_t *der, size_t len, struct crl **ret, const char **ret_why)
{
	struct crl *crl = xcalloc(1, sizeof(*crl));
	const char *why = "more than 64 MiB in one CRL";
	struct der_element tbs;
	bool fine = false;

	crl->x509 = len <= CRL_DER_MAX ? parse(der, len, &why) : NULL;
	if (crl->x509) {
		X509_CRL_set_meth_data(crl->x509, crl);
		crl->number = X509_CRL_get_ext_d2i(crl->x509, NID_crl_number, NULL, NULL);
		crl->base = X509_CRL_get_ext_d2i(crl->x509, NID_delta_crl, NULL, NULL);
		why = "its cRLNumber or deltaCRLIndicator is broken";
		fine = !is_broken(crl->x509, NID_crl_number, crl->number) && !is_broken(crl->x509, NID_delta_crl, crl->base);
	}
	if (fine) {
		why = "it is not DER";
		fine = find_signed(der, len, &tbs) && hash_signed(crl, &tbs) && read_entries(crl, &why);
	}
	ERR_clear_error();
	if (!fine) {
		crl_free(crl);
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = crl;
	return 0;
}

void crl_free(struct crl *crl)
{
	if (!crl)
		return;
	for (size_t i = 0; i < KEYS_MAX; i++)
		EVP_PKEY_free(crl->answers[i].key);
	for (size_t i = 0; i < crl->issuers_count; i++)
		GENERAL_NAMES_free(crl->issuers[i]);
	free(crl->issuers);
	free(crl->entries);
	ASN1_INTEGER_free(crl->number);
	ASN1_INTEGER_free(crl->base);
	ASN1_TYPE_free(crl->tbs);
	X509_CRL_free(crl->x509);
	free(crl);
}

X509_CRL *crl_x509(const struct crl *crl)
{
	return crl->x509;
}

bool crl_is_delta(const struct crl *crl)
{
	return crl->base;
}

static const ASN1_OCTET_STRING *scope_of(const struct crl *crl)
{
	int at = X509_CRL_get_ext_by_NID(crl->x509, NID_issuing_distribution_point, -1);

	return at < 0 ? NULL : X509_EXTENSION_get_data(X509_CRL_get_ext(crl->x509, at));
}

bool crl_updates(const struct crl *delta, const struct crl *base)
{
	const ASN1_OCTET_STRING *scope = scope_of(delta), *base_scope = scope_of(base);

	if (!delta->base || !delta->number || !base->number ||
	    X509_NAME_cmp(X509_CRL_get_issuer(delta->x509), X509_CRL_get_issuer(base->x509)) != 0)
		return false;
	if (scope && base_scope ? ASN1_OCTET_STRING_cmp(scope, base_scope) != 0 : scope != base_scope)
		return false;
	return ASN1_INTEGER_cmp(delta->base, base->number) <= 0 && ASN1_INTEGER_cmp(base->number, delta->number) < 0;
}
