/* See notices.h. Owns the ring's reader, the clock of rounds, and the word by which the kernel knows of them.
 *
 * To be woken for each costs the agent two switches between threads, and the process that verified, on whose time it happens,
 * an interrupt. Where each connection waits for the one before it, no two are there at once, and each is read at once: if they
 * come as fast as others do together, the first round brings one, and it takes more to begin again for a while. */
#include "notices.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "moment.h"
#include "util.h"

enum {
	ROUND_MS = 16,
	BEGIN_COUNT = 4, /* that many within a round's time begin rounds */
	WARY_COUNT = 8,  /* ... for WARY_MS after rounds of which not one brought GO_ON_COUNT */
	WARY_MS = 1000,
	GO_ON_COUNT = 2, /* fewer in a round end them */
	MS = 1000000,    /* nanoseconds */
};

struct notices {
	struct gate_switches *switches;
	notice_fn fn;
	void *context;
	struct ring_buffer *reader;
	int timer, poll;    /* poll: of both */
	bool rounds, worth; /* worth: one of these rounds has brought GO_ON_COUNT */
	uint64_t wary_ns;   /* until then */
	uint64_t since_ns;  /* when a round, or a time in which notices are counted, began */
	unsigned count;     /* notices in it */
};

static int on_record(void *context, void *data, size_t size)
{
	struct notices *notices = context;
	struct gate_notice notice;

	if (size < sizeof(notice))
		return 0;
	memcpy(&notice, data, sizeof(notice));
	notices->count++;
	notices->fn(notices->context, &notice);
	return 0;
}

int notices_new(int ring_map_fd, struct gate_switches *switches, notice_fn fn, void *context, struct notices **ret)
{
	struct notices *notices = xcalloc(1, sizeof(*notices));
	struct epoll_event event = {.events = EPOLLIN};

	notices->switches = switches;
	notices->fn = fn;
	notices->context = context;
	notices->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	notices->poll = epoll_create1(EPOLL_CLOEXEC);
	notices->reader = ring_buffer__new(ring_map_fd, on_record, notices, NULL);
	if (notices->timer < 0 || notices->poll < 0 || !notices->reader ||
	    epoll_ctl(notices->poll, EPOLL_CTL_ADD, notices->timer, &event) < 0 ||
	    epoll_ctl(notices->poll, EPOLL_CTL_ADD, ring_buffer__epoll_fd(notices->reader), &event) < 0) {
		int err = -errno;

		notices_free(notices);
		return err;
	}
	*ret = notices;
	return 0;
}

void notices_free(struct notices *notices)
{
	if (!notices)
		return;
	notices->switches->watched = 0;
	ring_buffer__free(notices->reader);
	if (notices->poll >= 0)
		close(notices->poll);
	if (notices->timer >= 0)
		close(notices->timer);
	free(notices);
}

int notices_fd(const struct notices *notices)
{
	return notices->poll;
}

/* In a round what is in the ring makes nobody readable. */
static void rounds_set(struct notices *notices, bool on)
{
	const struct timespec every = {.tv_nsec = on ? ROUND_MS * MS : 0};
	const struct itimerspec when = {.it_value = every, .it_interval = every};
	struct epoll_event event = {.events = on ? 0 : EPOLLIN};

	timerfd_settime(notices->timer, 0, &when, NULL);
	epoll_ctl(notices->poll, EPOLL_CTL_MOD, ring_buffer__epoll_fd(notices->reader), &event);
	notices->rounds = on;
	/* Then the ring is read: see notice_submit() in bpf/notices.h. */
	__atomic_store_n(&notices->switches->watched, on, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void count_begin(struct notices *notices, uint64_t now)
{
	notices->since_ns = now;
	notices->count = 0;
}

/* Its time has come. The clock goes on at even steps, of which some may have been missed. */
static void round_end(struct notices *notices)
{
	uint64_t ticks;

	if (read(notices->timer, &ticks, sizeof(ticks)) < 0)
		return;
	ring_buffer__consume(notices->reader);
	if (notices->count >= GO_ON_COUNT) {
		notices->worth = true;
	} else {
		if (!notices->worth)
			notices->wary_ns = now_ns() + (uint64_t)WARY_MS * MS;
		rounds_set(notices, false);
		ring_buffer__consume(notices->reader);
	}
	count_begin(notices, notices->since_ns + ticks * ROUND_MS * MS);
}

void notices_read(struct notices *notices)
{
	uint64_t now = now_ns();
	bool over = now - notices->since_ns >= ROUND_MS * MS;

	if (notices->rounds) {
		if (over)
			round_end(notices);
		return;
	}
	if (over)
		count_begin(notices, now);
	ring_buffer__consume(notices->reader);
	if (notices->count >= (now < notices->wary_ns ? WARY_COUNT : BEGIN_COUNT)) {
		count_begin(notices, now_ns());
		notices->worth = false;
		rounds_set(notices, true);
	}
}
