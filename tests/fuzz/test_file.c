/* Fuzz target: test files. Each either parses and is bound to a policy, or every complaint has a place in it. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "test_file.h"

static const struct policy_source rules = {
	"rules.yaml",
	"version: 1\nname: p\nrules:\n  - {id: r, match: [{any: true}], require: {verified: true}, action: kill}\n",
	sizeof("version: 1\nname: p\nrules:\n  - {id: r, match: [{any: true}], require: {verified: true}, action: kill}\n") -
		1,
};

static void check_cases(struct test_file *file, const struct policies *policies)
{
	const struct facts facts = {.role = FACTS_ROLE_CLIENT, .verify = VERIFY_FAILED, .verify_mode = "peer"};
	struct verdict verdict;

	policies_judge(policies, &facts, 1800000000, false, &verdict);
	for (size_t i = 0; i < file->cases_count; i++) {
		const struct test_case *test = &file->cases[i];
		CLEANUP_FREE char *expected = NULL;
		CLEANUP_FREE char *got = NULL;

		HOLDS(test->name && test->line >= 1 && test->column >= 1 && test->chain.path);
		for (size_t r = 0; r < test->rules_count; r++)
			HOLDS(test->rules[r].rule && test->rules[r].ruleset);
		if (test_case_holds(test, &verdict, &expected, &got))
			HOLDS(!expected && !got);
		else
			HOLDS(is_line(expected) && is_line(got));
	}
	verdict_clear(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct policy_source source = {"t.yaml", (const char *)data, len};
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = NULL;
	struct test_file *file = NULL;
	bool is = test_file_is(&source);
	int r = test_file_parse(&source, &file, &problems);

	HOLDS(r == 0 || (r == -EINVAL && !file));
	HOLDS((r == 0) == (problems.count == 0));
	problems_check(&problems, &source, 1);
	if (r < 0)
		return 0;
	HOLDS(is && file->policies_count > 0);
	HOLDS(policies_parse(&rules, 1, &policies, &problems) == 0);
	r = test_file_bind(file, policies, &problems);
	HOLDS((r == 0) == (problems.count == 0));
	problems_check(&problems, &source, 1);
	if (r == 0)
		check_cases(file, policies);
	test_file_free(file);
	policies_free(policies);
	return 0;
}
