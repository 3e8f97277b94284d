/* The judge's loop: messages from the warden, records from the ring, holds that are due, losses to tell of. All that it reads
 * is an attacker's (certificates) or a stranger's (names), and it has nothing: see sandbox.c. It owns the policies in force,
 * the roots known, and the cases it holds. */
#include "judge.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "capture.h"
#include "case.h"
#include "channel.h"
#include "deferred.h"
#include "denied.h"
#include "exit_codes.h"
#include "gate_tell.h"
#include "hold.h"
#include "in_force.h"
#include "learning.h"
#include "library_tell.h"
#include "losses.h"
#include "path.h"
#include "recall.h"
#include "sandbox.h"
#include "sink.h"
#include "moment.h"
#include "util.h"

enum {
	TICK_MS = 500, /* losses are told at most that much later */
	HELD_MS = 20,  /* likewise while cases are held: what comes next may wake nobody */
	END_MS = 3000, /* at the end a flood is followed that long; what it brings later is not told of */
};

struct judge {
	int channel;
	struct sink sink;
	struct bench bench;
	struct in_force in_force;
	struct learning learning;     /* instead of events */
	bool all_events, events_open; /* as agent.h has them */
	size_t anchors_skipped;       /* blocks of the system's bundle that are broken, or there twice */
	struct capture_ring *ring;
	struct message_library *libraries[LIBRARIES_MAX];
	struct holds holds;
	struct denied denied;
	struct deferreds deferred;
	uint32_t token;
	struct whos whos;
	struct exes exes;
	struct recall recall;
	struct memory *memory; /* of what was verified, for policies that come later */
	struct siphash_key secret;
	struct losses losses;
	bool done;
};

static void tell(struct judge *judge, const char *action, const char *outcome, const struct event_detail *details,
		 size_t count)
{
	if (!judge->learning.learned && !sink_agent(&judge->sink, action, outcome, details, count))
		judge->done = true;
}

/* --- policies ------------------------------------------------------------------------------------------------------ */

/* Those whom the bench serves; and the warden hears of it. err: those before them stay. */
static void policies_taken(struct judge *judge, int err)
{
	struct message message = {.tag = MESSAGE_POLICIES_TAKEN, .number = err};

	judge->bench.policies = judge->in_force.policies;
	judge->bench.all_events = judge->all_events || (judge->events_open && policies_count(judge->in_force.policies) == 0);
	judge->bench.anchors = judge->in_force.anchors;
	if (message_send(judge->channel, &message, -1) < 0 || (!err && !tell_loaded(&judge->bench)))
		judge->done = true;
}

static void policies_swap(struct judge *judge, int fd)
{
	char *why CLEANUP_FREE = NULL;
	int err = in_force_swap(&judge->in_force, fd, now_ns(), &why);

	if (err && !tell_rejected(&judge->bench, why))
		judge->done = true;
	policies_taken(judge, err);
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

static void case_conclude(struct judge *judge, struct case_ *c);

/* What became of a library file. */
static void library_told(struct judge *judge, const struct message *message)
{
	const struct message_library *library = &message->library;

	if (message->tag == MESSAGE_LIBRARY) {
		if (library->slot >= LIBRARIES_MAX)
			return;
		if (!judge->libraries[library->slot])
			judge->libraries[library->slot] = xcalloc(1, sizeof(*library));
		*judge->libraries[library->slot] = *library;
	}
	judge->learning.session.unsupported += message->tag == MESSAGE_UNSUPPORTED;
	if (!judge->learning.learned)
		judge->done |= !library_tell(&judge->sink, message);
}

static void tell_started(struct judge *judge, int64_t libraries)
{
	const struct anchors *anchors = judge->in_force.anchors;
	struct event_detail details[] = {
		{.key = "version", .text = TLSWARDEN_VERSION},
		{.key = "libraries", .number = libraries},
		{.key = "policies", .number = (int64_t)policies_count(judge->in_force.policies)},
		{.key = "anchors", .number = anchors ? (int64_t)anchors_count(anchors) : 0},
		{.key = "anchors_passed_over", .number = (int64_t)judge->anchors_skipped},
		{.key = "mode", .text = judge->bench.audit_only ? "audit" : "as the policies say"},
	};
	tell(judge, "agent-started", "success", details, ARRAY_SIZE(details));
	if (judge->learning.learned)
		learning_started(&judge->learning, now_ns());
}

static void gate_take(struct judge *judge, const struct message *message)
{
	judge->secret = message->gate.secret;
	judge->bench.secret = message->gate.caching ? &judge->secret : NULL;
	capture_ring_key(judge->ring, judge->bench.secret);
	if (!judge->learning.learned && !judge->sink.text)
		judge->done |= !gate_tell_state(&judge->bench, message);
}

static void message_handle(struct judge *judge, const struct message *message, int fd)
{
	struct event_detail lost = {.key = "lost.mappings", .number = message->number};

	switch (message->tag) {
	case MESSAGE_LIBRARY:
	case MESSAGE_UNSUPPORTED:
	case MESSAGE_DETACHED:
		library_told(judge, message);
		break;
	case MESSAGE_STARTED:
		tell_started(judge, message->number);
		break;
	case MESSAGE_POLICIES:
		policies_swap(judge, fd);
		break;
	case MESSAGE_POLICY_REJECTED:
		judge->done |= !tell_rejected(&judge->bench, message->text);
		break;
	case MESSAGE_LOST_MAPPINGS:
		judge->learning.session.lost_mappings = (uint64_t)message->number;
		tell(judge, "events-lost", "failure", &lost, 1);
		break;
	case MESSAGE_OUTPUT:
		if (fd >= 0)
			dup2(fd, judge->sink.fd); /* in place of the old one, whose number everything knows */
		break;
	case MESSAGE_GATE:
		gate_take(judge, message);
		break;
	case MESSAGE_GATE_TIMEOUT:
		judge->losses.untold = message->timeout.dropped;
		judge->done |= !gate_tell_timeout(&judge->bench, message);
		break;
	case MESSAGE_KILLED:
		case_conclude(judge, denied_outcome(&judge->denied, message));
		break;
	case MESSAGE_VERIFIED:
		recall_begin(&judge->recall, fd, message->number);
		break;
	case MESSAGE_STOP:
		judge->done = true;
		break;
	}
}

static void message_defer(struct judge *judge, const struct message *message, int fd)
{
	/* Only a library's slot must be known at once, as records of it may be next. */
	if (message->tag == MESSAGE_LIBRARY || message->tag == MESSAGE_UNSUPPORTED || message->tag == MESSAGE_DETACHED) {
		message_handle(judge, message, fd);
		if (fd >= 0)
			close(fd);
		return;
	}
	deferreds_add(&judge->deferred, message, fd);
}

static void messages_deferred(struct judge *judge)
{
	/* More may come while one is handled. */
	for (size_t i = 0; i < judge->deferred.count; i++) {
		const struct deferred deferred = judge->deferred.items[i];

		message_handle(judge, &deferred.message, deferred.fd);
		if (deferred.fd >= 0)
			close(deferred.fd);
	}
	judge->deferred.count = 0;
}

static void warden_say(void *context, const struct message *message)
{
	struct judge *judge = context;

	if (message_send(judge->channel, message, -1) < 0)
		judge->done = true;
}

/* Policies may not change under a case that is being judged: other messages wait. */
static bool warden_ask(void *context, struct message *message)
{
	struct judge *judge = context;
	uint32_t token = ++judge->token;

	message->token = token;
	if (message_send(judge->channel, message, -1) < 0)
		return false;
	for (;;) {
		int fd = -1, got = message_receive(judge->channel, true, message, &fd);
		if (got <= 0)
			return false;
		if (message->token == token)
			return true;
		message_defer(judge, message, fd);
	}
}

static void messages_read(struct judge *judge)
{
	struct message message;

	for (;;) {
		int fd CLEANUP_CLOSE = -1;
		int got = message_receive(judge->channel, false, &message, &fd);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			judge->done = true; /* the warden has gone: no probe fires any more */
			return;
		}
		message_handle(judge, &message, fd);
	}
}

/* --- verifications ------------------------------------------------------------------------------------------------- */

static const struct message_library *library_of(void *context, uint32_t slot)
{
	struct judge *judge = context;

	/* Its message is sent as soon as its probes are: it may still be on its way. */
	if (slot < LIBRARIES_MAX && !judge->libraries[slot])
		messages_read(judge);
	return slot < LIBRARIES_MAX ? judge->libraries[slot] : NULL;
}

static void case_finish(struct judge *judge, struct case_ *c)
{
	if (judge->learning.learned)
		case_learn(&judge->bench, c, judge->learning.learned);
	else if (!case_tell(&judge->bench, c))
		judge->done = true;
	case_free(c);
}

/* c: or NULL. What became of its connection, if the kernel condemned it, is known, or does not come. */
static void case_conclude(struct judge *judge, struct case_ *c)
{
	if (!c)
		return;
	case_judge(&judge->bench, c);
	case_act(&judge->bench, c);
	case_finish(judge, c);
}

/* Nobody verified it. */
static void case_unverified(struct judge *judge, struct case_ *c)
{
	c->decoded.facts.verify = VERIFY_OFF;
	case_conclude(judge, c);
}

static void case_hold(struct judge *judge, struct case_ *c)
{
	const struct record_verify *verify = &c->capture->verify;

	/* It may have ended when it is told of. */
	case_who(&judge->bench, c);
	if (holds_full(&judge->holds))
		case_unverified(judge, holds_take_due(&judge->holds, 0, true));
	holds_add(&judge->holds, c->process.pid, verify->session, now_ns(), c);
}

static void on_capture(void *context, struct capture *capture)
{
	struct judge *judge = context;
	struct record_verify *verify = &capture->verify;
	struct case_ *c, *held = NULL;

	if (verify->flags & VERIFY_AFTER)
		held = holds_take(&judge->holds, verify->head.id.pid_tgid >> 32, verify->session);
	if (held && held->capture->verify.socket.cookie)
		verify->socket = held->capture->verify.socket;
	c = case_new(&judge->bench, capture);
	if (c->has_key && verify->socket.cookie)
		memory_keep(judge->memory, &c->general, capture);
	if (!held && denied_hold(&judge->denied, c, now_ns()))
		return;
	if (held)
		case_inherit(&judge->bench, c, held);
	case_judge(&judge->bench, c);
	if (held && c->verdict.action < ACTION_KILL)
		case_let_go(&judge->bench, held);
	case_free(held);
	if (verify->flags & VERIFY_NONE_YET) {
		/* What a rule condemns whatever the verification says need not wait for it; nor what none would condemn. */
		case_act(&judge->bench, c);
		case_hold(judge, c);
		return;
	}
	case_act(&judge->bench, c);
	case_finish(judge, c);
}

static void on_closed(void *context, uint32_t pid, uint64_t session)
{
	struct judge *judge = context;
	struct case_ *held = holds_take(&judge->holds, pid, session);

	if (held)
		case_unverified(judge, held);
}

/* Its application sends now: it will not verify first. */
static void on_held(void *context, const struct record_id *id)
{
	struct judge *judge = context;
	struct case_ *held = holds_take_id(&judge->holds, id);

	if (held)
		case_unverified(judge, held);
}

static void tell_losses(struct judge *judge)
{
	judge->losses.malformed = capture_ring_malformed(judge->ring);
	if (!judge->learning.learned)
		judge->done |= !losses_tell(&judge->losses, &judge->sink, judge->bench.counters);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void judge_loop(struct judge *judge)
{
	struct case_ *due;
	uint64_t now;

	while (!judge->done) {
		int wait = holds_wait_ms(&judge->holds, now_ns()), most = judge->holds.count ? HELD_MS : TICK_MS;
		struct pollfd polled[] = {
			{.fd = judge->channel, .events = POLLIN},
			{.fd = capture_ring_fd(judge->ring), .events = POLLIN},
		};

		wait = recall_is_under_way(&judge->recall) ? 0 : wait >= 0 && wait < most ? wait : most;
		poll(polled, ARRAY_SIZE(polled), wait);
		messages_read(judge);
		capture_ring_drain(judge->ring);
		messages_deferred(judge);
		judge->done |= !recall_go_on(&judge->recall, &judge->bench, judge->memory, &judge->losses.forgotten);
		now = now_ns();
		while ((due = holds_take_due(&judge->holds, now, false)))
			case_unverified(judge, due);
		while ((due = holds_take_due(&judge->denied.waiting, now, false)))
			case_conclude(judge, due);
		in_force_tidy(&judge->in_force, now);
		tell_losses(judge);
		judge->done |= !tell_moments(&judge->bench, &judge->in_force, time(NULL));
		if (judge->learning.learned)
			judge->done |= learning_tick(&judge->learning, now);
	}
}

/* What the policy's head says was not seen; and then the policy. An exit code. */
static int judge_learned(struct judge *judge)
{
	const struct counters *counters = judge->bench.counters;
	struct learned_session *session = &judge->learning.session;

	if (!judge->learning.learned)
		return EXIT_FINE;
	session->lost_verifications = counters->lost_verify;
	session->lost_certificates = counters->lost_cert;
	session->lost_calls = counters->lost_call;
	session->lost_malformed = capture_ring_malformed(judge->ring);
	return learning_end(&judge->learning, judge->sink.fd);
}

/* An exit code. */
static int judge_end(struct judge *judge)
{
	uint64_t end_ns = now_ns() + END_MS * 1000000ULL;
	struct case_ *held;
	int code;

	while (capture_ring_drain(judge->ring) == -EAGAIN && now_ns() < end_ns)
		;
	while ((held = holds_take_due(&judge->denied.waiting, 0, true)))
		case_conclude(judge, held);
	while ((held = holds_take_due(&judge->holds, 0, true)))
		case_unverified(judge, held);
	tell_losses(judge);
	if (!judge->learning.learned)
		stopped_tell(&judge->sink, judge->bench.counters);
	code = judge_learned(judge);
	capture_ring_free(judge->ring);
	for (size_t i = 0; i < LIBRARIES_MAX; i++)
		free(judge->libraries[i]);
	free(judge->deferred.items);
	in_force_clear(&judge->in_force);
	recall_end(&judge->recall);
	memory_free(judge->memory);
	issuers_free(judge->bench.issuers);
	whos_clear(&judge->whos);
	exes_clear(&judge->exes);
	denied_clear(&judge->denied);
	return code;
}

static int judge_confine(struct judge *judge, const struct judge_setup *setup)
{
	const char *step;
	int err = capture_ring_new(setup->ring_map, on_capture, on_closed, on_held, judge, &judge->ring);

	if (err) {
		fprintf(stderr, "tlswarden: the ring buffer cannot be read: %s\n", strerror(-err));
		return err;
	}
	tzset(); /* reads a file, as certificate_init may */
	certificate_init();
	err = sandbox_enter(setup->uid, setup->gid, &step);
	if (err)
		fprintf(stderr, "tlswarden: the judge cannot be confined: %s: %s\n", step, strerror(-err));
	return err;
}

int judge_main(struct judge_setup *setup)
{
	static struct judge judge; /* the holds are large */

	judge = (struct judge){
		.channel = setup->channel,
		.all_events = setup->all_events,
		.events_open = setup->events_open,
		.sink = {.fd = setup->output, .text = setup->text, .colour = setup->colour, .host = setup->host},
		.bench = {.counters = setup->counters,
			  .sink = &judge.sink,
			  .audit_only = setup->audit_only,
			  .certificates = setup->certificates,
			  .library_of = library_of,
			  .ask = warden_ask,
			  .say = warden_say,
			  .context = &judge},
	};
	if (judge_confine(&judge, setup))
		return EXIT_CANNOT;
	judge.memory = memory_new();
	judge.bench.issuers = issuers_new();
	judge.bench.whos = &judge.whos;
	judge.bench.exes = &judge.exes;
	judge.bench.outcomes = &judge.denied.outcomes;
	if (setup->anchors_pem)
		anchors_new(setup->anchors_pem, setup->anchors_len, &judge.in_force.system, &judge.anchors_skipped);
	if (in_force_begin(&judge.in_force, TAKE_PTR(setup->policies), setup->contents))
		return EXIT_NO;
	policy_contents_clear(setup->contents);
	policies_taken(&judge, 0);
	if (setup->learn)
		learning_begin(&judge.learning, setup->host, setup->learn_seconds, setup->progress);
	judge_loop(&judge);
	return judge_end(&judge);
}
