/* Embedded SCTs (ct.h): OpenSSL takes them out of the leaf, this file checks them against the list of logs.
 *
 * Trusts the list's keys, once ct_list.c has read them, and nothing of the leaf. The leaf's issuer is known to have signed it
 * (the proven path), so what an SCT adds is only that a log has seen it. Bounded by CT_SCTS_MAX signatures and one copy of
 * the leaf; an SCT that cannot count costs neither.
 *
 * OpenSSL can check a signature too (SCT_validate), but takes its logs from a file only, and this code may open none. So the
 * bytes that a log signs (RFC 6962 3.2, for a precertificate) are put together here; the unit test compares with OpenSSL. */
#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <string.h>

#include "ct_list.h"

/* Version 1, certificate_timestamp, the time, precert_entry, the issuer's key, the TBS's length: before the TBS. */
enum { VERSION_V1 = 0, CERTIFICATE_TIMESTAMP = 0, PRECERT_ENTRY = 1, HEAD_BYTES = 1 + 1 + 8 + 2 + SHA256_BYTES + 3 };

struct subject {
	const struct certificate *leaf, *issuer;
	int64_t at;
	/* The leaf's TBSCertificate without its SCTs, by OpenSSL, made when first needed; NULL if that was in vain. */
	unsigned char *tbs;
	int tbs_len;
	bool tbs_tried;
};

static uint8_t *put(uint8_t *at, uint64_t number, size_t bytes)
{
	for (size_t i = bytes; i-- > 0; number >>= 8)
		at[i] = (uint8_t)number;
	return at + bytes;
}

static bool need_tbs(struct subject *subject)
{
	X509 *copy;
	int index;

	if (subject->tbs_tried)
		return subject->tbs;
	subject->tbs_tried = true;
	copy = X509_dup(subject->leaf->x509);
	index = copy ? X509_get_ext_by_NID(copy, NID_ct_precert_scts, -1) : -1;
	if (index >= 0) {
		X509_EXTENSION_free(X509_delete_ext(copy, index));
		subject->tbs_len = i2d_re_X509_tbs(copy, &subject->tbs);
	}
	X509_free(copy);
	return subject->tbs && subject->tbs_len > 0 && subject->tbs_len < 1 << 24;
}

/* The key's kind must be the one that the SCT says. */
static bool algorithm_fits(const SCT *sct, const EVP_PKEY *key)
{
	switch (SCT_get_signature_nid(sct)) {
	case NID_ecdsa_with_SHA256:
		return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
	case NID_sha256WithRSAEncryption:
		return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	default:
		return false;
	}
}

static bool signature_right(const SCT *sct, EVP_PKEY *key, struct subject *subject)
{
	uint8_t head[HEAD_BYTES], tail[2], *at = head;
	unsigned char *extensions, *signature;
	size_t extensions_len = SCT_get0_extensions(sct, &extensions);
	size_t signature_len = SCT_get0_signature(sct, &signature);
	EVP_MD_CTX *ctx;
	bool right;

	if (!subject->issuer || !algorithm_fits(sct, key) || !need_tbs(subject))
		return false;
	at = put(at, VERSION_V1, 1);
	at = put(at, CERTIFICATE_TIMESTAMP, 1);
	at = put(at, SCT_get_timestamp(sct), 8);
	at = put(at, PRECERT_ENTRY, 2);
	at = memcpy(at, subject->issuer->spki_sha256, SHA256_BYTES);
	put(at + SHA256_BYTES, (uint64_t)subject->tbs_len, 3);
	put(tail, extensions_len, sizeof(tail));
	ctx = EVP_MD_CTX_new();
	right = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
		EVP_DigestVerifyUpdate(ctx, head, sizeof(head)) == 1 &&
		EVP_DigestVerifyUpdate(ctx, subject->tbs, (size_t)subject->tbs_len) == 1 &&
		EVP_DigestVerifyUpdate(ctx, tail, sizeof(tail)) == 1 &&
		EVP_DigestVerifyUpdate(ctx, extensions, extensions_len) == 1 &&
		EVP_DigestVerifyFinal(ctx, signature, signature_len) == 1;
	EVP_MD_CTX_free(ctx);
	return right;
}

/* Whether an SCT of that time would count, whatever its signature. at is in whole seconds: all of the last one has passed. */
static bool time_fits(const struct ct_log *log, uint64_t timestamp, const struct subject *subject)
{
	int64_t not_after = subject->leaf->not_after;

	if (subject->at < 0 || timestamp / 1000 > (uint64_t)subject->at)
		return false;
	if (log->counts_until < 0 || timestamp >= (uint64_t)log->counts_until)
		return false;
	if (log->start == INT64_MIN && log->end == INT64_MAX)
		return true;
	/* From the year 10000 on, or not readable: in no interval. */
	return not_after >= 0 && not_after < INT64_MAX / 1000 && not_after * 1000 >= log->start &&
	       not_after * 1000 < log->end;
}

static const struct ct_log *find(const struct ct_logs *logs, const SCT *sct)
{
	unsigned char *id;

	/* Of another version, OpenSSL knows no id. */
	if (SCT_get_version(sct) != SCT_VERSION_V1 || SCT_get0_log_id(sct, &id) != SHA256_BYTES)
		return NULL;
	for (size_t i = 0; i < logs->count; i++)
		if (memcmp(logs->items[i].id, id, SHA256_BYTES) == 0)
			return &logs->items[i];
	return NULL;
}

/* Who ran the log when it made the SCT: a log that is sold must not make two operators of a certificate into one. */
static size_t operator_at(const struct ct_log *log, uint64_t timestamp)
{
	size_t run_by = log->run_by;
	int64_t end = INT64_MAX;

	for (size_t i = 0; i < log->tenures_count; i++) {
		const struct ct_tenure *tenure = &log->tenures[i];

		if (timestamp < (uint64_t)tenure->end && tenure->end < end) {
			run_by = tenure->run_by;
			end = tenure->end;
		}
	}
	return run_by;
}

/* Adds to the items what is not among them: 1, else 0. */
static size_t add_distinct(size_t *items, size_t count, size_t item)
{
	for (size_t i = 0; i < count; i++)
		if (items[i] == item)
			return 0;
	items[count] = item;
	return 1;
}

void ct_check(const struct ct_logs *logs, const struct certificate *leaf, const struct certificate *issuer, int64_t at,
	      struct ct_count *ret)
{
	struct subject subject = {.leaf = leaf, .issuer = issuer && issuer->x509 ? issuer : NULL, .at = at};
	size_t seen_logs[CT_SCTS_MAX], seen_operators[CT_SCTS_MAX];
	struct ct_count count = {0};
	STACK_OF(SCT) *scts = leaf->x509 ? X509_get_ext_d2i(leaf->x509, NID_ct_precert_scts, NULL, NULL) : NULL;

	count.embedded = scts ? (size_t)sk_SCT_num(scts) : 0;
	for (int i = 0; i < CT_SCTS_MAX && (size_t)i < count.embedded; i++) {
		const SCT *sct = sk_SCT_value(scts, i);
		const struct ct_log *log = find(logs, sct);
		uint64_t timestamp = SCT_get_timestamp(sct);

		if (!log)
			continue;
		count.known++;
		if (!time_fits(log, timestamp, &subject) || !signature_right(sct, log->key, &subject))
			continue;
		count.valid++;
		count.logs += add_distinct(seen_logs, count.logs, (size_t)(log - logs->items));
		count.operators += add_distinct(seen_operators, count.operators, operator_at(log, timestamp));
	}
	OPENSSL_free(subject.tbs);
	SCT_LIST_free(scts);
	ERR_clear_error();
	*ret = count;
}
