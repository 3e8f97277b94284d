/* What the programs share with the agent and keep between a call and its return. Uprobe programs can be preempted, so
 * nothing here is scratch space per CPU: state belongs to a thread or a session, and records are written in the ring. */
#ifndef MAPS_H
#define MAPS_H

enum {
	SESSIONS_MAX = 16384, /* GnuTLS sessions remembered; the least recent beyond it may be told of twice */
	DRAFTS_MAX = 1024,    /* records being made at once; beyond it lost_verify */
	RING_BYTES = 16 << 20,
};

struct session_key {
	__u64 tgid;
	__u64 session;
};

enum pending_as { PENDING_NOT, PENDING_JUDGED, PENDING_DENIED /* by a cached verdict: the warden was told */ };

struct session_state {
	__u32 verified; /* within the handshake under way */
	__u32 pending;  /* a VERIFY_NONE_YET record was sent: enum pending_as */
	__u32 own_pull; /* reads with the library's own pull function: its transport pointer is the fd */
	__u32 pad;
	__u64 entry;       /* where the probe sits in gnutls_handshake: tells the library's own functions */
	__u64 told_random; /* the beginning of our own, of the handshake that was told of last */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES); /* full: the reservation fails and is counted */
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIBRARIES_MAX);
	__type(key, __u32);
	__type(value, struct library_layout);
} layouts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SESSIONS_MAX);
	__type(key, struct session_key);
	__type(value, struct session_state);
} sessions SEC(".maps");

/* What a verification is made of, too large for the stack. */
struct draft {
	struct record_verify record; /* the first: where that is, is the draft */
	struct gate_entry entry;
	__u64 words[VERDICT_CHUNK / 8]; /* of a certificate, while its key is made */
	__u32 rule;                     /* that condemns it, if the kernel knew: VERIFY_DENIED */
	__u32 pad;
};

/* Thread → the record it is making. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DRAFTS_MAX);
	__type(key, __u64);
	__type(value, struct draft);
} drafts SEC(".maps");

struct counters counters;
struct gate_switches gate;

#define COUNT(what) __sync_fetch_and_add(&counters.what, 1)

#endif
