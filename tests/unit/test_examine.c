/* Looking at files: what is asked and what is not, and whose answer a copy gets. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <errno.h>
#include <link.h>

#include "examine.h"
#include "traces.h"
#include "util.h"

static struct contents *contents;
static atomic_bool stop;

static int setup(void **state)
{
	(void)state;
	contents_new(&contents);
	stop = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contents_free(contents);
	return 0;
}

/* A copy of the file, and some bytes more. */
static int copy_of(const char *path, const char *more, size_t len)
{
	int copy = memfd_create("copy", MFD_CLOEXEC);
	char *text CLEANUP_FREE = NULL;
	size_t size;

	assert_int_equal(file_read(path, 64 << 20, &text, &size), 0);
	assert_int_equal(write(copy, text, size), size);
	assert_int_equal(write(copy, more, len), len);
	return copy;
}

/* A process that was waited for faulted on some pages. */
static long children_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return usage.ru_minflt;
}

static bool asks(int fd, struct examination *ret)
{
	long before = children_faults();

	assert_int_equal(examine_file(contents, fd, "/lib/libcrypto.so.3", &stop, ret), 0);
	return children_faults() != before;
}

static int note_crypto(struct dl_phdr_info *info, size_t size, void *ret)
{
	(void)size;
	if (!strstr(info->dlpi_name, "libcrypto.so"))
		return 0;
	*(char **)ret = xstrdup(info->dlpi_name);
	return 1;
}

/* That of this very process. */
static char *crypto_path(void)
{
	char *path = NULL;

	assert_int_equal(dl_iterate_phdr(note_crypto, &path), 1);
	return path;
}

static void test_copies_are_not_asked(void **state)
{
	char *path CLEANUP_FREE = crypto_path();
	struct examination first, later;

	(void)state;
	for (int i = 0; i < 4; i++) {
		int fd CLEANUP_CLOSE = copy_of(path, "", 0);
		/* The first tells the size, the second the content. */
		assert_int_equal(asks(fd, i == 0 ? &first : &later), i < 2);
		if (i > 0)
			assert_memory_equal(&first.answer, &later.answer, sizeof(first.answer));
	}
	assert_int_equal(first.answer.parts, PART_CRYPTO);
	assert_true(first.traces & TRACE_X509_VERIFY);
	/* The same size and build id, and another content, is another library. */
	for (int i = 0; i < 2; i++) {
		int fd CLEANUP_CLOSE = copy_of(path, "", 0);
		assert_int_equal(pwrite(fd, "?", 1, 9), 1); /* padding of the ELF header's identification */
		assert_int_equal(asks(fd, &later), i == 0);
	}
	for (int i = 0; i < 2; i++) {
		int fd CLEANUP_CLOSE = copy_of(path, "longer", 6);
		assert_true(asks(fd, &later));
	}
}

static void test_what_does_not_answer_is_asked_again(void **state)
{
	static const char text[] = "\x7f"
				   "ELF\2\1\1 no library \0X509_verify_cert";
	struct examination found;

	(void)state;
	for (int i = 0; i < 4; i++) {
		int fd CLEANUP_CLOSE = memfd_create("none", MFD_CLOEXEC);
		assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
		asks(fd, &found);
		assert_int_equal(found.answer.parts, 0);
		assert_true(found.answer.reason[0]);
	}
}

static void test_nothing_of_ours(void **state)
{
	static const char text[] = "\x7f"
				   "ELF\2\1\1 a program that has nothing to do with it";
	int fd CLEANUP_CLOSE = memfd_create("none", MFD_CLOEXEC), empty CLEANUP_CLOSE = memfd_create("none", MFD_CLOEXEC);
	struct examination found;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	assert_false(asks(fd, &found));
	assert_int_equal(found.traces, 0);
	assert_string_equal(found.answer.reason, "");
	assert_false(asks(empty, &found));
	assert_int_equal(examine_file(contents, -1, "/x", &stop, &found), -EBADF);
}

/* A library is named; a program that only uses one is not. */
static void test_32_bits(void **state)
{
	static const char text[] = "\x7f"
				   "ELF\1\1\1 \0\0X509_verify_cert\0gnutls_handshake";
	int fd CLEANUP_CLOSE = memfd_create("32", MFD_CLOEXEC);
	struct examination found;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	assert_int_equal(examine_file(contents, fd, "/usr/lib/i386-linux-gnu/libcrypto.so.3", &stop, &found), 0);
	assert_true(found.bits32);
	assert_string_equal(found.answer.reason, LIBRARY_32_BITS);
	assert_int_equal(examine_file(contents, fd, "/usr/bin/wget", &stop, &found), 0);
	assert_true(found.bits32);
	assert_string_equal(found.answer.reason, "");
}

static void test_stopped(void **state)
{
	char *path CLEANUP_FREE = crypto_path();
	int one CLEANUP_CLOSE = copy_of(path, "", 0), other CLEANUP_CLOSE = copy_of(path, "", 0);
	struct examination found;

	(void)state;
	asks(one, &found);
	stop = true;
	assert_int_equal(examine_file(contents, other, "/x", &stop, &found), -ECANCELED);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies_are_not_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_does_not_answer_is_asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_32_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
	};

	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
