/* What the warden says of the gate, as events. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../user/agent/gate_tell.h"
#include "case_world.h"

static struct case_world *w;

static int setup(void **state)
{
	(void)state;
	w = world_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* The only event since the last time has all of these in it, separated by spaces; and none of those behind "-". */
static void expect_event(const char *wanted)
{
	CLEANUP_FREE char *text = NULL, *list = xstrdup(wanted);
	bool absent = false;
	char *save = NULL;
	size_t lines;

	text = world_events(w, &lines);
	assert_int_equal(lines, 1);
	for (char *word = strtok_r(list, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strcmp(word, "-") == 0)
			absent = true;
		else if (!strstr(text, word) != absent)
			fail_msg("%s %s in %s", word, absent ? "is" : "is not", text);
	}
	assert_int_equal(ftruncate(w->sink.fd, 0), 0);
	lseek(w->sink.fd, 0, SEEK_SET);
}

static void each_state_is_told(void **state)
{
	struct message message = {.tag = MESSAGE_GATE, .gate = {.state = GATE_OFF, .timeout_ms = 500}};

	(void)state;
	assert_true(gate_tell_state(&w->bench, &message));
	expect_event("\"gate-changed\" \"success\" \"state\":\"off\" \"fail\":\"open\" \"timeout_ms\":500 - \"reason\"");
	message.gate = (struct message_gate){.state = GATE_ON, .closed = 1, .timeout_ms = 60000};
	assert_true(gate_tell_state(&w->bench, &message));
	expect_event("\"gate-changed\" \"success\" \"state\":\"on\" \"fail\":\"closed\" \"timeout_ms\":60000 - \"reason\"");
	message.gate.state = GATE_UNAVAILABLE;
	snprintf(message.text, sizeof(message.text), "no-cgroup\"v2");
	assert_true(gate_tell_state(&w->bench, &message));
	expect_event("\"failure\" \"state\":\"unavailable\" \"reason\":\"no-cgroup\\\"v2\"");
	message.gate.state = 77;
	message.gate.caching = 1;
	message.gate.secret = (struct siphash_key){0x1122334455667788, 0x99aabbccddeeff00};
	assert_true(gate_tell_state(&w->bench, &message));
	expect_event("\"unknown\" - 1234605616436508552 11072869");
}

static struct message timeout_of(uint32_t why, bool killed, int64_t number)
{
	struct message message = {.tag = MESSAGE_GATE_TIMEOUT, .number = number};

	message.timeout = (struct message_timeout){
		.pid = 812,
		.tid = 815,
		.uid = 1000,
		.why = why,
		.start_boottime_ns = 7700000000,
		.held = 3,
		.waited_us = 501234,
		.killed = killed,
		.socket = {.cookie = 4711,
			   .family = WORLD_INET,
			   .how = SOCKET_THREAD,
			   .local_ip = {127, 0, 0, 1},
			   .peer_ip = {192, 0, 2, 1},
			   .local_port = 40112,
			   .peer_port = 853,
			   .protocol = WORLD_TCP},
	};
	return message;
}

static void what_was_late_is_told(void **state)
{
	struct message message = timeout_of(GATE_WHY_TIMEOUT, false, 0);

	(void)state;
	assert_true(gate_tell_timeout(&w->bench, &message));
	assert_int_equal(w->processes, 1);
	expect_event("\"gate-timeout\" \"pid\":812 \"/usr/bin/curl\" \"192.0.2.1\" 853 40112 4711 \"thread\" \"timeout\" "
		     "\"result\":\"none\" 501234 \"tcp\"");
	message = timeout_of(GATE_WHY_FULL, true, 0);
	message.timeout.socket.protocol = 17;
	message.timeout.socket.family = 10;
	assert_true(gate_tell_timeout(&w->bench, &message));
	expect_event("\"full\" \"result\":\"killed\" \"udp\" \"c000:201::\" - \"192.0.2.1\"");
	message = timeout_of(GATE_WHY_AGENT_ENDED, true, -EPERM);
	snprintf(message.text, sizeof(message.text), "not-permitted");
	assert_true(gate_tell_timeout(&w->bench, &message));
	expect_event("\"agent-ended\" \"result\":\"failed\" \"not-permitted\"");
}

/* Who cannot be told is left out. */
static void the_process_may_have_gone(void **state)
{
	struct message message = timeout_of(GATE_WHY_TIMEOUT, false, 0);

	(void)state;
	w->answer.exe = NULL;
	assert_true(gate_tell_timeout(&w->bench, &message));
	expect_event("\"pid\":812 \"gate-timeout\" - \"executable\"");
	w->warden_gone = true;
	assert_true(gate_tell_timeout(&w->bench, &message));
	expect_event("\"pid\":812 \"gate-timeout\" - \"executable\"");
}

/* A socket that nothing is known of, and the largest numbers. */
static void what_is_not_known_is_said_to_be_unknown(void **state)
{
	struct message message = timeout_of(GATE_WHY_TIMEOUT, true, 0);

	(void)state;
	message.timeout.socket.how = 999;
	message.timeout.socket.family = 0;
	message.timeout.waited_us = message.timeout.held = UINT64_MAX;
	assert_true(gate_tell_timeout(&w->bench, &message));
	expect_event("\"gate-timeout\" \"unknown\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_state_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_late_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(the_process_may_have_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_known_is_said_to_be_unknown, setup, teardown),
	};

	certificate_init();
	return cmocka_run_group_tests_name("gate_tell", tests, NULL, NULL);
}
