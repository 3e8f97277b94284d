/* The gate, from above: attached while something is enforced; sockets let go, condemned, and asked for whose time is up;
 * verdicts remembered in the kernel. Privileged. What it does in the kernel: bpf/gate.h, bpf/verdict.h, gate_maps.h. */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "probes.h"

struct gate;

struct gate_options {
	bool closed; /* fail: closed: what is gated stays so until it is judged, whatever becomes of the agent */
	uint32_t timeout_ms;
	uint32_t max; /* sockets gated at once; the probes' map has room for gate_room() */
};

/* For that many sockets, what the map must hold. */
uint32_t gate_room(const struct gate_options *options);

/* Off. Makes the secret. The probes must outlive it. */
int gate_new(const struct probes *probes, const struct gate_options *options, struct gate **ret);
/* As gate_off, and releases what it holds. */
void gate_free(struct gate *gate);

/* Attaches at the root of cgroup v2, which need not be mounted, and lets verifications enter their sockets. On failure it
 * stays off and *ret_why, owned by the caller, says why. fail: closed needs a BPF file system at /sys/fs/bpf. */
int gate_on(struct gate *gate, char **ret_why);
/* Lets everything go, without pushing it, and detaches. */
void gate_off(struct gate *gate);
/* Nothing is entered any more; what is gated stays so until it is judged, or until gate_off. */
void gate_stop(struct gate *gate);
/* With fail: closed: what is gated stays so when this process has gone, for another agent to find. */
void gate_leave(struct gate *gate);
bool gate_is_on(const struct gate *gate);
const struct gate_options *gate_options(const struct gate *gate);
/* The secret of the keys, if the kernel can make them; or NULL. */
const struct siphash_key *gate_secret(const struct gate *gate);

/* True if that verification gates the socket, and its time is up: *ret is what gates it. */
bool gate_is_overdue(const struct gate *gate, uint64_t cookie, const struct record_id *id, uint64_t now_ns,
		     struct gate_entry *ret);
/* Packets that have waited since that verification gated the socket; 0 if it does no more. */
uint64_t gate_held(const struct gate *gate, uint64_t cookie, const struct record_id *id);
/* Lets the socket go, if it is that verification that gates it. */
void gate_release(struct gate *gate, uint64_t cookie, const struct record_id *id);
/* Never let go by the time, from now on; likewise. */
void gate_condemn(struct gate *gate, uint64_t cookie, const struct record_id *id);
/* It has ended, and the kernel half may not have seen it (UDP; or before it was entered). */
void gate_forget(struct gate *gate, uint64_t cookie);
/* Drops what is released and was never, or is no more, pending. Costs nothing while nothing is released. */
void gate_tidy(struct gate *gate);

/* Calls due for each socket whose time is up or whose record was lost, neither released nor condemned; it must do either.
 * Drops what was released a while ago. Costs nothing while nothing is pending. */
typedef void (*gate_due_fn)(void *context, const struct gate_entry *entry);
void gate_sweep(struct gate *gate, uint64_t now_ns, gate_due_fn due, void *context);

/* What an agent that has ended without a word left gated, with fail: closed. Calls left for each socket; where that says
 * false the other agent's gate stays as it is, else it is removed, and what still waits flows. */
typedef bool (*gate_left_fn)(void *context, const struct gate_entry *entry);
void gate_adopt(gate_left_fn left, void *context);

/* --- verdicts ------------------------------------------------------------------------------------------------------- */

/* For that many seconds, or until verdicts are forgotten. rule: CACHED_DENY, comes back in a notice. */
void gate_cache(struct gate *gate, const struct siphash_value *key, enum cached_kind kind, uint32_t rule, uint32_t seconds);
void gate_cache_forget(struct gate *gate);
/* on: keys are made and verdicts believed; remember: verified connections are remembered; by_exe: who verifies is told by the
 * executable, see verdict_key.h. */
void gate_cache_use(struct gate *gate, bool on, bool remember, bool by_exe);

/* The connections remembered, but those whose verdict is still awaited: new memory; how many. */
size_t gate_verified(const struct gate *gate, struct verified_socket **ret);

enum { GATE_NO_RULE = UINT32_MAX };

typedef void (*gate_notice_fn)(void *context, const struct gate_notice *notice);
/* A descriptor, readable when there are notices; the gate's. Those of another epoch are passed over, but NOTICE_DENIED: its rule
 * is then GATE_NO_RULE, as its number means nothing any more. */
int gate_notices_fd(const struct gate *gate);
void gate_notices_read(struct gate *gate, gate_notice_fn fn, void *context);

#endif
