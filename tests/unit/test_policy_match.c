/* Matching: each key of match and except, both ways, and certificates whose names try to get around them. */
#include "policy_world.h"

static void match_any_and_all(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{any: true}"));
	assert_true(entry_matches(&w, "{any: true, peer_port: 853}"));
	assert_false(entry_matches(&w, "{any: true, peer_port: 443}"));
	assert_true(entry_matches(&w, "{role: client, peer_port: 853, user: alice}"));
	assert_false(entry_matches(&w, "{role: client, peer_port: 853, user: bob}"));
	/* Any entry suffices. */
	expect(&w, "match: [{user: bob}, {user: carol}], " FORBID_LEAF, NULL);
	expect(&w, "match: [{user: bob}, {user: alice}], " FORBID_LEAF,
	       "key of the set in line 4: \"key of " PIN_1 "\" is the key of CN=leaf.test (presented)");
	expect(&w, "match: [{user: bob}, {user: alice}], except: [{user: bob}, {peer_port: 853}], " FORBID_LEAF, NULL);
}

static void match_server_name(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{server_name: WWW.example.com.}"));
	assert_true(entry_matches(&w, "{server_name: [a.test, \"*.example.com\"]}"));
	assert_true(entry_matches(&w, "{server_name: [\"**.com\"]}"));
	assert_false(entry_matches(&w, "{server_name: example.com}"));
	w.facts.server_name = "www\\x00.example.com";
	assert_false(entry_matches(&w, "{server_name: \"**.example.com\"}"));
	w.facts.server_name = NULL;
	assert_false(entry_matches(&w, "{server_name: \"**.example.com\"}"));
	w.facts.expected_host = "host.example.com";
	assert_true(entry_matches(&w, "{server_name: \"**.example.com\"}"));
	/* The server's name does not depend on what its certificate is. */
	w.leaf.parsed = false;
	w.facts.path_count = 0;
	expect(&w, "match: [{server_name: \"host.example.com\"}], require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (nothing is proven: the leaf is not X.509)");
}

static void match_san_dns(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	add_san(&w, SAN_EMAIL, "www.example.com");
	assert_false(entry_matches(&w, "{san_dns: www.example.com}"));
	add_san(&w, SAN_DNS, "a.example.com");
	assert_true(entry_matches(&w, "{san_dns: a.example.com}"));
	assert_true(entry_matches(&w, "{san_dns: \"*.example.com\"}"));
	assert_false(entry_matches(&w, "{san_dns: www.example.com}"));
	add_san(&w, SAN_DNS, "*.EXAMPLE.com");
	assert_true(entry_matches(&w, "{san_dns: www.example.com}"));
	assert_false(entry_matches(&w, "{san_dns: b.www.example.com}"));
	w.sans[2].odd = true;
	assert_false(entry_matches(&w, "{san_dns: www.example.com}"));
	/* The name of the server has nothing to do with it. */
	w.facts.server_name = "other.test";
	assert_false(entry_matches(&w, "{san_dns: other.test}"));
	/* One that is not there claims nothing. */
	w.facts.verify = VERIFY_OFF;
	expect(&w, "match: [{san_dns: a.example.com}], require: {verified: true}",
	       "not verified by the application (result: off, code: 0, mode: peer)");
	w.facts.certs_count = 0;
	w.facts.path_count = 0;
	expect(&w, "match: [{san_dns: a.example.com}], require: {verified: true}", NULL);
}

static void match_common_name(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{san_dns: leaf.test}"));
	w.leaf.common_name = "*.leaf.test";
	assert_true(entry_matches(&w, "{san_dns: a.leaf.test}"));
	w.leaf.common_name = "a\\x00.leaf.test";
	assert_false(entry_matches(&w, "{san_dns: \"**.leaf.test\"}"));
	/* OpenSSL takes every common name; the fact is the last one alone. */
	w.leaf.subject = "CN=harmless.test,O=x+CN=victim.test,CN=first.test";
	w.leaf.common_name = "harmless.test";
	assert_true(entry_matches(&w, "{san_dns: victim.test}"));
	assert_true(entry_matches(&w, "{san_dns: first.test}"));
	assert_false(entry_matches(&w, "{san_dns: x}"));
	add_san(&w, SAN_URI, "https://x");
	assert_true(entry_matches(&w, "{san_dns: victim.test}"));
	/* Beside any dNSName, even an odd one, a common name is in doubt: some clients take it. */
	add_san(&w, SAN_DNS, "b\\x00.test");
	w.sans[1].odd = true;
	assert_true(in_doubt(&w, "{san_dns: victim.test}"));
	assert_true(in_doubt(&w, "{san_dns: harmless.test}"));
	assert_false(entry_matches(&w, "{san_dns: b.test}"));
}

static void match_san_ip(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.leaf.common_name = "192.0.2.77";
	assert_true(entry_matches(&w, "{san_ip: 192.0.2.0/24}"));
	assert_false(entry_matches(&w, "{san_ip: 192.0.3.0/24}"));
	add_san(&w, SAN_IP, "1.1.1.1");
	assert_true(entry_matches(&w, "{san_ip: [10.0.0.0/8, 1.1.1.0/24, \"::/0\"]}"));
	assert_true(entry_matches(&w, "{san_ip: 1.1.1.1}"));
	assert_false(entry_matches(&w, "{san_ip: [1.1.1.2, 1.1.0.0/24, 0.0.0.0/8]}"));
	/* OpenSSL, given the address as a name, takes the common name of a certificate that has no dNSName. */
	assert_true(in_doubt(&w, "{san_ip: 192.0.2.0/24}"));
	add_san(&w, SAN_IP, "2606:4700:4700::1111");
	assert_true(entry_matches(&w, "{san_ip: \"2606:4700:4700::/48\"}"));
	assert_false(entry_matches(&w, "{san_ip: \"2606:4700:4701::/48\"}"));
	/* GnuTLS takes an address in a dNSName. */
	add_san(&w, SAN_DNS, "8.8.8.8");
	assert_true(entry_matches(&w, "{san_ip: 8.8.8.8}"));
	w.sans[2].odd = true;
	assert_false(entry_matches(&w, "{san_ip: 8.8.8.8}"));
	/* A field of an odd length is an address of nobody. */
	w.leaf.common_name = "x";
	w.sans[0].address.len = 0;
	assert_false(entry_matches(&w, "{san_ip: 0.0.0.0/0}"));
}

static void names_beyond_the_bound(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	add_san(&w, SAN_DNS, "harmless.test");
	w.leaf.sans_total = 1000000;
	assert_true(in_doubt(&w, "{san_dns: victim.test}"));
	assert_true(in_doubt(&w, "{san_ip: 1.1.1.1}"));
}

/* A wildcard in place of an address's first number; as a dNSName, or as a common name. */
static void match_wild_address(void **state)
{
	static const char *const none[] = {"*.1.1", "*.1.1.1.1", "1.1.1.*", "*1.1.1x.1", "*.*.1.1", "*", "*.256.1.1"};
	struct world w;

	(void)state;
	world_set(&w);
	add_san(&w, SAN_DNS, "*.1.1.1");
	assert_true(entry_matches(&w, "{san_ip: 1.1.1.1}"));
	assert_true(entry_matches(&w, "{san_ip: [\"::/0\", 250.1.1.1]}"));
	assert_false(entry_matches(&w, "{san_ip: 1.1.1.2}"));
	w.sans[0].text = (char *)"1*.1.1.1";
	assert_true(entry_matches(&w, "{san_ip: 1.1.1.1}"));
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		w.sans[0].text = (char *)none[i];
		assert_false(entry_matches(&w, "{san_ip: 0.0.0.0/0}"));
	}
	w.leaf.sans_count = w.leaf.sans_total = 0;
	w.leaf.common_name = "*.1.1.1";
	assert_true(entry_matches(&w, "{san_ip: 1.1.1.1}"));
}

/* GnuTLS reads certificates that OpenSSL does not, and a peer may send one that is too large to be looked at. */
static void a_leaf_that_cannot_be_read(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.leaf.error = "subjectAltName is broken";
	assert_true(in_doubt(&w, "{san_dns: victim.test}"));
	assert_true(in_doubt(&w, "{san_ip: 1.1.1.1}"));
	world_set(&w);
	w.leaf = (struct certificate){.der_len = 9, .error = "not an X.509 certificate"};
	w.facts.path_count = 0;
	expect(&w, "match: [{san_ip: 1.1.1.1}], require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (nothing is proven: the leaf is not X.509)");
	expect(&w, "match: [{any: true}], except: {san_dns: a.test}, require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (nothing is proven: the leaf is not X.509)");
	/* Lost here: no rule matches for that alone. It was read and is nonsense: lost certificates are no excuse. */
	w.facts.truncated = w.facts.lost = true;
	expect(&w, "match: [{san_ip: 1.1.1.1}], require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (nothing is proven: certificates are missing)");
	w.leaf.der_len = 0;
	expect(&w, "match: [{san_ip: 1.1.1.1}], require: {issuer_in: " KEY(PIN_2) "}", NULL);
	w.facts.lost = false;
	expect(&w, "match: [{san_ip: 1.1.1.1}], require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (nothing is proven: certificates are missing)");
}

/* A peer cannot get out of a rule for a CA's certificates by sending more than is looked at. */
static void an_issuer_that_may_be_there(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_false(entry_matches(&w, "{issuer_in: " KEY(PIN_9) "}"));
	w.facts.path_cut = true;
	assert_true(in_doubt(&w, "{issuer_in: " KEY(PIN_9) "}"));
	assert_true(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
	w.facts.path_cut = false;
	w.facts.truncated = true;
	w.facts.path_count = 0;
	assert_true(in_doubt(&w, "{issuer_in: " KEY(PIN_2) "}"));
	w.facts.lost = true;
	assert_false(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
}

static void match_peer(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{peer_ip: 192.0.2.0/24}"));
	assert_true(entry_matches(&w, "{peer_ip: [\"::ffff:192.0.2.0/120\"]}"));
	assert_false(entry_matches(&w, "{peer_ip: [\"::/0\", 192.0.2.128/25]}"));
	assert_true(entry_matches(&w, "{peer_port: [1, 853, 443]}"));
	assert_false(entry_matches(&w, "{peer_port: [1, 443]}"));
	w.facts.peer = (struct address){0};
	w.facts.peer_port = 0;
	assert_false(entry_matches(&w, "{peer_ip: 0.0.0.0/0}"));
	assert_false(entry_matches(&w, "{peer_port: 65535}"));
}

static void match_many_networks(void **state)
{
	CLEANUP_FREE char *list = xstrdup("{peer_ip: [");
	struct world w;

	(void)state;
	world_set(&w);
	for (unsigned i = 0; i < 600; i++) {
		CLEANUP_FREE char *before = list;

		/* 10.x.0.0/16, 2001:db8:x::/48, and 172.16.x.0/24 with odd x */
		list = i % 3 == 0 ? xasprintf("%s10.%u.0.0/16, ", before, i / 3) :
		       i % 3 == 1 ? xasprintf("%s\"2001:db8:%x::/48\", ", before, i / 3) :
				    xasprintf("%s172.16.%u.0/24, ", before, (i / 3) | 1);
	}
	{
		CLEANUP_FREE char *before = list;

		list = xasprintf("%s10.0.0.0/30]}", before);
	}
	assert_false(entry_matches(&w, list));
	for (unsigned i = 0; i < 255; i += 7) {
		w.facts.peer = (struct address){4, {10, (uint8_t)i, 3, 4}};
		assert_int_equal(entry_matches(&w, list), i < 200);
		w.facts.peer = (struct address){4, {172, 16, (uint8_t)i, 4}};
		assert_int_equal(entry_matches(&w, list), i < 200 && i % 2 == 1);
		w.facts.peer = (struct address){16, {0x20, 0x01, 0x0d, 0xb8, 0, (uint8_t)i, 9, 9}};
		assert_int_equal(entry_matches(&w, list), i < 200);
	}
}

static void match_process(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{exe: /usr/bin/curl}"));
	assert_true(entry_matches(&w, "{exe: [/bin/x, /usr/bin/*]}"));
	assert_true(entry_matches(&w, "{exe: \"/usr/*\"}"));
	assert_true(entry_matches(&w, "{exe: \"*/cur[k-m]\"}"));
	assert_true(entry_matches(&w, "{exe: \"/usr/bin/c?rl\"}"));
	assert_true(entry_matches(&w, "{exe: '*[!a-k]'}"));
	assert_false(entry_matches(&w, "{exe: '*[!a-l]'}"));
	assert_false(entry_matches(&w, "{exe: /usr/bin/cur}"));
	assert_false(entry_matches(&w, "{exe: /usr/bin/curl2}"));
	assert_false(entry_matches(&w, "{exe: '/usr/bin/\\*'}"));
	w.facts.exe = "/usr/bin/curl (deleted)";
	assert_true(entry_matches(&w, "{exe: /usr/bin/curl}"));
	assert_false(entry_matches(&w, "{exe: /usr/bin/cur}"));
	w.facts.exe = NULL;
	assert_false(entry_matches(&w, "{exe: \"*\"}"));

	assert_true(entry_matches(&w, "{user: alice}"));
	assert_true(entry_matches(&w, "{user: [root, 1000]}"));
	assert_false(entry_matches(&w, "{user: [root, 100]}"));
	w.facts.user = NULL;
	assert_false(entry_matches(&w, "{user: alice}"));
	assert_true(entry_matches(&w, "{user: \"1000\"}"));
}

static void glob_is_not_exponential(void **state)
{
	char exe[4001];
	struct world w;

	(void)state;
	world_set(&w);
	memset(exe, 'a', sizeof(exe));
	exe[0] = '/';
	exe[sizeof(exe) - 1] = '\0';
	w.facts.exe = exe;
	assert_false(entry_matches(&w, "{exe: \"/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\"}"));
	assert_true(entry_matches(&w, "{exe: \"/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*\"}"));
}

static void match_role_and_library(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{role: client}"));
	assert_false(entry_matches(&w, "{role: server}"));
	assert_true(entry_matches(&w, "{role: [server, client]}"));
	assert_true(entry_matches(&w, "{library: openssl}"));
	assert_false(entry_matches(&w, "{library: gnutls}"));
	w.facts.role = FACTS_ROLE_SERVER;
	w.facts.library = LIBRARY_GNUTLS;
	assert_true(entry_matches(&w, "{role: server, library: gnutls}"));
	w.facts.role = FACTS_ROLE_UNKNOWN;
	w.facts.library = LIBRARY_NONE;
	assert_false(entry_matches(&w, "{role: [server, client]}"));
	assert_false(entry_matches(&w, "{library: [openssl, gnutls]}"));
}

static void match_issuer_in(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
	assert_true(entry_matches(&w, "{issuer_in: " KEY(PIN_3) "}"));
	assert_false(entry_matches(&w, "{issuer_in: " KEY(PIN_1) "}"));
	/* Sent, but not proven. */
	w.facts.path_count = 1;
	assert_false(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
	w.facts.path_count = 3;
	w.facts.truncated = w.facts.lost = true;
	assert_false(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
}

static void match_named_sets(void **state)
{
	struct policies *policies = parse(
		"version: 1\nname: p\nsets:\n"
		"  names: {s: [\"*.example.com\"]}\n  networks: {s: [192.0.2.0/24]}\n  ports: {s: [853]}\n"
		"  strings: {exe: [/usr/bin/*], user: [alice], role: [client]}\n  keys: {s: " KEY(
			PIN_3) "}\n"
			       "rules:\n"
			       "  - id: all\n"
			       "    match: [{server_name: \"@s\", peer_ip: \"@s\", peer_port: \"@s\",\n"
			       "             exe: \"@exe\", user: \"@user\", role: \"@role\", issuer_in: \"@s\"}]\n"
			       "    " FORBID_LEAF "\n");
	struct verdict verdict;
	struct world w;

	(void)state;
	world_set(&w);
	policies_judge(policies, &w.facts, NOW, false, &verdict);
	assert_int_equal(verdict.count, 1);
	verdict_clear(&verdict);
	w.facts.peer.bytes[2] = 3;
	policies_judge(policies, &w.facts, NOW, false, &verdict);
	assert_int_equal(verdict.count, 0);
	verdict_clear(&verdict);
	policies_free(policies);
}

static void a_certificate_full_of_names(void **state)
{
	static char deep[] = "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.test";
	struct san *sans = xcalloc(SANS_MAX, sizeof(*sans));
	struct world w;

	(void)state;
	world_set(&w);
	for (size_t i = 0; i < SANS_MAX; i++)
		sans[i] = (struct san){.kind = SAN_DNS, .text = deep};
	w.leaf.sans = sans;
	w.leaf.sans_count = w.leaf.sans_total = SANS_MAX;
	assert_false(entry_matches(&w, "{san_dns: [\"*.example.com\", victim.test], san_ip: 1.1.1.1}"));
	sans[SANS_MAX - 1].text = "*.test";
	assert_true(entry_matches(&w, "{san_dns: [\"*.example.com\", victim.test]}"));
	free(sans);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match_any_and_all),
		cmocka_unit_test(match_server_name),
		cmocka_unit_test(match_san_dns),
		cmocka_unit_test(match_common_name),
		cmocka_unit_test(match_san_ip),
		cmocka_unit_test(names_beyond_the_bound),
		cmocka_unit_test(match_wild_address),
		cmocka_unit_test(a_leaf_that_cannot_be_read),
		cmocka_unit_test(an_issuer_that_may_be_there),
		cmocka_unit_test(match_peer),
		cmocka_unit_test(match_many_networks),
		cmocka_unit_test(match_process),
		cmocka_unit_test(glob_is_not_exponential),
		cmocka_unit_test(match_role_and_library),
		cmocka_unit_test(match_issuer_in),
		cmocka_unit_test(match_named_sets),
		cmocka_unit_test(a_certificate_full_of_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
