/* The contract between the gate's BPF half (bpf/gate.h, bpf/verdict.h) and the agent: values of their maps, and switches.
 * Shared like records.h. Written by probes and by the warden alone; read by both. */
#ifndef GATE_MAPS_H
#define GATE_MAPS_H

#include "records.h"
#include "siphash.h"

enum {
	GATE_MAX = 16384,     /* sockets gated at once, unless the configuration says otherwise; beyond: what `fail` says */
	GATE_RESERVE = 16384, /* with fail: closed, so many more: gated, and ended at once */
	VERDICTS_MAX = 16384, /* cached verdicts; beyond it the least recently used goes */
	VERIFIED_MAX = 32768, /* open connections remembered with what verified them; beyond: lost_verified */
	NOTICES_BYTES = 256 << 10, /* full: lost_notice, and the judge's own verdict has to do */
	NOTICES_SPARE = 16 << 10,  /* kept for notices that are sent after their record was: its judge waits for an answer */
	GATE_UNVERIFIED_MS = 1000, /* a GnuTLS application has that much longer, in which to verify */
};

enum gate_flags {
	GATE_UNVERIFIED = 1 << 0, /* the handshake ended and nothing has verified: who sends now does so unverified */
	GATE_DENIED = 1 << 1,     /* condemned: never let go by the time */
	GATE_LATE = 1 << 3,       /* its time was up, a packet was let go, and the warden has been told */
	GATE_BLIND = 1 << 2,      /* the ring was full, or this map all but the reserve: it is ended without a verdict */
};

/* pending: socket cookie → why its packets with payload do not leave. Not gated any more once `released` has the same id
 * for that cookie: so a verdict on one verification cannot let go what a later one entered. */
struct gate_entry {
	struct record_id id;
	__u64 start_boottime_ns; /* of the process */
	__u64 deadline_ns;       /* CLOCK_MONOTONIC; beyond it `fail` decides */
	__u64 held;              /* packets dropped */
	__u32 flags;
	__u32 uid;
	struct record_socket socket;
};

/* One global of the BPF programs; the warden writes it while they run. */
struct gate_switches {
	__u32 on;          /* verifications enter their sockets */
	__u32 closed;      /* fail: closed */
	__u32 caching;     /* keys are made, and cached verdicts believed */
	__u32 remembering; /* verified connections are remembered */
	__u32 watched;     /* the warden looks at its notices by the clock: they need not wake it */
	__u32 by_exe; /* keys of who verifies are made of the executable's path, not of the process: enum verdict_key_by */
	__u64 timeout_ns;
	__u64 max;   /* sockets gated at once, without the reserve */
	__u64 epoch; /* cached verdicts of another are not believed */
	struct siphash_key secret;
	__s64 parts;   /* hellos that have left in part, likewise */
	__s64 pending; /* entries of the map, or more: while it is 0 no packet is looked at. Atomic, by both sides */
};

enum cached_kind {
	CACHED_NONE,
	CACHED_PASS,  /* allowed, and told of all the same */
	CACHED_QUIET, /* allowed, and only counted */
	CACHED_DENY,
};

/* verdicts: key of the verification → what the agent said of it. */
struct cached_verdict {
	__u64 epoch;
	__u64 until_ns; /* CLOCK_MONOTONIC */
	__u32 kind;     /* enum cached_kind */
	__u32 rule;     /* CACHED_DENY: which, by the warden's own numbers */
};

/* verified: socket cookie → the last verification on it. */
struct verified_socket {
	struct record_id id;
	__u64 start_boottime_ns;
	__u64 exec_id;
	struct siphash_value key; /* without the process: see verdict_key.h */
	__u32 uid;
	__u32 pad;
	struct record_socket socket;
};

enum notice_why { NOTICE_DENIED = 1, NOTICE_FULL, NOTICE_LATE /* its time was up, and a packet was let go */ };

/* notices: a ring for the warden, of what cannot wait for the judge. */
struct gate_notice {
	struct record_id id;
	__u64 start_boottime_ns;
	__u64 exec_id, cgroup_id; /* NOTICE_DENIED: as struct record_verify has them */
	__u64 epoch;
	__u32 why;  /* enum notice_why */
	__u32 rule; /* NOTICE_DENIED */
	__u32 uid;
	__u32 pad;
	__u64 held; /* NOTICE_LATE: packets that had waited */
	struct record_socket socket;
};

#endif
