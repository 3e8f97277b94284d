/* See errands.h. Owns the pool, and errands until they are done.
 *
 * The judge does nothing else while it waits, and the time of gated sockets runs meanwhile. So each errand that is late
 * shortens the wait for the next ones, down to nothing for a process that has as many late ones as it has workers.
 *
 * The last quarter of the wait begins when the others are seen to be over: where the machine stood still, or the agent was
 * stopped, the workers were, too, and nobody has held them up. */
#include "errands.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "request.h"
#include "moment.h"
#include "util.h"

enum { LAST_PART = 4 };

struct errands {
	struct workers *workers;
	uint32_t wait_ms;
	errand_told_fn told;
	void *context;
	struct errand *first; /* those under way */
	unsigned late;        /* of them */
	unsigned gathered;    /* unhurried ones begun since outcomes were told */
	struct whos whos;
	int timer, poll;
	uint64_t wakes_ns; /* the timer; 0: it does not */
};

static int watch(int poll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

uint32_t errands_wait_ms(uint32_t timeout_ms)
{
	uint32_t wait_ms = timeout_ms / LATE_MOST;

	return wait_ms < ERRAND_WAIT_MIN_MS ? ERRAND_WAIT_MIN_MS : wait_ms;
}

int errands_new(uint32_t wait_ms, errand_told_fn told, void *context, struct errands **ret)
{
	struct errands *errands = xcalloc(1, sizeof(*errands));
	int err = workers_new(&errands->workers);

	errands->wait_ms = wait_ms < ERRAND_WAIT_MS ? wait_ms : ERRAND_WAIT_MS;
	errands->told = told;
	errands->context = context;
	errands->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	errands->poll = epoll_create1(EPOLL_CLOEXEC);
	if (!err && (errands->timer < 0 || errands->poll < 0))
		err = -errno;
	if (!err)
		err = watch(errands->poll, workers_fd(errands->workers));
	if (!err)
		err = watch(errands->poll, errands->timer);
	if (err) {
		errands_free(errands);
		return err;
	}
	*ret = errands;
	return 0;
}

void errands_free(struct errands *errands)
{
	if (!errands)
		return;
	if (errands->poll >= 0)
		close(errands->poll);
	if (errands->timer >= 0)
		close(errands->timer);
	workers_free(errands->workers); /* and with it those under way */
	whos_clear(&errands->whos);
	free(errands);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void timer_set(struct errands *errands, uint64_t at_ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(at_ns / 1000000000), .tv_nsec = (long)(at_ns % 1000000000)}};

	if (!at_ns || (errands->wakes_ns && errands->wakes_ns <= at_ns))
		return;
	errands->wakes_ns = at_ns;
	timerfd_settime(errands->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* When it is to be looked at, if nothing else happens. */
static uint64_t look_ns(const struct errand *errand, uint64_t now)
{
	uint64_t soon = now + ERRAND_UNHURRIED_MS * 1000000ULL;

	return errand->work.unhurried && soon < errand->due_ns ? soon : errand->due_ns;
}

/* Those that were not waited for wait for a worker themselves, and keep none busy. */
static bool is_late(const struct errand *errand)
{
	return errand->told && errand->waited;
}

static uint64_t wait_ns(const struct errands *errands, uint32_t pid)
{
	unsigned own = 0;

	for (const struct errand *errand = errands->late ? errands->first : NULL; errand; errand = errand->next)
		own += is_late(errand) && errand->kill.pid == pid;
	return own >= OWNER_MAX || errands->late >= WORKERS_MAX ? 0 : errands->wait_ms * 1000000ULL / (1 + errands->late);
}

/* --- outcomes ------------------------------------------------------------------------------------------------------ */

static const char *why_not(int err)
{
	return err == -EBUSY ? "the connection is busy in the kernel, held by its process: it is ended as soon as that lets "
			       "go; its packets are held back" :
	       err == -ENOBUFS ? "too much is being done at once: its packets are held back" :
				 strerror(-err);
}

/* Nothing is known but what the request says. */
static void answer_begin(const struct errand *errand, struct message *ret)
{
	const struct message_kill *kill = &errand->kill;
	bool asks = errand->tag == MESSAGE_PROCESS;
	struct message_process *process = asks ? &ret->process : &ret->killed.process;

	message_begin(ret, asks ? MESSAGE_PROCESS_IS : MESSAGE_KILLED);
	process->pid = kill->pid;
	process->tid = kill->tid;
	process->uid = kill->uid;
	process->start_boottime_ns = kill->start_boottime_ns;
}

/* Of what is not done, or not yet. */
static void tell_failure(struct errands *errands, struct errand *errand, int err)
{
	struct message answer;

	answer_begin(errand, &answer);
	answer.token = errand->token;
	if (errand->tag == MESSAGE_KILL) {
		answer.number = err;
		answer.killed.acted_ns = now_ns();
		snprintf(answer.text, sizeof(answer.text), "%s", why_not(err));
	}
	errand->told = true;
	errands->told(errands->context, errand, &answer, false);
}

/* Its end is told of at once. */
static void tell_late(struct errands *errands, struct errand *errand)
{
	tell_failure(errands, errand, -EBUSY);
	errands->late += is_late(errand);
	workers_hurry(errands->workers, &errand->work);
}

static struct who_key key_of(const struct message_kill *kill)
{
	return (struct who_key){.pid = kill->pid,
				.uid = kill->uid,
				.start_boottime_ns = kill->start_boottime_ns,
				.exec_id = kill->exec_id,
				.cgroup_id = kill->cgroup_id};
}

/* Whoever is asked about is often to be ended next. */
static void who_remember(struct errands *errands, const struct errand *errand)
{
	const struct message_process *process = errand->tag == MESSAGE_PROCESS ? &errand->answer->process :
										 &errand->answer->killed.process;
	const struct who_key key = key_of(&errand->kill);

	if (!errand->known)
		whos_add(&errands->whos, &key, process, now_ns());
}

static void tell_done(struct errands *errands)
{
	struct work *work;

	errands->gathered = 0;
	while ((work = workers_take(errands->workers))) {
		struct errand *errand = (struct errand *)work, **at = &errands->first;

		while (*at != errand)
			at = &(*at)->next;
		*at = errand->next;
		errands->late -= is_late(errand);
		errand->answer->token = errand->token;
		who_remember(errands, errand);
		errands->told(errands->context, errand, errand->answer, errand->told);
		free(errand);
	}
}

/* What had to be done behind it need not wait any longer. False: it has been waited for to the end. */
static bool errand_wait_on(struct errands *errands, struct errand *errand, uint64_t now)
{
	if (!errand->last_ns)
		return false;
	errand->due_ns = now + errand->last_ns;
	errand->last_ns = 0;
	workers_hurry(errands->workers, &errand->work);
	return true;
}

static void tell_due(struct errands *errands)
{
	uint64_t now = now_ns(), next = 0, ticks;

	if (read(errands->timer, &ticks, sizeof(ticks)) < 0)
		return;
	errands->wakes_ns = 0;
	for (struct errand *errand = errands->first; errand; errand = errand->next) {
		if (!errand->told && errand->due_ns <= now && !errand_wait_on(errands, errand, now))
			tell_late(errands, errand);
		if (!errand->told && (!next || look_ns(errand, now) < next))
			next = look_ns(errand, now);
	}
	timer_set(errands, next);
}

void errands_tell(struct errands *errands)
{
	bool due = errands->wakes_ns && now_ns() >= errands->wakes_ns;

	/* What is unhurried is left to gather. */
	if (due || workers_told(errands->workers))
		tell_done(errands);
	if (due)
		tell_due(errands);
}

void errands_wait(struct errands *errands)
{
	for (;;) {
		const struct errand *errand = errands->first;

		while (errand && errand->told)
			errand = errand->next;
		if (!errand)
			return;
		poll(&(struct pollfd){.fd = errands->poll, .events = POLLIN}, 1, -1);
		errands_tell(errands);
	}
}

/* --- under way ----------------------------------------------------------------------------------------------------- */

static void errand_run(struct work *work)
{
	struct errand *errand = (struct errand *)work;

	if (errand->tag == MESSAGE_PROCESS)
		request_process(errand->answer);
	else
		request_kill(&errand->kill, errand->known, errand->answer);
}

/* To end a process is what frees all that it holds, and does not wait for its turn. */
static uint32_t owner_of(const struct errand *errand)
{
	return errand->tag == MESSAGE_KILL && errand->kill.action == ACTION_KILL_PROCESS ? 0 : errand->kill.pid;
}

/* In one piece of memory, as the pool wants it, most of which is never touched. */
static struct errand *errand_new(struct errands *errands, const struct errand *what, uint64_t now)
{
	struct errand *errand = xrealloc(NULL, 1, sizeof(*errand) + sizeof(struct message));
	struct message *answer = (struct message *)(errand + 1);
	const struct who_key key = key_of(&what->kill);

	*errand = *what;
	errand->answer = answer;
	answer_begin(errand, answer);
	answer->number = what->refused;
	if (what->refused)
		snprintf(answer->text, sizeof(answer->text), "%s", what->why_refused);
	errand->known = what->tag == MESSAGE_KILL &&
			whos_find(&errands->whos, &key, what->kill.tid, now, &answer->killed.process);
	return errand;
}

void errands_begin(struct errands *errands, const struct errand *what)
{
	uint64_t wait = wait_ns(errands, what->kill.pid), now = now_ns();
	struct errand *errand = errand_new(errands, what, now);
	int err;

	errand->work = (struct work){.run = errand_run,
				     .owner = owner_of(what),
				     .unhurried = what->cause == FOR_NOTICE && errands->gathered++ < GATHER_MAX,
				     .joins = what->cause == FOR_NOTICE};
	errand->last_ns = wait / LAST_PART;
	errand->due_ns = now + wait - errand->last_ns;
	errand->waited = wait > 0;
	err = workers_add(errands->workers, &errand->work);
	if (err) {
		tell_failure(errands, errand, err);
		free(errand);
		return;
	}
	errand->next = errands->first;
	errands->first = errand;
	if (wait)
		timer_set(errands, look_ns(errand, now));
	else
		tell_late(errands, errand);
}

bool errands_ask(struct errands *errands, const struct record_id *id, uint64_t cookie, uint32_t token)
{
	struct errand *errand = errands->first;

	while (errand && (errand->cause != FOR_NOTICE || errand->told || errand->asked ||
			  errand->kill.socket.cookie != cookie || memcmp(&errand->kill.id, id, sizeof(*id)) != 0))
		errand = errand->next;
	if (!errand)
		return false;
	errand->asked = true;
	errand->token = token;
	workers_hurry(errands->workers, &errand->work);
	return true;
}

int errands_fd(const struct errands *errands)
{
	return errands->poll;
}

struct workers *errands_workers(struct errands *errands)
{
	return errands->workers;
}
