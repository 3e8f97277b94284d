/* What `learn` writes: it parses, it accepts what was learned, and no look-alike of it; what was not learned is told. */
#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "learned_world.h"

/* --- one by one ------------------------------------------------------------------------------------------------------- */

static void test_nothing(void **state)
{
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = written(learned, &session);
	struct policies *policies = parse(text);
	struct world w;

	(void)state;
	assert_int_equal(policies_count(policies), 1);
	assert_string_equal(policies_info(policies, 0).name, "learned-web1-2027-01-15");
	assert_false(policies_info(policies, 0).enforce);
	assert_int_equal(policies_info(policies, 0).rules, 1);
	world_set(&w);
	assert_int_equal(broken(policies, &w.facts), 0);
	w.facts.verify = VERIFY_OFF;
	assert_int_equal(broken(policies, &w.facts), 1);
	policies_free(policies);
}

static void test_a_name(void **state)
{
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	struct policies *policies;
	struct certificate other;
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.server_name = "WWW.Example.com.";
	assert_true(learned_add(learned, &w.facts, "/usr/bin/curl", NOW));
	assert_true(learned_add(learned, &w.facts, "/usr/bin/curl (deleted)", NOW + 60));
	assert_true(learned_add(learned, &w.facts, "/usr/bin/git", NOW + 30));
	text = written(learned, &session);
	assert_text(text, "verifications 3: 3 learned, 0 not\n");
	assert_text(text,
		    "    issuer:\n      - {name: \"Issuer\", spki_sha256: \"" PIN_2 "\"} # signed the leaf; until 1970");
	assert_text(text, "      - {name: \"Root\", spki_sha256: \"" PIN_3 "\"} # above the one that signed the leaf;");
	assert_text(text, "- \"www.example.com\" # 3 times, by /usr/bin/curl (2), /usr/bin/git (1); 2027-01-15T08:00:00Z to "
			  "2027-01-15T08:01:00Z\n      #   leaf key \"" PIN_1 "\"");
	assert_text(text, "    match: [{server_name: \"@issuer\", role: client}]\n    require: {issuer_in: \"@issuer\"}\n");
	assert_text(text, "    except:\n      - {server_name: \"@issuer\"}\n    require: {issuer_in: \"@issuers-seen\"}\n");
	policies = parse(text);
	assert_accepted(policies, &w.facts, text);
	/* The same names, another key: each name of a certificate may be had by anyone. */
	certificate_set(&other, 9, "CN=Issuer");
	w.facts.path[1] = w.facts.path[2] = &other;
	assert_int_equal(broken(policies, &w.facts), 1);
	/* A name that was not seen, from a CA that was, and not. */
	w.facts.server_name = "new.example.com";
	assert_int_equal(broken(policies, &w.facts), 1);
	w.facts.path[1] = &w.issuer;
	assert_int_equal(broken(policies, &w.facts), 0);
	policies_free(policies);
}

static void test_groups(void **state)
{
	static const char *const names[] = {"c.test", "a.test", "b.test"};
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	struct policies *policies;
	struct world w;

	(void)state;
	world_set(&w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		w.facts.server_name = names[i];
		assert_true(learned_add(learned, &w.facts, NULL, NOW));
	}
	/* Only the root is the same. */
	w.facts.server_name = "d.test";
	w.facts.path[1] = &w.root;
	w.facts.path_count = 2;
	assert_true(learned_add(learned, &w.facts, "d", NOW));
	/* One address at two ports, another at one of them: a rule for each port. */
	world_set(&w);
	w.facts.server_name = NULL;
	assert_true(learned_add(learned, &w.facts, "d", NOW));
	w.facts.peer_port = 443;
	assert_true(learned_add(learned, &w.facts, "d", NOW));
	w.facts.peer.bytes[3] = 2;
	assert_true(learned_add(learned, &w.facts, "d", NOW));
	text = written(learned, &session);
	assert_text(text, "    issuer:\n      - \"a.test\" #");
	assert_text(text, "    issuer-443:\n      - \"192.0.2.1\" #");
	assert_text(text, "    issuer-853:\n      - \"192.0.2.1\" #");
	assert_true(strstr(text, "- \"a.test\"") < strstr(text, "- \"b.test\"") &&
		    strstr(text, "- \"b.test\"") < strstr(text, "- \"c.test\""));
	assert_text(text,
		    "    root:\n      single: true # no second key was seen: add a backup before you enforce\n      keys:\n"
		    "        - {name: \"Root\"");
	policies = parse(text);
	assert_int_equal(policies_info(policies, 0).rules, 5);
	policies_free(policies);
}

/* Whoever has no usable name goes by the address: an IP literal, a wildcard, a name that was escaped. */
static void test_addresses(void **state)
{
	static const char *const names[] = {NULL, "192.0.2.1", "*.example.com", "a\\x00b.test", "a..b", "@all"};
	struct certificate other;
	struct world w;

	(void)state;
	certificate_set(&other, 9, "CN=Other");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP(learned_freep) struct learned *learned = learned_new();
		CLEANUP_FREE char *text = NULL;
		struct policies *policies;

		world_set(&w);
		w.facts.server_name = names[i];
		assert_true(learned_add(learned, &w.facts, "p", NOW));
		assert_int_equal(learned_counts(learned).addresses, 1);
		assert_int_equal(learned_counts(learned).names, 0);
		text = written(learned, &session);
		assert_text(text, "    issuer-853:\n      - \"192.0.2.1\" # 1 time, by p (1);");
		assert_text(text, "    match: [{peer_ip: \"@issuer-853\", peer_port: 853, role: client}]\n");
		assert_text(text, "      - {peer_ip: \"@issuer-853\", peer_port: 853}\n");
		policies = parse(text);
		assert_accepted(policies, &w.facts, text);
		w.facts.path[1] = w.facts.path[2] = &other;
		assert_int_equal(broken(policies, &w.facts), 1);
		policies_free(policies);
	}
}

/* Rules that overlap: a name and no name at one address, a name that is asked for and another that is expected. */
static void test_overlaps(void **state)
{
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	struct policies *policies;
	struct certificate other;
	struct world one, two, three, four;

	(void)state;
	certificate_set(&other, 9, "CN=Other");
	world_set(&one);
	world_set(&two);
	world_set(&three);
	world_set(&four);
	one.facts.path[1] = one.facts.path[2] = &other;
	two.facts.server_name = NULL;
	three.facts.expected_host = "expected.test";
	four.facts.server_name = "expected.test";
	four.facts.path[1] = four.facts.path[2] = &other;
	assert_true(learned_add(learned, &one.facts, "p", NOW));
	assert_true(learned_add(learned, &two.facts, "p", NOW));
	assert_true(learned_add(learned, &three.facts, "p", NOW));
	assert_true(learned_add(learned, &four.facts, "p", NOW));
	text = written(learned, &session);
	policies = parse(text);
	assert_accepted(policies, &one.facts, text);
	assert_accepted(policies, &two.facts, text);
	assert_accepted(policies, &three.facts, text);
	assert_accepted(policies, &four.facts, text);
	policies_free(policies);
}

static void test_leaf_alone(void **state)
{
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL, *both = NULL;
	struct policies *policies;
	struct certificate other;
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.path_count = 1;
	assert_true(learned_add(learned, &w.facts, "p", NOW));
	text = written(learned, &session);
	assert_text(text, "    pinned-www-example-com:\n      single: true");
	assert_text(text, "{name: \"leaf.test\", spki_sha256: \"" PIN_1 "\"} # the leaf's own key;");
	assert_text(text, "    require: {key_in: \"@pinned-www-example-com\", at: leaf}\n");
	assert_text(text, "    require: {verified: true}\n");
	policies = parse(text);
	assert_accepted(policies, &w.facts, text);
	certificate_set(&other, 9, "CN=leaf.test");
	w.facts.path[0] = &other;
	assert_int_equal(broken(policies, &w.facts), 1);
	/* Its key further up is not the same. */
	w.facts.path[1] = &w.leaf;
	w.facts.path_count = 2;
	assert_int_equal(broken(policies, &w.facts), 1);
	policies_free(policies);
	/* Seen both ways: either is accepted. */
	world_set(&w);
	assert_true(learned_add(learned, &w.facts, "p", NOW));
	both = written(learned, &session);
	policies = parse(both);
	assert_accepted(policies, &w.facts, both);
	w.facts.path_count = 1;
	assert_accepted(policies, &w.facts, both);
	policies_free(policies);
}

static void test_clients(void **state)
{
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	struct policies *policies;
	struct certificate other;
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.role = FACTS_ROLE_SERVER;
	assert_true(learned_add(learned, &w.facts, "nginx", NOW));
	assert_true(learned_counts(learned).clients);
	assert_int_equal(learned_counts(learned).names, 0);
	text = written(learned, &session);
	assert_text(text, "  - id: client-certificates\n");
	assert_text(text, "    match: [{role: server}]\n    require: {issuer_in: \"@client-certificates\"}\n");
	policies = parse(text);
	assert_accepted(policies, &w.facts, text);
	certificate_set(&other, 9, "CN=Issuer");
	w.facts.path[1] = w.facts.path[2] = &other;
	assert_int_equal(broken(policies, &w.facts), 1);
	policies_free(policies);
}

/* What is not learned is told, and makes no rule. */
static void test_refused(void **state)
{
	static const struct {
		enum verify_result verify;
		const char *text;
	} cases[] = {
		{VERIFY_FAILED, "1 time, the verification failed; 2027"},
		{VERIFY_FAILED_IGNORED, "1 time, the verification failed, and the process went on; 2027"},
		{VERIFY_OFF, "1 time, the library was not asked to verify"},
		{VERIFY_PENDING, "1 time, what came of the verification is not known"},
	};
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	const struct learned_session lossy = {.host = "h", .lost_verifications = 7, .lost_mappings = 8, .unsupported = 9};
	struct policies *policies;
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		world_set(&w);
		w.facts.verify = cases[i].verify;
		assert_false(learned_add(learned, &w.facts, "/usr/bin/node", NOW));
	}
	world_set(&w);
	w.facts.truncated = true;
	assert_false(learned_add(learned, &w.facts, "p", NOW));
	world_set(&w);
	w.facts.path_count = 0;
	assert_false(learned_add(learned, &w.facts, "p", NOW));
	world_set(&w);
	w.facts.role = FACTS_ROLE_UNKNOWN;
	assert_false(learned_add(learned, &w.facts, "p", NOW));
	world_set(&w);
	w.facts.server_name = NULL;
	w.facts.peer.len = 0;
	assert_false(learned_add(learned, &w.facts, "p", NOW));
	w.facts.certs_count = w.facts.path_count = 0;
	w.facts.role = FACTS_ROLE_SERVER;
	assert_false(learned_add(learned, &w.facts, NULL, NOW));
	assert_int_equal(learned_counts(learned).verifications, 9);
	assert_int_equal(learned_counts(learned).learned, 0);
	text = written(learned, &lossy);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_text(text, cases[i].text);
	assert_text(text, "# www.example.com, by /usr/bin/node: 1 time, ");
	assert_text(text, "#   CN=leaf.test\n#   issued by ");
	assert_text(text, "2: nothing is proven: certificates are missing\n");
	assert_text(text, "1: nothing is proven: the leaf cannot be read\n");
	assert_text(text, "1: which side of the connection verified is not known\n");
	assert_text(text, "1: neither a name nor an address is known\n");
	assert_text(text, "# an unknown peer, by p: ");
	assert_text(text, "# a client at an unknown address, by an unknown program: ");
	assert_text(text, "#   not seen      7: ");
	assert_text(text, "#   not seen      8: ");
	assert_text(text, "#   not seen      9: ");
	policies = parse(text);
	assert_int_equal(policies_info(policies, 0).rules, 1);
	policies_free(policies);
}

/* A full disk is told. */
static void test_no_room(void **state)
{
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(out);
	assert_int_equal(learned_write(learned, &session, out), -EIO);
	fclose(out);
	learned_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),   cmocka_unit_test(test_a_name),   cmocka_unit_test(test_groups),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_overlaps), cmocka_unit_test(test_leaf_alone),
		cmocka_unit_test(test_clients),   cmocka_unit_test(test_refused),  cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
