/* Lines out of a file: every length around the bounds, and pipes that give a byte at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "../../user/cmd/lines.h"
#include "random_case.h"
#include "util.h"

static int file_with(const char *text, size_t len)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void lines_are_given_one_by_one(void **state)
{
	static const char text[] = "one\n\ntwo\0half\r\nlast";
	int fd CLEANUP_CLOSE = file_with(text, sizeof(text) - 1);
	CLEANUP(lines_clear) struct lines lines = {.fd = fd, .max = 100};
	struct line_read line;

	(void)state;
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_int_equal(line.len, 3);
	assert_memory_equal(line.text, "one", 3);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_int_equal(line.len, 0);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_int_equal(line.len, 9);
	assert_memory_equal(line.text, "two\0half\r", 9);
	assert_false(line.unended);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_memory_equal(line.text, "last", 4);
	assert_true(line.unended);
	assert_int_equal(lines.number, 4);
	assert_int_equal(lines.bytes_read, sizeof(text) - 1);
	assert_int_equal(lines_next(&lines, &line), 0);
	assert_int_equal(lines_next(&lines, &line), 0);
}

static void nothing_gives_no_line(void **state)
{
	int fd CLEANUP_CLOSE = file_with("", 0);
	CLEANUP(lines_clear) struct lines lines = {.fd = fd, .max = 100}, broken = {.fd = -1, .max = 100};
	struct line_read line;

	(void)state;
	assert_int_equal(lines_next(&lines, &line), 0);
	assert_int_equal(lines_next(&broken, &line), -EBADF);
}

/* Lines of random lengths, some too long, through a file and through a pipe. */
static void random_lines_are_all_there(void **state)
{
	enum { MAX = 1000, LINES = 400, LONGEST = 600000 };

	(void)state;
	random_start();
	for (size_t round = 0; round < 20; round++) {
		CLEANUP_FREE char *text = NULL;
		size_t lengths[LINES], room = 0, at = 0;
		int fd CLEANUP_CLOSE = -1;
		CLEANUP(lines_clear) struct lines lines = {.max = MAX};
		struct line_read line;

		for (size_t i = 0; i < LINES; i++) {
			size_t choice = random_below(50);

			lengths[i] = choice == 0 ? random_below(LONGEST) :
				     choice < 5  ? MAX - 2 + random_below(5) :
						   random_below(MAX);
			room += lengths[i] + 1;
		}
		text = xcalloc(room, 1);
		for (size_t i = 0; i < LINES; i++) {
			memset(text + at, 'a' + (int)(i % 26), lengths[i]);
			at += lengths[i];
			text[at++] = '\n';
		}
		lines.fd = fd = file_with(text, room);
		for (size_t i = 0; i < LINES; i++) {
			assert_int_equal(lines_next(&lines, &line), 1);
			assert_int_equal(lines.number, i + 1);
			assert_int_equal(line.too_long, lengths[i] > MAX);
			if (line.too_long)
				continue;
			assert_int_equal(line.len, lengths[i]);
			for (size_t k = 0; k < line.len; k++)
				assert_int_equal(line.text[k], 'a' + (int)(i % 26));
		}
		assert_int_equal(lines_next(&lines, &line), 0);
	}
}

static void a_pipe_gives_what_it_has(void **state)
{
	int ends[2];
	CLEANUP(lines_clear) struct lines lines = {.max = 10};
	struct line_read line;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	lines.fd = ends[0];
	assert_int_equal(write(ends[1], "ab\nc", 4), 4);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_memory_equal(line.text, "ab", 2);
	assert_int_equal(write(ends[1], "d\n0123456789\n0123456789x", 24), 24);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_memory_equal(line.text, "cd", 2);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_false(line.too_long);
	close(ends[1]);
	assert_int_equal(lines_next(&lines, &line), 1);
	assert_true(line.too_long);
	assert_int_equal(lines.number, 4);
	assert_int_equal(lines_next(&lines, &line), 0);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_given_one_by_one),
		cmocka_unit_test(nothing_gives_no_line),
		cmocka_unit_test(random_lines_are_all_there),
		cmocka_unit_test(a_pipe_gives_what_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
