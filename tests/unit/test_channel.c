/* The channel between the halves, and policies through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "channel.h"
#include "policy_pack.h"
#include "util.h"

static int ends[2];

static int setup(void **state)
{
	(void)state;
	return channel_new(ends);
}

static int teardown(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void a_message_arrives_whole(void **state)
{
	struct message sent = {.tag = MESSAGE_PROCESS, .token = 7, .process = {.pid = 42, .exe = "/usr/bin/x"}}, got;

	(void)state;
	assert_int_equal(message_send(ends[1], &sent, -1), 0);
	assert_int_equal(message_receive(ends[0], false, &got, NULL), 1);
	assert_memory_equal(&sent, &got, sizeof(sent));
	assert_int_equal(message_receive(ends[0], false, &got, NULL), -EAGAIN);
}

static void texts_without_an_end_get_one(void **state)
{
	struct message sent = {.tag = MESSAGE_KILL}, got;

	(void)state;
	memset(sent.text, 'x', sizeof(sent.text));
	memset(sent.kill.rule, 'r', sizeof(sent.kill.rule));
	memset(sent.kill.ruleset, 's', sizeof(sent.kill.ruleset));
	assert_int_equal(message_send(ends[1], &sent, -1), 0);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), 1);
	assert_int_equal(strlen(got.text), MESSAGE_TEXT - 1);
	assert_int_equal(strlen(got.kill.rule), MESSAGE_RULE - 1);
	assert_int_equal(strlen(got.kill.ruleset), MESSAGE_RULE - 1);
}

static void a_length_beyond_its_field_is_dropped(void **state)
{
	struct message sent = {.tag = MESSAGE_LIBRARY, .library.build_id_len = 1000}, got;

	(void)state;
	assert_int_equal(message_send(ends[1], &sent, -1), 0);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), 1);
	assert_int_equal(got.library.build_id_len, 0);
}

static void a_wrong_size_is_refused(void **state)
{
	struct message got;
	static char large[sizeof(struct message) + 1];

	(void)state;
	assert_int_equal(send(ends[1], "short", 5, 0), 5);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), -EPROTO);
	assert_int_equal(send(ends[1], large, sizeof(large), 0), sizeof(large));
	assert_int_equal(message_receive(ends[0], true, &got, NULL), -EPROTO);
}

static void an_unexpected_descriptor_is_closed(void **state)
{
	struct message sent = {.tag = MESSAGE_STOP}, got;
	int pipe_ends[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(message_send(ends[1], &sent, pipe_ends[1]), 0);
	close(pipe_ends[1]);
	assert_int_equal(read(pipe_ends[0], &byte, 1), -1); /* it is on its way, and keeps the pipe open */
	assert_int_equal(message_receive(ends[0], true, &got, NULL), 1);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* no writer is left */
	close(pipe_ends[0]);
}

static void the_end_of_the_other_half_shows(void **state)
{
	struct message got;

	(void)state;
	close(ends[1]);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), 0);
	ends[1] = dup(ends[0]);
}

static void policies_arrive_whole(void **state)
{
	static char with_nul[] = "version: 1\0name: x";
	struct policy_source sources[] = {
		{.file = "a.yaml", .text = with_nul, .len = sizeof(with_nul)},
		{.file = "", .text = "", .len = 0},
	};
	struct policy_texts sent = {.sources = sources, .count = 2}, got = {};
	struct message message = {.tag = MESSAGE_POLICIES}, received;
	int fd = policy_texts_pack(&sent), passed = -1;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(message_send(ends[0], &message, fd), 0);
	close(fd);
	assert_int_equal(message_receive(ends[1], true, &received, &passed), 1);
	assert_true(passed >= 0);
	assert_int_equal(policy_texts_unpack(passed, &got), 0);
	close(passed);
	assert_int_equal(got.count, 2);
	assert_string_equal(got.sources[0].file, "a.yaml");
	assert_int_equal(got.sources[0].len, sizeof(with_nul));
	assert_memory_equal(got.sources[0].text, with_nul, sizeof(with_nul));
	assert_int_equal(got.sources[1].len, 0);
	policy_texts_clear(&got);
}

static void a_torn_pack_is_refused(void **state)
{
	struct policy_source source = {.file = "a.yaml", .text = "name: x", .len = 7};
	struct policy_texts sent = {.sources = &source, .count = 1}, got = {};
	int fd = policy_texts_pack(&sent);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(policy_texts_unpack(fd, &got), -EPROTO);
	assert_int_equal(got.count, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_arrives_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_without_an_end_get_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_length_beyond_its_field_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_size_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unexpected_descriptor_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_of_the_other_half_shows, setup, teardown),
		cmocka_unit_test_setup_teardown(policies_arrive_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_pack_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
