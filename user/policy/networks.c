/* Sets of networks: sorted by family, prefix length and address, and looked up with one binary search for each prefix
 * length that occurs (at most 33 for IPv4, 129 for IPv6), however many networks there are. */
#include <string.h>

#include "policy_internal.h"

static int network_compare(const void *a, const void *b)
{
	const struct network *x = a, *y = b;

	if (x->address.len != y->address.len)
		return x->address.len < y->address.len ? -1 : 1;
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return memcmp(x->address.bytes, y->address.bytes, x->address.len);
}

void networks_sort(struct network *networks, size_t count)
{
	qsort(networks, count, sizeof(*networks), network_compare);
}

/* The first network at or behind from that does not sort before key. */
static size_t lower_bound(const struct network *networks, size_t from, size_t count, const struct network *key)
{
	while (from < count) {
		size_t middle = from + (count - from) / 2;

		if (network_compare(&networks[middle], key) < 0)
			from = middle + 1;
		else
			count = middle;
	}
	return from;
}

static struct network network_around(const struct address *address, uint8_t prefix)
{
	struct network network = {.address = *address, .prefix = prefix};
	unsigned whole = prefix / 8;

	if (whole < address->len) {
		network.address.bytes[whole] &= (uint8_t)(0xff << (8 - prefix % 8));
		memset(network.address.bytes + whole + 1, 0, address->len - whole - 1);
	}
	return network;
}

bool networks_have(const struct network *networks, size_t count, const struct address *address)
{
	struct network first = {.address = {.len = address->len}, .prefix = 0};
	size_t at;

	if (address->len == 0)
		return false;
	at = lower_bound(networks, 0, count, &first);
	while (at < count && networks[at].address.len == address->len) {
		struct network key = network_around(address, networks[at].prefix);

		at = lower_bound(networks, at, count, &key);
		if (at < count && network_compare(&networks[at], &key) == 0)
			return true;
		/* On to the next prefix length: behind every network of this one. */
		memset(key.address.bytes, 0xff, key.address.len);
		at = lower_bound(networks, at, count, &key);
		while (at < count && network_compare(&networks[at], &key) == 0)
			at++;
	}
	return false;
}
