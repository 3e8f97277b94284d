/* Addresses and networks: user/util/address.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"

static void formats_back(const char *text, const char *expected)
{
	char out[ADDRESS_TEXT_MAX];
	struct address address;

	assert_true(address_parse(text, &address));
	address_format(&address, out);
	assert_string_equal(out, expected);
}

static void parse_and_format(void **state)
{
	struct address address = {.len = 7};

	(void)state;
	formats_back("192.0.2.1", "192.0.2.1");
	formats_back("2001:DB8:0:0::1", "2001:db8::1");
	formats_back("::", "::");
	formats_back("::ffff:192.0.2.1", "192.0.2.1");
	formats_back("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_false(address_parse("", &address));
	assert_false(address_parse("192.0.2", &address));
	assert_false(address_parse("192.0.2.1 ", &address));
	assert_false(address_parse("192.0.2.256", &address));
	assert_false(address_parse("0300.0.2.1", &address));
	assert_false(address_parse("fe80::1%eth0", &address));
	assert_false(address_parse("[::1]", &address));
	assert_int_equal(address.len, 7);
}

static void from_bytes(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
	struct address v4 = address_from_bytes(mapped + 12, 4), v6 = address_from_bytes(mapped, 16);
	struct address none = address_from_bytes(mapped, 5);
	char out[ADDRESS_TEXT_MAX] = "x";

	(void)state;
	assert_int_equal(v4.len, 4);
	assert_true(address_equal(&v4, &v6));
	assert_int_equal(none.len, 0);
	assert_false(address_equal(&v4, &none));
	address_format(&none, out);
	assert_string_equal(out, "");
	assert_int_equal(address_from_bytes(NULL, 0).len, 0);
}

static void is_in(const char *network_text, const char *address_text, bool expected)
{
	struct network network;
	struct address address;
	const char *why;

	assert_true(network_parse(network_text, &network, &why));
	assert_true(address_parse(address_text, &address));
	assert_int_equal(network_contains(&network, &address), expected);
}

static void network_membership(void **state)
{
	(void)state;
	is_in("10.0.0.0/8", "10.255.0.1", true);
	is_in("10.0.0.0/8", "11.0.0.0", false);
	is_in("192.0.2.128/25", "192.0.2.128", true);
	is_in("192.0.2.128/25", "192.0.2.127", false);
	is_in("192.0.2.1", "192.0.2.1", true);
	is_in("192.0.2.1", "192.0.2.2", false);
	is_in("0.0.0.0/0", "255.255.255.255", true);
	is_in("0.0.0.0/0", "::1", false);
	is_in("::/0", "2001:db8::1", true);
	is_in("::/0", "192.0.2.1", false);
	is_in("2001:db8::/33", "2001:db8:7fff::1", true);
	is_in("2001:db8::/33", "2001:db8:8000::1", false);
	is_in("::1", "::1", true);
	/* An IPv4-mapped address is the IPv4 address, on both sides. */
	is_in("192.0.2.0/24", "::ffff:192.0.2.7", true);
	is_in("::ffff:192.0.2.0/120", "192.0.2.7", true);
	is_in("::ffff:192.0.2.0/120", "192.0.3.7", false);
	is_in("::ffff:0:0/96", "8.8.8.8", true);
}

static void networks_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"10.0.0.1/8", "bits are set behind the prefix"},
		{"10.0.0.128/24", "bits are set behind the prefix"},
		{"2001:db8::1/64", "bits are set behind the prefix"},
		{"10.0.0.0/33", "the prefix length must be 0 to 32"},
		{"10.0.0.0/", "the prefix length must be 0 to 32"},
		{"10.0.0.0/08", "the prefix length must be 0 to 32"},
		{"10.0.0.0/-1", "the prefix length must be 0 to 32"},
		{"10.0.0.0/8 ", "the prefix length must be 0 to 32"},
		{"10.0.0.0/99999999999", "the prefix length must be 0 to 32"},
		{"::/129", "the prefix length must be 0 to 128"},
		{"::ffff:0:0/90", "an IPv4-mapped network needs a prefix of 96 bits or more; write it as IPv4"},
		{"10.0.0/24", "not an IP address"},
		{"", "not an IP address"},
		{"/8", "not an IP address"},
		{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8", "not an IP address"},
	};
	struct network network = {.prefix = 99};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		assert_false(network_parse(bad[i].text, &network, &why));
		assert_string_equal(why, bad[i].why);
	}
	assert_int_equal(network.prefix, 99);
}

static void nothing_contains_no_address(void **state)
{
	struct network network;
	struct address none = {0};
	const char *why;

	(void)state;
	assert_true(network_parse("0.0.0.0/0", &network, &why));
	assert_false(network_contains(&network, &none));
	network.address.len = 0;
	assert_false(network_contains(&network, &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_format),
		cmocka_unit_test(from_bytes),
		cmocka_unit_test(network_membership),
		cmocka_unit_test(networks_refused),
		cmocka_unit_test(nothing_contains_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
