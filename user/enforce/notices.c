/* See notices.h. Owns the ring's reader, the clock of rounds, and the word by which the kernel knows of them. */
#include "notices.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "moment.h"
#include "rounds.h"
#include "util.h"

struct notices {
	struct gate_switches *switches;
	notice_fn fn;
	void *context;
	struct ring_buffer *reader;
	int timer, poll; /* poll: of both */
	struct rounds rounds;
};

static int on_record(void *context, void *data, size_t size)
{
	struct notices *notices = context;
	struct gate_notice notice;

	if (size < sizeof(notice))
		return 0;
	memcpy(&notice, data, sizeof(notice));
	rounds_count(&notices->rounds);
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
static void clock_set(struct notices *notices, bool on)
{
	const struct timespec every = {.tv_nsec = on ? ROUND_NS : 0};
	const struct itimerspec when = {.it_value = every, .it_interval = every};
	struct epoll_event event = {.events = on ? 0 : EPOLLIN};

	timerfd_settime(notices->timer, 0, &when, NULL);
	epoll_ctl(notices->poll, EPOLL_CTL_MOD, ring_buffer__epoll_fd(notices->reader), &event);
	/* Then the ring is read: see notice_submit() in bpf/notices.h. */
	__atomic_store_n(&notices->switches->watched, on, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Its time has come. The clock goes on at even steps, of which some may have been missed. */
static void round_end(struct notices *notices)
{
	uint64_t ticks;

	if (read(notices->timer, &ticks, sizeof(ticks)) < 0)
		return;
	ring_buffer__consume(notices->reader);
	if (rounds_go_on(&notices->rounds, ticks, now_ns()))
		return;
	clock_set(notices, false);
	ring_buffer__consume(notices->reader);
}

void notices_read(struct notices *notices)
{
	uint64_t now = now_ns();

	if (notices->rounds.on) {
		if (rounds_due(&notices->rounds, now))
			round_end(notices);
		return;
	}
	rounds_look(&notices->rounds, now);
	ring_buffer__consume(notices->reader);
	if (rounds_begin(&notices->rounds, now_ns()))
		clock_set(notices, true);
}
