/* A process that is not asked for yet is in doubt: whatever it turns out to be, no rule is broken that was not broken before. And
 * whether any policy kills at all. */
#include "policy_world.h"

#include "random_case.h"

enum { POLICIES = 600, FACTS_PER_POLICY = 6, PROCESSES = 8, RULES_MOST = 12, VERIFIES = VERIFY_PENDING + 1 };

#define PICK(words) (words)[random_below(ARRAY_SIZE(words))]

static bool chance(size_t one_in)
{
	return random_below(one_in) == 0;
}

/* --- policies ------------------------------------------------------------------------------------------------------------- */

static const char *const about_process[] = {
	"exe: /usr/bin/curl",
	"exe: [/usr/bin/curl, /opt/a]",
	"exe: \"/usr/bin/*\"",
	"exe: \"*\"",
	"exe: \"/opt/[ab]\"",
	"exe: [/opt/a, \"/opt/b/*\"]",
	"user: alice",
	"user: [alice, bob]",
	"user: \"1000\"",
	"user: [\"0\", bob]",
	"unit: a.service",
	"unit: \"*.service\"",
	"unit: [b.service, \"user@*\"]",
	"container: \"*\"",
	"container: aaaaaaaaaaaa",
	"container: [bbbbbbbbbbbbb, web]",
};
static const char *const about_the_rest[] = {
	"any: true",
	"server_name: www.example.com",
	"server_name: \"*.example.org\"",
	"san_dns: www.example.com",
	"san_ip: 192.0.2.0/24",
	"peer_ip: 192.0.2.0/24",
	"peer_ip: 0.0.0.0/0",
	"peer_port: [853, 443]",
	"role: client",
	"library: gnutls",
	"issuer_in: [{spki_sha256: \"" PIN_2 "\"}]",
	"verify: [failed, \"off\"]",
};
static const char *const bodies[] = {
	"forbid: {key_in: [{spki_sha256: \"" PIN_1 "\"}]}",
	"forbid: {key_in: [{spki_sha256: \"" PIN_3 "\"}, {spki_sha256: \"" PIN_9 "\"}]}",
	"forbid: {cert_sha256_in: [\"" HEX_2 "\"]}",
	"require: {verified: true}",
	"require: {key_in: [{spki_sha256: \"" PIN_2 "\"}, {spki_sha256: \"" PIN_9 "\"}]}",
	"require: {issuer_in: [{spki_sha256: \"" PIN_1 "\"}, {spki_sha256: \"" PIN_9 "\"}]}",
};

static void write_entry(FILE *file)
{
	size_t process = random_below(ARRAY_SIZE(about_process)), other = random_below(ARRAY_SIZE(about_the_rest));
	size_t kind = random_below(4);

	if (kind == 0)
		fprintf(file, "{%s}", about_the_rest[other]);
	else if (kind == 1)
		fprintf(file, "{%s}", about_process[process]);
	else
		fprintf(file, "{%s, %s}", about_process[process], about_the_rest[other]);
}

static void write_rule(FILE *file, size_t number)
{
	static const char *const actions[] = {"log", "kill", "kill-process"};
	size_t entries = 1 + random_below(3);

	fprintf(file, "  - id: r%zu\n    match: [", number);
	for (size_t i = 0; i < entries; i++) {
		fprintf(file, "%s", i ? ", " : "");
		write_entry(file);
	}
	fprintf(file, "]\n");
	if (chance(2)) {
		fprintf(file, "    except: ");
		write_entry(file);
		fprintf(file, "\n");
	}
	fprintf(file, "    action: %s\n    %s\n", PICK(actions), PICK(bodies));
}

static struct policies *random_policies(void)
{
	CLEANUP_FREE char *text = NULL;
	size_t len, rules = 1 + random_below(RULES_MOST);
	FILE *file = open_memstream(&text, &len);

	fprintf(file, "version: 1\nname: p\nmode: %s\nrules:\n", chance(3) ? "audit" : "enforce");
	for (size_t i = 0; i < rules; i++)
		write_rule(file, i);
	assert_int_equal(fclose(file), 0);
	return parse(text);
}

/* --- facts ---------------------------------------------------------------------------------------------------------------- */

static void random_facts(struct world *w)
{
	static const char *const names[] = {"www.example.com", "a.example.org", "elsewhere.test", NULL};

	world_set(w);
	if (chance(2))
		add_san(w, SAN_DNS, "www.example.com");
	if (chance(3))
		add_san(w, SAN_IP, "192.0.2.1");
	w->facts.server_name = PICK(names);
	w->facts.expected_host = chance(3) ? PICK(names) : NULL;
	w->facts.peer_port = chance(2) ? 853 : 25;
	w->facts.role = (enum facts_role)random_below(3);
	w->facts.library = chance(2) ? LIBRARY_OPENSSL : LIBRARY_GNUTLS;
	w->facts.verify = (enum verify_result)random_below(VERIFIES);
	w->facts.truncated = chance(8);
	w->facts.lost = w->facts.truncated && chance(2);
	w->facts.uid = chance(2) ? 1000 : (uint32_t)random_below(3); /* the record has it: known from the beginning */
}

static void no_process(struct facts *facts)
{
	facts->exe = facts->user = facts->unit = facts->container = NULL;
}

static void random_process(struct facts *facts)
{
	static const char *const exes[] = {"/usr/bin/curl", "/usr/bin/wget",    "/opt/a", "/opt/b",
					   "/opt/b/c",      "/opt/a (deleted)", "",       NULL};
	static const char *const users[] = {"alice", "bob", "carol", NULL};
	static const char *const units[] = {"a.service", "b.service", "user@1000.service", "session-3.scope", NULL};
	static const char *const containers[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
						 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "web",
						 NULL};

	facts->process_unasked = false;
	facts->exe = PICK(exes);
	facts->user = PICK(users);
	facts->unit = PICK(units);
	facts->container = PICK(containers);
}

/* --- the two verdicts ------------------------------------------------------------------------------------------------------ */

static bool has(const struct verdict *verdict, const char *rule)
{
	for (size_t i = 0; i < verdict->count; i++)
		if (strcmp(verdict->violations[i].rule, rule) == 0)
			return true;
	return false;
}

/* Everything in the second is in the first, and what would be done is no more. */
static void expect_superset(const struct verdict *unasked, const struct verdict *asked, const struct facts *facts)
{
	for (size_t i = 0; i < asked->count; i++)
		if (!has(unasked, asked->violations[i].rule))
			fail_msg("%s is broken by exe %s, user %s, unit %s, container %s only", asked->violations[i].rule,
				 facts->exe, facts->user, facts->unit, facts->container);
	assert_true(unasked->count >= asked->count);
	assert_true(unasked->requested >= asked->requested);
	assert_true(unasked->action >= asked->action);
	assert_true(unasked->undecided >= asked->undecided);
}

static void whoever_it_is_nothing_new_is_broken(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	size_t clean = 0, fewer = 0, same = 0;

	(void)state;
	random_start();
	for (size_t i = 0; i < POLICIES * FACTS_PER_POLICY; i++) {
		static struct policies *policies;
		struct verdict unasked, asked;

		if (i % FACTS_PER_POLICY == 0) {
			policies_free(policies);
			policies = random_policies();
		}
		random_facts(w);
		no_process(&w->facts);
		w->facts.process_unasked = true;
		policies_judge(policies, &w->facts, NOW, false, &unasked);
		clean += unasked.count == 0;
		for (size_t k = 0; k < PROCESSES; k++) {
			random_process(&w->facts);
			policies_judge(policies, &w->facts, NOW, false, &asked);
			expect_superset(&unasked, &asked, &w->facts);
			fewer += asked.count < unasked.count;
			same += asked.count > 0 && asked.count == unasked.count;
			verdict_clear(&asked);
		}
		verdict_clear(&unasked);
		if (i + 1 == POLICIES * FACTS_PER_POLICY)
			policies_free(TAKE_PTR(policies));
	}
	free(w);
	print_message("# %zu clean without asking, %zu times fewer, %zu times the same\n", clean, fewer, same);
	/* It is worth something: each of these happens often. */
	assert_true(clean > 50 && fewer > 1000 && same > 1000);
}

/* Where no rule looks at the process, not to have asked changes nothing. */
static void where_nobody_looks_nothing_is_in_doubt(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	(void)state;
	random_start();
	for (size_t i = 0; i < POLICIES; i++) {
		CLEANUP_FREE char *text = xasprintf(
			"version: 1\nname: p\nrules:\n  - {id: r0, match: [{%s}, {%s}], except: {%s}, %s}\n",
			PICK(about_the_rest), PICK(about_the_rest), about_the_rest[1 + random_below(8)], PICK(bodies));
		struct policies *policies = parse(text);
		struct verdict unasked, asked;

		random_facts(w);
		no_process(&w->facts);
		w->facts.process_unasked = true;
		policies_judge(policies, &w->facts, NOW, false, &unasked);
		random_process(&w->facts);
		policies_judge(policies, &w->facts, NOW, false, &asked);
		assert_false(policies_ask_process(policies));
		assert_int_equal(unasked.count, asked.count);
		verdict_clear(&unasked);
		verdict_clear(&asked);
		policies_free(policies);
	}
	free(w);
}

/* Each key of the process alone, in match and in except, with the process that it names and another. */
static void each_key_is_in_doubt(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(about_process); i++) {
		CLEANUP_FREE char *entry = xasprintf("{%s}", about_process[i]);
		CLEANUP_FREE char *both = xasprintf("{%s, peer_port: 853}", about_process[i]);

		world_set(w);
		no_process(&w->facts);
		w->facts.process_unasked = true;
		if (!in_doubt(w, entry))
			fail_msg("%s", entry);
		if (!in_doubt(w, both))
			fail_msg("%s", both);
		/* What does not hold for another reason is in no doubt. */
		w->facts.peer_port = 25;
		assert_false(entry_matches(w, both));
	}
	free(w);
}

/* A rule that can be found by nothing but the process is found. */
static void what_is_found_by_the_process_alone_is_found(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	(void)state;
	world_set(w);
	no_process(&w->facts);
	w->facts.verify = VERIFY_OFF;
	w->facts.process_unasked = true;
	for (size_t i = 0; i < ARRAY_SIZE(about_process); i++) {
		CLEANUP_FREE char *body = xasprintf("match: [{%s}], require: {verified: true}", about_process[i]);
		CLEANUP_FREE char *reason = reason_of(w, body);

		if (!reason)
			fail_msg("%s", body);
	}
	free(w);
}

/* --- does any policy kill? -------------------------------------------------------------------------------------------------- */

#define RULE(id, action) "  - {id: " id ", match: [{any: true}], require: {verified: true}, action: " action "}\n"
#define UNTIL "enforce_until: \"2027-01-15T08:00:00Z\"\n" /* NOW */
#define EXPIRES "expires: \"2027-01-15T08:00:00Z\"\n"

static bool kills(const char *head, const char *rules, bool audit_only, int64_t now)
{
	CLEANUP_FREE char *text = xasprintf("version: 1\nname: p\n%srules:\n%s", head, rules);
	struct policies *policies = parse(text);
	bool answer = policies_kill(policies, audit_only, now);

	policies_free(policies);
	return answer;
}

static void only_who_enforces_and_kills_kills(void **state)
{
	static const struct {
		const char *head, *rules;
		bool before, at, after; /* NOW - 1, NOW, NOW + 1 */
	} examples[] = {
		{"mode: enforce\n", RULE("a", "kill"), true, true, true},
		{"mode: enforce\n", RULE("a", "kill-process"), true, true, true},
		{"mode: enforce\n", RULE("a", "log") RULE("b", "kill"), true, true, true},
		{"mode: enforce\n", RULE("a", "kill") RULE("b", "log"), true, true, true},
		{"mode: enforce\n", RULE("a", "log"), false, false, false},
		{"mode: enforce\n", RULE("a", "log") RULE("b", "log"), false, false, false},
		{"", RULE("a", "kill"), false, false, false},
		{"mode: audit\n", RULE("a", "kill-process"), false, false, false},
		{"mode: enforce\n" UNTIL, RULE("a", "kill"), true, false, false},
		{"mode: enforce\n" EXPIRES, RULE("a", "kill"), true, false, false},
		{"mode: enforce\n" UNTIL EXPIRES, RULE("a", "kill"), true, false, false},
		{"mode: enforce\n" UNTIL, RULE("a", "log"), false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		assert_int_equal(kills(examples[i].head, examples[i].rules, false, NOW - 1), examples[i].before);
		assert_int_equal(kills(examples[i].head, examples[i].rules, false, NOW), examples[i].at);
		assert_int_equal(kills(examples[i].head, examples[i].rules, false, NOW + 1), examples[i].after);
		for (int64_t now = NOW - 1; now <= NOW + 1; now++)
			assert_false(kills(examples[i].head, examples[i].rules, true, now));
	}
}

/* Of several, one is enough, wherever it stands; an action that would be stopped anyway is none. */
static void one_of_several_is_enough(void **state)
{
	static const char logs[] = "version: 1\nname: logs\nmode: enforce\nrules:\n" RULE("a", "log"),
			  audits[] = "version: 1\nname: audits\nrules:\n" RULE("a", "kill"),
			  over[] = "version: 1\nname: over\nmode: enforce\n" EXPIRES "rules:\n" RULE("a", "kill"),
			  ends[] = "version: 1\nname: kills\nmode: enforce\nrules:\n" RULE("a", "log") RULE("b", "kill");
	const struct policy_source all[] = {{"1", logs, sizeof(logs) - 1},
					    {"2", audits, sizeof(audits) - 1},
					    {"3", over, sizeof(over) - 1},
					    {"4", ends, sizeof(ends) - 1}};

	(void)state;
	for (size_t subset = 0; subset < 1 << ARRAY_SIZE(all); subset++) {
		CLEANUP(problems_clear) struct problems problems = {0};
		struct policy_source sources[ARRAY_SIZE(all)];
		struct policies *policies = NULL;
		size_t count = 0;

		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			if (subset >> i & 1)
				sources[count++] = all[i];
		assert_int_equal(policies_parse(sources, count, &policies, &problems), 0);
		assert_int_equal(policies_kill(policies, false, NOW), subset >> 3 & 1);
		assert_int_equal(policies_kill(policies, false, NOW - 1), subset >> 2 != 0);
		assert_false(policies_kill(policies, true, NOW - 1));
		policies_free(policies);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_it_is_nothing_new_is_broken),
		cmocka_unit_test(each_key_is_in_doubt),
		cmocka_unit_test(where_nobody_looks_nothing_is_in_doubt),
		cmocka_unit_test(only_who_enforces_and_kills_kills),
		cmocka_unit_test(one_of_several_is_enough),
		cmocka_unit_test(what_is_found_by_the_process_alone_is_found),
	};

	return cmocka_run_group_tests_name("policy_unasked", tests, NULL, NULL);
}
