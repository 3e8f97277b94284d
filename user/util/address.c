/* IP addresses and networks: from bytes and text, compared, and as text again.
 *
 * Owns the rule that an IPv4-mapped IPv6 address (::ffff:0:0/96, RFC 4291 2.5.5.2) is the IPv4 address in it, so that a
 * dual-stack socket cannot slip past a rule for 192.0.2.0/24. Everything is by value; no name is ever looked up. Trusts
 * nothing: text is taken as inet_pton(3) takes it, so no zone ("%eth0"), no brackets, no octal. */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { V4_LEN = 4, V6_LEN = 16, MAPPED_BITS = 96 };

static const uint8_t mapped_prefix[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

struct address address_from_bytes(const uint8_t *bytes, size_t len)
{
	struct address address = {0};

	if (len == V6_LEN && memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		bytes += sizeof(mapped_prefix);
		len = V4_LEN;
	}
	if (len != V4_LEN && len != V6_LEN)
		return address;
	address.len = (uint8_t)len;
	memcpy(address.bytes, bytes, len);
	return address;
}

bool address_parse(const char *text, struct address *ret)
{
	uint8_t bytes[V6_LEN];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*ret = address_from_bytes(bytes, V4_LEN);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*ret = address_from_bytes(bytes, V6_LEN);
	else
		return false;
	return true;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
	int family = address->len == V4_LEN ? AF_INET : AF_INET6;

	if (address->len == 0 || !inet_ntop(family, address->bytes, out, ADDRESS_TEXT_MAX))
		out[0] = '\0';
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Zero to 128 in decimal, no sign, no leading zero, nothing behind it; -1 for anything else. */
static int prefix_parse(const char *text)
{
	int value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9')
			return -1;
		value = value * 10 + (*c - '0');
		if (value > 8 * V6_LEN)
			return -1;
	}
	return value;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

static bool host_bits_zero(const struct network *network)
{
	struct address masked = network->address;
	unsigned whole = network->prefix / 8, rest = network->prefix % 8;

	if (whole < masked.len) {
		masked.bytes[whole] &= (uint8_t)(0xff << (8 - rest));
		memset(masked.bytes + whole + 1, 0, masked.len - whole - 1);
	}
	return address_equal(&masked, &network->address);
}

bool network_parse(const char *text, struct network *ret, const char **ret_why)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char head[ADDRESS_TEXT_MAX];
	struct network network;
	int prefix, bits;

	if (len >= sizeof(head)) {
		*ret_why = "not an IP address";
		return false;
	}
	memcpy(head, text, len);
	head[len] = '\0';
	if (!address_parse(head, &network.address)) {
		*ret_why = "not an IP address";
		return false;
	}
	/* What was written as IPv6 has a prefix of 128 bits, even if the address is an IPv4-mapped one. */
	bits = strchr(head, ':') ? 8 * V6_LEN : 8 * V4_LEN;
	prefix = slash ? prefix_parse(slash + 1) : bits;
	if (prefix < 0 || prefix > bits) {
		*ret_why = bits == 8 * V4_LEN ? "the prefix length must be 0 to 32" : "the prefix length must be 0 to 128";
		return false;
	}
	if (bits == 8 * V6_LEN && network.address.len == V4_LEN) {
		if (prefix < MAPPED_BITS) {
			*ret_why = "an IPv4-mapped network needs a prefix of 96 bits or more; write it as IPv4";
			return false;
		}
		prefix -= MAPPED_BITS;
	}
	network.prefix = (uint8_t)prefix;
	if (!host_bits_zero(&network)) {
		*ret_why = "bits are set behind the prefix";
		return false;
	}
	*ret = network;
	return true;
}

bool network_contains(const struct network *network, const struct address *address)
{
	if (address->len == 0 || network->address.len != address->len)
		return false;
	return same_bits(network->address.bytes, address->bytes, network->prefix);
}
