/* Policy files from disk: user/policy/files.c. */
#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_a_directory),
		cmocka_unit_test(no_such_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
