/* Whole lines or none; failures are counted and told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
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

/* Takes PIPE_TAKEN bytes at a time, later than the writer would like; ends when the pipe does. */
enum { LINES = 200, PIPE_TAKEN = 1000 };
static void *read_slowly(void *context)
{
	const int *ends = context;
	char part[PIPE_TAKEN];
	ssize_t got;

	while ((got = read(ends[0], part, sizeof(part))) > 0) {
		assert_int_equal(write(ends[1], part, (size_t)got), got);
		usleep(500);
	}
	return NULL;
}

static void a_slow_reader_gets_whole_lines(void **state)
{
	static char long_text[3 * 4096]; /* what is longer than PIPE_BUF can go in pieces */
	struct event_detail details = {.key = "reason", .text = long_text};
	int ends[2], all CLEANUP_CLOSE = memfd_create("all", MFD_CLOEXEC);
	char *text CLEANUP_FREE = NULL;
	pthread_t reader;
	size_t lines;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	struct sink sink = {.fd = ends[1], .host = "h"};
	int given[] = {ends[0], all};
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, given), 0);
	for (int i = 0; i < LINES; i++)
		assert_true(sink_agent(&sink, "agent-started", "success", &details, 1));
	close(ends[1]);
	pthread_join(reader, NULL);
	close(ends[0]);
	lines = lines_of(all, &text);
	assert_true(lines >= LINES - sink.failed);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n');
		assert_memory_equal(line, "{\"@timestamp\"", 13);
		assert_int_equal(end[-1], '}');
		assert_null(memmem(line + 2, (size_t)(end - line) - 2, "\"@timestamp\"", 12));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_numbered_lines),
		cmocka_unit_test(half_a_line_is_taken_back),
		cmocka_unit_test(a_reader_that_left_is_said),
		cmocka_unit_test(a_slow_reader_gets_whole_lines),
	};
	return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
