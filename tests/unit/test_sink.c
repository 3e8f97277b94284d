/* Whole lines or none; failures are counted and told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "sink.h"
#include "util.h"

static struct event_detail detail = {.key = "reason", .text = "for a test"};

static size_t lines_of(int fd, char **ret_text)
{
	size_t len, lines = 0;

	lseek(fd, 0, SEEK_SET);
	assert_int_equal(fd_read_all(fd, 1 << 20, ret_text, &len), 0);
	for (size_t i = 0; i < len; i++)
		lines += (*ret_text)[i] == '\n';
	if (len)
		assert_int_equal((*ret_text)[len - 1], '\n');
	return lines;
}

static void events_are_numbered_lines(void **state)
{
	char *text CLEANUP_FREE = NULL;
	int fd CLEANUP_CLOSE = memfd_create("sink", MFD_CLOEXEC);
	struct sink sink = {.fd = fd, .host = "h"};

	(void)state;
	assert_true(sink_agent(&sink, "agent-started", "success", &detail, 1));
	assert_true(sink_agent(&sink, "agent-stopped", "success", &detail, 1));
	assert_int_equal(lines_of(fd, &text), 2);
	assert_non_null(strstr(text, "\"sequence\":0"));
	assert_non_null(strstr(text, "\"sequence\":1"));
}

/* RLIMIT_FSIZE cuts a write short as a full disk does. */
static void half_a_line_is_taken_back(void **state)
{
	char *text CLEANUP_FREE = NULL, name[] = "/tmp/sinkXXXXXX";
	int fd CLEANUP_CLOSE = mkostemp(name, O_APPEND | O_CLOEXEC);
	struct sink sink = {.fd = fd, .host = "h"};
	struct rlimit before, small;

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	signal(SIGXFSZ, SIG_IGN);
	assert_true(sink_agent(&sink, "agent-started", "success", &detail, 1));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = (rlim_t)lseek(fd, 0, SEEK_END) + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_true(sink_agent(&sink, "policy-loaded", "success", &detail, 1));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(sink.failed, 1);
	assert_true(sink_agent(&sink, "agent-stopped", "success", &detail, 1));
	assert_int_equal(lines_of(fd, &text), 3);
	assert_null(strstr(text, "policy-loaded"));
	assert_non_null(strstr(text, "\"sink-failed\""));
	assert_true(strstr(text, "sink-failed") < strstr(text, "agent-stopped"));
}

static void a_reader_that_left_is_said(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	struct sink sink = {.fd = ends[1], .host = "h"};
	assert_false(sink_agent(&sink, "agent-started", "success", &detail, 1));
	assert_int_equal(sink.failed, 1);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_numbered_lines),
		cmocka_unit_test(half_a_line_is_taken_back),
		cmocka_unit_test(a_reader_that_left_is_said),
	};
	return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
