/* Test files and what they name (suite.h): policies, chains, roots.
 *
 * A file that is missing is a problem of the test file, at the place that names it. Chains and roots are a stranger's: they are
 * only read here, and taken apart after the rights are gone. Bounds: PEM_MAX bytes a chain, more than FACTS_CERTS_MAX of the
 * largest certificates take, and PEMS_MAX for all chains of a file: the chain beyond it is a problem. */
#include <linux/types.h>

#include "suite.h"

#include <errno.h>
#include <string.h>

#include "util.h"

enum { PEM_MAX = 8 << 20, PEMS_MAX = 256 << 20, BUNDLE_MAX = 64 << 20 };

static void complain(struct suite *suite, const struct test_path *at, const char *text)
{
	problems_add(&suite->problems, suite->file->file, at->line, at->column, "%s", text);
}

static void pem_read(struct suite *suite, const struct test_path *path, size_t max, struct suite_pem *ret)
{
	CLEANUP_FREE char *error = NULL;
	int r = path->path ? file_read(path->path, max, &ret->text, &ret->len) : 0;

	if (r == 0)
		return;
	error = xasprintf("%s: %s", path->path, strerror(-r));
	complain(suite, path, error);
}

static void policies_read(struct suite *suite)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
	bool all = true;

	for (size_t i = 0; i < suite->file->policies_count; i++) {
		const struct test_path *path = &suite->file->policies[i];
		char *paths[] = {(char *)path->path};
		CLEANUP_FREE char *error = NULL;
		size_t known = texts.count;

		if (policy_texts_read(paths, 1, &texts, &error) == 0 && texts.count == known)
			error = xasprintf("%s: no *.yaml or *.yml in it", path->path);
		if (!error)
			continue;
		complain(suite, path, error);
		all = false;
	}
	/* Half of the policies would only give problems that are none. */
	if (all)
		policy_load_parse(&texts, &suite->load, &suite->problems);
}

void suite_read(const struct policy_source *source, struct suite *ret)
{
	struct suite_pem bundle = {0};
	const struct test_file *file;
	size_t left = PEMS_MAX;

	if (test_file_parse(source, &ret->file, &ret->problems) < 0)
		return;
	file = ret->file;
	policies_read(ret);
	if (file->anchors.path)
		pem_read(ret, &file->anchors, BUNDLE_MAX, &bundle);
	else
		policy_load_bundle("test", NULL, &ret->load);
	if (bundle.text) {
		ret->load.bundle = bundle.text;
		ret->load.bundle_len = bundle.len;
	}
	ret->chains = xcalloc(2 * file->cases_count + 1, sizeof(*ret->chains));
	for (size_t i = 0; i < 2 * file->cases_count; i++) {
		const struct test_case *test = &file->cases[i / 2];

		pem_read(ret, i % 2 ? &test->application_chain : &test->chain, left < PEM_MAX ? left : PEM_MAX,
			 &ret->chains[i]);
		left -= ret->chains[i].len;
	}
}

int suite_bind(struct suite *suite)
{
	if (suite->problems.count)
		return -EINVAL;
	if (policy_load_bind(&suite->load, &suite->problems) < 0)
		return -EINVAL;
	return test_file_bind(suite->file, suite->load.policies, &suite->problems);
}

int suite_facts(struct suite *suite, size_t index, struct scenario_facts *ret)
{
	const struct test_case *test = &suite->file->cases[index];
	const struct suite_pem *chains = &suite->chains[2 * index];
	struct scenario scenario = test->scenario;
	CLEANUP_FREE char *why = NULL;
	int r;

	scenario.chain = chains[0].text;
	scenario.chain_len = chains[0].len;
	scenario.application_chain = chains[1].text;
	scenario.application_chain_len = chains[1].len;
	r = scenario_facts(&scenario, suite->load.anchors, ret, &why);
	if (r < 0)
		problems_add(&suite->problems, suite->file->file, test->line, test->column, "%s", why);
	return r;
}

void suite_clear(struct suite *suite)
{
	for (size_t i = 0; suite->chains && i < 2 * suite->file->cases_count; i++)
		free(suite->chains[i].text);
	free(suite->chains);
	policy_load_clear(&suite->load);
	test_file_free(suite->file);
	problems_clear(&suite->problems);
	*suite = (struct suite){0};
}
