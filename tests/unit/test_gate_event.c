/* What is told of a gated socket that no verdict let go: as JSON, as text, and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "event_read.h"
#include "gate_event.h"
#include "sink.h"
#include "util.h"

static const struct event_head head = {.time_us = 1795309323123456, .sequence = 42, .host = "web1"};

static struct event_gate gate_sample(void)
{
	return (struct event_gate){
		.context = {.pid = 812,
			    .exe = "/usr/bin/cu\nrl",
			    .comm = "curl",
			    .start_ticks = 48213377,
			    .unit = "a.service",
			    .socket_cookie = 4711,
			    .socket_how = "fd"},
		.uid = 1000,
		.local = {4, {192, 0, 2, 9}},
		.peer = {4, {1, 1, 1, 1}},
		.local_port = 40112,
		.peer_port = 853,
		.reason = GATE_REASON_TIMEOUT,
		.held = 3,
		.waited_us = 500123,
		.result = RESULT_KILLED,
	};
}

#define FRONT(type, outcome)                                                                \
	"{\"@timestamp\":\"2026-11-22T01:02:03.123456Z\",\"ecs\":{\"version\":\"8.17.0\"}," \
	"\"event\":{\"kind\":\"alert\",\"category\":[\"network\"],\"type\":[\"" type "\"]," \
	"\"action\":\"gate-timeout\",\"outcome\":\"" outcome "\",\"sequence\":42},\"host\":{\"name\":\"web1\"},"
#define PROCESS                                                                               \
	"\"process\":{\"pid\":812,\"executable\":\"/usr/bin/cu\\\\x0arl\",\"name\":\"curl\"," \
	"\"entity_id\":\"812-48213377\",\"user\":{\"id\":\"1000\"}},\"service\":{\"name\":\"a.service\"},"

static void assert_line(const struct event_gate *gate, const char *want)
{
	CLEANUP_FREE char *line = event_gate_json(&head, gate);

	assert_string_equal(line, want);
}

static void an_ended_connection_is_the_documented_event(void **state)
{
	struct event_gate gate = gate_sample();

	(void)state;
	assert_line(
		&gate, FRONT("denied", "success") PROCESS
		"\"source\":{\"ip\":\"192.0.2.9\",\"port\":40112},\"destination\":{\"ip\":\"1.1.1.1\",\"port\":853},"
		"\"network\":{\"transport\":\"tcp\",\"type\":\"ipv4\"},"
		"\"tlswarden\":{\"socket\":{\"cookie\":\"4711\",\"how\":\"fd\"},"
		"\"gate\":{\"reason\":\"timeout\",\"held\":3,\"waited_us\":500123},\"action\":{\"result\":\"killed\"}}}\n");
}

static void a_server_s_peer_is_the_source(void **state)
{
	struct event_gate gate = gate_sample();

	(void)state;
	gate.role = FACTS_ROLE_SERVER;
	gate.context.udp = true;
	gate.result = RESULT_NONE;
	gate.reason = GATE_REASON_FULL;
	gate.result_reason = "not told";
	assert_line(&gate, FRONT("allowed", "success") PROCESS
		    "\"source\":{\"ip\":\"1.1.1.1\",\"port\":853},\"destination\":{\"ip\":\"192.0.2.9\",\"port\":40112},"
		    "\"network\":{\"transport\":\"udp\",\"type\":\"ipv4\"},"
		    "\"tlswarden\":{\"role\":\"server\",\"socket\":{\"cookie\":\"4711\",\"how\":\"fd\"},"
		    "\"gate\":{\"reason\":\"full\",\"held\":3,\"waited_us\":500123},\"action\":{\"result\":\"none\"}}}\n");
}

static void what_is_not_known_is_left_out(void **state)
{
	struct event_gate gate = {.uid = UINT32_MAX,
				  .reason = GATE_REASON_AGENT_ENDED,
				  .held = UINT64_MAX,
				  .result = RESULT_FAILED,
				  .result_reason = "no such\nsocket"};

	(void)state;
	assert_line(
		&gate,
		FRONT("allowed",
		      "failure") "\"tlswarden\":{\"gate\":{\"reason\":\"agent-ended\",\"held\":18446744073709551615,\"waited_us\":0},"
				 "\"action\":{\"result\":\"failed\",\"reason\":\"no such\\\\x0asocket\"}}}\n");
}

/* The largest of everything. */
static void a_line_has_a_bound(void **state)
{
	enum { LONG = 70000 };
	CLEANUP_FREE char *path = xcalloc(LONG + 1, 1), *line = NULL;
	struct event_gate gate = gate_sample();

	(void)state;
	memset(path, '\1', LONG);
	gate.context.exe = gate.context.unit = gate.context.container = gate.result_reason = path;
	gate.result = RESULT_FAILED;
	line = event_gate_json(&head, &gate);
	assert_true(strlen(line) < 20000);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* replay passes over it without a word; one without its block is not ours. */
static void it_is_read_as_no_verification(void **state)
{
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(NULL);
	struct event_gate gate = gate_sample();
	struct event_read event = {0};
	CLEANUP_FREE char *line = event_gate_json(&head, &gate), *why = NULL, *name = NULL;

	(void)state;
	assert_int_equal(event_read(reader, line, strlen(line), &event, &why), EVENT_OTHER);
	assert_null(why);
	name = strstr(line, "\"gate\":");
	memcpy(name, "\"late\":", strlen("\"late\":"));
	name = NULL;
	assert_int_equal(event_read(reader, line, strlen(line), &event, &why), EVENT_FOREIGN);
	assert_non_null(why);
}

static void lines_for_people(void **state)
{
	static const struct {
		enum gate_reason reason;
		enum action_result result;
		const char *end;
	} cases[] = {
		{GATE_REASON_TIMEOUT, RESULT_KILLED, "no verdict in time: killed (3 packets, 500 ms)\n"},
		{GATE_REASON_FULL, RESULT_NONE, "too many wait for a verdict: let go (3 packets, 500 ms)\n"},
		{GATE_REASON_AGENT_ENDED, RESULT_FAILED,
		 "the agent ended before a verdict: FAILED: it\\x0ahas gone (3 packets, 500 ms)\n"},
	};
	struct event_gate gate = gate_sample();
	CLEANUP_FREE char *coloured = NULL;

	(void)state;
	gate.result_reason = "it\nhas gone";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *line = NULL, *want = NULL;

		gate.reason = cases[i].reason;
		gate.result = cases[i].result;
		line = event_gate_text(&head, &gate, false);
		want = xasprintf("01:02:03.123 curl[812]        1.1.1.1:853         -                        "
				 "-                    %s",
				 cases[i].end);
		assert_string_equal(line, want);
	}
	gate.result = RESULT_KILLED;
	coloured = event_gate_text(&head, &gate, true);
	assert_non_null(strstr(coloured, "\033[1;31mthe agent ended"));
}

static void it_goes_where_events_go(void **state)
{
	FILE *file CLEANUP_FCLOSE = tmpfile();
	struct sink sink = {.fd = fileno(file), .host = "web1", .sequence = 7};
	struct event_gate gate = gate_sample();
	char text[4096] = "";

	(void)state;
	assert_true(sink_gate(&sink, &gate));
	sink.text = true;
	assert_true(sink_gate(&sink, &gate));
	assert_int_equal(sink.sequence, 9);
	assert_int_equal(sink.failed, 0);
	rewind(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_non_null(strstr(text, "\"action\":\"gate-timeout\",\"outcome\":\"success\",\"sequence\":7}"));
	assert_non_null(fgets(text, sizeof(text), file));
	assert_non_null(strstr(text, " no verdict in time: killed "));
	assert_null(fgets(text, sizeof(text), file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ended_connection_is_the_documented_event),
		cmocka_unit_test(a_server_s_peer_is_the_source),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(a_line_has_a_bound),
		cmocka_unit_test(it_is_read_as_no_verification),
		cmocka_unit_test(lines_for_people),
		cmocka_unit_test(it_goes_where_events_go),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("gate event", tests, NULL, NULL);
}
