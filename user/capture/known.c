/* A direct-mapped cache: a slot's newcomer puts out whoever was there, so that a flood of new certificates costs the flooder's
 * own time and no more memory than KNOWN_COUNT certificates of KNOWN_DER_MAX. What a slot holds is found by the SHA-256 of
 * all that was captured: no attacker can have his certificate taken for another. */
#include "known.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "util.h"

enum {
	KNOWN_COUNT = 512,
	KNOWN_DER_MAX = 16384, /* a larger one is parsed each time */
};

struct known {
	struct {
		uint8_t key[SHA256_BYTES];
		struct certificate *certificate;
	} slots[KNOWN_COUNT];
	EVP_MD_CTX *digest;
	EVP_MD *sha256; /* fetched once: to look for it each time costs as much as the hash */
};

struct known *known_new(void)
{
	struct known *known = xcalloc(1, sizeof(*known));

	known->digest = EVP_MD_CTX_new();
	known->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!known->digest || !known->sha256)
		abort();
	return known;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		certificate_free(known->slots[i].certificate);
	EVP_MD_CTX_free(known->digest);
	EVP_MD_free(known->sha256);
	free(known);
}

static void key_of(struct known *known, const struct record_cert *record, uint8_t ret[SHA256_BYTES])
{
	const uint32_t lengths[] = {record->form, record->unused_bits, record->tbs_len, record->signature_len};

	if (!EVP_DigestInit_ex2(known->digest, known->sha256, NULL) ||
	    !EVP_DigestUpdate(known->digest, lengths, sizeof(lengths)) ||
	    !EVP_DigestUpdate(known->digest, record->data, record->signature_len) ||
	    !EVP_DigestUpdate(known->digest, record->data + record->tbs_at, record->tbs_len) ||
	    !EVP_DigestFinal_ex(known->digest, ret, NULL))
		abort(); /* fails only where memory does; then as util.h has it */
}

static int parse(const struct record_cert *record, struct certificate **ret)
{
	const uint8_t *tbs = record->data + record->tbs_at;

	if (record->form == CERT_DER)
		return certificate_new(tbs, record->tbs_len, ret);
	if (record->form == CERT_TBS_SIGNATURE)
		return certificate_new_from_parts(tbs, record->tbs_len, record->data, record->signature_len,
						  record->unused_bits, ret);
	return -EPROTO;
}

int known_certificate(struct known *known, const struct record_cert *record, size_t room, struct certificate **ret)
{
	uint8_t key[SHA256_BYTES];
	struct certificate *fresh;
	size_t slot;
	int err;

	if (record->tbs_at > room || record->tbs_len > room - record->tbs_at || record->signature_len > record->tbs_at)
		return -EPROTO;
	key_of(known, record, key);
	slot = (key[0] | (size_t)key[1] << 8) % KNOWN_COUNT;
	if (known->slots[slot].certificate && !memcmp(known->slots[slot].key, key, sizeof(key))) {
		*ret = certificate_ref(known->slots[slot].certificate);
		return 0;
	}
	err = parse(record, &fresh);
	if (err)
		return err;
	if (fresh->der_len <= KNOWN_DER_MAX) {
		certificate_free(known->slots[slot].certificate);
		known->slots[slot].certificate = certificate_ref(fresh);
		memcpy(known->slots[slot].key, key, sizeof(key));
	}
	*ret = fresh;
	return 0;
}
