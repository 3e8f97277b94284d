/* One verification: see case.h. Runs without privilege; everything it needs of the system it asks the warden for. */
#include "case.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "process.h"

static uint64_t since_us(uint64_t then_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t now_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	return now_ns > then_ns ? (now_ns - then_ns) / 1000 : 0;
}

void case_process(struct case_ *c, const struct message_process *process)
{
	c->process = *process;
	c->process_asked = true;
	c->decoded.facts.exe = c->process.known ? c->process.exe : NULL;
	c->decoded.facts.user = c->process.user[0] ? c->process.user : NULL;
}

static void process_ask(const struct bench *bench, struct case_ *c)
{
	struct message message = {.tag = MESSAGE_PROCESS, .process = c->process};

	if (!c->process_asked && bench->ask(bench->context, &message) && message.tag == MESSAGE_PROCESS_IS)
		case_process(c, &message.process);
}

struct case_ *case_new(const struct bench *bench, struct capture *capture)
{
	struct case_ *c = xcalloc(1, sizeof(*c));
	const struct message_library *library = bench->library_of(bench->context, capture->verify.head.library);

	c->capture = capture;
	if (library)
		c->library = *library;
	c->process.pid = capture->verify.head.id.pid_tgid >> 32;
	c->process.tid = (uint32_t)capture->verify.head.id.pid_tgid;
	c->process.start_boottime_ns = capture->verify.start_boottime_ns;
	c->process.uid = capture->verify.uid;
	if (!capture_socket_fits(capture))
		capture->verify.socket = (struct record_socket){.how = SOCKET_UNKNOWN};
	capture_decode(capture, library ? library->kind : LIBRARY_NONE, &c->decoded);
	path_prove(&c->decoded.facts, bench->anchors);
	return c;
}

void case_free(struct case_ *c)
{
	if (!c)
		return;
	verdict_clear(&c->verdict);
	decoded_clear(&c->decoded);
	capture_free(c->capture);
	free(c->result_reason);
	free(c);
}

void case_judge(const struct bench *bench, struct case_ *c)
{
	verdict_clear(&c->verdict);
	/* Otherwise who it is can wait until the connection has been dealt with. */
	if (policies_ask_process(bench->policies))
		process_ask(bench, c);
	policies_judge(bench->policies, &c->decoded.facts, time(NULL), bench->audit_only, &c->verdict);
	if (c->result == RESULT_NONE)
		c->latency_verdict_us = since_us(c->capture->verify.end_ktime_ns);
}

static void result_failed(struct case_ *c, const char *why)
{
	c->result = RESULT_FAILED;
	free(c->result_reason);
	c->result_reason = xstrdup(why);
}

static void kill_ask(const struct bench *bench, struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;
	const struct violation *violation = &c->verdict.violations[c->verdict.strongest];
	struct message message = {.tag = MESSAGE_KILL};

	message.kill.pid = c->process.pid;
	message.kill.tid = c->process.tid;
	message.kill.uid = c->process.uid;
	message.kill.start_boottime_ns = verify->start_boottime_ns;
	message.kill.socket = verify->socket;
	snprintf(message.kill.ruleset, sizeof(message.kill.ruleset), "%s", violation->ruleset);
	snprintf(message.kill.rule, sizeof(message.kill.rule), "%s", violation->rule);
	if (!bench->ask(bench->context, &message) || message.tag != MESSAGE_KILLED) {
		result_failed(c, "the privileged half did not answer");
		return;
	}
	if (message.number == 0)
		c->result = RESULT_KILLED;
	else
		result_failed(c, message.text);
	if (!c->process_asked)
		case_process(c, &message.process);
	c->latency_action_us = since_us(verify->end_ktime_ns);
}

void case_act(const struct bench *bench, struct case_ *c)
{
	if (c->result == RESULT_KILLED || c->result == RESULT_FAILED)
		return;
	if (c->verdict.action >= ACTION_KILL) {
		if (c->capture->verify.socket.cookie)
			kill_ask(bench, c);
		else
			result_failed(c, "which socket it is could not be told for certain");
	} else if (c->verdict.requested >= ACTION_KILL) {
		c->result = RESULT_WOULD_KILL;
	} else {
		c->result = RESULT_NONE;
	}
}

static bool is_whole(const struct facts *facts)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!facts->certs[i].certificate->parsed)
			return false;
	return !facts->truncated && facts->certs_count > 0;
}

bool case_tell(const struct bench *bench, struct case_ *c)
{
	static const char *const how[] = {[SOCKET_UNKNOWN] = "unknown", [SOCKET_FD] = "fd", [SOCKET_THREAD] = "thread"};
	const struct record_verify *verify = &c->capture->verify;

	if (c->verdict.count == 0 && !bench->all_events && is_whole(&c->decoded.facts))
		return true;
	process_ask(bench, c);
	struct event_verification event = {
		.facts = &c->decoded.facts,
		.verdict = &c->verdict,
		.context =
			{
				.pid = c->process.pid,
				.exe = c->process.known ? c->process.exe : NULL,
				.comm = c->decoded.comm,
				.start_ticks = process_ticks(verify->start_boottime_ns),
				.library_version = c->library.version[0] ? c->library.version : NULL,
				.library_path = c->library.path[0] ? c->library.path : NULL,
				.build_id = c->library.build_id,
				.build_id_len = c->library.build_id_len,
				.socket_cookie = verify->socket.cookie,
				.socket_how = verify->socket.how < ARRAY_SIZE(how) ? how[verify->socket.how] : "unknown",
			},
		.result = c->result,
		.result_reason = c->result_reason,
		.latency_verdict_us = c->latency_verdict_us,
		.latency_action_us = c->latency_action_us,
		.lost_before = bench->counters->lost_verify + bench->counters->lost_call,
	};
	return sink_verification(bench->sink, &event);
}
