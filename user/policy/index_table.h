/* The table that index_build.c makes and index.c asks. Everything in it is in one arena.
 *
 * Rules are numbered through all policies, in their order. Each rule that can be is filed under keys: what must be so if it is
 * to be broken. A key is a 64-bit hash of where it is looked for (enum use) and what: a name, a network, a pin. The table goes
 * from keys to values; two keys with one hash share their values, which gives candidates too many, and never too few.
 *
 *   filter     64-bit words with three bits set for each key: small enough to stay in the cache, it answers most questions
 *   slots      open addressing, half empty
 *   lists      a count, then so many numbers: rules in rising order, or values. The rules of one set are listed once, however
 *              many keys it has */
#ifndef INDEX_TABLE_H
#define INDEX_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "address.h"
#include "arena.h"
#include "policy_internal.h"

/* By what a rule is found. */
enum use {
	USE_SERVER_NAME,
	USE_SAN_DNS,
	USE_SAN_IP,
	USE_PEER_IP,
	USE_PEER_PORT,
	USE_EXE,
	USE_USER,
	USE_ISSUER,
	USE_FORBIDDEN_KEY,
	USE_FORBIDDEN_DIGEST,
	USE_FORBIDDEN_SERIAL,
	USES,
};

/* A value is one of these, with a rule's number or a place in lists. */
enum {
	VALUE_SHIFT = 30,
	VALUE_RULE = 0,  /* one rule */
	VALUE_RULES = 1, /* a list of rules */
	VALUE_MANY = 2,  /* a list of values */
};
#define VALUE_NONE UINT32_MAX
#define VALUE_NUMBER ((UINT32_C(1) << VALUE_SHIFT) - 1)

struct slot {
	uint32_t tag; /* upper half of the hash */
	uint32_t value;
};

struct rule_list {
	const uint32_t *rules;
	size_t count;
};

/* The different prefix lengths of the networks of one family. */
struct prefixes {
	uint8_t lengths[129];
	size_t count;
};

struct rule_index {
	struct arena *arena;
	const struct policies *policies; /* borrowed */
	uint32_t *starts;                /* of each policy: the number of its first rule; then that of all rules */
	uint64_t *filter;
	size_t filter_mask;
	struct slot *slots;
	size_t slots_mask;
	uint32_t *lists;
	struct rule_list always;        /* those that are found by nothing */
	struct rule_list by_use[USES];  /* those that are found by it: all of them are candidates when it is in doubt */
	struct prefixes prefixes[2][2]; /* USE_SAN_IP, USE_PEER_IP; IPv4, IPv6 */
};

/* detail: what else tells this kind of key from others of the same use. */
static inline uint64_t key_hash(enum use use, unsigned detail, uint64_t what)
{
	uint64_t hash = what + ((uint64_t)use << 16 | detail) * UINT64_C(0x9e3779b97f4a7c15);

	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	hash = (hash ^ hash >> 29) * UINT64_C(0xd6e8feb86659fd93);
	return hash ^ hash >> 32;
}

/* Of a SHA-256: its beginning is as good as any. */
static inline uint64_t digest_hash(enum use use, const uint8_t sha256[SHA256_BYTES])
{
	uint64_t what;

	memcpy(&what, sha256, sizeof(what));
	return key_hash(use, 0, what);
}

static inline uint64_t text_hash(enum use use, const char *text, size_t len)
{
	uint64_t what = len;

	for (size_t i = 0; i < len; i++)
		what = (what ^ (unsigned char)text[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return key_hash(use, 0, what);
}

/* Of the network with this prefix length that the address is in. */
static inline uint64_t network_hash(enum use use, const struct address *address, unsigned prefix)
{
	uint64_t half[2] = {0, 0};

	for (unsigned i = 0; i < address->len; i++)
		half[i / 8] |= (uint64_t)address->bytes[i] << (56 - i % 8 * 8);
	half[0] &= prefix == 0 ? 0 : prefix < 64 ? ~UINT64_C(0) << (64 - prefix) : ~UINT64_C(0);
	half[1] &= prefix <= 64 ? 0 : ~UINT64_C(0) << (128 - prefix);
	return key_hash(use, (unsigned)address->len << 8 | prefix, half[0] ^ half[1] * UINT64_C(0xff51afd7ed558ccd));
}

/* The three bits of a word of the filter. */
static inline uint64_t filter_bits(uint64_t hash)
{
	return UINT64_C(1) << (hash >> 58) | UINT64_C(1) << (hash >> 52 & 63) | UINT64_C(1) << (hash >> 46 & 63);
}

#endif
