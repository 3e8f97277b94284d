/* See gate.h. Owns the attachment, its pins, and the reader of notices (notices.h).
 *
 * A socket is let go by writing the verification's id into `released`, never by deleting what gates it: between looking at it
 * and deleting, a later verification of the same connection might have entered it anew. What was released is swept when that
 * verification is long over. */
#include "gate.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <bpf/bpf.h>

#include "attach.h"
#include "entry.h"
#include "map_dump.h"
#include "moment.h"
#include "notices.h"
#include "pins.h"
#include "util.h"

enum { CACHED_SECONDS_MAX = 60 }; /* whoever asks for more */

struct gate {
	struct probes_gate kernel;
	struct gate_options options;
	int link; /* or -1: off */
	struct pins *pins;
	struct notices *notices;
	gate_notice_fn on_notice;
	void *context;
};

static void notice_take(void *context, const struct gate_notice *taken)
{
	struct gate *gate = context;
	struct gate_notice notice = *taken;

	if (notice.epoch != gate->kernel.switches->epoch)
		notice.rule = GATE_NO_RULE;
	if (notice.rule != GATE_NO_RULE || notice.why == NOTICE_DENIED)
		gate->on_notice(gate->context, &notice);
}

int gate_new(const struct probes *probes, const struct gate_options *options, struct gate **ret)
{
	struct gate *gate = xcalloc(1, sizeof(*gate));
	struct gate_switches *switches;
	int err;

	gate->kernel = probes_gate(probes);
	gate->options = *options;
	gate->link = -1;
	switches = gate->kernel.switches;
	err = notices_new(gate->kernel.notices, switches, notice_take, gate, &gate->notices);
	if (!err && getrandom(&switches->secret, sizeof(switches->secret), 0) != sizeof(switches->secret))
		err = -EIO;
	if (err) {
		gate_free(gate);
		return err;
	}
	switches->closed = options->closed;
	switches->timeout_ns = options->timeout_ms * 1000000ULL;
	switches->max = options->max;
	switches->epoch = 1;
	*ret = gate;
	return 0;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	gate_off(gate);
	notices_free(gate->notices);
	free(gate);
}

uint32_t gate_room(const struct gate_options *options)
{
	return options->max + (options->closed ? GATE_RESERVE : 0);
}

void gate_stop(struct gate *gate)
{
	gate->kernel.switches->on = 0;
}

void gate_leave(struct gate *gate)
{
	pins_leave(TAKE_PTR(gate->pins));
	gate_stop(gate);
	if (gate->link >= 0)
		close(TAKE_FD(gate->link));
}

bool gate_is_on(const struct gate *gate)
{
	return gate->link >= 0;
}

const struct gate_options *gate_options(const struct gate *gate)
{
	return &gate->options;
}

const struct siphash_key *gate_secret(const struct gate *gate)
{
	return gate->kernel.caching ? &gate->kernel.switches->secret : NULL;
}

int gate_on(struct gate *gate, char **ret_why)
{
	int link, err;

	if (gate_is_on(gate))
		return 0;
	link = attach_egress(gate->kernel.program, ret_why);
	if (link < 0)
		return link;
	err = gate->options.closed ? pins_new(link, gate->kernel.pending, gate->kernel.released, &gate->pins, ret_why) : 0;
	if (err) {
		close(link);
		return err;
	}
	gate->link = link;
	gate->kernel.switches->on = 1;
	return 0;
}

/* Entries are gone; packets of them flow again. */
static void entry_drop(struct gate *gate, uint64_t cookie)
{
	if (bpf_map_delete_elem(gate->kernel.pending, &cookie) == 0)
		__atomic_fetch_sub(&gate->kernel.switches->pending, 1, __ATOMIC_SEQ_CST);
	bpf_map_delete_elem(gate->kernel.released, &cookie);
}

void gate_off(struct gate *gate)
{
	struct gate_entry *entries CLEANUP_FREE = NULL;
	uint64_t *cookies CLEANUP_FREE = NULL;
	size_t count;

	if (!gate_is_on(gate))
		return;
	gate_stop(gate);
	pins_free(TAKE_PTR(gate->pins));
	close(TAKE_FD(gate->link));
	count = map_dump(gate->kernel.pending, sizeof(*entries), &cookies, (void **)&entries);
	for (size_t i = 0; i < count; i++)
		entry_drop(gate, cookies[i]);
}

bool gate_is_overdue(const struct gate *gate, uint64_t cookie, const struct record_id *id, uint64_t now_ns,
		     struct gate_entry *ret)
{
	struct gate_entry entry;

	if (bpf_map_lookup_elem(gate->kernel.pending, &cookie, &entry) < 0 || !same_id(&entry.id, id) ||
	    now_ns <= entry.deadline_ns || is_released(gate->kernel.released, &entry))
		return false;
	*ret = entry;
	return true;
}

uint64_t gate_held(const struct gate *gate, uint64_t cookie, const struct record_id *id)
{
	struct gate_entry entry;

	return bpf_map_lookup_elem(gate->kernel.pending, &cookie, &entry) == 0 && same_id(&entry.id, id) ? entry.held : 0;
}

void gate_release(struct gate *gate, uint64_t cookie, const struct record_id *id)
{
	struct gate_entry entry;
	uint64_t now;

	/* It may have ended meanwhile. */
	if (bpf_map_lookup_elem(gate->kernel.pending, &cookie, &entry) < 0 || !same_id(&entry.id, id))
		return;
	/* Full: it cannot be, for what is released is pending, and there is as much room. */
	if (bpf_map_update_elem(gate->kernel.released, &cookie, id, BPF_ANY) < 0)
		entry_drop(gate, cookie);
	now = now_ns();
	spread_add(gate->kernel.released_us, now > id->ktime_ns ? (now - id->ktime_ns) / 1000 : 0);
}

void gate_tidy(struct gate *gate)
{
	uint64_t *cookies CLEANUP_FREE = NULL, first;
	struct record_id *ids CLEANUP_FREE = NULL;
	struct gate_entry entry;
	size_t count;

	if (bpf_map_get_next_key(gate->kernel.released, NULL, &first) < 0)
		return;
	count = map_dump(gate->kernel.released, sizeof(*ids), &cookies, (void **)&ids);
	for (size_t i = 0; i < count; i++)
		if (bpf_map_lookup_elem(gate->kernel.pending, &cookies[i], &entry) < 0)
			bpf_map_delete_elem(gate->kernel.released, &cookies[i]);
}

void gate_condemn(struct gate *gate, uint64_t cookie, const struct record_id *id)
{
	struct gate_entry entry;

	if (bpf_map_lookup_elem(gate->kernel.pending, &cookie, &entry) < 0 || !same_id(&entry.id, id))
		return;
	entry.flags |= GATE_DENIED;
	bpf_map_update_elem(gate->kernel.pending, &cookie, &entry, BPF_EXIST);
	/* As its time was up, before the verdict came. */
	if (is_released(gate->kernel.released, &entry))
		bpf_map_delete_elem(gate->kernel.released, &cookie);
}

void gate_forget(struct gate *gate, uint64_t cookie)
{
	entry_drop(gate, cookie);
}

/* Again as it is now, just before: see above. */
static void released_drop(struct gate *gate, uint64_t cookie, const struct gate_entry *seen)
{
	struct gate_entry entry;

	if (bpf_map_lookup_elem(gate->kernel.pending, &cookie, &entry) == 0 && same_id(&entry.id, &seen->id))
		entry_drop(gate, cookie);
}

void gate_sweep(struct gate *gate, uint64_t now_ns, gate_due_fn due, void *context)
{
	struct gate_entry *entries CLEANUP_FREE = NULL;
	uint64_t *cookies CLEANUP_FREE = NULL;
	size_t count;

	if (__atomic_load_n(&gate->kernel.switches->pending, __ATOMIC_SEQ_CST) == 0)
		return;
	count = map_dump(gate->kernel.pending, sizeof(*entries), &cookies, (void **)&entries);
	for (size_t i = 0; i < count; i++) {
		const struct gate_entry *entry = &entries[i];

		if (is_released(gate->kernel.released, entry)) {
			if (now_ns > entry->deadline_ns)
				released_drop(gate, cookies[i], entry);
		} else if (!(entry->flags & GATE_DENIED) && (now_ns > entry->deadline_ns || entry->flags & GATE_BLIND)) {
			due(context, entry);
		}
	}
}

void gate_adopt(gate_left_fn left, void *context)
{
	pins_adopt(left, context);
}

void gate_cache(struct gate *gate, const struct siphash_value *key, enum cached_kind kind, uint32_t rule, uint32_t seconds)
{
	struct timespec now;
	struct cached_verdict verdict = {.epoch = gate->kernel.switches->epoch, .kind = kind, .rule = rule};

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (seconds > CACHED_SECONDS_MAX)
		seconds = CACHED_SECONDS_MAX;
	verdict.until_ns = (now.tv_sec + (uint64_t)seconds) * 1000000000ULL + now.tv_nsec;
	bpf_map_update_elem(gate->kernel.verdicts, key, &verdict, BPF_ANY);
}

void gate_cache_forget(struct gate *gate)
{
	__atomic_fetch_add(&gate->kernel.switches->epoch, 1, __ATOMIC_SEQ_CST);
}

void gate_cache_use(struct gate *gate, bool on, bool remember, bool by_exe)
{
	gate->kernel.switches->by_exe = by_exe;
	gate->kernel.switches->caching = on && gate->kernel.caching;
	gate->kernel.switches->remembering = remember && gate->kernel.caching;
}

static bool is_awaited(const struct gate *gate, uint64_t cookie)
{
	struct gate_entry entry;

	return bpf_map_lookup_elem(gate->kernel.pending, &cookie, &entry) == 0 &&
	       !is_released(gate->kernel.released, &entry);
}

size_t gate_verified(const struct gate *gate, struct verified_socket **ret)
{
	uint64_t *cookies CLEANUP_FREE = NULL;
	struct verified_socket *sockets;
	size_t count = map_dump(gate->kernel.verified, sizeof(*sockets), &cookies, (void **)&sockets), kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!is_awaited(gate, cookies[i]))
			sockets[kept++] = sockets[i];
	*ret = sockets;
	return kept;
}

int gate_notices_fd(const struct gate *gate)
{
	return notices_fd(gate->notices);
}

void gate_notices_read(struct gate *gate, gate_notice_fn fn, void *context)
{
	gate->on_notice = fn;
	gate->context = context;
	notices_read(gate->notices);
}
