/* See enforcer.h. Owns the gate, the numbers by which the kernel's cache knows rules, and what it has yet to tell the judge.
 *
 * Nothing here waits for the judge but the answer to its own question: while it is stopped, sockets whose time is up must
 * still be dealt with. Nor does anything wait for a process: what one can hold up is left to workers (errands.c). */
#include "enforcer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#include "connection.h"
#include "done.h"
#include "errands.h"
#include "pushes.h"
#include "request.h"
#include "rule_numbers.h"
#include "untold.h"
#include "moment.h"
#include "util.h"

enum {
	SWEEP_MS = 100, /* with the gate on */
	LOOK_MS = 1000, /* at what policies do by themselves; a gate that is off is looked at as often */
};

struct enforcer {
	struct enforcer_options options;
	struct gate *gate;
	struct errands *errands;
	int poll; /* of notices and errands */
	struct pushes pushes;
	const struct policies *policies; /* borrowed; NULL: none yet */
	int channel;
	uint32_t told_state; /* enum gate_state, or ~0: not yet */
	char *told_why;
	uint64_t looked_ns;
	struct rule_numbers rules;
	struct dones dones;
	struct untold untold;
};

/* --- telling ------------------------------------------------------------------------------------------------------- */

static void tell_timeout(struct enforcer *enforcer, const struct gate_entry *entry, enum gate_why why, bool to_kill, int err,
			 const char *text)
{
	struct message message = {.tag = MESSAGE_GATE_TIMEOUT, .number = err};
	struct message_timeout *timeout = &message.timeout;
	uint64_t entered_ns = entry->id.ktime_ns, now = now_ns();

	timeout->pid = entry->id.pid_tgid >> 32;
	timeout->tid = (uint32_t)entry->id.pid_tgid;
	timeout->uid = entry->uid;
	timeout->why = why;
	timeout->start_boottime_ns = entry->start_boottime_ns;
	timeout->held = entry->held;
	timeout->waited_us = now > entered_ns ? (now - entered_ns) / 1000 : 0;
	timeout->killed = to_kill;
	timeout->dropped = enforcer->untold.dropped;
	timeout->socket = entry->socket;
	snprintf(message.text, sizeof(message.text), "%s", text);
	untold_add(&enforcer->untold, &message);
}

static void tell_gate(struct enforcer *enforcer, enum gate_state state, const char *why)
{
	const struct gate_options *options = gate_options(enforcer->gate);
	const struct siphash_key *secret = gate_secret(enforcer->gate);
	struct message message = {.tag = MESSAGE_GATE};

	if (enforcer->told_state == state && strcmp(enforcer->told_why ? enforcer->told_why : "", why) == 0)
		return;
	enforcer->told_state = state;
	free(enforcer->told_why);
	enforcer->told_why = xstrdup(why);
	message.gate = (struct message_gate){
		.state = state, .closed = options->closed, .timeout_ms = options->timeout_ms, .caching = secret != NULL};
	if (secret)
		message.gate.secret = *secret;
	snprintf(message.text, sizeof(message.text), "%s", why);
	untold_add(&enforcer->untold, &message);
}

/* --- sockets ------------------------------------------------------------------------------------------------------- */

static struct connection connection_of(const struct gate_entry *entry)
{
	return (struct connection){.pid = entry->id.pid_tgid >> 32,
				   .tid = (uint32_t)entry->id.pid_tgid,
				   .start_boottime_ns = entry->start_boottime_ns,
				   .socket = entry->socket};
}

static void entry_end(struct enforcer *enforcer, const struct gate_entry *entry, enum gate_why why)
{
	const struct errand errand = {.cause = FOR_TIME,
				      .tag = MESSAGE_KILL,
				      .kill = {.pid = entry->id.pid_tgid >> 32,
					       .tid = (uint32_t)entry->id.pid_tgid,
					       .uid = entry->uid,
					       .action = ACTION_KILL,
					       .start_boottime_ns = entry->start_boottime_ns,
					       .id = entry->id,
					       .socket = entry->socket},
				      .entry = *entry,
				      .why = why};

	gate_condemn(enforcer->gate, entry->socket.cookie, &entry->id);
	errands_begin(enforcer->errands, &errand);
}

/* Its time is up. */
static void on_due(void *context, const struct gate_entry *entry)
{
	struct enforcer *enforcer = context;
	const struct connection connection = connection_of(entry);

	if (gate_options(enforcer->gate)->closed) {
		entry_end(enforcer, entry, entry->flags & GATE_BLIND ? GATE_WHY_FULL : GATE_WHY_TIMEOUT);
		return;
	}
	pushes_release(&enforcer->pushes, enforcer->gate, &connection, &entry->id);
	/* Where nothing waited, nothing was late; and where a packet went, a notice tells. */
	if (entry->held && !(entry->flags & GATE_LATE))
		tell_timeout(enforcer, entry, GATE_WHY_TIMEOUT, false, 0, "");
}

struct left_behind {
	struct enforcer *enforcer;
	struct gate_entry *entries; /* to be pushed when the other agent's gate is gone */
	size_t count;
};

static bool on_left(void *context, const struct gate_entry *entry)
{
	const struct connection connection = connection_of(entry);
	struct left_behind *left = context;

	if (gate_options(left->enforcer->gate)->closed || entry->flags & GATE_DENIED) {
		entry_end(left->enforcer, entry, GATE_WHY_AGENT_ENDED);
		errands_wait(left->enforcer->errands);
		return connection_look(&connection) < 0; /* what is open still must not be let go */
	}
	left->entries = xrealloc(left->entries, left->count + 1, sizeof(*left->entries));
	left->entries[left->count++] = *entry;
	return true;
}

static void adopt(struct enforcer *enforcer)
{
	struct left_behind left = {.enforcer = enforcer};

	gate_adopt(on_left, &left);
	for (size_t i = 0; i < left.count; i++) {
		const struct connection connection = connection_of(&left.entries[i]);

		pushes_push(&enforcer->pushes, &connection);
		tell_timeout(enforcer, &left.entries[i], GATE_WHY_AGENT_ENDED, false, 0, "");
	}
	free(left.entries);
}

/* --- errands ------------------------------------------------------------------------------------------------------- */

/* Of what the kernel condemned: the judge has been told of the verification by a record. */
static void outcome_tell(struct enforcer *enforcer, const struct message_kill *kill, struct message *answer)
{
	answer->token = 0;
	answer->killed.id = kill->id;
	answer->killed.cookie = kill->socket.cookie;
	message_offer(enforcer->channel, answer, -1);
	/* The judge may not have read it when it asks, or there was no room for it. */
	if (answer->number != -ECANCELED)
		dones_add(&enforcer->dones, &kill->id, kill->socket.cookie, answer);
}

static void on_errand(void *context, const struct errand *errand, struct message *answer, bool late)
{
	struct enforcer *enforcer = context;
	const struct message_kill *kill = &errand->kill;
	bool udp = kill->socket.protocol == IPPROTO_UDP, ended = answer->number == 0 && kill->action >= ACTION_KILL;

	if (errand->tag == MESSAGE_KILL && ended && udp)
		gate_forget(enforcer->gate, kill->socket.cookie);
	if (late)
		return;
	if (errand->cause == FOR_JUDGE || errand->asked)
		message_send(enforcer->channel, answer, -1);
	else if (errand->cause == FOR_NOTICE)
		outcome_tell(enforcer, kill, answer);
	else if (answer->number != -ENOENT)
		tell_timeout(enforcer, &errand->entry, errand->why, true, (int)answer->number, answer->text);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static int poll_new(struct enforcer *enforcer)
{
	const int watched[] = {gate_notices_fd(enforcer->gate), errands_fd(enforcer->errands)};
	struct epoll_event event = {.events = EPOLLIN};

	enforcer->poll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		if (enforcer->poll < 0 || epoll_ctl(enforcer->poll, EPOLL_CTL_ADD, watched[i], &event) < 0)
			return -errno;
	return 0;
}

int enforcer_new(const struct probes *probes, const struct enforcer_options *options, int channel, struct enforcer **ret)
{
	struct enforcer *enforcer = xcalloc(1, sizeof(*enforcer));
	int err = gate_new(probes, &options->gate, &enforcer->gate);

	enforcer->poll = -1;
	if (!err)
		err = errands_new(errands_wait_ms(options->gate.timeout_ms), on_errand, enforcer, &enforcer->errands);
	if (!err)
		err = poll_new(enforcer);
	if (err) {
		enforcer_free(enforcer, true);
		return err;
	}
	enforcer->pushes.workers = errands_workers(enforcer->errands);
	enforcer->options = *options;
	enforcer->channel = enforcer->untold.channel = channel;
	enforcer->told_state = ~0U;
	adopt(enforcer);
	*ret = enforcer;
	return 0;
}

void enforcer_stop(struct enforcer *enforcer)
{
	gate_stop(enforcer->gate);
}

void enforcer_free(struct enforcer *enforcer, bool judged)
{
	if (!enforcer)
		return;
	if (!judged && enforcer->options.gate.closed)
		gate_leave(enforcer->gate);
	if (enforcer->pushes.dropped)
		fprintf(stderr, "tlswarden: %llu connections that were let go had to wait until TCP tried again\n",
			(unsigned long long)enforcer->pushes.dropped);
	if (enforcer->poll >= 0)
		close(enforcer->poll);
	errands_free(enforcer->errands);
	gate_free(enforcer->gate);
	dones_clear(&enforcer->dones);
	free(enforcer->told_why);
	rule_numbers_clear(&enforcer->rules);
	untold_clear(&enforcer->untold);
	free(enforcer);
}

/* On while something is enforced. */
static void gate_set(struct enforcer *enforcer)
{
	char *why CLEANUP_FREE = NULL;

	if (enforcer->options.idle || !policies_kill(enforcer->policies, enforcer->options.audit_only, time(NULL))) {
		gate_off(enforcer->gate);
		tell_gate(enforcer, GATE_OFF, "");
	} else if (gate_on(enforcer->gate, &why) == 0) {
		tell_gate(enforcer, GATE_ON, "");
	} else {
		tell_gate(enforcer, GATE_UNAVAILABLE, why ? why : "");
	}
}

/* Connections that earlier policies let be. */
static void verified_tell(struct enforcer *enforcer, const struct verified_socket *sockets, size_t count)
{
	struct message message = {.tag = MESSAGE_VERIFIED};
	size_t size = count * sizeof(*sockets);
	int fd CLEANUP_CLOSE = count ? memfd_create("verified", MFD_CLOEXEC) : -1;

	if (!count)
		return;
	message.number = (int64_t)count;
	if (fd < 0 || write(fd, sockets, size) != (ssize_t)size || message_offer(enforcer->channel, &message, fd) < 0)
		fprintf(stderr, "tlswarden: connections verified earlier are not judged by the new policies\n");
}

void enforcer_policies(struct enforcer *enforcer, const struct policies *policies)
{
	bool first = !enforcer->policies, idle = enforcer->options.idle;
	struct verified_socket *sockets CLEANUP_FREE = NULL;
	size_t count = 0;

	enforcer->policies = policies;
	gate_cache_use(enforcer->gate, !idle, !idle, !policies_ask_place(policies));
	gate_cache_forget(enforcer->gate);
	rule_numbers_clear(&enforcer->rules);
	/* Before the gate may be turned off, which forgets whose verdict is still awaited. */
	if (!first && !idle)
		count = gate_verified(enforcer->gate, &sockets);
	gate_set(enforcer);
	verified_tell(enforcer, sockets, count);
}

unsigned enforcer_tick(struct enforcer *enforcer)
{
	uint64_t now = now_ns();

	if (enforcer->policies && now - enforcer->looked_ns >= LOOK_MS * 1000000ULL) {
		enforcer->looked_ns = now;
		gate_set(enforcer);
		gate_tidy(enforcer->gate);
	}
	pushes_look(&enforcer->pushes, enforcer->gate);
	if (gate_is_on(enforcer->gate))
		gate_sweep(enforcer->gate, now, on_due, enforcer);
	untold_send(&enforcer->untold);
	return gate_is_on(enforcer->gate) || enforcer->untold.count ? SWEEP_MS : LOOK_MS;
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static void release(struct enforcer *enforcer, const struct message_release *release)
{
	const struct connection connection = {.pid = release->pid,
					      .tid = release->tid,
					      .start_boottime_ns = release->start_boottime_ns,
					      .socket = release->socket};
	const struct message_cached *cached = &release->cached;
	struct gate_entry overdue;

	/* Late: what was to happen then happens, whatever the verdict is by now. */
	if (release->socket.cookie &&
	    gate_is_overdue(enforcer->gate, release->socket.cookie, &release->id, now_ns(), &overdue))
		on_due(enforcer, &overdue);
	else if (release->socket.cookie)
		pushes_release(&enforcer->pushes, enforcer->gate, &connection, &release->id);
	if (cached->kind == CACHED_PASS || cached->kind == CACHED_QUIET)
		gate_cache(enforcer->gate, &cached->key, cached->kind, 0, cached->seconds);
}

/* kill->cached is only believed if it was allowed. */
static void kill_now(struct enforcer *enforcer, const struct message_kill *kill, enum errand_for cause, uint32_t token)
{
	const struct errand errand = {.cause = cause, .tag = MESSAGE_KILL, .token = token, .kill = *kill};
	/* What the kernel condemned is so there already, and never let go by the time. */
	uint64_t cookie = kill->action >= ACTION_KILL && cause != FOR_NOTICE ? kill->socket.cookie : 0;
	struct gate_entry overdue;
	uint32_t number;

	/* Too late: what waited has been let go. */
	if (cookie && !gate_options(enforcer->gate)->closed &&
	    gate_is_overdue(enforcer->gate, cookie, &kill->id, now_ns(), &overdue) && overdue.held &&
	    !(overdue.flags & GATE_LATE))
		tell_timeout(enforcer, &overdue, GATE_WHY_TIMEOUT, false, 0, "");
	if (cookie)
		gate_condemn(enforcer->gate, cookie, &kill->id);
	if (kill->action >= ACTION_KILL && kill->cached.kind == CACHED_DENY && gate_is_on(enforcer->gate) &&
	    rule_number(&enforcer->rules, kill, &number))
		gate_cache(enforcer->gate, &kill->cached.key, CACHED_DENY, number, kill->cached.seconds);
	errands_begin(enforcer->errands, &errand);
}

static void kill_answer(struct enforcer *enforcer, const struct message *message)
{
	const struct message_kill *kill = &message->kill;
	struct message answer = {.tag = MESSAGE_KILLED, .token = message->token};
	struct errand refused = {.cause = FOR_JUDGE, .tag = MESSAGE_KILL, .token = message->token, .kill = *kill};

	if (kill->action >= ACTION_KILL && dones_take(&enforcer->dones, &kill->id, kill->socket.cookie, &answer)) {
		message_send(enforcer->channel, &answer, -1);
		return;
	}
	if (kill->action >= ACTION_KILL && errands_ask(enforcer->errands, &kill->id, kill->socket.cookie, message->token))
		return;
	refused.refused = kill_check(enforcer->policies, enforcer->options.audit_only, kill, &refused.why_refused);
	if (!refused.refused) {
		kill_now(enforcer, kill, FOR_JUDGE, message->token);
		return;
	}
	if (kill->socket.cookie) /* policies have changed meanwhile: then it is free to go */
		gate_release(enforcer->gate, kill->socket.cookie, &kill->id);
	errands_begin(enforcer->errands, &refused);
}

static void process_answer(struct enforcer *enforcer, const struct message_process *process, uint32_t token)
{
	const struct errand errand = {.cause = FOR_JUDGE,
				      .tag = MESSAGE_PROCESS,
				      .token = token,
				      .kill = {.pid = process->pid,
					       .tid = process->tid,
					       .uid = process->uid,
					       .start_boottime_ns = process->start_boottime_ns,
					       .exec_id = process->exec_id,
					       .cgroup_id = process->cgroup_id}};

	errands_begin(enforcer->errands, &errand);
}

bool enforcer_message(struct enforcer *enforcer, const struct message *message)
{
	switch (message->tag) {
	case MESSAGE_PROCESS:
		process_answer(enforcer, &message->process, message->token);
		return true;
	case MESSAGE_KILL:
		kill_answer(enforcer, message);
		return true;
	case MESSAGE_RELEASE:
		release(enforcer, &message->release);
		return true;
	case MESSAGE_FORGET:
		gate_cache_forget(enforcer->gate);
		return true;
	default:
		return false;
	}
}

/* --- notices -------------------------------------------------------------------------------------------------------- */

/* No policy asks for it any more. */
static void let_be(struct enforcer *enforcer, const struct message_kill *kill)
{
	struct message left;

	message_begin(&left, MESSAGE_KILLED);
	left.number = -ECANCELED;
	outcome_tell(enforcer, kill, &left);
}

static void denied(struct enforcer *enforcer, const struct gate_notice *notice)
{
	const struct rule_name *rule = rule_of_number(&enforcer->rules, notice->rule); /* NULL: policies have changed */
	struct message_kill kill = {
		.pid = notice->id.pid_tgid >> 32,
		.tid = (uint32_t)notice->id.pid_tgid,
		.uid = notice->uid,
		.start_boottime_ns = notice->start_boottime_ns,
		.exec_id = notice->exec_id,
		.cgroup_id = notice->cgroup_id,
		.id = notice->id,
		.socket = notice->socket,
	};

	if (rule) {
		kill.action = rule->action;
		memcpy(kill.ruleset, rule->ruleset, sizeof(kill.ruleset));
		memcpy(kill.rule, rule->rule, sizeof(kill.rule));
	}
	/* It may have stopped enforcing by now: then the judge will say that it may go. */
	if (!rule || kill_check(enforcer->policies, enforcer->options.audit_only, &kill, &(const char *){NULL}) < 0)
		let_be(enforcer, &kill);
	else
		kill_now(enforcer, &kill, FOR_NOTICE, 0);
}

static void on_notice(void *context, const struct gate_notice *notice)
{
	struct enforcer *enforcer = context;
	struct gate_entry entry = {.id = notice->id,
				   .start_boottime_ns = notice->start_boottime_ns,
				   .uid = notice->uid,
				   .held = notice->held,
				   .socket = notice->socket};

	if (notice->why == NOTICE_LATE)
		tell_timeout(enforcer, &entry, GATE_WHY_TIMEOUT, false, 0, "");
	else if (notice->why == NOTICE_FULL)
		entry_end(enforcer, &entry, GATE_WHY_FULL);
	else if (notice->why == NOTICE_DENIED)
		denied(enforcer, notice);
}

enum gate_state enforcer_gate(const struct enforcer *enforcer, const char **ret_why)
{
	*ret_why = enforcer->told_why ? enforcer->told_why : "";
	return enforcer->told_state == ~0U ? GATE_OFF : (enum gate_state)enforcer->told_state;
}

int enforcer_fd(const struct enforcer *enforcer)
{
	return enforcer->poll;
}

void enforcer_notices(struct enforcer *enforcer)
{
	workers_batch_open(errands_workers(enforcer->errands));
	gate_notices_read(enforcer->gate, on_notice, enforcer);
	workers_batch_close(errands_workers(enforcer->errands));
	errands_tell(enforcer->errands);
}
