/* One verification: see case.h. Runs without privilege; everything it needs of the system it asks the warden for. */
#include "case.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "capture_key.h"
#include "moment.h"
#include "process.h"

enum {
	CACHED_SECONDS = 30
}; /* what a verdict may be late when a certificate comes of age; policies and lists say so themselves */

static uint64_t since_us(uint64_t then_ns)
{
	uint64_t now = now_ns();

	return now > then_ns ? (now - then_ns) / 1000 : 0;
}

static char *escaped_or_null(const char *text)
{
	return text[0] ? text_escape(text, strlen(text)) : NULL;
}

/* What it executed when it verified, if that can be told. */
static void exe_correct(const struct bench *bench, struct case_ *c)
{
	const struct siphash_value *then = &c->capture->verify.exe;
	struct siphash_value now;
	const char *exe;

	if (!bench->secret || !bench->exes || (!then->a && !then->b))
		return;
	if (capture_exe_digest(c->process.exe, bench->secret, &now))
		exes_add(bench->exes, &now, c->process.exe);
	exe = exes_find(bench->exes, then);
	if (exe)
		snprintf(c->process.exe, sizeof(c->process.exe), "%s", exe);
}

void case_process(const struct bench *bench, struct case_ *c, const struct message_process *process)
{
	struct facts *facts = &c->decoded.facts;

	message_process_copy(&c->process, process);
	c->process_asked = true;
	exe_correct(bench, c);
	cgroup_read(c->process.cgroup, &c->place);
	free(c->unit);
	free(c->container);
	c->unit = escaped_or_null(c->place.unit);
	c->container = escaped_or_null(c->place.container);
	facts->exe = c->process.exe[0] ? c->process.exe : NULL;
	facts->user = c->process.user[0] ? c->process.user : NULL;
	facts->unit = c->unit;
	facts->container = c->container;
}

/* What was verified earlier was so by whom nobody knows now. */
static struct who_key who_key(const struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;

	return (struct who_key){.pid = c->process.pid,
				.uid = c->process.uid,
				.start_boottime_ns = c->process.start_boottime_ns,
				.exec_id = verify->exec_id,
				.cgroup_id = c->retroactive ? 0 : verify->cgroup_id};
}

static bool who_remembered(const struct bench *bench, const struct case_ *c, struct message_process *ret)
{
	const struct who_key key = who_key(c);

	return bench->whos && whos_find(bench->whos, &key, c->process.tid, now_ns(), ret);
}

static void who_remember(const struct bench *bench, const struct case_ *c)
{
	const struct who_key key = who_key(c);

	if (bench->whos)
		whos_add(bench->whos, &key, &c->process, now_ns());
}

/* As the answer to its kill will say. */
static bool who_ended(const struct bench *bench, const struct case_ *c, struct message_process *ret)
{
	const struct record_verify *verify = &c->capture->verify;

	return bench->outcomes && dones_process(bench->outcomes, &verify->head.id, verify->socket.cookie, ret);
}

void case_who(const struct bench *bench, struct case_ *c)
{
	struct message message;

	if (c->process_asked)
		return;
	message_begin(&message, MESSAGE_PROCESS);
	if (who_remembered(bench, c, &message.process)) {
		case_process(bench, c, &message.process);
		return;
	}
	message_process_copy(&message.process, &c->process);
	message.process.exec_id = c->capture->verify.exec_id;
	message.process.cgroup_id = who_key(c).cgroup_id;
	if (who_ended(bench, c, &message.process) ||
	    (bench->ask(bench->context, &message) && message.tag == MESSAGE_PROCESS_IS)) {
		case_process(bench, c, &message.process);
		who_remember(bench, c);
	}
}

static void issuers_find(const struct bench *bench, struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;

	c->leaf_alone = verify->flags & VERIFY_RESUMED && verify->presented == 1;
	if (c->leaf_alone && bench->issuers)
		issuers_add(bench->issuers, &c->decoded.facts, &c->issuers, &c->issuers_count);
}

struct case_ *case_new(const struct bench *bench, struct capture *capture)
{
	struct case_ *c = xcalloc(1, sizeof(*c));
	const struct message_library *library = bench->library_of(bench->context, capture->verify.head.library);
	enum library_kind kind = library ? library->kind : LIBRARY_NONE;

	c->capture = capture;
	if (library)
		c->library = *library;
	c->process.pid = capture->verify.head.id.pid_tgid >> 32;
	c->process.tid = (uint32_t)capture->verify.head.id.pid_tgid;
	c->process.start_boottime_ns = capture->verify.start_boottime_ns;
	c->process.uid = capture->verify.uid;
	/* Before anything is taken from the capture: the probe made its key of all that it sent. */
	c->has_key = bench->secret && capture_key(c->capture, kind, bench->secret, &c->general);
	if (capture->verify.flags & (VERIFY_GATED | VERIFY_DENIED))
		c->gated = capture->verify.socket;
	if (!capture_socket_fits(capture))
		capture->verify.socket = (struct record_socket){.how = SOCKET_UNKNOWN};
	capture_decode(capture, kind, &c->decoded);
	issuers_find(bench, c);
	path_prove(&c->decoded.facts, bench->anchors);
	if (bench->issuers && !c->leaf_alone)
		issuers_note(bench->issuers, &c->decoded.facts);
	return c;
}

void case_free(struct case_ *c)
{
	if (!c)
		return;
	verdict_clear(&c->verdict);
	decoded_clear(&c->decoded);
	capture_free(c->capture);
	certificates_free(c->issuers, c->issuers_count);
	free(c->result_reason);
	free(c->unit);
	free(c->container);
	free(c);
}

/* Who the process is, is asked only if that could matter: most verdicts are there sooner without. */
static void judge_lazily(const struct bench *bench, struct case_ *c, struct verdict *ret)
{
	struct facts *facts = &c->decoded.facts;
	bool asks = policies_ask_process(bench->policies);

	facts->process_unasked = asks && !c->process_asked;
	policies_judge(bench->policies, facts, time(NULL), bench->audit_only, ret);
	if (!facts->process_unasked || ret->count == 0)
		return;
	case_who(bench, c);
	facts->process_unasked = false;
	verdict_clear(ret);
	policies_judge(bench->policies, facts, time(NULL), bench->audit_only, ret);
}

/* What was learned when the handshake ended, and may be gone by now: the socket is, if it was destroyed. */
void case_inherit(const struct bench *bench, struct case_ *c, struct case_ *held)
{
	if (held->process_asked)
		case_process(bench, c, &held->process);
	if (held->result >= RESULT_KILLED) {
		c->acted = held->acted;
		c->result = held->result;
		c->result_reason = TAKE_PTR(held->result_reason);
		c->latency_verdict_us = held->latency_verdict_us;
		c->latency_action_us = held->latency_action_us;
	}
}

void case_judge(const struct bench *bench, struct case_ *c)
{
	verdict_clear(&c->verdict);
	judge_lazily(bench, c, &c->verdict);
	if (c->result != RESULT_NONE)
		return;
	/* What is to be ended the kernel condemned there and then, if it knew the verdict; or the verdict is ours, of now. */
	c->latency_verdict_us = c->capture->verify.flags & VERIFY_DENIED && c->verdict.action >= ACTION_KILL ?
					0 :
					since_us(c->capture->verify.end_ktime_ns);
}

static void result_failed(struct case_ *c, const char *why)
{
	c->result = RESULT_FAILED;
	free(c->result_reason);
	c->result_reason = xstrdup(why);
}

static bool is_whole(const struct facts *facts)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!facts->certs[i].certificate->parsed)
			return false;
	return !facts->truncated && (facts->certs_count > 0 || facts->verify == VERIFY_NO_CERTIFICATE);
}

/* The key of a verdict for which it was looked at who verifies: for all that execute the same, or for that process alone. */
static bool own_key(const struct bench *bench, const struct case_ *c, struct siphash_value *ret)
{
	const struct record_verify *verify = &c->capture->verify;
	struct siphash_value exe;

	if (policies_ask_place(bench->policies)) {
		capture_key_process(&c->general, verify, bench->secret, ret);
		return true;
	}
	if (!capture_exe_digest(c->process.exe, bench->secret, &exe))
		return false;
	capture_key_exe(&c->general, verify->uid, &exe, bench->secret, ret);
	return true;
}

/* What the kernel is to remember. */
static struct message_cached cached_as(const struct bench *bench, const struct case_ *c, enum cached_kind kind)
{
	const struct record_verify *verify = &c->capture->verify;
	bool own = policies_ask_process(bench->policies) && !c->decoded.facts.process_unasked;
	struct message_cached cached = {.key = c->general, .kind = kind, .seconds = CACHED_SECONDS};

	/* The key is over other facts if the socket was taken away, if what might still have been verified never was, or if issuers
	 * came from elsewhere. */
	if (!c->has_key || c->retroactive || c->leaf_alone ||
	    (verify->flags & VERIFY_NONE_YET && c->decoded.facts.verify != VERIFY_PENDING) || c->verdict.undecided ||
	    !is_whole(&c->decoded.facts) || (c->gated.cookie && !verify->socket.cookie) ||
	    (own && !own_key(bench, c, &cached.key)))
		return (struct message_cached){.kind = CACHED_NONE};
	return cached;
}

/* It may have been done before we asked. */
static bool kill_outcome(const struct bench *bench, struct message *message)
{
	const struct record_id id = message->kill.id;

	return bench->outcomes && dones_take(bench->outcomes, &id, message->kill.socket.cookie, message);
}

static void kill_ask(const struct bench *bench, struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;
	const struct violation *violation = &c->verdict.violations[c->verdict.strongest];
	struct message message;
	bool killed;

	message_begin(&message, MESSAGE_KILL);
	message.kill.pid = c->process.pid;
	message.kill.tid = c->process.tid;
	message.kill.uid = c->process.uid;
	message.kill.action = violation->action;
	message.kill.start_boottime_ns = verify->start_boottime_ns;
	message.kill.exec_id = verify->exec_id;
	message.kill.cgroup_id = who_key(c).cgroup_id;
	message.kill.id = verify->head.id;
	message.kill.socket = verify->socket;
	message.kill.cached = cached_as(bench, c, CACHED_DENY);
	snprintf(message.kill.ruleset, sizeof(message.kill.ruleset), "%s", violation->ruleset);
	snprintf(message.kill.rule, sizeof(message.kill.rule), "%s", violation->rule);
	if (!kill_outcome(bench, &message) && (!bench->ask(bench->context, &message) || message.tag != MESSAGE_KILLED)) {
		result_failed(c, "the privileged half did not answer");
		return;
	}
	/* An application that was made to refuse may have closed the connection by itself. */
	killed = message.number == 0 || (verify->flags & VERIFY_REJECTED && message.number == -ENOENT);
	if (!killed)
		result_failed(c, message.text);
	else if (violation->action == ACTION_KILL_PROCESS)
		c->result = RESULT_PROCESS_KILLED;
	else
		c->result = verify->flags & VERIFY_REJECTED ? RESULT_REJECTED : RESULT_KILLED;
	if (!c->process_asked) {
		case_process(bench, c, &message.killed.process);
		who_remember(bench, c);
	}
	if (message.killed.acted_ns > verify->end_ktime_ns)
		c->latency_action_us = (message.killed.acted_ns - verify->end_ktime_ns) / 1000;
}

/* Would it be condemned if nobody verified it? */
static bool waits_for_verification(const struct bench *bench, struct case_ *c, bool *ret_clean)
{
	struct facts *facts = &c->decoded.facts;
	struct verdict off = {};
	bool condemned;

	*ret_clean = true;
	if (!(c->capture->verify.flags & VERIFY_NONE_YET) || facts->verify != VERIFY_PENDING)
		return false;
	facts->verify = VERIFY_OFF;
	judge_lazily(bench, c, &off);
	facts->verify = VERIFY_PENDING;
	condemned = off.action >= ACTION_KILL;
	*ret_clean = off.count == 0;
	verdict_clear(&off);
	return condemned;
}

static void release_say(const struct bench *bench, struct case_ *c, const struct message_cached *cached)
{
	const struct record_verify *verify = &c->capture->verify;
	struct message message;

	message_begin(&message, MESSAGE_RELEASE);
	message.release.pid = c->process.pid;
	message.release.tid = c->process.tid;
	message.release.start_boottime_ns = verify->start_boottime_ns;
	message.release.id = verify->head.id;
	message.release.socket = c->gated;
	message.release.cached = *cached;
	bench->say(bench->context, &message);
	c->gated.cookie = 0;
}

void case_let_go(const struct bench *bench, struct case_ *c)
{
	if (c->gated.cookie)
		release_say(bench, c, &(const struct message_cached){.kind = CACHED_NONE});
}

/* Lets it go, and has the verdict remembered. */
static void release(const struct bench *bench, struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;
	struct message_cached cached = {.kind = CACHED_NONE};
	bool clean, quiet, waits = waits_for_verification(bench, c, &clean);

	if (waits && verify->socket.cookie)
		return;
	quiet = clean && c->verdict.count == 0 && !bench->all_events;
	if (!(verify->flags & VERIFY_PASSED))
		cached = cached_as(bench, c, quiet ? CACHED_QUIET : CACHED_PASS);
	if (c->gated.cookie || cached.kind != CACHED_NONE)
		release_say(bench, c, &cached);
}

void case_act(const struct bench *bench, struct case_ *c)
{
	enum action wanted = c->verdict.action;

	if (c->acted >= ACTION_KILL && c->acted >= wanted)
		return;
	if (wanted >= ACTION_KILL) {
		c->acted = wanted;
		/* A process can be ended without its socket being known. */
		if (c->capture->verify.socket.cookie || wanted == ACTION_KILL_PROCESS)
			kill_ask(bench, c);
		else
			result_failed(c, "which socket it is could not be told for certain");
		if (c->capture->verify.socket.cookie)
			return;
		/* What was gated is not what was condemned. */
	} else if (c->verdict.requested >= ACTION_KILL) {
		c->result = RESULT_WOULD_KILL;
	} else {
		c->result = RESULT_NONE;
	}
	release(bench, c);
}

const char *socket_how_name(uint32_t how)
{
	static const char *const names[] = {
		[SOCKET_UNKNOWN] = "unknown", [SOCKET_FD] = "fd", [SOCKET_THREAD] = "thread", [SOCKET_HELLO] = "hello"};

	return how < ARRAY_SIZE(names) ? names[how] : "unknown";
}

bool case_tell(const struct bench *bench, struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;

	if (c->verdict.count == 0 && !bench->all_events && is_whole(&c->decoded.facts))
		return true;
	case_who(bench, c);
	struct event_verification event = {
		.facts = &c->decoded.facts,
		.verdict = &c->verdict,
		.context =
			{
				.pid = c->process.pid,
				.exe = c->decoded.facts.exe,
				.unit = c->place.unit[0] ? c->place.unit : NULL,
				.container = c->place.container[0] ? c->place.container : NULL,
				.comm = c->decoded.comm,
				.start_ticks = process_ticks(verify->start_boottime_ns),
				.library_version = c->library.version[0] ? c->library.version : NULL,
				.library_path = c->library.path[0] ? c->library.path : NULL,
				.build_id = c->library.build_id,
				.build_id_len = c->library.build_id_len,
				.socket_cookie = verify->socket.cookie,
				.udp = verify->socket.protocol == IPPROTO_UDP,
				.socket_how = socket_how_name(verify->socket.how),
			},
		.result = c->result,
		.result_reason = c->result_reason,
		.latency_verdict_us = c->latency_verdict_us,
		.latency_action_us = c->latency_action_us,
		.lost_before = bench->counters->lost_verify + bench->counters->lost_call,
		.retroactive = c->retroactive,
		.process_gone = c->process_asked && !c->process.known,
		.certificates = bench->certificates,
	};
	return sink_verification(bench->sink, &event);
}

void case_learn(const struct bench *bench, struct case_ *c, struct learned *learned)
{
	const struct facts *facts = &c->decoded.facts;

	case_who(bench, c);
	learned_add(learned, facts, facts->exe ? facts->exe : c->decoded.comm, time(NULL));
}
