/* Unit tests of policies: files that say which verdict a chain must get. Pure: who calls reads the files that they name.
 *
 *   version: 1                              # optional
 *   policies: [public-resolvers.yaml]       # files or directories, all in force together
 *   anchors: roots.pem                      # optional: instead of the system's bundle
 *   tests:
 *     - name: a forged 1.1.1.1 is stopped
 *       chain: fixtures/forged.pem          # leaf first
 *       peer: "1.1.1.1:853"
 *       expect: {verdict: kill, rules: [resolver-issuer]}
 *
 * Paths are relative to the test file. The rest of a test may be left out: application_chain, server_name (null: none), host,
 * verify (ok), role (client), library (openssl), exe, user, unit, container, at (now).
 *
 * expect.verdict is what the broken rules ask for, the strongest of them, whether or not their policies enforce: a policy is
 * tested before it enforces, and the test must not change when it does. expect.rules is the exact set of broken rules, each as "rule"
 * or "policy/rule"; without it only the verdict is compared. expect.reason is a text that the reason of some broken rule contains. */
#ifndef TEST_FILE_H
#define TEST_FILE_H

#include "policy.h"
#include "scenario.h"

/* A file that a test file names, and where; relative paths are made so that they begin at the test file's directory. */
struct test_path {
	const char *path; /* NULL: none is named */
	unsigned line, column;
};

struct test_rule {
	const char *text;           /* as written */
	const char *ruleset, *rule; /* borrowed from the policies; NULL before test_file_bind */
	unsigned line, column;
};

struct test_case {
	const char *name;
	unsigned line, column;
	struct test_path chain, application_chain;
	struct scenario scenario; /* all but the two chains */
	bool has_at;
	int64_t at; /* seconds since 1970 */
	bool expects_violation;
	enum action action; /* if so: the strongest that is asked for */
	bool has_rules;
	struct test_rule *rules;
	size_t rules_count;
	const char *reason; /* or NULL */
};

struct test_file {
	struct arena *arena;
	const char *file;
	struct test_path *policies;
	size_t policies_count;
	struct test_path anchors;
	struct test_case *cases;
	size_t cases_count;
};

/* True if the text is YAML with a key `tests` at its top: then it is meant as a test file. */
bool test_file_is(const struct policy_source *source);

/* -EINVAL: *ret untouched, every problem found is in problems. */
int test_file_parse(const struct policy_source *source, struct test_file **ret, struct problems *problems);
void test_file_free(struct test_file *file);

/* Finds the rules that are expected among the policies, which must live longer. -EINVAL: one is not there, or which is meant
 * cannot be told; problems say where. */
int test_file_bind(struct test_file *file, const struct policies *policies, struct problems *problems);

/* Whether the verdict is the expected one. If not, *ret_expected and *ret_got say what differs: one line each, escaped, new
 * memory. The file must be bound. */
bool test_case_holds(const struct test_case *test, const struct verdict *verdict, char **ret_expected, char **ret_got);

#endif
