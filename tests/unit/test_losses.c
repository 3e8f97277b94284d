/* What was lost is told once each time that it grows, whatever was lost. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/types.h>
#include <sys/mman.h>

#include "../../user/agent/losses.h"
#include "util.h"

static struct sink sink;
static struct counters counters;
static struct losses losses;

static int setup(void **state)
{
	(void)state;
	sink = (struct sink){.fd = memfd_create("events", MFD_CLOEXEC), .host = "h"};
	counters = (struct counters){};
	losses = (struct losses){};
	return sink.fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(sink.fd);
	return 0;
}

/* The events since the last time, and how many. */
static char *events(size_t *ret_lines)
{
	char *text;
	size_t len;

	lseek(sink.fd, 0, SEEK_SET);
	assert_int_equal(fd_read_all(sink.fd, 1 << 20, &text, &len), 0);
	assert_int_equal(ftruncate(sink.fd, 0), 0);
	lseek(sink.fd, 0, SEEK_SET);
	*ret_lines = 0;
	for (size_t i = 0; i < len; i++)
		*ret_lines += text[i] == '\n';
	return text;
}

static void expect_quiet(void)
{
	CLEANUP_FREE char *text = NULL;
	size_t lines;

	assert_true(losses_tell(&losses, &sink, &counters));
	text = events(&lines);
	if (lines)
		fail_msg("%s", text);
}

/* One event, with that number. */
static void expect_told(const char *key, uint64_t number)
{
	CLEANUP_FREE char *text = NULL, *wanted = xasprintf("\"%s\":%llu", key, (unsigned long long)number);
	size_t lines;

	assert_true(losses_tell(&losses, &sink, &counters));
	text = events(&lines);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(text, "\"events-lost\""));
	assert_non_null(strstr(text, "\"failure\""));
	if (!strstr(text, wanted))
		fail_msg("%s, expected %s", text, wanted);
}

static void each_loss_is_told_once(void **state)
{
	const struct {
		__u64 *counter;
		const char *key;
	} each[] = {
		{&counters.lost_verify, "verifications"},
		{&counters.lost_cert, "certificates"},
		{&counters.lost_call, "calls"},
		{(__u64 *)&losses.malformed, "malformed"},
		{&counters.gate_full, "gated"},
		{&counters.lost_verified, "remembered"},
		{(__u64 *)&losses.forgotten, "remembered"},
	};

	(void)state;
	expect_quiet();
	for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
		*each[i].counter += 1001 + i;
		expect_told(each[i].key, i == 6 ? counters.lost_verified + losses.forgotten : 1001 + i);
		expect_quiet();
		++*each[i].counter;
		expect_told(each[i].key, i == 6 ? counters.lost_verified + losses.forgotten : 1002 + i);
		expect_quiet();
	}
}

/* All in one event; and what is no loss is none. */
static void several_at_once_are_one_event(void **state)
{
	(void)state;
	counters = (struct counters){.verifications = 9,
				     .not_tls = 9,
				     .no_certificate = 9,
				     .passed = 9,
				     .denied = 9,
				     .gated = 9,
				     .held = 9,
				     .lost_notice = 9};
	expect_quiet();
	counters.lost_verify = 11;
	counters.gate_full = 12;
	losses.malformed = 13;
	losses.forgotten = 14;
	counters.lost_verified = 15;
	expect_told("verifications", 11);
	expect_quiet();
	counters.lost_cert++;
	expect_told("gated", 12);
	counters.lost_cert++;
	expect_told("remembered", 29);
}

static void at_the_end_all_that_was_counted_is_told(void **state)
{
	static const char *const wanted[] = {
		"\"agent-stopped\"", "\"verifications\":1", "\"not_tls\":2", "\"no_certificate\":3", "\"allowed\":4",
		"\"denied\":5",      "\"sockets\":6",       "\"packets\":7", "\"certificates\":9",   "\"calls\":10",
		"\"gated\":11",      "\"notices\":12",      "\"success\"",
	};
	CLEANUP_FREE char *text = NULL;
	size_t lines;

	(void)state;
	counters = (struct counters){.verifications = 1,
				     .not_tls = 2,
				     .no_certificate = 3,
				     .passed = 4,
				     .denied = 5,
				     .gated = 6,
				     .held = 7,
				     .lost_verify = 8,
				     .lost_cert = 9,
				     .lost_call = 10,
				     .gate_full = 11,
				     .lost_notice = 12};
	assert_true(stopped_tell(&sink, &counters));
	text = events(&lines);
	assert_int_equal(lines, 1);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!strstr(text, wanted[i]))
			fail_msg("%s, expected %s", text, wanted[i]);
}

static void nobody_reads(void **state)
{
	int pipes[2], file = sink.fd;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	close(pipes[0]);
	sink.fd = pipes[1];
	assert_true(losses_tell(&losses, &sink, &counters)); /* there is nothing to tell */
	counters.lost_verify = 1;
	assert_false(losses_tell(&losses, &sink, &counters));
	assert_false(stopped_tell(&sink, &counters));
	close(pipes[1]);
	sink.fd = file;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_loss_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(several_at_once_are_one_event, setup, teardown),
		cmocka_unit_test_setup_teardown(at_the_end_all_that_was_counted_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_reads, setup, teardown),
	};

	return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
