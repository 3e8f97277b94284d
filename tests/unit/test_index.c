/* The index gives what asking every rule gives: random policies and facts of a small world, in which everything meets
 * everything, and the cases of doubt. policies_explain asks every rule. */
#include "policy_world.h"

#include "../../user/policy/index.h"
#include "../../user/policy/policy_internal.h"
#include "random_case.h"

enum { POLICIES = 400, FACTS_PER_POLICY = 12, RULES_MOST = 24, CERTS = 5, GROUPS = 40 };

#define PICK(words) (words)[random_below(ARRAY_SIZE(words))]

static bool chance(size_t one_in)
{
	return random_below(one_in) == 0;
}

/* --- policies --------------------------------------------------------------------------------------------------------------- */

static const char *const names[] = {
	"example.com", "a.example.com",      "b.example.com", "a.b.example.com", "b.test",     "a.b.test",
	"corp",        "www2.a.example.com", "web.b.test",    "x.y.z.b.test",    "xn--a.corp", "ab.example.com",
};
static const char *const networks[] = {
	"192.0.2.0/24", "192.0.2.1",     "192.0.0.0/16",    "0.0.0.0/0",           "10.0.0.0/8", "10.2.3.4/32",
	"128.0.0.0/1",  "2001:db8::/32", "2001:db8::1/128", "2001:db8:0:0:1::/80", "::/0",       "8000::/1",
};
static const char *const exes[] = {"/usr/bin/curl", "/usr/bin/*", "/opt/a", "*", "/opt/[ab]", "/opt/a\\\\b"};
static const char *const users[] = {"alice", "bob", "1000", "0"};
static const char *const serials[] = {"01", "02AB", "-7F"};

enum what { NAMES, NETWORKS, PORTS, EXES, USERS, KEYS, DIGESTS, SERIALS, WHATS };

static void write_item(FILE *file, enum what what)
{
	static const char *const stars[] = {"", "", "*.", "**."};
	uint8_t bytes[SHA256_BYTES];
	char pin[PIN_CHARS + 1], hex[2 * SHA256_BYTES + 1];

	memset(bytes, (int)random_below(9), sizeof(bytes));
	pin_encode(bytes, pin);
	hex_encode(bytes, sizeof(bytes), false, hex);
	switch (what) {
	case NAMES:
		fprintf(file, "\"%s%s\"", PICK(stars), PICK(names));
		break;
	case NETWORKS:
		fprintf(file, "\"%s\"", PICK(networks));
		break;
	case PORTS:
		fprintf(file, "%zu", 440 + random_below(5));
		break;
	case EXES:
		fprintf(file, "\"%s\"", PICK(exes));
		break;
	case USERS:
		fprintf(file, "\"%s\"", PICK(users));
		break;
	case KEYS:
		fprintf(file, "{spki_sha256: \"%s\"}", pin);
		break;
	case DIGESTS:
		fprintf(file, "\"%s\"", hex);
		break;
	default:
		fprintf(file, "{issuer_spki_sha256: \"%s\", serial: \"%s\"}", pin, PICK(serials));
	}
}

static void write_list(FILE *file, enum what what)
{
	size_t count = 1 + random_below(3);

	fprintf(file, "[");
	for (size_t i = 0; i < count; i++) {
		fprintf(file, "%s", i ? ", " : "");
		write_item(file, what);
	}
	fprintf(file, "]");
}

/* In place, or one of the two sets of that kind. */
static void write_value(FILE *file, enum what what)
{
	static const char *const prefixes[] = {"n", "w", "p", "e", "u", "k", "d", "s"};

	_Static_assert(ARRAY_SIZE(prefixes) == WHATS, "a kind without sets");
	if (chance(3))
		fprintf(file, "\"@%s%zu\"", prefixes[what], random_below(2));
	else
		write_list(file, what);
}

static void write_sets(FILE *file)
{
	static const struct {
		const char *kind, *name;
		enum what what;
	} sets[] = {
		{"names", "n", NAMES}, {"networks", "w", NETWORKS}, {"ports", "p", PORTS}, {"strings", "e", EXES},
		{NULL, "u", USERS},    {NULL, "d", DIGESTS},        {"keys", "k", KEYS},   {"serials", "s", SERIALS},
	};

	fprintf(file, "sets:\n");
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		if (sets[i].kind)
			fprintf(file, "  %s:\n", sets[i].kind);
		for (size_t k = 0; k < 2; k++) {
			fprintf(file, "    %s%zu: ", sets[i].name, k);
			write_list(file, sets[i].what);
			fprintf(file, "\n");
		}
	}
}

static void write_entry(FILE *file)
{
	static const struct {
		const char *key;
		enum what what;
	} keys[] = {
		{"server_name", NAMES}, {"san_dns", NAMES}, {"san_ip", NETWORKS}, {"peer_ip", NETWORKS},
		{"peer_port", PORTS},   {"exe", EXES},      {"user", USERS},      {"issuer_in", KEYS},
	};
	size_t count = 1 + random_below(2), first = random_below(ARRAY_SIZE(keys));

	fprintf(file, "{");
	for (size_t i = 0; i < count; i++) {
		size_t key = (first + i * 3) % ARRAY_SIZE(keys);

		fprintf(file, "%s%s: ", i ? ", " : "", keys[key].key);
		write_value(file, keys[key].what);
	}
	if (chance(20))
		fprintf(file, ", any: true");
	fprintf(file, "}");
}

static void write_rule(FILE *file, size_t number)
{
	static const char *const anything[] = {"{any: true}", "{role: client}", "{library: gnutls}", "{unit: \"*\"}"};
	size_t entries = 1 + random_below(3), forbids = random_below(8);

	fprintf(file, "  - id: r%zu\n    match: [", number);
	for (size_t i = 0; i < entries; i++) {
		fprintf(file, "%s", i ? ", " : "");
		if (chance(6))
			fprintf(file, "%s", PICK(anything));
		else
			write_entry(file);
	}
	fprintf(file, "]\n");
	if (chance(4)) {
		fprintf(file, "    except: ");
		write_entry(file);
		fprintf(file, "\n");
	}
	fprintf(file, "    action: %s\n    forbid: {", chance(2) ? "log" : "kill");
	if (forbids & 1 || forbids == 0) {
		fprintf(file, "key_in: ");
		write_value(file, KEYS);
	}
	if (forbids & 2) {
		fprintf(file, "%scert_sha256_in: ", forbids & 1 ? ", " : "");
		write_value(file, DIGESTS);
	}
	if (forbids & 4) {
		fprintf(file, "%sserial_in: ", forbids & 3 ? ", " : "");
		write_value(file, SERIALS);
	}
	fprintf(file, "%s}\n", chance(8) ? ", signature: [md5, sha1]" : "");
	if (chance(2))
		fprintf(file, "    require: {key_in: [{spki_sha256: \"%s\"}]}\n", PIN_9);
}

static struct policies *random_policies(void)
{
	static const char *const dates[] = {"", "expires: \"2026-01-01T00:00:00Z\"\n",
					    "expires: \"2028-01-01T00:00:00Z\"\n"};
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policy_source sources[3];
	size_t count = 1 + random_below(3);
	struct policies *policies = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t rules = 1 + random_below(RULES_MOST);
		char *text = NULL;
		FILE *file = open_memstream(&text, &sources[i].len);

		fprintf(file, "version: 1\nname: p%zu\n%s", i, PICK(dates));
		write_sets(file);
		fprintf(file, "rules:\n");
		for (size_t r = 0; r < rules; r++)
			write_rule(file, r);
		assert_int_equal(fclose(file), 0);
		sources[i].file = "f";
		sources[i].text = text;
	}
	if (policies_parse(sources, count, &policies, &problems) < 0)
		fail_msg("%u:%u %s\n%s", problems.items[0].line, problems.items[0].column, problems.items[0].text,
			 sources[0].text);
	for (size_t i = 0; i < count; i++)
		free((char *)sources[i].text);
	return policies;
}

/* --- facts ------------------------------------------------------------------------------------------------------------------ */

struct small_world {
	struct certificate certs[CERTS];
	struct san sans[6];
	struct facts facts;
};

static const char *const claims[] = {
	"example.com", "A.Example.Com.", "*.example.com",  "*.b.test", "w*2.a.example.com", "*",           "c*",
	"*.z.b.test",  "a.*.test",       "192.0.2.1",      "*.0.2.1",  "1*2.0.2.1",         "2001:db8::1", "::ffff:10.2.3.4",
	"**.b.test",   "x..b.test",      "*.y.z.b.test",   "10.2.3.4", "deep.web.b.test",   "web.b.test",  "corp",
	"xn--a.corp",  "b*.example.com", "*b.example.com",
};
static const char *const addresses[] = {"192.0.2.1",   "192.0.9.9",         "10.2.3.4", "203.0.113.5",
					"2001:db8::1", "2001:db8::1:0:0:1", "fe80::1"};

static struct address random_address(void)
{
	struct address address = {0};

	if (!chance(5))
		assert_true(address_parse(PICK(addresses), &address));
	return address;
}

static const char *random_name(void)
{
	return chance(2) ? PICK(claims) : PICK(names);
}

static void random_certificate(struct certificate *certificate)
{
	static const char *const subjects[] = {"", "CN=corp", "CN=10.2.3.4,CN=b.test", "O=x+CN=web.b.test,CN=*.example.com",
					       "CN=a\\,CN=b.test"};
	uint8_t key = (uint8_t)random_below(9);

	*certificate = (struct certificate){
		.parsed = !chance(12),
		.subject = (char *)PICK(subjects),
		.common_name = (char *)(chance(2) ? random_name() : NULL),
		.serial = (char *)PICK(serials),
		.key_algorithm = "EC",
		.signature_algorithm = "sha256",
		.signature_digest = chance(6) ? "SHA1" : "SHA256",
		.der_len = random_below(2),
		.has_twin = chance(3),
	};
	memset(certificate->spki_sha256, key, SHA256_BYTES);
	memset(certificate->key_sha256, chance(4) ? (int)random_below(9) : key, SHA256_BYTES);
	memset(certificate->sha256, (int)random_below(9), SHA256_BYTES);
	memset(certificate->twin_sha256, (int)random_below(9), SHA256_BYTES);
}

static void random_leaf(struct small_world *w)
{
	struct certificate *leaf = &w->certs[0];

	leaf->sans = w->sans;
	leaf->sans_count = random_below(ARRAY_SIZE(w->sans));
	for (size_t i = 0; i < leaf->sans_count; i++) {
		struct san *san = &w->sans[i];

		*san = (struct san){.kind = chance(3) ? SAN_IP : SAN_DNS, .text = (char *)random_name(), .odd = chance(9)};
		if (san->kind == SAN_IP && !san->odd)
			san->address = random_address();
		if (chance(9))
			san->kind = SAN_URI;
	}
	leaf->sans_total = leaf->sans_count + chance(12);
	leaf->error = chance(15) ? "broken" : NULL;
}

/* Certificates 0 to 2 are those of the verification, in part; the path goes on to others. */
static void random_facts(struct small_world *w)
{
	static const char *const paths[] = {"/usr/bin/curl", "/usr/bin/curl (deleted)", "/opt/a",   "/opt/b",
					    " (deleted)",    "/opt/a (deleted)",        "/opt/a\\b"};
	struct facts *facts = &w->facts;

	*facts = (struct facts){
		.role = (enum facts_role)random_below(3),
		.library = chance(2) ? LIBRARY_OPENSSL : LIBRARY_GNUTLS,
		.verify_mode = "peer",
		.server_name = chance(3) ? NULL : random_name(),
		.expected_host = chance(3) ? random_name() : NULL,
		.peer = random_address(),
		.peer_port = (uint16_t)(440 + random_below(7)),
		.exe = chance(5) ? NULL : PICK(paths),
		.user = chance(3) ? NULL : PICK(users),
		.unit = chance(2) ? NULL : "a.service",
		.uid = chance(2) ? 1000 : 0,
		.truncated = chance(10),
		.path_cut = chance(10),
		.without_der = chance(10),
	};
	facts->lost = facts->truncated && chance(2);
	facts->without_keys = facts->without_der && chance(2);
	for (size_t i = 0; i < CERTS; i++)
		random_certificate(&w->certs[i]);
	random_leaf(w);
	facts->certs_count = random_below(4);
	for (size_t i = 0; i < facts->certs_count; i++)
		facts->certs[i] = (struct fact_cert){.certificate = &w->certs[i], .presented = true, .tried = chance(4)};
	if (facts->certs_count && w->certs[0].parsed)
		for (size_t i = 0, count = random_below(CERTS); i < count; i++)
			facts->path[facts->path_count++] = &w->certs[i];
	facts->beside_count = facts->certs_count ? random_below(2) : 0;
	facts->beside[0] = &w->certs[CERTS - 1];
}

/* --- the two answers -------------------------------------------------------------------------------------------------------- */

struct sums {
	size_t rules, candidates, broken, undecided;
};

static void sum_candidates(const struct policies *policies, const struct facts *facts, struct sums *sums)
{
	CLEANUP(candidates_clear) struct candidates candidates;
	const struct policy *policy, *policy_before = NULL;
	const struct rule *rule, *rule_before = NULL;

	candidates_find(policies->index, facts, &candidates);
	for (; candidates_next(&candidates, &policy, &rule); rule_before = rule, policy_before = policy) {
		if (policy == policy_before)
			assert_true(rule > rule_before);
		sums->candidates++;
	}
}

static void compare(const struct policies *policies, const struct facts *facts, struct sums *sums)
{
	struct explanation explanation;
	struct verdict verdict;
	size_t broken = 0, undecided = 0;

	policies_judge(policies, facts, NOW, false, &verdict);
	policies_explain(policies, facts, NOW, false, &explanation);
	for (size_t i = 0; i < explanation.count; i++) {
		const struct explained_rule *rule = &explanation.rules[i];

		if (rule->outcome == EXPLAINED_BROKEN) {
			assert_true(broken < verdict.count);
			assert_ptr_equal(verdict.violations[broken].ruleset, rule->ruleset);
			assert_ptr_equal(verdict.violations[broken++].rule, rule->rule);
		} else if (rule->outcome == EXPLAINED_UNDECIDED) {
			assert_true(undecided < verdict.undecided);
			assert_ptr_equal(verdict.undecided_rules[undecided].ruleset, rule->ruleset);
			assert_ptr_equal(verdict.undecided_rules[undecided++].rule, rule->rule);
		}
	}
	assert_int_equal(broken, verdict.count);
	assert_int_equal(undecided, verdict.undecided);
	sums->rules += explanation.count;
	sums->broken += broken;
	sums->undecided += undecided;
	sum_candidates(policies, facts, sums);
	explanation_clear(&explanation);
	verdict_clear(&verdict);
}

static void same_as_asking_every_rule(void **state)
{
	struct small_world w;
	struct sums sums = {0};

	(void)state;
	random_start();
	for (size_t i = 0; i < POLICIES; i++) {
		struct policies *policies = random_policies();

		for (size_t k = 0; k < FACTS_PER_POLICY; k++) {
			random_facts(&w);
			compare(policies, &w.facts, &sums);
		}
		policies_free(policies);
	}
	print_message("# %zu rules asked, %zu candidates, %zu broken, %zu undecided\n", sums.rules, sums.candidates,
		      sums.broken, sums.undecided);
	/* It was about something, and the index leaves something out. */
	assert_true(sums.broken > sums.rules / 100);
	assert_true(sums.undecided > 0);
	assert_true(sums.candidates < sums.rules * 3 / 4);
}

/* --- many ------------------------------------------------------------------------------------------------------------------- */

static size_t count_candidates(const struct policies *policies, const struct facts *facts)
{
	struct sums sums = {0};

	compare(policies, facts, &sums);
	return sums.candidates;
}

/* A rule for each number, after head; in format # is the number, and % what is left of it when divided by GROUPS. */
static struct policies *many(size_t count, const char *head, const char *format)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	fprintf(file, "version: 1\nname: p\n%srules:\n", head);
	for (size_t i = 0; i < count; i++) {
		fprintf(file, "  - {id: r%zu, ", i);
		for (const char *p = format; *p; p++) {
			if (*p == '#' || *p == '%')
				fprintf(file, "%zu", *p == '#' ? i : i % GROUPS);
			else
				fputc(*p, file);
		}
		fprintf(file, "}\n");
	}
	assert_int_equal(fclose(file), 0);
	return parse(text);
}

static void one_of_many_names(void **state)
{
	struct policies *policies = many(3000, "",
					 "match: [{server_name: h#.example.com}, {san_dns: h#.example.com}], " FORBID_LEAF
					 ", require: {verified: true}");
	struct world w;

	(void)state;
	world_set(&w);
	assert_int_equal(count_candidates(policies, &w.facts), 0);
	w.facts.server_name = "H17.example.com.";
	assert_int_equal(count_candidates(policies, &w.facts), 1);
	add_san(&w, SAN_DNS, "h2999.example.com");
	assert_int_equal(count_candidates(policies, &w.facts), 2);
	/* One name that stands for all of them, twice; and one that does for some, which the index does not tell apart. */
	add_san(&w, SAN_DNS, "*.example.com");
	add_san(&w, SAN_DNS, "*.example.com");
	assert_int_equal(count_candidates(policies, &w.facts), 3000);
	w.sans[1].text = w.sans[2].text = (char *)"h1*.example.com";
	assert_int_equal(count_candidates(policies, &w.facts), 3000);
	policies_free(policies);
}

/* More rules than there is room for at first, in several lists, with the same rules in them. */
static void rules_that_share_sets(void **state)
{
	struct policies *policies = many(2000,
					 "sets:\n  names: {a: [a.test, b.test], b: [b.test, c.test]}\n"
					 "  networks: {n: [\"192.0.2.0/24\"]}\n",
					 "match: [{san_dns: \"@a\"}, {san_dns: \"@b\"}, {peer_ip: \"@n\"}, "
					 "{server_name: [s#.test, \"*.example.com\"]}], " FORBID_LEAF
					 ", require: {verified: true}");
	struct world w;

	(void)state;
	world_set(&w);
	assert_int_equal(count_candidates(policies, &w.facts), 2000);
	w.facts.server_name = NULL;
	assert_int_equal(count_candidates(policies, &w.facts), 2000);
	add_san(&w, SAN_DNS, "b.test");
	assert_int_equal(count_candidates(policies, &w.facts), 2000);
	w.facts.peer = (struct address){4, {10}};
	w.facts.server_name = "s7.test";
	w.sans[0].text = (char *)"d.test";
	assert_int_equal(count_candidates(policies, &w.facts), 1);
	policies_free(policies);
}

/* A certificate that is about more groups of rules than the candidates have lists for. */
static void more_lists_than_are_kept(void **state)
{
	struct policies *policies = many(GROUPS * 20, "",
					 "match: [{san_dns: g%.test}], " FORBID_LEAF ", require: {verified: true}");
	struct san sans[GROUPS];
	char texts[GROUPS][16];
	struct world w;

	(void)state;
	world_set(&w);
	for (size_t i = 0; i < GROUPS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "g%zu.test", (i * 7) % GROUPS);
		sans[i] = (struct san){.kind = SAN_DNS, .text = texts[i]};
	}
	w.leaf.sans = sans;
	for (size_t count = 1; count <= GROUPS; count += 13) {
		w.leaf.sans_count = w.leaf.sans_total = count;
		assert_int_equal(count_candidates(policies, &w.facts), count * 20);
	}
	policies_free(policies);
}

static void forbidden_keys_find_their_rules(void **state)
{
	struct policies *policies = many(1, "", "match: [{any: true}], " FORBID_LEAF);
	struct world w;

	(void)state;
	world_set(&w);
	assert_int_equal(count_candidates(policies, &w.facts), 1);
	memset(w.leaf.spki_sha256, 7, SHA256_BYTES);
	assert_int_equal(count_candidates(policies, &w.facts), 0);
	/* The same key in another encoding. */
	memset(w.leaf.key_sha256, 1, SHA256_BYTES);
	assert_int_equal(count_candidates(policies, &w.facts), 1);
	memset(w.leaf.key_sha256, 0, SHA256_BYTES);
	/* A root that was found, and one beside the path. */
	memset(w.root.spki_sha256, 1, SHA256_BYTES);
	assert_int_equal(count_candidates(policies, &w.facts), 1);
	w.facts.path_count = 1;
	assert_int_equal(count_candidates(policies, &w.facts), 0);
	w.facts.beside[w.facts.beside_count++] = &w.root;
	assert_int_equal(count_candidates(policies, &w.facts), 1);
	policies_free(policies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_asking_every_rule),       cmocka_unit_test(one_of_many_names),
		cmocka_unit_test(rules_that_share_sets),           cmocka_unit_test(more_lists_than_are_kept),
		cmocka_unit_test(forbidden_keys_find_their_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
