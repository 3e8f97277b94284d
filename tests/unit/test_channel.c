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
	struct message sent = {.tag = MESSAGE_PROCESS, .token = 7, .process = {.pid = 42, .exe = "/usr/bin/x"}}, got = {};

	(void)state;
	assert_int_equal(message_send(ends[1], &sent, -1), 0);
	assert_int_equal(message_receive(ends[0], false, &got, NULL), 1);
	assert_memory_equal(&sent, &got, sizeof(sent));
	assert_int_equal(message_receive(ends[0], false, &got, NULL), -EAGAIN);
}

/* What a round of notices brings, and more; of a judge that is slow the warden need not wait for. */
static void there_is_room_for_many(void **state)
{
	static const struct message killed = {.tag = MESSAGE_KILLED};
	const int bytes = CHANNEL_BYTES;
	unsigned count = 0;

	(void)state;
	if (setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0) {
		print_message("not as CAP_NET_ADMIN: the room is what the host gives anybody\n");
		skip();
	}
	while (count < 100000 && message_offer(ends[0], &killed, -1) == 0)
		count++;
	assert_in_range(count, 200, 99999);
	assert_int_equal(message_offer(ends[0], &killed, -1), -EAGAIN);
}

static void texts_without_an_end_get_one(void **state)
{
	struct message sent = {.tag = MESSAGE_KILL}, got;
	static struct message process = {.tag = MESSAGE_PROCESS_IS};

	(void)state;
	memset(sent.text, 'x', sizeof(sent.text));
	memset(sent.kill.rule, 'r', sizeof(sent.kill.rule));
	memset(sent.kill.ruleset, 's', sizeof(sent.kill.ruleset));
	assert_int_equal(message_send(ends[1], &sent, -1), 0);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), 1);
	assert_int_equal(strlen(got.text), MESSAGE_TEXT - 1);
	assert_int_equal(strlen(got.kill.rule), MESSAGE_RULE - 1);
	assert_int_equal(strlen(got.kill.ruleset), MESSAGE_RULE - 1);
	memset(process.process.cgroup, 'c', sizeof(process.process.cgroup));
	memset(process.process.exe, 'e', sizeof(process.process.exe));
	memset(process.process.user, 'u', sizeof(process.process.user));
	assert_int_equal(message_send(ends[1], &process, -1), 0);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), 1);
	assert_int_equal(strlen(got.process.cgroup), MESSAGE_CGROUP - 1);
	assert_int_equal(strlen(got.process.exe), MESSAGE_PATH - 1);
	assert_int_equal(strlen(got.process.user), MESSAGE_USER - 1);
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

/* What goes with each tag, to its last byte. A tag that is not here is none. */
#define WITH(member) (offsetof(struct message, member) + sizeof(((struct message *)0)->member))
static const struct {
	uint32_t tag;
	size_t size;
} sizes[] = {
	{MESSAGE_LIBRARY, WITH(library)},
	{MESSAGE_UNSUPPORTED, WITH(library)},
	{MESSAGE_DETACHED, WITH(library)},
	{MESSAGE_STARTED, WITH(text)},
	{MESSAGE_POLICIES, WITH(text)},
	{MESSAGE_POLICY_REJECTED, WITH(text)},
	{MESSAGE_LOST_MAPPINGS, WITH(text)},
	{MESSAGE_OUTPUT, WITH(text)},
	{MESSAGE_STOP, WITH(text)},
	{MESSAGE_PROCESS_IS, WITH(process)},
	{MESSAGE_KILLED, WITH(killed)},
	{MESSAGE_GATE, WITH(gate)},
	{MESSAGE_GATE_TIMEOUT, WITH(timeout)},
	{MESSAGE_VERIFIED, WITH(text)},
	{MESSAGE_PROCESS, WITH(process)},
	{MESSAGE_KILL, WITH(kill)},
	{MESSAGE_RELEASE, WITH(release)},
	{MESSAGE_FORGET, WITH(text)},
	{MESSAGE_POLICIES_TAKEN, WITH(text)},
};

/* Every byte 'x', but for the tag: what is a text then has no end. */
static void filled(struct message *message, uint32_t tag)
{
	memset(message, 'x', sizeof(*message));
	message->tag = tag;
}

static struct message_process *process_in(struct message *message)
{
	bool asks = message->tag == MESSAGE_PROCESS || message->tag == MESSAGE_PROCESS_IS;

	return asks ? &message->process : message->tag == MESSAGE_KILLED ? &message->killed.process : NULL;
}

static void names_end(struct message *message)
{
	struct message_process *process = process_in(message);

	if (process)
		process->exe[MESSAGE_PATH - 1] = process->cgroup[MESSAGE_CGROUP - 1] = '\0';
}

static void a_message_is_as_long_as_its_tag_says(void **state)
{
	static struct message sent, got;

	(void)state;
	_Static_assert(ARRAY_SIZE(sizes) == MESSAGE_POLICIES_TAKEN, "a tag without its size");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		filled(&sent, sizes[i].tag);
		assert_int_equal(message_send(ends[1], &sent, -1), 0);
		assert_int_equal(recv(ends[0], &got, sizeof(got), MSG_PEEK), sizes[i].size);
		memset(&got, 0xee, sizeof(got));
		assert_int_equal(message_receive(ends[0], true, &got, NULL), 1);
		assert_int_equal(got.tag, sizes[i].tag);
		assert_int_equal(strlen(got.text), MESSAGE_TEXT - 1);
	}
}

static void a_size_that_is_not_the_tags_is_refused(void **state)
{
	static struct message sent, got;
	int fd = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const size_t wrong[] = {
			1, 3, 4, 15, 16, sizes[i].size - 1, sizes[i].size + 1, sizes[i].size - 8, sizes[i].size + 8};

		filled(&sent, sizes[i].tag);
		names_end(&sent);
		for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
			if (wrong[k] > sizeof(sent))
				continue;
			assert_int_equal(send(ends[1], &sent, wrong[k], 0), wrong[k]);
			assert_int_equal(message_receive(ends[0], true, &got, &fd), -EPROTO);
			assert_int_equal(fd, 77);
		}
		assert_int_equal(send(ends[1], &sent, sizes[i].size, 0), sizes[i].size);
		assert_int_equal(message_receive(ends[0], true, &got, &fd), 1);
		assert_int_equal(fd, -1);
		fd = 77;
	}
}

static void a_tag_that_is_none_is_refused(void **state)
{
	static const uint32_t tags[] = {0, MESSAGE_POLICIES_TAKEN + 1, 255, 0x80000000, UINT32_MAX};
	static struct message sent, got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		filled(&sent, tags[i]);
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			assert_int_equal(send(ends[1], &sent, sizes[k].size, 0), sizes[k].size);
			assert_int_equal(message_receive(ends[0], true, &got, NULL), -EPROTO);
		}
	}
}

/* Also what comes at its end: nothing is cut. */
static void what_is_asked_and_answered_arrives_whole(void **state)
{
	static struct message sent, got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(&sent, 0, sizeof(sent));
		for (size_t at = 0; at < sizes[i].size; at++)
			((uint8_t *)&sent)[at] = (uint8_t)(at % 251);
		sent.tag = sizes[i].tag;
		sent.text[MESSAGE_TEXT - 1] = '\0';
		if (sent.tag == MESSAGE_LIBRARY || sent.tag == MESSAGE_UNSUPPORTED || sent.tag == MESSAGE_DETACHED) {
			sent.library.build_id_len = BUILD_ID_MAX;
			sent.library.version[VERSION_MAX - 1] = sent.library.path[MESSAGE_PATH - 1] = '\0';
		} else if (sent.tag == MESSAGE_KILL) {
			sent.kill.ruleset[MESSAGE_RULE - 1] = sent.kill.rule[MESSAGE_RULE - 1] = '\0';
		} else if (process_in(&sent)) {
			memset(process_in(&sent)->exe, 'e', MESSAGE_PATH);
			memset(process_in(&sent)->cgroup, 'c', MESSAGE_CGROUP);
			process_in(&sent)->user[MESSAGE_USER - 1] = '\0';
			names_end(&sent);
		}
		memset(&got, 0, sizeof(got));
		assert_int_equal(message_offer(ends[1], &sent, -1), 0);
		assert_int_equal(message_receive(ends[0], false, &got, NULL), 1);
		assert_memory_equal(&got, &sent, sizes[i].size);
	}
}

/* One behind the other, of any length. */
static void names_are_sent_as_long_as_they_are(void **state)
{
	static const size_t lengths[] = {0, 1, 100, MESSAGE_PATH - 2, MESSAGE_PATH - 1};
	static struct message sent, got;
	struct message_process *process = &sent.killed.process;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths) * ARRAY_SIZE(lengths); i++) {
		size_t exe = lengths[i % ARRAY_SIZE(lengths)], cgroup = lengths[i / ARRAY_SIZE(lengths)];

		filled(&sent, MESSAGE_KILLED);
		process->exe[exe] = process->cgroup[cgroup] = '\0';
		assert_int_equal(message_send(ends[0], &sent, -1), 0);
		memset(&got, 0xee, sizeof(got));
		assert_int_equal(recv(ends[1], &got, sizeof(got), MSG_PEEK),
				 offsetof(struct message, killed.process.exe) + exe + cgroup + 2);
		assert_int_equal(message_receive(ends[1], true, &got, NULL), 1);
		assert_string_equal(got.killed.process.exe, process->exe);
		assert_string_equal(got.killed.process.cgroup, process->cgroup);
	}
}

/* Neither one text, nor three, nor one too long for its field. */
static void names_that_are_not_two_are_refused(void **state)
{
	static const struct {
		const char *names;
		size_t len;
	} wrong[] = {{"", 0}, {"e", 1}, {"", 1}, {"e\0", 2}, {"e\0c", 3}, {"e\0c\0x", 5}, {"e\0c\0\0", 5}};
	static struct message sent, got;
	char *names = (char *)&sent + offsetof(struct message, process.exe);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		filled(&sent, MESSAGE_PROCESS);
		memcpy(names, wrong[i].names, wrong[i].len);
		assert_true(send(ends[1], &sent, offsetof(struct message, process.exe) + wrong[i].len, 0) > 0);
		assert_int_equal(message_receive(ends[0], true, &got, NULL), -EPROTO);
	}
	for (size_t first = MESSAGE_PATH; first <= MESSAGE_PATH + 1; first++) {
		filled(&sent, MESSAGE_PROCESS);
		names[first] = names[first + 2] = '\0'; /* an exe, and then a cgroup, of one byte too much */
		assert_true(send(ends[1], &sent, offsetof(struct message, process.exe) + first + 3, 0) > 0);
		assert_int_equal(message_receive(ends[0], true, &got, NULL), -EPROTO);
	}
	filled(&sent, MESSAGE_PROCESS);
	names[0] = names[1 + MESSAGE_CGROUP] = '\0';
	assert_true(send(ends[1], &sent, offsetof(struct message, process.exe) + MESSAGE_CGROUP + 2, 0) > 0);
	assert_int_equal(message_receive(ends[0], true, &got, NULL), -EPROTO);
}

static void of_a_process_what_matters_is_copied(void **state)
{
	static struct message sent, copy;
	static struct message_process process;

	(void)state;
	filled(&sent, MESSAGE_PROCESS_IS);
	message_begin(&copy, MESSAGE_PROCESS_IS);
	memset(&process, 0xee, sizeof(process));
	assert_memory_equal(&copy, (&(struct message){.tag = MESSAGE_PROCESS_IS}), sizeof(copy));
	process.pid = 7;
	process.user[0] = process.exe[1] = process.cgroup[0] = '\0';
	message_process_copy(&sent.process, &process);
	assert_int_equal(sent.process.pid, 7);
	assert_int_equal(strlen(sent.process.exe), 1);
	assert_string_equal(sent.process.cgroup, "");
	assert_string_equal(sent.process.user, "");
	message_begin(&sent, MESSAGE_PROCESS_IS);
	assert_memory_equal(&sent, &copy, offsetof(struct message, process.exe));
	assert_string_equal(sent.process.exe, "");
	assert_string_equal(sent.process.cgroup, "");
}

/* The texts of the answer to a kill, and what comes before them. */
static void the_answer_to_a_kill_ends_its_texts(void **state)
{
	static struct message sent, got;

	(void)state;
	filled(&sent, MESSAGE_KILLED);
	sent.killed.acted_ns = 0x1122334455667788;
	assert_int_equal(message_send(ends[0], &sent, -1), 0);
	assert_int_equal(message_receive(ends[1], true, &got, NULL), 1);
	assert_int_equal(strlen(got.killed.process.exe), MESSAGE_PATH - 1);
	assert_int_equal(strlen(got.killed.process.user), MESSAGE_USER - 1);
	assert_int_equal(strlen(got.killed.process.cgroup), MESSAGE_CGROUP - 1);
	assert_int_equal(got.killed.acted_ns, 0x1122334455667788);
	assert_int_equal(got.token, 0x78787878);
}

/* Nobody reads: who offers hears of it, and what was taken arrives in its order. */
static void an_offer_does_not_wait(void **state)
{
	struct message sent = {.tag = MESSAGE_RELEASE}, got;
	uint32_t count = 0, read = 0;
	int err;

	(void)state;
	while ((err = message_offer(ends[0], &sent, -1)) == 0 && count < 1000000)
		sent.token = ++count;
	assert_int_equal(err, -EAGAIN);
	assert_true(count > 0);
	while (message_receive(ends[1], false, &got, NULL) == 1)
		assert_int_equal(got.token, read++);
	assert_int_equal(read, count);
	assert_int_equal(message_offer(ends[0], &sent, -1), 0);
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
	struct policy_content items[] = {
		{.data = with_nul, .len = sizeof(with_nul)},
		{.error = ENOENT},
		{.data = "", .len = 0},
	};
	struct policy_texts sent = {.sources = sources, .count = 2}, got = {};
	struct policy_contents sent_contents = {.items = items, .count = 3}, contents = {};
	struct message message = {.tag = MESSAGE_POLICIES}, received;
	int fd = policy_pack(&sent, &sent_contents), passed = -1;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(message_send(ends[0], &message, fd), 0);
	close(fd);
	assert_int_equal(message_receive(ends[1], true, &received, &passed), 1);
	assert_true(passed >= 0);
	assert_int_equal(policy_unpack(passed, &got, &contents), 0);
	close(passed);
	assert_int_equal(got.count, 2);
	assert_string_equal(got.sources[0].file, "a.yaml");
	assert_int_equal(got.sources[0].len, sizeof(with_nul));
	assert_memory_equal(got.sources[0].text, with_nul, sizeof(with_nul));
	assert_int_equal(got.sources[1].len, 0);
	assert_int_equal(contents.count, 3);
	assert_int_equal(contents.items[0].len, sizeof(with_nul));
	assert_memory_equal(contents.items[0].data, with_nul, sizeof(with_nul));
	assert_null(contents.items[1].data);
	assert_int_equal(contents.items[1].error, ENOENT);
	assert_non_null(contents.items[2].data);
	assert_int_equal(contents.items[2].len, 0);
	policy_texts_clear(&got);
	policy_contents_clear(&contents);
}

/* The pack of one policy with one file. */
static int pack_of(size_t *ret_len)
{
	struct policy_source source = {.file = "a.yaml", .text = "name: x", .len = 7};
	struct policy_content content = {.data = "crl", .len = 3};
	struct policy_texts texts = {.sources = &source, .count = 1};
	struct policy_contents contents = {.items = &content, .count = 1};
	int fd = policy_pack(&texts, &contents);

	assert_true(fd >= 0);
	*ret_len = (size_t)lseek(fd, 0, SEEK_END);
	return fd;
}

static void check_refused(int fd)
{
	struct policy_texts texts = {};
	struct policy_contents contents = {};

	assert_int_equal(policy_unpack(fd, &texts, &contents), -EPROTO);
	assert_null(texts.sources);
	assert_null(contents.items);
}

static void a_torn_pack_is_refused(void **state)
{
	size_t len;
	int fd = pack_of(&len);

	(void)state;
	while (len-- > 0) {
		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		check_refused(fd);
	}
	close(fd);
}

/* Each number in turn, among them counts and lengths, is far too large; memory for it is not even asked for. */
static void a_pack_that_lies_is_refused(void **state)
{
	static const uint64_t lies[] = {UINT64_MAX, UINT64_MAX / 2, 1ULL << 40, 1000};
	/* Offsets of: texts, length of the name, of the text, contents, length of the content (its error comes before it). */
	static const off_t at[] = {0, 8, 22, 37, 53};
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		for (size_t k = 0; k < ARRAY_SIZE(lies); k++) {
			int fd = pack_of(&len);

			assert_int_equal(pwrite(fd, &lies[k], sizeof(lies[k]), at[i]), sizeof(lies[k]));
			check_refused(fd);
			close(fd);
		}
}

static void a_pack_with_more_behind_it_is_refused(void **state)
{
	size_t len;
	int fd = pack_of(&len);

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, (off_t)len), 1);
	check_refused(fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_arrives_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_room_for_many, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_without_an_end_get_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_length_beyond_its_field_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_size_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_message_is_as_long_as_its_tag_says, setup, teardown),
		cmocka_unit_test_setup_teardown(a_size_that_is_not_the_tags_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tag_that_is_none_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_asked_and_answered_arrives_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_sent_as_long_as_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_are_not_two_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(of_a_process_what_matters_is_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(the_answer_to_a_kill_ends_its_texts, setup, teardown),
		cmocka_unit_test_setup_teardown(an_offer_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unexpected_descriptor_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_of_the_other_half_shows, setup, teardown),
		cmocka_unit_test_setup_teardown(policies_arrive_whole, setup, teardown),
		cmocka_unit_test(a_torn_pack_is_refused),
		cmocka_unit_test(a_pack_that_lies_is_refused),
		cmocka_unit_test(a_pack_with_more_behind_it_is_refused),
	};
	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
