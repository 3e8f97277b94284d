/* Lookups in compiled sets (networks have networks.c, names name_set.c), and certificate digests, which are strings until a
 * rule uses them as digests. Each lookup is one binary search. */
#include <string.h>

#include "policy_internal.h"

static int pin_compare(const void *pin, const void *key)
{
	return memcmp(pin, ((const struct key *)key)->pin, SHA256_BYTES);
}

const struct key *keys_find(const struct set *set, const uint8_t pin[SHA256_BYTES])
{
	return set->count ? bsearch(pin, set->keys, set->count, sizeof(*set->keys), pin_compare) : NULL;
}

static int port_compare(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

bool ports_have(const struct set *set, uint16_t port)
{
	return set->count && bsearch(&port, set->ports, set->count, sizeof(port), port_compare);
}

static int digest_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

bool digests_have(const struct set *set, const uint8_t sha256[SHA256_BYTES])
{
	return set->count && bsearch(sha256, set->digests, set->count, sizeof(*set->digests), digest_compare);
}

void set_decode_digests(struct parser *parser, const struct node *value, struct set *set)
{
	if (set->digests || set->broken || value->kind == NODE_BROKEN)
		return;
	set->digests = arena_alloc(parser->policy->arena, set->count, sizeof(*set->digests));
	for (size_t i = 0; i < set->count; i++) {
		const struct string *string = &set->strings[i];

		if (hex_decode(string->text, strlen(string->text), set->digests[i].bytes, SHA256_BYTES))
			continue;
		problems_add(parser->problems, parser->file, string->line, string->column,
			     "\"%.64s\" is not the SHA-256 of a certificate: 64 hex digits, without colons", string->text);
	}
	if (set->count)
		qsort(set->digests, set->count, sizeof(*set->digests), digest_compare);
}
