/* Policy files from disk: user/policy/files.c. */
#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "policy_files.h"
#include "util.h"

static void write_file(const char *directory, const char *name, const char *text)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", directory, name);
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
}

static void files_of_a_directory(void **state)
{
	char directory[] = "/tmp/test-policy-XXXXXX";
	static const char *const names[] = {"b.yaml", "a.yml", ".hidden.yaml", "c.txt", "C.yaml"};
	static const char *const expected[] = {"C.yaml", "a.yml", "b.yaml"};
	struct policy_texts texts = {0};
	CLEANUP_FREE char *error = NULL, *missing = NULL;
	char *paths[2];

	(void)state;
	assert_non_null(mkdtemp(directory));
	missing = xasprintf("%s/none.yaml", directory);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		write_file(directory, names[i], names[i]);
	paths[0] = directory;
	paths[1] = missing;
	assert_int_equal(policy_texts_read(paths, 1, &texts, &error), 0);
	assert_null(error);
	assert_int_equal(texts.count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < texts.count; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", directory, expected[i]);

		assert_string_equal(texts.sources[i].file, path);
		assert_int_equal(texts.sources[i].len, strlen(expected[i]));
		assert_memory_equal(texts.sources[i].text, expected[i], texts.sources[i].len);
	}
	policy_texts_clear(&texts);
	assert_int_equal(policy_texts_read(paths, 2, &texts, &error), -ENOENT);
	assert_non_null(strstr(error, "/none.yaml: No such file or directory"));
	policy_texts_clear(&texts);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", directory, names[i]);

		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(directory), 0);
}

static void no_such_directory(void **state)
{
	struct policy_texts texts = {0};
	CLEANUP_FREE char *error = NULL;
	char *paths[] = {"/nonexistent/policies.d"};

	(void)state;
	assert_int_equal(policy_texts_read(paths, 1, &texts, &error), -ENOENT);
	assert_string_equal(error, "/nonexistent/policies.d: No such file or directory");
	assert_int_equal(texts.count, 0);
	policy_texts_clear(&texts);
}

/* Whoever keeps a host's policies may be waiting for the agent: it never waits for who might open a pipe. */
static void pipes_and_devices(void **state)
{
	char directory[] = "/tmp/test-policy-XXXXXX";
	CLEANUP_FREE char *pipe = NULL, *error = NULL;
	struct policy_texts texts = {0};
	char *paths[] = {directory, "/dev/null"};

	(void)state;
	assert_non_null(mkdtemp(directory));
	pipe = xasprintf("%s/pipe.yaml", directory);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(policy_texts_read(paths, 1, &texts, &error), -EINVAL);
	assert_non_null(strstr(error, "/pipe.yaml: a pipe or a device, and no file"));
	free(TAKE_PTR(error));

	/* One that is named itself may be `<(…)`: it is read, and empty as nobody writes into it. */
	paths[0] = pipe;
	assert_int_equal(policy_texts_read(paths, 2, &texts, &error), 0);
	assert_int_equal(texts.count, 2);
	assert_int_equal(texts.sources[0].len, 0);
	policy_texts_clear(&texts);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		texts.files_only = true;
		assert_int_equal(policy_texts_read(&paths[i], 1, &texts, &error), -EINVAL);
		assert_int_equal(texts.count, 0);
		free(TAKE_PTR(error));
	}
	assert_int_equal(unlink(pipe), 0);
	assert_int_equal(rmdir(directory), 0);
}

static const char needy[] =
	"version: 1\n"
	"name: needy\n"
	"sets: {trust_stores: {file: s/a.pem, all: s, pipe: s/pipe.pem, gone: s/gone.pem, zero: /dev/zero}}\n"
	"rules:\n"
	"  - {id: a, match: [{any: true}], require: {trusted_by: \"@file\"}}\n"
	"  - {id: b, match: [{any: true}], require: {trusted_by: \"@all\"}}\n"
	"  - {id: c, match: [{any: true}], require: {trusted_by: \"@pipe\"}}\n"
	"  - {id: d, match: [{any: true}], require: {trusted_by: \"@gone\"}}\n"
	"  - {id: e, match: [{any: true}], require: {trusted_by: \"@zero\"}}\n"
	"  - {id: f, match: [{any: true}], forbid: {crl: [s, s/b.crt]}}\n";

/* Of the policy above, with its files beside it. */
static struct policies *needy_policies(const char *directory)
{
	CLEANUP_FREE char *file = xasprintf("%s/needy.yaml", directory);
	struct policy_source source = {.file = file, .text = needy, .len = strlen(needy)};
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = NULL;

	if (policies_parse(&source, 1, &policies, &problems) < 0)
		fail_msg("%u:%u: %s", problems.items[0].line, problems.items[0].column, problems.items[0].text);
	return policies;
}

static void check_content(const struct policies *policies, const struct policy_contents *contents, const char *name,
			  enum policy_file_kind kind, int error, const char *data)
{
	const struct policy_need *needs;
	size_t count = policies_needs(policies, &needs), found = 0;

	assert_int_equal(count, contents->count);
	for (size_t i = 0; i < count; i++) {
		const struct policy_content *content = &contents->items[i];
		size_t len = strlen(needs[i].path), name_len = strlen(name);

		if (needs[i].kind != kind || len < name_len || strcmp(needs[i].path + len - name_len, name) != 0)
			continue;
		found++;
		assert_int_equal(content->error, error);
		if (!data) {
			assert_null(content->data);
			continue;
		}
		assert_int_equal(content->len, strlen(data));
		assert_memory_equal(content->data, data, content->len);
	}
	assert_int_equal(found, 1);
}

static void contents_of_named_files(void **state)
{
	char directory[] = "/tmp/test-policy-XXXXXX";
	CLEANUP_FREE char *store = NULL, *pipe = NULL, *command = NULL;
	struct policy_contents contents;
	struct policies *policies;

	(void)state;
	assert_non_null(mkdtemp(directory));
	store = xasprintf("%s/s", directory);
	pipe = xasprintf("%s/pipe.pem", store);
	assert_int_equal(mkdir(store, 0700), 0);
	write_file(store, "b.crt", "second");
	write_file(store, "a.pem", "first");
	write_file(store, ".hidden.pem", "no");
	write_file(store, "c.txt", "no");
	policies = needy_policies(directory);

	policy_contents_read(policies, &contents);
	check_content(policies, &contents, "/s/a.pem", POLICY_TRUST_STORE, 0, "first");
	check_content(policies, &contents, "/s", POLICY_TRUST_STORE, 0, "first\nsecond\n");
	check_content(policies, &contents, "/s/gone.pem", POLICY_TRUST_STORE, ENOENT, NULL);
	check_content(policies, &contents, "/dev/zero", POLICY_TRUST_STORE, EINVAL, NULL);
	check_content(policies, &contents, "/s", POLICY_CRL, EISDIR, NULL);
	check_content(policies, &contents, "/s/b.crt", POLICY_CRL, 0, "second");
	policy_contents_clear(&contents);

	/* As large as nobody's store is. */
	command = xasprintf("%s/a.pem", store);
	assert_int_equal(truncate(command, POLICY_STORE_MAX), 0);
	policy_contents_read(policies, &contents);
	check_content(policies, &contents, "/s", POLICY_TRUST_STORE, EFBIG, NULL);
	policy_contents_clear(&contents);
	assert_int_equal(truncate(command, POLICY_STORE_MAX + 1), 0);
	policy_contents_read(policies, &contents);
	check_content(policies, &contents, "/s/a.pem", POLICY_TRUST_STORE, EFBIG, NULL);
	policy_contents_clear(&contents);
	assert_int_equal(truncate(command, 5), 0);
	free(command);

	/* Nobody writes into it: opening it is not waited for. Nor is part of a directory a trust store. */
	assert_int_equal(mkfifo(pipe, 0600), 0);
	policy_contents_read(policies, &contents);
	check_content(policies, &contents, "/s/pipe.pem", POLICY_TRUST_STORE, EINVAL, NULL);
	check_content(policies, &contents, "/s", POLICY_TRUST_STORE, EINVAL, NULL);
	policy_contents_clear(&contents);
	policy_contents_clear(&contents);
	policies_free(policies);
	command = xasprintf("rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_a_directory),
		cmocka_unit_test(no_such_directory),
		cmocka_unit_test(pipes_and_devices),
		cmocka_unit_test(contents_of_named_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
