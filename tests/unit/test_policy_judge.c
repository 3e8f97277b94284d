/* Judging: require and forbid, both ways; modes and dates; the verdict as a whole. */
#include "policy_world.h"

#define HEX_55 "5555555555555555555555555555555555555555555555555555555555555555"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void require_key_in(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) "}", NULL);
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_2) "}", NULL);
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_3) "}", NULL);
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_9) "}",
	       "no key of the set in line 4 on the proven path (found: CN=leaf.test " PIN_1 ", CN=Issuer " PIN_2
	       ", CN=Root " PIN_3 ")");
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) ", at: leaf}", NULL);
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_2) ", at: leaf}",
	       "the leaf's key is no key of the set in line 4 (found: CN=leaf.test " PIN_1 ")");
	w.facts.path_count = 0;
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) "}",
	       "no key of the set in line 4 on the proven path (nothing is proven)");
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) ", at: leaf}",
	       "the leaf's key is no key of the set in line 4 (nothing is proven)");
	w.facts.path_count = 3;
	w.facts.truncated = true;
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) "}",
	       "no key of the set in line 4 on the proven path (nothing is proven: certificates are missing)");
}

static void require_issuer_in(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	expect(&w, "match: [{any: true}], require: {issuer_in: " KEY(PIN_2) "}", NULL);
	expect(&w, "match: [{any: true}], require: {issuer_in: " KEY(PIN_3) "}", NULL);
	/* The leaf is no issuer. */
	expect(&w, "match: [{any: true}], require: {issuer_in: " KEY(PIN_1) "}",
	       "no key of the set in line 4 on the proven path above the leaf (found: CN=Issuer " PIN_2 ", "
	       "CN=Root " PIN_3 ")");
	/* Sent beside the leaf, and in the application's chain, but not proven. */
	w.facts.path_count = 1;
	expect(&w, "match: [{any: true}], require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (no issuer of CN=leaf.test is proven)");
	w.facts.certs_count = 0;
	w.facts.path_count = 0;
	expect(&w, "match: [{any: true}], require: {issuer_in: " KEY(PIN_2) "}",
	       "no key of the set in line 4 on the proven path above the leaf (nothing is proven: there is no certificate)");
}

static void require_verified(void **state)
{
	static const char body[] = "match: [{any: true}], require: {verified: true}";
	struct world w;

	(void)state;
	world_set(&w);
	expect(&w, body, NULL);
	w.facts.role = FACTS_ROLE_SERVER;
	expect(&w, body, NULL);
	w.facts.verify_mode = "none";
	expect(&w, body, "not verified by the application (result: ok, code: 0, mode: none)");
	w.facts.verify_mode = NULL;
	expect(&w, body, "not verified by the application (result: ok, code: 0, mode: unknown)");
	w.facts.verify_mode = "peer";
	w.facts.verify = VERIFY_FAILED;
	w.facts.verify_code = 20;
	expect(&w, body, "not verified by the application (result: failed, code: 20, mode: peer)");
	w.facts.verify = VERIFY_FAILED_IGNORED;
	expect(&w, body, "not verified by the application (result: failed, ignored, code: 20, mode: peer)");
	w.facts.verify = VERIFY_OFF;
	expect(&w, body, "not verified by the application (result: off, code: 20, mode: peer)");
	w.facts.verify = VERIFY_PENDING;
	expect(&w, body, NULL);
}

static void require_several(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.path_count = 1;
	w.facts.verify = VERIFY_OFF;
	expect(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) ", issuer_in: " KEY(PIN_1) ", verified: true}",
	       "no key of the set in line 4 on the proven path above the leaf (no issuer of CN=leaf.test is proven); "
	       "not verified by the application (result: off, code: 0, mode: peer)");
}

static void forbid_key_in(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	expect(&w, "match: [{any: true}], forbid: {key_in: " KEY(PIN_9) "}", NULL);
	expect(&w, "match: [{any: true}], forbid: {key_in: " KEY(PIN_1) "}",
	       "key of the set in line 4: \"key of " PIN_1 "\" is the key of CN=leaf.test (presented)");
	/* An issuer that nobody sent, but whose key made a signature. */
	expect(&w, "match: [{any: true}], forbid: {key_in: " KEY(PIN_3) "}",
	       "key of the set in line 4: \"key of " PIN_3 "\" is the key of CN=Root (proven issuer)");
	/* Not proven: sent, or in the application's chain. */
	w.facts.path_count = 0;
	w.facts.truncated = true;
	expect(&w, "match: [{any: true}], forbid: {key_in: [{spki_sha256: \"" PIN_2 "\"}]}",
	       "key of the set in line 4: " PIN_2 " is the key of CN=Issuer (presented)");
	w.facts.certs[1].presented = false;
	expect(&w, "match: [{any: true}], forbid: {key_in: [{spki_sha256: \"" PIN_2 "\"}]}",
	       "key of the set in line 4: " PIN_2 " is the key of CN=Issuer (application's chain)");
	/* What is not X.509 has no key. */
	w.issuer.parsed = false;
	w.issuer.der_len = 1;
	expect(&w, "match: [{any: true}], forbid: {key_in: [{spki_sha256: \"" PIN_2 "\"}]}", NULL);
}

/* Wrapped in another encoding, and on an anchor that signed something beside the path. */
static void forbid_key_in_disguise(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	memset(w.issuer.key_sha256, 9, SHA256_BYTES);
	expect(&w, "match: [{any: true}], forbid: {key_in: [{spki_sha256: \"" PIN_9 "\"}]}",
	       "key of the set in line 4: " PIN_9 " is the key of CN=Issuer (presented)");
	expect(&w, "match: [{any: true}], require: {key_in: [{spki_sha256: \"" PIN_9 "\"}], at: leaf}",
	       "the leaf's key is no key of the set in line 4 (found: CN=leaf.test " PIN_1 ")");
	world_set(&w);
	w.facts.path_count = 0;
	expect(&w, "match: [{any: true}], forbid: {key_in: [{spki_sha256: \"" PIN_3 "\"}]}", NULL);
	w.facts.beside[w.facts.beside_count++] = &w.root;
	expect(&w, "match: [{any: true}], forbid: {key_in: [{spki_sha256: \"" PIN_3 "\"}]}",
	       "key of the set in line 4: " PIN_3 " is the key of CN=Root (signed one that was presented)");
}

static void forbid_certificates(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	/* The twin is the same certificate. */
	memset(w.leaf.twin_sha256, 0x55, SHA256_BYTES);
	expect(&w, "match: [{any: true}], forbid: {cert_sha256_in: \"" HEX_55 "\"}", NULL);
	w.leaf.has_twin = true;
	expect(&w, "match: [{any: true}], forbid: {cert_sha256_in: \"" HEX_55 "\"}",
	       "certificate of the set in line 4: " HEX_55 " is CN=leaf.test (presented)");
	expect(&w, "match: [{any: true}], forbid: {cert_sha256_in: \"" HEX_2 "\"}",
	       "certificate of the set in line 4: " HEX_2 " is CN=Issuer (presented)");
	w.issuer.parsed = false;
	expect(&w, "match: [{any: true}], forbid: {cert_sha256_in: [\"" HEX_2 "\"], key_in: " KEY(PIN_1) "}",
	       "key of the set in line 4: \"key of " PIN_1 "\" is the key of CN=leaf.test (presented); "
	       "certificate of the set in line 4: " HEX_2 " is (a certificate that is not X.509) (presented)");
	w.facts.path_count = 1;
	w.facts.certs_count = 1;
	expect(&w, "match: [{any: true}], forbid: {cert_sha256_in: [" HEX_2 "]}", NULL);
	memset(w.leaf.sha256, 0xab, SHA256_BYTES);
	assert_true(entry_matches(&w, "{any: true}"));
	expect(&w,
	       "match: [{any: true}], forbid: {cert_sha256_in: ["
	       "ABababABababABababABababABababABababABababABababABababABababABab]}",
	       "certificate of the set in line 4: abababababababababababababababababababababababababababababababab is "
	       "CN=leaf.test (presented)");
}

static void reasons_are_bounded(void **state)
{
	struct certificate certificates[FACTS_CERTS_MAX];
	char subject[400];
	struct world w;
	char *reason;

	(void)state;
	world_set(&w);
	for (size_t i = 0; i + 2 < sizeof(subject); i += 2)
		memcpy(subject + i, "\xc3\xbc", 2);
	memcpy(subject, "CN=", 3);
	memset(subject + 3, 'x', 5);
	subject[sizeof(subject) - 2] = '\0';
	for (size_t i = 0; i < FACTS_CERTS_MAX; i++) {
		certificate_set(&certificates[i], 4, subject);
		w.facts.path[i] = &certificates[i];
	}
	w.facts.path_count = FACTS_CERTS_MAX;
	reason = reason_of(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) ", issuer_in: " KEY(PIN_1) "}");
	assert_non_null(reason);
	assert_true(strlen(reason) <= 1024);
	assert_string_equal(reason + strlen(reason) - strlen("…"), "…");
	assert_non_null(strstr(reason, "CN=xxxxx\xc3\xbc"));
	free(reason);
	/* Fewer characters, and it says how many certificates it left out. */
	for (size_t i = 0; i < FACTS_CERTS_MAX; i++)
		certificates[i].common_name = "c";
	reason = reason_of(&w, "match: [{any: true}], require: {key_in: " KEY(PIN_1) "}");
	assert_non_null(strstr(reason, ", and 24 more)"));
	free(reason);
}

#define TWO_KEYS "[{spki_sha256: \"" PIN_9 "\"}, {spki_sha256: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]"

static const char dated[] =
	"version: 1\nname: dated\nmode: enforce\n"
	"enforce_until: \"2027-01-15T08:00:00Z\"\n" /* NOW */
	"expires: \"2027-01-15T08:00:10Z\"\n"       /* NOW + 10 */
	"rules:\n  - id: k\n    description: why\n    match: [{any: true}]\n    require: {issuer_in: " TWO_KEYS "}\n"
	"    action: kill\n    severity: high\n";

static void modes_and_dates(void **state)
{
	static const struct {
		int64_t now;
		bool audit_only;
		size_t count;
		bool enforced;
	} cases[] = {
		{NOW - 1, false, 1, true},  {NOW - 1, true, 1, false},   {NOW, false, 1, false},
		{NOW + 9, false, 1, false}, {NOW + 10, false, 0, false}, {NOW + 11, true, 0, false},
	};
	struct policies *policies = parse(dated);
	struct world w;

	(void)state;
	world_set(&w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verdict verdict;

		policies_judge(policies, &w.facts, cases[i].now, cases[i].audit_only, &verdict);
		assert_int_equal(verdict.count, cases[i].count);
		assert_int_equal(verdict.action, cases[i].enforced ? ACTION_KILL : ACTION_LOG);
		assert_int_equal(policies_allow(policies, "dated", "k", ACTION_KILL, cases[i].audit_only, cases[i].now),
				 cases[i].enforced);
		if (verdict.count) {
			const struct violation *violation = &verdict.violations[0];

			assert_int_equal(verdict.requested, ACTION_KILL);
			assert_string_equal(violation->rule, "k");
			assert_string_equal(violation->description, "why");
			assert_string_equal(violation->ruleset, "dated");
			assert_int_equal(violation->action, ACTION_KILL);
			assert_int_equal(violation->severity, SEVERITY_HIGH);
			assert_int_equal(violation->enforced, cases[i].enforced);
			assert_memory_equal(violation->policy_sha256, policies_info(policies, 0).sha256, 32);
		}
		verdict_clear(&verdict);
	}
	assert_false(policies_allow(policies, "dated", "k", ACTION_LOG, false, NOW - 1));
	assert_false(policies_allow(policies, "dated", "k", ACTION_KILL_PROCESS, false, NOW - 1));
	assert_false(policies_allow(policies, "dated", "j", ACTION_KILL, false, NOW - 1));
	assert_false(policies_allow(policies, "other", "k", ACTION_KILL, false, NOW - 1));
	policies_free(policies);
}

static void verdict_of_several(void **state)
{
	static const char audit[] = "version: 1\nname: audit\nrules:\n"
				    "  - {id: low, match: [{any: true}], forbid: {key_in: " KEY(
					    PIN_1) "}, severity: low}\n"
						   "  - {id: kill, match: [{any: true}], forbid: {key_in: " KEY(
							   PIN_1) "}, action: kill, severity: critical}\n";
	static const char enforce[] =
		"version: 1\nname: enforce\nmode: enforce\nrules:\n"
		"  - {id: fine, match: [{any: true}], forbid: {key_in: " KEY(
			PIN_9) "}, action: kill}\n"
			       "  - {id: log, match: [{any: true}], forbid: {key_in: " KEY(
				       PIN_1) "}, severity: critical}\n"
					      "  - {id: kill-medium, match: [{peer_port: 853}], forbid: {key_in: " KEY(
						      PIN_1) "}, action: kill}\n"
							     "  - {id: kill-high, match: [{peer_port: 853}], forbid: {key_in: " KEY(
								     PIN_1) "},\n"
									    "     action: kill, severity: high}\n"
									    "  - {id: kill-high-2, match: [{peer_port: 853}], forbid: {key_in: " KEY(
										    PIN_1) "},\n"
											   "     action: kill, severity: high}\n";
	static const char *const order[] = {"low", "kill", "log", "kill-medium", "kill-high", "kill-high-2"};
	const struct policy_source sources[] = {{"a", audit, sizeof(audit) - 1}, {"e", enforce, sizeof(enforce) - 1}};
	struct problems problems = {0};
	struct policies *policies;
	struct verdict verdict;
	struct world w;

	(void)state;
	world_set(&w);
	assert_int_equal(policies_parse(sources, 2, &policies, &problems), 0);
	policies_judge(policies, &w.facts, NOW, false, &verdict);
	assert_int_equal(verdict.count, ARRAY_SIZE(order));
	for (size_t i = 0; i < verdict.count; i++)
		assert_string_equal(verdict.violations[i].rule, order[i]);
	assert_int_equal(verdict.action, ACTION_KILL);
	assert_string_equal(verdict.violations[verdict.strongest].rule, "kill-high");
	assert_int_equal(verdict.violations[0].severity, SEVERITY_LOW);
	assert_int_equal(verdict.violations[3].severity, SEVERITY_MEDIUM);
	verdict_clear(&verdict);

	/* In audit nothing is done, and the strongest is the first of the strongest action and severity. */
	policies_judge(policies, &w.facts, NOW, true, &verdict);
	assert_int_equal(verdict.action, ACTION_LOG);
	assert_int_equal(verdict.requested, ACTION_KILL);
	assert_string_equal(verdict.violations[verdict.strongest].rule, "kill");
	verdict_clear(&verdict);

	/* An enforced log decides before a kill that is only audited. */
	w.facts.peer_port = 1;
	policies_judge(policies, &w.facts, NOW, false, &verdict);
	assert_int_equal(verdict.action, ACTION_LOG);
	assert_int_equal(verdict.requested, ACTION_KILL);
	assert_string_equal(verdict.violations[verdict.strongest].rule, "log");
	verdict_clear(&verdict);
	assert_true(policies_allow(policies, "enforce", "kill-high-2", ACTION_KILL, false, NOW));
	assert_false(policies_allow(policies, "enforce", "log", ACTION_KILL, false, NOW));
	assert_false(policies_allow(policies, "audit", "kill", ACTION_KILL, false, NOW));
	policies_free(policies);
}

/* Only rules on exe or user need the process before they are judged; also where they stand in except. */
static void who_needs_the_process(void **state)
{
	static const struct {
		const char *rule;
		bool asks, of_place;
	} cases[] = {
		{"match: [{any: true}]\n    forbid: {cert_sha256_in: \"" ZEROS "\"}", false, false},
		{"match: [{any: true}, {exe: /usr/bin/x}]\n    forbid: {cert_sha256_in: \"" ZEROS "\"}", true, false},
		{"match: [{any: true}]\n    except: {user: root}\n    forbid: {cert_sha256_in: \"" ZEROS "\"}", true, false},
		{"match: [{any: true}, {unit: a.service}]\n    forbid: {cert_sha256_in: \"" ZEROS "\"}", true, true},
		{"match: [{exe: /usr/bin/x}]\n    except: {container: aaaaaaaaaaaa}\n    forbid: {cert_sha256_in: \"" ZEROS
		 "\"}",
		 true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text CLEANUP_FREE = xasprintf("version: 1\nname: n\nrules:\n  - id: r\n    %s\n", cases[i].rule);
		struct policies *policies = parse(text);

		assert_int_equal(policies_ask_process(policies), cases[i].asks);
		assert_int_equal(policies_ask_place(policies), cases[i].of_place);
		policies_free(policies);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(require_key_in),         cmocka_unit_test(require_issuer_in),
		cmocka_unit_test(require_verified),       cmocka_unit_test(require_several),
		cmocka_unit_test(forbid_key_in),          cmocka_unit_test(forbid_certificates),
		cmocka_unit_test(forbid_key_in_disguise), cmocka_unit_test(reasons_are_bounded),
		cmocka_unit_test(modes_and_dates),        cmocka_unit_test(verdict_of_several),
		cmocka_unit_test(who_needs_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
