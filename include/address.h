/* IP addresses and networks. An IPv4-mapped IPv6 address counts as IPv4 (address_normalize). */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address {
	uint8_t len; /* 4, 16, or 0: none */
	uint8_t bytes[16];
};

struct network {
	struct address address; /* host bits zero */
	uint8_t prefix;
};

enum { ADDRESS_TEXT_MAX = 46 };

/* From 4 or 16 bytes; an IPv4-mapped one becomes 4 bytes long; any other length gives none. */
struct address address_from_bytes(const uint8_t *bytes, size_t len);
bool address_parse(const char *text, struct address *ret);
/* "192.0.2.1", "2001:db8::1", or "" for none. */
void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX]);
bool address_equal(const struct address *a, const struct address *b);

/* "10.0.0.0/8", "::/0", or an address alone (a network of one). Host bits set, a prefix too long: false, and *ret_why is
 * a static string that says so. */
bool network_parse(const char *text, struct network *ret, const char **ret_why);
bool network_contains(const struct network *network, const struct address *address);

#endif
