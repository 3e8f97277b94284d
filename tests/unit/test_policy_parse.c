/* Parsing of policy files: what is accepted, and every complaint with its place. */
#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy.h"
#include "util.h"

#define PIN_A "i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl/s2uC/CY="
#define PIN_B "vjKAxoY8dwozyQQL2X1VQLIW0dkduLCIzqwRl9rh1mA="
#define KEY_A "{name: a, spki_sha256: \"" PIN_A "\"}"
#define KEY_B "{name: b, spki_sha256: \"" PIN_B "\"}"
#define HEAD "version: 1\nname: p\n"
#define TOP_KEYS "; it takes version, name, mode, enforce_until, expires, sets or rules"
/* Rules follow from line 4 on. */
#define RULES HEAD "rules:\n"
#define MATCH "  - id: r\n    match: [{any: true}]\n"
#define FORBID "    forbid: {key_in: [" KEY_A "]}\n"
#define RULE MATCH FORBID

/* All complaints, "file:line:column: text" each on a line; "" if the sources are fine. */
static char *complaints(const struct policy_source *sources, size_t count)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = NULL;
	char *all = xstrdup("");
	int r = policies_parse(sources, count, &policies, &problems);

	assert_int_equal(r, problems.count ? -EINVAL : 0);
	assert_int_equal(policies != NULL, r == 0);
	policies_free(policies);
	for (size_t i = 0; i < problems.count; i++) {
		const struct problem *problem = &problems.items[i];
		CLEANUP_FREE char *before = all;

		all = xasprintf("%s%s:%u:%u: %s\n", before, problem->file, problem->line, problem->column, problem->text);
	}
	return all;
}

static void expect_len(const char *text, size_t len, const char *expected)
{
	const struct policy_source source = {"f", text, len};
	CLEANUP_FREE char *all = complaints(&source, 1);

	assert_string_equal(all, expected);
}

static void expect(const char *text, const char *expected)
{
	expect_len(text, strlen(text), expected);
}

static void everything_supported(void **state)
{
	(void)state;
	expect("# a comment\n"
	       "version: 1\n"
	       "name: full\n"
	       "mode: enforce\n"
	       "enforce_until: \"2027-01-31T00:00:00Z\"\n"
	       "expires: 2027-06-30T23:59:59.25Z\n"
	       "rules:\n"
	       "  - id: one\n"
	       "    description: >\n"
	       "      folded\n"
	       "      text\n"
	       "    match:\n"
	       "      - {san_ip: \"@n\", san_dns: \"@n\", server_name: example.com, peer_ip: [\"10.0.0.0/8\", \"::1\"]}\n"
	       "      - {peer_port: 443, role: client, library: [openssl, gnutls], user: [root, 1000]}\n"
	       "      - {peer_port: \"@p\", exe: \"@s\", issuer_in: \"@k\"}\n"
	       "      - {any: true}\n"
	       "    require: {key_in: \"@k\", at: leaf, issuer_in: \"@single\", verified: true}\n"
	       "    forbid: {key_in: " KEY_A ", cert_sha256_in: \"@hex\"}\n"
	       "    except: {exe: [\"/opt/lab/*\"]}\n"
	       "    action: kill\n"
	       "    severity: critical\n"
	       "  - id: two\n"
	       "    match: [{any: true}]\n"
	       "    require: {key_in: {single: true, keys: " KEY_A "}}\n"
	       "    except: [{user: root}, {role: server}]\n"
	       "    action: log\n"
	       "sets:\n"
	       "  keys:\n"
	       "    k: [" KEY_A ", " KEY_B "]\n"
	       "    single: {single: true, keys: [" KEY_A "]}\n"
	       "  names: {n: [\"*.example.com\", a.example.]}\n"
	       "  networks: {n: 192.0.2.0/24}\n"
	       "  ports: {p: [443, 853]}\n"
	       "  strings:\n"
	       "    s: /usr/bin/curl\n"
	       "    hex: [0000000000000000000000000000000000000000000000000000000000000000]\n",
	       "");
	expect("\xef\xbb\xbf" RULES RULE, "");
	expect("--- \n" RULES RULE "...\n", "");
	expect("{version: 1, name: p, rules: [{id: r, match: [{any: true}], require: {verified: true}}]}", "");
}

static void info_of_a_policy(void **state)
{
	static const char text[] = HEAD "mode: enforce\nenforce_until: 1970-01-02T00:00:00Z\n"
					"expires: \"2027-06-30T12:34:56Z\"\n"
					"rules:\n" RULE;
	static const char sha256[] = "b552322adaaf8d5f8e697d6ef8470d69588141002ba427bf0e21273a68540cec";
	char hex[2 * SHA256_BYTES + 1];
	const struct policy_source sources[] = {{"a", text, sizeof(text) - 1}};
	struct problems problems = {0};
	struct policies *policies;
	struct policy_info info;

	(void)state;
	assert_int_equal(policies_parse(sources, 1, &policies, &problems), 0);
	assert_int_equal(policies_count(policies), 1);
	info = policies_info(policies, 0);
	assert_string_equal(info.name, "p");
	assert_string_equal(info.file, "a");
	hex_encode(info.sha256, SHA256_BYTES, false, hex);
	assert_string_equal(hex, sha256);
	assert_true(info.enforce);
	assert_int_equal(info.rules, 1);
	assert_true(info.has_enforce_until);
	assert_int_equal(info.enforce_until, 86400);
	assert_true(info.has_expires);
	assert_int_equal(info.expires, 1814358896);
	policies_free(policies);
	assert_int_equal(policies_parse(NULL, 0, &policies, &problems), 0);
	assert_int_equal(policies_count(policies), 0);
	policies_free(policies);
	policies_free(NULL);
}

static void not_yaml(void **state)
{
	(void)state;
	expect("", "f:1:1: the file is empty: a policy begins with \"version: 1\"\n");
	expect("---\n", "f:2:1: a policy must be a map of keys and values, not nothing\n");
	expect("[]", "f:1:1: a policy must be a map of keys and values, not a list\n");
	expect(RULES RULE "---\n" RULES RULE, "f:7:1: a second document: one file holds one policy\n");
	expect("version: 1\nname: [p\n",
	       "f:3:1: not YAML: while parsing a flow sequence: did not find expected ',' or ']'\n");
	expect("version: 1\n\tname: p\n",
	       "f:2:1: not YAML: while scanning a plain scalar: found a tab character that violates indentation"
	       "; YAML is indented with spaces, not with tabs\n");
	expect(HEAD "x: @set\n",
	       "f:3:4: not YAML: while scanning for the next token: found character that cannot start any token"
	       "; write a set in quotes: \"@name\"\n");
	expect(HEAD "x: *.example.com\n",
	       "f:3:5: not YAML: while scanning an alias: did not find expected alphabetic or numeric character"
	       "; write a name with a wildcard in quotes: \"*.example.com\"\n");
	expect("name: \xc3\xbc\xff\n", "f:1:8: not UTF-8 (invalid leading UTF-8 octet)\n");
	expect("version: 1\nname: a\x01\n", "f:2:8: a control character (control characters are not allowed)\n");
	expect_len("name: a\0b", 9, "f:1:8: a control character (control characters are not allowed)\n");
	expect_len("v\0e\0r\0", 6, "f:1:2: a control character (control characters are not allowed)\n");
	expect_len("\xff\xfev\0", 4, "f:1:1: not UTF-8 (invalid leading UTF-8 octet)\n");
	expect("\xef\xbb\xbfversion: 2\nname: p\nrules:\n" RULE, "f:1:10: version must be 1, the only one that there is\n");
}

static void yaml_features_refused(void **state)
{
	(void)state;
	expect(HEAD "mode: &m audit\nrules:\n" RULE, "f:3:7: anchors (&) are not supported\n");
	expect(HEAD "mode: !!str audit\nrules:\n" RULE, "f:3:7: tags (!) are not supported\n");
	expect(HEAD "mode: *m\nrules:\n" RULE, "f:3:7: aliases (*) are not supported: write the value out, or name a set\n");
	expect(RULES "  - &r\n    id: r\n    match: !x [{any: true}]\n" FORBID,
	       "f:4:5: anchors (&) are not supported\nf:6:12: tags (!) are not supported\n");
	expect(HEAD "<<: {mode: audit}\nrules:\n" RULE, "f:3:1: merge keys (<<) are not supported: write the keys out\n");
	expect(HEAD "? [a]\n: b\nrules:\n" RULE, "f:3:3: a key must be text, not a list or a map\n");
	expect(HEAD "? {a: b}\n: {c: d}\nrules:\n" RULE, "f:3:3: a key must be text, not a list or a map\n");
	expect(HEAD "name: q\nname: r\nrules:\n" RULE, "f:3:1: \"name\" stands here twice (the first is at 2:1)\n"
						       "f:4:1: \"name\" stands here twice (the first is at 2:1)\n");
	expect("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "f:1:17: nested too deep\n");
	expect(HEAD "mode: \"au\\0dit\"\nrules:\n" RULE, "f:3:7: a NUL in a text\n");
}

static void top_level(void **state)
{
	(void)state;
	expect("{}", "f:1:1: \"name\" is missing in a policy\nf:1:1: \"rules\" is missing in a policy\n"
		     "f:1:1: \"version\" is missing in a policy\n");
	expect("version: 2\nname: p\nrules:\n" RULE, "f:1:10: version must be 1, the only one that there is\n");
	expect("version: \"1\"\nname: p\nrules:\n" RULE, "f:1:10: version must be 1, the only one that there is\n");
	expect("version: [1]\nname: p\nrules:\n" RULE, "f:1:10: version must be 1, the only one that there is\n");
	expect("version: 1\nname:\nrules:\n" RULE, "f:2:6: the name of a policy must be text, not nothing\n");
	expect("version: 1\nname: ~\nrules:\n" RULE,
	       "f:2:7: the name of a policy must be text, not nothing: write it in quotes\n");
	expect("version: 1\nname: \"\"\nrules:\n" RULE, "f:2:7: the name of a policy is empty\n");
	expect("version: 1\nname: 7\nrules:\n" RULE,
	       "f:2:7: the name of a policy must be text, not a number: write it in quotes\n");
	expect("version: 1\nname: true\nrules:\n" RULE,
	       "f:2:7: the name of a policy must be text, not a truth value: write it in quotes\n");
	expect("version: 1\nname: \"a\\tb\"\nrules:\n" RULE,
	       "f:2:7: the name of a policy must be one line without control characters\n");
	expect("version: 1\nname: {a: b}\nrules:\n" RULE, "f:2:7: the name of a policy must be text, not a map\n");
	expect(HEAD "mode: enforced\nrules:\n" RULE,
	       "f:3:7: mode must be audit or enforce, not \"enforced\"; did you mean \"enforce\"?\n");
	expect(HEAD "mode: true\nrules:\n" RULE, "f:3:7: mode must be audit or enforce, not a truth value\n");
	expect(HEAD "modus: audit\nrules:\n" RULE, "f:3:1: unknown key \"modus\" in a policy; did you mean \"mode\"?\n");
	expect(HEAD "colour: red\nrules:\n" RULE, "f:3:1: unknown key \"colour\" in a policy" TOP_KEYS "\n");
	expect(HEAD "MODE: audit\nrules:\n" RULE, "f:3:1: unknown key \"MODE\" in a policy; did you mean \"mode\"?\n");
	expect(HEAD "enforceUntil: x\nrules:\n" RULE,
	       "f:3:1: unknown key \"enforceUntil\" in a policy; did you mean \"enforce_until\"?\n");
	expect(HEAD "\"\\e[31m\": red\nrules:\n" RULE, "f:3:1: unknown key \"\\x1b[31m\" in a policy" TOP_KEYS "\n");
	expect(HEAD "tests: []\npolicies: []\nrules:\n" RULE,
	       "f:3:1: this is a file of tests, not a policy: `tlswarden test` runs it, and it cannot lie among policies\n");
	expect(HEAD "rules: []\n", "f:3:8: rules is empty: a policy needs a rule\n");
	expect(HEAD "rules: {id: r}\n", "f:3:8: rules must be a list, not a map\n");
}

static void times(void **state)
{
	static const char *const bad[] = {
		"tomorrow",
		"2027-01-31",
		"2027-01-31T00:00:00",
		"2027-01-31T00:00:00+00:00",
		"2027-02-29T00:00:00Z",
		"2027-13-01T00:00:00Z",
		"2027-00-01T00:00:00Z",
		"2027-01-00T00:00:00Z",
		"2027-01-31T24:00:00Z",
		"2027-01-31T00:60:00Z",
		"2027-01-31T00:00:60Z",
		"2027-01-31 00:00:00Z",
		"2027-01-31T00:00:00.Z",
		"1969-12-31T23:59:59Z",
		"2027-1-31T00:00:00Z",
		"2027-01-31T00:00:00Zx",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP_FREE char *text = xasprintf(HEAD "expires: \"%s\"\nrules:\n" RULE, bad[i]);
		CLEANUP_FREE char *want = xasprintf(
			"f:3:10: expires must be a time in UTC (RFC 3339) like \"2027-01-31T00:00:00Z\", not \"%s\"\n",
			bad[i]);

		expect(text, want);
	}
	expect(HEAD "enforce_until: [x]\nrules:\n" RULE,
	       "f:3:16: enforce_until must be a time like \"2027-01-31T00:00:00Z\", not a list\n");
	expect(HEAD "enforce_until: \"2028-02-29T00:00:00Z\"\nrules:\n" RULE, "");
}

static void sets(void **state)
{
	(void)state;
	expect(HEAD "sets: []\nrules:\n" RULE, "f:3:7: sets must be a map of keys and values, not a list\n");
	expect(HEAD "sets: {key: {}}\nrules:\n" RULE, "f:3:8: unknown key \"key\" in sets; did you mean \"keys\"?\n");
	expect(HEAD "sets: {trust_stores: {m: /x}}\nrules:\n" RULE, "");
	expect(HEAD "sets: {trust_stores: {m: [/x, /y]}}\nrules:\n" RULE,
	       "f:3:31: a trust store is one file, or a directory: put the certificates into one\n");
	expect(HEAD "sets: {names: [a.example]}\nrules:\n" RULE,
	       "f:3:15: sets of names must be a map of names and their values, not a list\n");
	expect(HEAD "sets: {names: {n: a.example, n: b.example}}\nrules:\n" RULE,
	       "f:3:30: \"n\" stands here twice (the first is at 3:16)\n");
	expect(HEAD "sets: {names: {n: []}}\nrules:\n" RULE, "f:3:19: an empty list: nothing could ever be in it\n");
	expect(HEAD "sets: {names: {n: [\"@m\"], m: a.example}}\nrules:\n" RULE,
	       "f:3:20: \"@m\": a set stands alone, not inside a list or another set\n");
	expect(HEAD "sets: {names: {n: [\"a.*.example\", 5, x]}}\nrules:\n" RULE,
	       "f:3:20: \"a.*.example\" is not a name: a wildcard must be the whole first label: *.example.com or "
	       "**.example.com\n"
	       "f:3:35: a name must be text, not a number: write it in quotes\n");
	expect(HEAD "sets: {networks: {n: [10.0.0.1/8, 10.0.0.0/33, x, 7]}}\nrules:\n" RULE,
	       "f:3:23: \"10.0.0.1/8\" is not a network: bits are set behind the prefix\n"
	       "f:3:35: \"10.0.0.0/33\" is not a network: the prefix length must be 0 to 32\n"
	       "f:3:48: \"x\" is not a network: not an IP address\n"
	       "f:3:51: a network must be text, not a number: write it in quotes\n");
	expect(HEAD "sets: {ports: {p: [0, 65536, \"443\", http, 0443, -1, 99999999999999999999]}}\nrules:\n" RULE,
	       "f:3:20: a port must be a number from 1 to 65535, not \"0\"\n"
	       "f:3:23: a port must be a number from 1 to 65535, not \"65536\"\n"
	       "f:3:30: a port must be a number, not text in quotes\n"
	       "f:3:37: a port must be a number from 1 to 65535, not \"http\"\n"
	       "f:3:43: a port must be a number from 1 to 65535, not \"0443\"\n"
	       "f:3:49: a port must be a number from 1 to 65535, not \"-1\"\n"
	       "f:3:53: a port must be a number from 1 to 65535, not \"99999999999999999999\"\n");
	expect(HEAD "sets: {strings: {s: [true, null, [x]]}}\nrules:\n" RULE,
	       "f:3:22: a value must be text, not a truth value: write it in quotes\n"
	       "f:3:28: a value must be text, not nothing: write it in quotes\n"
	       "f:3:34: a value must be text, not a list\n");
}

static void keys(void **state)
{
	(void)state;
	expect(HEAD "sets: {keys: {k: [{name: a, spki_sha256: i7WT}]}}\nrules:\n" RULE,
	       "f:3:42: a pin is 44 characters, the base64 of a SHA-256; this has 4 bytes\n");
	/* 44 characters, but bits are set that no 32 bytes have. */
	expect(HEAD "sets: {keys: {k: [{spki_sha256: \"i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl/s2uC/CZ=\"}]}}\nrules:\n" RULE,
	       "f:3:33: a pin is the base64 of a SHA-256; this is not (canonical) base64\n");
	expect(HEAD "sets: {keys: {k: [{spki_sha256: \"i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl_s2uC-CY=\"}]}}\nrules:\n" RULE,
	       "f:3:33: a pin is the base64 of a SHA-256; this is not (canonical) base64\n");
	expect(HEAD "sets: {keys: {k: [{name: a}]}}\nrules:\n" RULE, "f:3:19: \"spki_sha256\" is missing in a key\n");
	expect(HEAD "sets: {keys: {k: [{spki_sha256: [x]}]}}\nrules:\n" RULE,
	       "f:3:33: spki_sha256 must be text, not a list\n");
	expect(HEAD "sets: {keys: {k: [\"" PIN_A "\"]}}\nrules:\n" RULE,
	       "f:3:19: a key is written {name: \"…\", spki_sha256: \"…\"}, not as text\n");
	expect(HEAD "sets: {keys: {k: [{spki_sha256: \"" PIN_A "\", organization: x, common_name: y, nam: z}]}}\n"
		    "rules:\n" RULE,
	       "f:3:19: a key goes by its spki_sha256 or by its issuer's name, not by both: make it two entries\n"
	       "f:3:114: unknown key \"nam\" in a key; did you mean \"name\"?\n");
	expect(HEAD "sets: {keys: {k: {single: true}}}\nrules:\n" RULE, "f:3:18: \"keys\" is missing in a set of keys\n");
	expect(HEAD "sets: {keys: {k: {single: yes, keys: [" KEY_A "]}}}\nrules:\n" RULE,
	       "f:3:27: single must be true or false, not text\n");
}

static void backup_keys(void **state)
{
	static const char same_twice[] = HEAD "mode: enforce\nsets: {keys: {k: [" KEY_A ", " KEY_A "]}}\nrules:\n" MATCH
					      "    require: {key_in: \"@k\", issuer_in: \"@k\"}\n";

	(void)state;
	expect(same_twice, "f:4:18: @k is required in mode enforce, but has one key: add a backup key, or write "
			   "{single: true, keys: […]}\n");
	expect(HEAD "mode: enforce\nrules:\n" MATCH "    require: {issuer_in: [" KEY_A "]}\n",
	       "f:7:26: the set in line 7 is required in mode enforce, but has one key: add a backup key, or write "
	       "{single: true, keys: […]}\n");
	expect(HEAD "mode: enforce\nrules:\n" MATCH "    require: {issuer_in: [" KEY_A ", " KEY_B "]}\n", "");
	expect(HEAD "mode: audit\nrules:\n" MATCH "    require: {issuer_in: [" KEY_A "]}\n", "");
	/* mode stands behind the rules; only what is required needs a backup. */
	expect(RULES RULE "mode: enforce\n", "");
	expect(RULES MATCH "    require: {key_in: " KEY_A "}\nmode: enforce\n",
	       "f:6:23: the set in line 6 is required in mode enforce, but has one key: add a backup key, or write "
	       "{single: true, keys: […]}\n");
}

static void references(void **state)
{
	(void)state;
	expect(HEAD "sets: {keys: {fina: " KEY_A "}, names: {n: a.example}}\nrules:\n" MATCH
		    "    forbid: {key_in: \"@fian\"}\n",
	       "f:7:22: there is no set \"fian\" among the sets of keys; did you mean \"fina\"?\n");
	expect(HEAD "sets: {keys: {fina: " KEY_A "}, names: {n: a.example}}\nrules:\n" MATCH
		    "    forbid: {key_in: \"@n\"}\n",
	       "f:7:22: there is no set \"n\" among the sets of keys, only one of names\n");
	expect(RULES MATCH "    require: {issuer_in: \"@x\"}\n", "f:6:26: there is no set \"x\" among the sets of keys\n");
	expect(RULES "  - id: r\n    match: [{peer_ip: [\"@x\"]}]\n" FORBID,
	       "f:5:24: \"@x\": a set stands alone, not inside a list or another set\n");
}

static void rules(void **state)
{
	(void)state;
	expect(RULES "  - match: [{any: true}]\n" FORBID, "f:4:5: \"id\" is missing in a rule\n");
	expect(RULES "  - id: r\n" FORBID, "f:4:5: \"match\" is missing in a rule\n");
	expect(RULES MATCH, "f:4:5: a rule needs require or forbid: this one asks for nothing\n");
	expect(RULES MATCH "    require: {}\n    forbid: {}\n", "f:6:14: require is empty\nf:7:13: forbid is empty\n");
	expect(RULES MATCH "    require: true\n", "f:6:14: require must be a map of keys and values, not a truth value\n");
	expect(RULES RULE RULE RULE, "f:7:9: the rule id \"r\" is used twice (the first is at 4:9)\n"
				     "f:10:9: the rule id \"r\" is used twice (the first is at 4:9)\n");
	expect(RULES "  - 17\n", "f:4:5: a rule must be a map of keys and values, not a number\n");
	expect(RULES RULE "    acton: kill\n", "f:7:5: unknown key \"acton\" in a rule; did you mean \"action\"?\n");
	expect(RULES RULE "    action: kill-process\n", "");
	expect(RULES RULE "    action: drop\n", "f:7:13: action must be log, kill or kill-process, not \"drop\"\n");
	expect(RULES RULE "    severity: hihg\n",
	       "f:7:15: severity must be low, medium, high or critical, not \"hihg\"; did you mean \"high\"?\n");
	expect(RULES RULE "    severity: 4\n", "f:7:15: severity must be low, medium, high or critical, not a number\n");
	expect(RULES RULE "    description: \"a\\nb\"\n",
	       "f:7:18: description must be one line without control characters\n");
	expect(RULES MATCH "    require: {at: leaf, verified: true}\n",
	       "f:6:15: at says where key_in looks, but there is no key_in\n");
	expect(RULES MATCH "    require: {key_in: " KEY_A ", at: root}\n", "f:6:99: at must be leaf, not \"root\"\n");
	expect(RULES MATCH "    require: {verified: false}\n", "f:6:25: verified: false asks for nothing: leave it out\n");
	expect(RULES MATCH "    require: {verified: \"true\"}\n",
	       "f:6:25: verified must be true or false, not text in quotes\n");
	expect(RULES MATCH "    require: {verfied: true}\n",
	       "f:6:15: unknown key \"verfied\" in require; did you mean \"verified\"?\n");
	expect(RULES MATCH "    forbid: {cert_sha256_in: [abc, \"00:11\"]}\n",
	       "f:6:31: \"abc\" is not the SHA-256 of a certificate: 64 hex digits, without colons\n"
	       "f:6:36: \"00:11\" is not the SHA-256 of a certificate: 64 hex digits, without colons\n");
}

static void matches(void **state)
{
	(void)state;
	expect(RULES "  - id: r\n    match: []\n" FORBID,
	       "f:5:12: an empty list matches nothing: write [{any: true}] for every verification\n");
	expect(RULES "  - id: r\n    match: {any: true}\n" FORBID,
	       "f:5:12: match must be a list of entries, like [{any: true}], not a map\n");
	expect(RULES "  - id: r\n    match: [{}, any]\n" FORBID,
	       "f:5:13: an empty entry: write {any: true} for every verification\n"
	       "f:5:17: an entry of match or except must be a map of keys and values, not text\n");
	expect(RULES "  - id: r\n    match: [{any: false}]\n" FORBID,
	       "f:5:19: any: false would match nothing: leave the entry out\n");
	expect(RULES "  - id: r\n    match: [{any: 1}]\n" FORBID, "f:5:19: any must be true or false, not a number\n");
	expect(RULES "  - id: r\n    match: [{sni: x}]\n" FORBID,
	       "f:5:14: unknown key \"sni\" in an entry of match or except; it takes any, server_name, san_dns, san_ip, peer_ip, "
	       "peer_port, exe, user, role, library, issuer_in, unit, container or verify\n");
	expect(RULES "  - id: r\n    match: [{sever_name: x}]\n" FORBID,
	       "f:5:14: unknown key \"sever_name\" in an entry of match or except; did you mean \"server_name\"?\n");
	expect(RULES "  - id: r\n    match: [{exe: curl}, {exe: [\"/a[\", \"/b\\\\\"]}]\n" FORBID,
	       "f:5:19: \"curl\" is not a pattern for exe: the path of a program begins with '/'; a pattern begins with '/' "
	       "or '*'\n"
	       "f:5:33: \"/a[\" is not a pattern for exe: the '[' is not closed\n"
	       "f:5:40: \"/b\\\\\" is not a pattern for exe: a backslash at the end quotes nothing\n");
	expect(RULES "  - id: r\n    match: [{role: peer, library: [nss, openssl]}]\n" FORBID,
	       "f:5:20: \"peer\" is not a role: client (we verify a server) or server (we verify a client)\n"
	       "f:5:36: \"nss\" is not a library: openssl or gnutls\n");
	expect(RULES RULE "    except: []\n",
	       "f:7:13: an empty list matches nothing: write [{any: true}] for every verification\n");
	expect(RULES RULE "    except: {exes: /x}\n",
	       "f:7:14: unknown key \"exes\" in an entry of match or except; did you mean \"exe\"?\n");
}

static void several_files(void **state)
{
	static const char good[] = RULES RULE, other[] = "version: 1\nname: q\nrules:\n" RULE;
	static const char bad[] = "version: 1\n\nname: p\n";
	const struct policy_source two[] = {{"a", good, sizeof(good) - 1}, {"b", other, sizeof(other) - 1}};
	const struct policy_source same[] = {
		{"a", good, sizeof(good) - 1},
		{"b", "[", 1},
		{"c", bad, sizeof(bad) - 1},
	};
	CLEANUP_FREE char *none = complaints(two, 2), *all = complaints(same, 3);

	(void)state;
	assert_string_equal(none, "");
	assert_string_equal(all, "b:2:1: not YAML: while parsing a flow node: did not find expected node content\n"
				 "c:1:1: \"rules\" is missing in a policy\n"
				 "c:3:7: the policy name \"p\" is taken already, at a:2:7\n");
}

static void too_many_problems(void **state)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	CLEANUP_FREE char *text = xstrdup(HEAD "rules:\n");
	struct policies *policies;
	struct policy_source sources[2];

	(void)state;
	for (int i = 0; i < 150; i++) {
		CLEANUP_FREE char *before = text;

		text = xasprintf("%s  - %d\n", before, i);
	}
	sources[0] = (struct policy_source){"many", text, strlen(text)};
	sources[1] = (struct policy_source){"b", "[]", 2};
	assert_int_equal(policies_parse(sources, 2, &policies, &problems), -EINVAL);
	assert_int_equal(problems.count, 102);
	assert_int_equal(problems.items[99].line, 103);
	assert_string_equal(problems.items[100].text, "more problems in this file are not shown");
	assert_string_equal(problems.items[101].file, "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_supported),
		cmocka_unit_test(info_of_a_policy),
		cmocka_unit_test(not_yaml),
		cmocka_unit_test(yaml_features_refused),
		cmocka_unit_test(top_level),
		cmocka_unit_test(times),
		cmocka_unit_test(sets),
		cmocka_unit_test(keys),
		cmocka_unit_test(backup_keys),
		cmocka_unit_test(references),
		cmocka_unit_test(rules),
		cmocka_unit_test(matches),
		cmocka_unit_test(several_files),
		cmocka_unit_test(too_many_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
