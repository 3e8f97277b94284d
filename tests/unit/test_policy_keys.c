/* The keys of the language that judge a certificate's own facts and where it is used, each both ways, and how each can be
 * written wrongly. trusted_by, ct and crl, which need files, are in test_policy_bind.c. */
#include "policy_world.h"

#define ANY "match: [{any: true}], "

enum { DAY = 86400 };

static void match_unit(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_false(entry_matches(&w, "{unit: nginx.service}"));
	assert_false(entry_matches(&w, "{unit: \"*\"}"));
	w.facts.unit = "postgresql@15-main.service";
	assert_true(entry_matches(&w, "{unit: postgresql@15-main.service}"));
	assert_true(entry_matches(&w, "{unit: \"postgresql@*.service\"}"));
	assert_true(entry_matches(&w, "{unit: [a.service, \"post*\"]}"));
	assert_true(entry_matches(&w, "{unit: \"*\"}"));
	assert_false(entry_matches(&w, "{unit: postgresql.service}"));
	assert_false(entry_matches(&w, "{unit: \"Postgresql*\"}"));
}

static void match_container(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct world w;

	(void)state;
	world_set(&w);
	assert_false(entry_matches(&w, "{container: \"*\"}"));
	w.facts.container = id;
	assert_true(entry_matches(&w, "{container: \"*\"}"));
	assert_true(entry_matches(&w, "{container: \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}"));
	assert_true(entry_matches(&w, "{container: \"0123456789ab\"}"));
	assert_true(entry_matches(&w, "{container: \"0123456789abcdef\"}"));
	assert_true(entry_matches(&w, "{container: \"0123*\"}"));
	assert_false(entry_matches(&w, "{container: \"0123456789a\"}")); /* shorter than any tool shows it */
	assert_false(entry_matches(&w, "{container: \"0123456789ac\"}"));
	assert_false(entry_matches(&w, "{container: \"123456789abc\"}"));
	w.facts.container = "web";
	assert_true(entry_matches(&w, "{container: web}"));
	assert_false(entry_matches(&w, "{container: we}"));
}

static void match_verify(void **state)
{
	static const struct {
		enum verify_result result;
		const char *word;
	} cases[] = {
		{VERIFY_OK, "ok"},
		{VERIFY_FAILED, "failed"},
		{VERIFY_FAILED_IGNORED, "failed-ignored"},
		{VERIFY_OFF, "off"},
	};
	struct world w;

	(void)state;
	world_set(&w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		w.facts.verify = cases[i].result;
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			CLEANUP_FREE char *entry = xasprintf("{verify: %s}", cases[k].word);

			assert_int_equal(entry_matches(&w, entry), i == k);
		}
		assert_int_equal(entry_matches(&w, "{verify: [ok, off]}"), i == 0 || i == 3);
	}
}

/* --- require ---------------------------------------------------------------------------------------------------------- */

static void require_name_matches(void **state)
{
	static const char body[] = ANY "require: {name_matches: true}";
	struct world w;

	(void)state;
	world_set(&w);
	add_san(&w, SAN_DNS, "www.example.com");
	expect(&w, body, NULL);
	/* What the application told the library goes before the SNI. */
	w.facts.expected_host = "other.example.com";
	expect(&w, body, "\"other.example.com\" is not among the names of the certificate");
	w.facts.expected_host = NULL;
	w.facts.server_name = "leaf.test"; /* the common name does not count */
	expect(&w, body, "\"leaf.test\" is not among the names of the certificate");
	w.facts.server_name = NULL;
	expect(&w, body, "\"192.0.2.1\" is not among the names of the certificate");
	add_san(&w, SAN_IP, "192.0.2.1");
	expect(&w, body, NULL);
	w.facts.peer.len = 0;
	expect(&w, body, "neither the name that was asked for nor the peer's address is known");
	w.facts.role = FACTS_ROLE_SERVER;
	expect(&w, body, NULL);
	w.facts.role = FACTS_ROLE_CLIENT;
	w.facts.certs_count = 0;
	expect(&w, body, "there is no certificate");
}

static void require_max_lifetime(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.leaf.not_before = NOW - 10 * DAY;
	w.leaf.not_after = NOW + 80 * DAY - 1;
	expect(&w, ANY "require: {max_lifetime: 90d}", NULL);
	w.leaf.not_after++; /* both ends belong to it */
	expect(&w, ANY "require: {max_lifetime: 90d}", "the leaf is good for 90d 1s, at most 90d is wanted");
	expect(&w, ANY "require: {max_lifetime: 91d}", NULL);
	expect(&w, ANY "require: {max_lifetime: 13w}", NULL);
	w.leaf.not_after = INT64_MAX;
	expect(&w, ANY "require: {max_lifetime: 36500d}", "the leaf's dates cannot be read");
	w.leaf.parsed = false;
	expect(&w, ANY "require: {max_lifetime: 36500d}", "the leaf cannot be read");
}

static void require_min_remaining(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.leaf.not_after = NOW + 14 * DAY;
	expect(&w, ANY "require: {min_remaining: 14d}", NULL);
	w.leaf.not_after--;
	expect(&w, ANY "require: {min_remaining: 14d}",
	       "the leaf expires 2027-01-29T07:59:59Z, in 13d 23h; at least 14d is wanted");
	w.leaf.not_after = NOW - 60;
	expect(&w, ANY "require: {min_remaining: 1s}",
	       "the leaf expires 2027-01-15T07:59:00Z, which was 1m ago; at least 1s is wanted");
	w.issuer.not_after = NOW - DAY; /* only the leaf counts */
	w.leaf.not_after = NOW + 2 * DAY;
	expect(&w, ANY "require: {min_remaining: 48h}", NULL);
}

static void keys_set(struct world *w, const char *algorithm, unsigned leaf, unsigned issuer, unsigned root)
{
	w->leaf.key_algorithm = w->issuer.key_algorithm = w->root.key_algorithm = algorithm;
	w->leaf.key_bits = leaf;
	w->issuer.key_bits = issuer;
	w->root.key_bits = root;
}

static void require_min_rsa_bits(void **state)
{
	static const char body[] = ANY "require: {min_rsa_bits: 2048}";
	struct world w;

	(void)state;
	world_set(&w);
	keys_set(&w, "RSA", 2048, 4096, 2048);
	expect(&w, body, NULL);
	keys_set(&w, "RSA", 2048, 4096, 2047);
	expect(&w, body, "the RSA key of CN=Root has 2047 bits, 2048 are wanted");
	keys_set(&w, "RSA-PSS", 1024, 2048, 2048);
	expect(&w, body, "the RSA key of CN=leaf.test has 1024 bits, 2048 are wanted");
	keys_set(&w, "EC", 256, 256, 256);
	expect(&w, body, NULL);
	w.facts.path_count = 0;
	expect(&w, body, "the sizes of the keys are not known (nothing is proven)");
}

static void require_min_ec_bits(void **state)
{
	static const char body[] = ANY "require: {min_ec_bits: 256}";
	struct world w;

	(void)state;
	world_set(&w);
	keys_set(&w, "EC", 256, 384, 256);
	expect(&w, body, NULL);
	keys_set(&w, "EC", 256, 224, 256);
	expect(&w, body, "the EC key of CN=Issuer has 224 bits, 256 are wanted");
	keys_set(&w, "RSA", 512, 512, 512);
	expect(&w, body, NULL);
	keys_set(&w, "ED25519", 253, 253, 253);
	expect(&w, body, NULL);
}

static void require_not_before_until(void **state)
{
	static const char body[] = ANY "require: {leaf_not_before_until: \"2024-11-12T00:00:00Z\"}";
	struct world w;

	(void)state;
	world_set(&w);
	w.leaf.not_before = 1731369600; /* just then; long ago by the clock */
	expect(&w, body, NULL);
	w.leaf.not_before++;
	expect(&w, body, "the leaf's notBefore is 2024-11-12T00:00:01Z, after 2024-11-12T00:00:00Z");
	w.issuer.not_before = w.leaf.not_before-- + 1;
	expect(&w, body, NULL);
}

/* --- forbid ----------------------------------------------------------------------------------------------------------- */

#define SERIAL(pin, text) ANY "forbid: {serial_in: [{issuer_spki_sha256: \"" pin "\", serial: \"" text "\"}]}"

static void forbid_serial_in(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.leaf.serial = (char *)"0A1B";
	w.issuer.serial = (char *)"-07";
	w.root.serial = (char *)"00";
	expect(&w, SERIAL(PIN_2, "0A1B"), "serial of the set in line 4: 0A1B is that of CN=leaf.test (presented)");
	expect(&w, SERIAL(PIN_2, "a:1b"), "serial of the set in line 4: 0A1B is that of CN=leaf.test (presented)");
	expect(&w, SERIAL(PIN_2, "00000a1b"), "serial of the set in line 4: 0A1B is that of CN=leaf.test (presented)");
	expect(&w, SERIAL(PIN_3, "-7"), "serial of the set in line 4: -07 is that of CN=Issuer (presented)");
	/* Another CA's certificate of that number. */
	expect(&w, SERIAL(PIN_3, "0A1B"), NULL);
	expect(&w, SERIAL(PIN_9, "0A1B"), NULL);
	expect(&w, SERIAL(PIN_2, "0A1C"), NULL);
	expect(&w, SERIAL(PIN_3, "7"), NULL);
	/* Nobody is known to have signed the root. */
	expect(&w, SERIAL(PIN_3, "0"), NULL);
}

static void signed_with(struct world *w, const char *leaf, const char *issuer, const char *root)
{
	w->leaf.signature_digest = leaf;
	w->issuer.signature_digest = issuer;
	w->root.signature_digest = root;
	w->leaf.signature_algorithm = w->issuer.signature_algorithm = w->root.signature_algorithm = "with-some-hash";
}

static void forbid_signature(void **state)
{
	static const char sha1[] = ANY "forbid: {signature: sha1}", md5[] = ANY "forbid: {signature: [md5]}";
	struct world w;

	(void)state;
	world_set(&w);
	signed_with(&w, "SHA256", "SHA384", "SHA256");
	expect(&w, sha1, NULL);
	expect(&w, md5, NULL);
	signed_with(&w, "SHA1", "SHA384", "SHA256");
	expect(&w, sha1, "signed with with-some-hash: CN=leaf.test (presented)");
	expect(&w, md5, NULL);
	signed_with(&w, "SHA256", "MD5", "SHA256");
	expect(&w, md5, "signed with with-some-hash: CN=Issuer (presented)");
	expect(&w, sha1, NULL);
	signed_with(&w, "SHA256", "MD4", "SHA256");
	expect(&w, md5, "signed with with-some-hash: CN=Issuer (presented)");
	signed_with(&w, "SHA256", "SHA256", "SHA1");
	expect(&w, ANY "forbid: {signature: [md5, sha1]}", "signed with with-some-hash: CN=Root (proven issuer)");
}

/* --- what a log does not tell ------------------------------------------------------------------------------------------ */

static size_t undecided(const struct world *w, const char *body, size_t *ret_broken)
{
	CLEANUP_FREE char *text = xasprintf("version: 1\nname: p\nrules:\n  - {id: r, %s}\n", body);
	struct policies *policies = parse(text);
	struct verdict verdict;
	size_t count;

	policies_judge(policies, &w->facts, NOW, false, &verdict);
	count = verdict.undecided;
	*ret_broken = verdict.count;
	verdict_clear(&verdict);
	policies_free(policies);
	return count;
}

static void without_keys_sizes_are_undecided(void **state)
{
	size_t broken;
	struct world w;

	(void)state;
	world_set(&w);
	keys_set(&w, "RSA", 512, 512, 512);
	signed_with(&w, "SHA1", "SHA1", "SHA1");
	w.facts.without_der = w.facts.without_keys = true;
	assert_int_equal(undecided(&w, ANY "require: {min_rsa_bits: 2048}", &broken), 1);
	assert_int_equal(broken, 0);
	assert_int_equal(undecided(&w, ANY "forbid: {signature: sha1}", &broken), 1);
	/* What is broken for another reason is broken. */
	assert_int_equal(undecided(&w, ANY "require: {min_rsa_bits: 2048}, forbid: {key_in: " KEY(PIN_1) "}", &broken), 0);
	assert_int_equal(broken, 1);
	w.facts.without_keys = false;
	assert_int_equal(undecided(&w, ANY "require: {min_rsa_bits: 2048}", &broken), 0);
	assert_int_equal(broken, 1);
	/* Names may be among those that were left out. */
	w.leaf.sans_total = 5;
	assert_int_equal(undecided(&w, ANY "require: {name_matches: true}", &broken), 1);
	w.leaf.sans_total = 0;
	assert_int_equal(undecided(&w, ANY "require: {name_matches: true}", &broken), 0);
	assert_int_equal(broken, 1);
}

/* --- written wrongly ---------------------------------------------------------------------------------------------------- */

static void complaint(const char *head, const char *body, const char *wanted)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	CLEANUP_FREE char *text = xasprintf("version: 1\nname: p\n%srules:\n  - {id: r, %s}\n", head, body);
	const struct policy_source source = {"f", text, strlen(text)};
	struct policies *policies = NULL;

	assert_int_equal(policies_parse(&source, 1, &policies, &problems), -22);
	assert_int_equal(problems.count, 1);
	if (!strstr(problems.items[0].text, wanted))
		fail_msg("%s: %s", body, problems.items[0].text);
	assert_true(problems.items[0].line >= 3 && problems.items[0].column > 1);
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *body, *wanted;
	} cases[] = {
		{ANY "require: {max_lifetime: 90}", "is it days that are meant?"},
		{ANY "require: {max_lifetime: 0d}", "from 1s to 36500d"},
		{ANY "require: {max_lifetime: 99999999999999999999d}", "from 1s to 36500d"},
		{ANY "require: {max_lifetime: -1d}", "a whole number and a unit"},
		{ANY "require: {max_lifetime: 1.5d}", "a whole number and a unit"},
		{ANY "require: {max_lifetime: 1dd}", "a whole number and a unit"},
		{ANY "require: {min_remaining: [1d]}", "not a list"},
		{ANY "require: {min_rsa_bits: \"2048\"}", "in quotes"},
		{ANY "require: {min_rsa_bits: 0}", "from 1 to 65536"},
		{ANY "require: {min_rsa_bits: 2048.0}", "from 1 to 65536"},
		{ANY "require: {min_ec_bits: 70000}", "from 1 to 65536"},
		{ANY "require: {min_rsa_bit: 2048}", "did you mean \"min_rsa_bits\"?"},
		{ANY "require: {leaf_not_before_until: \"2024-13-01T00:00:00Z\"}", "RFC 3339"},
		{ANY "require: {leaf_not_before_until: 2024-11-12}", "RFC 3339"},
		{ANY "require: {name_matches: false}", "asks for nothing"},
		{ANY "require: {name_matches: 1}", "true or false"},
		{ANY "require: {ct: {scts: 2}}", "\"logs\" is missing"},
		{ANY "require: {ct: {scts: 1, operators: 2, logs: l.json}}", "each SCT has one operator"},
		{ANY "require: {ct: {scts: 33, logs: l.json}}", "from 1 to 32"},
		{ANY "require: {ct: true}", "must be a map"},
		{ANY "require: {trusted_by: nowhere}", "there is no set \"nowhere\" among the sets of trust_stores"},
		{ANY "require: {trusted_by: {crl: [a.crl]}}", "\"store\" is missing"},
		{ANY "require: {trusted_by: [a]}", "not a list"},
		{ANY "require: {trusted_by: {store: /a.pem, crl: []}}", "no CRL is named"},
		{ANY "require: {issuer_in: [{organization: \"Example Corp\"}]}", "count only with trusted_by"},
		{ANY "require: {key_in: [{organization: \"Example Corp\"}]}", "count only in issuer_in"},
		{ANY "forbid: {key_in: [{common_name: \"Example\"}]}", "count only in issuer_in"},
		{"match: [{issuer_in: [{common_name: \"Example\"}]}], forbid: {signature: md5}", "here only keys count"},
		{ANY "require: {issuer_in: [{organization: a, spki_sha256: \"" PIN_1 "\"}]}", "not by both"},
		{ANY "require: {issuer_in: [{name: a}]}", "\"spki_sha256\" is missing in a key"},
		{ANY "forbid: {signature: sha2}", "did you mean \"sha1\"?"},
		{ANY "forbid: {signature: []}", "an empty list"},
		{ANY "forbid: {serial_in: [{serial: \"01\"}]}", "\"issuer_spki_sha256\" is missing"},
		{ANY "forbid: {serial_in: [{issuer_spki_sha256: \"" PIN_1 "\", serial: 17}]}", "must be in quotes"},
		{ANY "forbid: {serial_in: [{issuer_spki_sha256: \"" PIN_1 "\", serial: \"0x17\"}]}", "is not a serial"},
		{ANY "forbid: {serial_in: [{issuer_spki_sha256: \"" PIN_1 "\", serial: \"-\"}]}", "is not a serial"},
		{ANY "forbid: {crl: []}", "no CRL is named"},
		{"match: [{verify: ignored}], forbid: {signature: md5}", "is not a result of a verification"},
		{"match: [{unit: \"a[\"}], forbid: {signature: md5}", "the '[' is not closed"},
		{"match: [{container: 5}], forbid: {signature: md5}, action: kill-proces", "did you mean \"kill-process\"?"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		complaint("", cases[i].body, cases[i].wanted);
	complaint("sets: {trust_stores: {s: [a.pem, b.pem]}}\n", ANY "require: {trusted_by: s}",
		  "is one file, or a directory");
	complaint("sets: {trust_stores: {mozilla: a.pem}}\n", ANY "require: {trusted_by: \"@mozila\"}",
		  "did you mean \"mozilla\"?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match_unit),
		cmocka_unit_test(match_container),
		cmocka_unit_test(match_verify),
		cmocka_unit_test(require_name_matches),
		cmocka_unit_test(require_max_lifetime),
		cmocka_unit_test(require_min_remaining),
		cmocka_unit_test(require_min_rsa_bits),
		cmocka_unit_test(require_min_ec_bits),
		cmocka_unit_test(require_not_before_until),
		cmocka_unit_test(forbid_serial_in),
		cmocka_unit_test(forbid_signature),
		cmocka_unit_test(without_keys_sizes_are_undecided),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
