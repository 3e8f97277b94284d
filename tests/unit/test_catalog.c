/* Which file is which: numbers are used again, files are written over, and what has probes cannot go. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "catalog.h"
#include "util.h"

static struct catalog *catalog;

static int setup(void **state)
{
	(void)state;
	catalog_new(&catalog);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	catalog_free(catalog);
	return 0;
}

static struct stat status(ino_t inode, off_t size, int64_t mtime, int64_t ctime)
{
	return (struct stat){.st_dev = 7,
			     .st_ino = inode,
			     .st_size = size,
			     .st_mtim = {.tv_nsec = mtime},
			     .st_ctim = {.tv_nsec = ctime},
			     .st_uid = 5};
}

static void test_found(void **state)
{
	struct stat one = status(1, 10, 1, 1), other = status(4097, 10, 1, 1); /* of the same bucket */
	struct catalog_file *file;

	(void)state;
	assert_null(catalog_find(catalog, &one));
	file = catalog_add(catalog, &one, "/one");
	assert_ptr_equal(catalog_find(catalog, &one), file);
	assert_null(catalog_find(catalog, &other));
	catalog_add(catalog, &other, "/other");
	assert_int_equal(catalog_count(catalog), 2);
	assert_string_equal(catalog_find(catalog, &one)->path, "/one");
	assert_int_equal(file->owner, 5);
	catalog_remove(catalog, file);
	assert_null(catalog_find(catalog, &one));
	assert_string_equal(catalog_find(catalog, &other)->path, "/other");
	assert_int_equal(catalog_count(catalog), 1);
	assert_string_equal(catalog_first(catalog)->path, "/other");
}

static void test_changed(void **state)
{
	struct stat was = status(1, 10, 1, 1), is;
	struct catalog_file *file = catalog_add(catalog, &was, "/one");

	(void)state;
	file->stage = FILE_SETTLED;
	is = status(1, 10, 1, 2); /* a name of it went, or its mode changed */
	assert_null(catalog_find(catalog, &is));
	assert_false(catalog_changed(file, &is));
	is = status(1, 11, 1, 1);
	assert_null(catalog_find(catalog, &is));
	assert_true(catalog_changed(file, &is));
	/* Held by its probes, or by a look that is under way, it is the same inode whatever else has changed. */
	file->attachment = (struct attachment *)&is;
	assert_ptr_equal(catalog_find(catalog, &is), file);
	file->attachment = NULL;
	file->stage = FILE_PENDING;
	assert_ptr_equal(catalog_find(catalog, &is), file);
	file->stage = FILE_SETTLED;
	file = catalog_add(catalog, &is, "/again");
	assert_int_equal(catalog_count(catalog), 1);
	file->stage = FILE_SETTLED;
	assert_string_equal(catalog_find(catalog, &is)->path, "/again");
	assert_null(catalog_find(catalog, &was));
}

static void test_descriptor_is_closed(void **state)
{
	struct stat one = status(1, 10, 1, 1);
	struct catalog_file *file = catalog_add(catalog, &one, "/one");
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	file->fd = fd;
	catalog_remove(catalog, file);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_witnesses(void **state)
{
	struct stat one = status(1, 10, 1, 1);
	struct catalog_file *file = catalog_add(catalog, &one, "/one");

	(void)state;
	for (uint32_t pid = 1; pid <= WITNESSES_MAX; pid++)
		assert_true(witness_add(file, &(struct witness){.pid = pid, .start = pid}));
	assert_false(witness_add(file, &(struct witness){.pid = 2}));
	assert_false(witness_add(file, &(struct witness){.pid = 9}));
	file->witnesses[1].pid = 0;
	assert_true(witness_add(file, &(struct witness){.pid = 9}));
	assert_int_equal(file->witnesses[1].pid, 9);
	assert_int_equal(file->witnesses[0].start, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptor_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_witnesses, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
