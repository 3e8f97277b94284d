/* What a process has mapped, by /proc: our own, and a child's. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "../../user/agent/mapped.h"
#include "../../user/agent/search.h"
#include "util.h"

static char *directory;

static int setup(void **state)
{
	char name[] = "/tmp/tlswarden-mapped-XXXXXX";

	(void)state;
	directory = mkdtemp(name) ? xstrdup(name) : NULL;
	return !directory;
}

static int teardown(void **state)
{
	char *command CLEANUP_FREE = xasprintf("rm -r %s", directory);

	(void)state;
	free(directory);
	return system(command);
}

/* A file of some bytes, open. */
static int file_make(const char *name, char byte)
{
	char *path CLEANUP_FREE = xasprintf("%s/%s", directory, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(write(fd, &byte, 1), 1);
	return fd;
}

struct find {
	const char *ending;
	struct mapped found;
	char path[256];
	unsigned count;
};

static void find(void *context, const struct mapped *mapped)
{
	struct find *wanted = context;
	size_t len = strlen(mapped->path), ending = strlen(wanted->ending);

	if (len < ending || strcmp(mapped->path + len - ending, wanted->ending) != 0)
		return;
	wanted->found = *mapped;
	snprintf(wanted->path, sizeof(wanted->path), "%s", mapped->path);
	wanted->count++;
}

static void test_executable_mappings(void **state)
{
	struct find wanted = {.ending = "/a b(c) d"};
	int fd CLEANUP_CLOSE = file_make("a b(c) d", 'x');
	struct stat real, there;
	void *data = mmap(NULL, 5000, PROT_READ, MAP_PRIVATE, fd, 0);
	void *code;

	(void)state;
	assert_int_equal(mapped_each((uint32_t)getpid(), find, &wanted), 0);
	assert_int_equal(wanted.count, 0); /* data */
	code = mmap(NULL, 5000, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(code, MAP_FAILED);
	assert_int_equal(mapped_each((uint32_t)getpid(), find, &wanted), 0);
	assert_int_equal(wanted.count, 1);
	assert_int_equal(wanted.found.at.start, (uintptr_t)code);
	assert_int_equal(fstat(fd, &real), 0);
	assert_int_equal(wanted.found.number.inode, real.st_ino);
	assert_true(mapped_stat(&wanted.found.at, &there));
	assert_int_equal(there.st_ino, real.st_ino);
	int again CLEANUP_CLOSE = mapped_open(&wanted.found.at);
	assert_true(again >= 0);
	munmap(code, 5000);
	munmap(data, 5000);
	assert_false(mapped_stat(&wanted.found.at, &there));
	assert_int_equal(mapped_open(&wanted.found.at), -ENOENT);
}

static void test_process_that_is_gone(void **state)
{
	struct find wanted = {.ending = "x"};

	(void)state;
	assert_true(mapped_each(1u << 30, find, &wanted) < 0);
	assert_int_equal(wanted.count, 0);
}

static void test_search(void **state)
{
	int mapped_fd CLEANUP_CLOSE = file_make("mapped", 'm'), other_fd CLEANUP_CLOSE = file_make("other", 'o');
	struct catalog *catalog;
	struct catalog_file *files[2];
	struct stat stat;
	void *code = mmap(NULL, 5000, PROT_READ | PROT_EXEC, MAP_PRIVATE, mapped_fd, 0);

	(void)state;
	catalog_new(&catalog);
	fstat(mapped_fd, &stat);
	struct catalog_file *is_mapped = files[0] = catalog_add(catalog, &stat, "mapped");
	fstat(other_fd, &stat);
	struct catalog_file *other = files[1] = catalog_add(catalog, &stat, "other");
	files_search(files, 2);
	assert_true(is_mapped->met);
	assert_int_equal(is_mapped->witnesses[0].pid, getpid());
	assert_int_equal(is_mapped->witnesses[0].start, (uintptr_t)code);
	assert_false(other->met);
	munmap(code, 5000);
	files_search(files, 2);
	assert_false(is_mapped->met);
	catalog_free(catalog);
}

static void test_same_pages(void **state)
{
	int one CLEANUP_CLOSE = file_make("one", 'x'), copy CLEANUP_CLOSE = file_make("copy", 'x');
	char *path CLEANUP_FREE = xasprintf("%s/one", directory);
	int again CLEANUP_CLOSE = path_open(0, path), empty CLEANUP_CLOSE = memfd_create("empty", MFD_CLOEXEC);

	(void)state;
	assert_true(same_pages(one, again));
	assert_false(same_pages(one, copy));
	assert_false(same_pages(empty, empty));
	assert_false(same_pages(one, -1));
}

static void expect_companion(const char *path, const char *expected)
{
	char *found CLEANUP_FREE = companion_path(path);

	if (expected)
		assert_string_equal(found, expected);
	else
		assert_null(found);
}

static void test_companion_path(void **state)
{
	(void)state;
	expect_companion("/usr/lib/libcrypto.so.3", "/usr/lib/libssl.so.3");
	expect_companion("/opt/libssl/libssl.so.1.1", "/opt/libssl/libcrypto.so.1.1");
	expect_companion("libssl", "libcrypto");
	expect_companion("/usr/lib/libgnutls.so.30", NULL);
	expect_companion("/opt/libcrypto/node", NULL);
	expect_companion("/", NULL);
	expect_companion("", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_executable_mappings),
		cmocka_unit_test(test_process_that_is_gone),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_same_pages),
		cmocka_unit_test(test_companion_path),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
