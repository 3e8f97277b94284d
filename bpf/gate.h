/* The gate: packets of sockets whose verification is not yet judged do not leave.
 *
 *   return of a verification ──→ pending[cookie]            warden ──→ released[cookie]
 *                                     │                                    │
 *   egress of any socket ─────────────┴── payload? not released? in time? ─┴──→ drop
 *
 * TCP keeps a segment that was dropped here at the head of its queue and tries again. What has no payload (acknowledgements,
 * the reset of a destroyed socket) always passes. A UDP datagram is lost, and its sender is not told: return value 2. A
 * socket that is not pending loses nothing. While none is, a packet costs one load. */
#ifndef GATE_H
#define GATE_H

enum {
	PASS = 1,
	DROP = 0, /* the sender gets an error, which TCP takes for "later" */
	DROP_SILENTLY = 2,
	STATE_CLOSE = 7, /* TCP_CLOSE */
	IPV6_HEADER = 40,
	IPV6_NEXT = 6,   /* offset of the next header's type */
	TCP_OFFSET = 12, /* offset of the byte with the header's length */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GATE_MAX); /* the agent sets what its configuration says */
	__type(key, __u64);
	__type(value, struct gate_entry);
} pending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GATE_MAX);
	__type(key, __u64);
	__type(value, struct record_id);
} released SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VERIFIED_MAX);
	__type(key, __u64);
	__type(value, struct verified_socket);
} verified SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NOTICES_BYTES);
} notices SEC(".maps");

struct gate_switches gate;

/* False: the map is full. */
static __noinline bool gate_enter(const struct record_head *head, const struct record_socket *socket, __u64 start,
				  __u32 flags)
{
	__u64 cookie = socket->cookie, now = bpf_ktime_get_ns();
	struct gate_entry entry = {
		.id = head->id,
		.start_boottime_ns = start,
		.deadline_ns = now + gate.timeout_ns + (flags & GATE_UNVERIFIED ? GATE_UNVERIFIED_MS * 1000000ULL : 0),
		.flags = flags,
		.uid = (__u32)bpf_get_current_uid_gid(),
		.socket = *socket,
	};
	bool fresh = !bpf_map_lookup_elem(&pending, &cookie);

	if (fresh)
		__sync_fetch_and_add(&gate.pending, 1);
	if (!bpf_map_update_elem(&pending, &cookie, &entry, BPF_ANY)) {
		COUNT(gated);
		return true;
	}
	if (fresh)
		__sync_fetch_and_add(&gate.pending, -1);
	COUNT(gate_full);
	return false;
}

/* The ring is full, so nobody will judge it. If nothing may leave unjudged, this does not either. */
static __noinline int gate_enter_blind(const struct record_head *head, const struct record_socket *socket, __u64 start)
{
	if (gate.on && gate.closed && socket->cookie)
		gate_enter(head, socket, start, GATE_BLIND);
	return 0;
}

static __always_inline bool has_payload(struct __sk_buff *skb)
{
	__u8 byte = 0;
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, &byte, 1))
		return true;
	if (byte >> 4 == 4) {
		at = (byte & 15) * 4;
	} else {
		at = IPV6_HEADER;
		/* Extension headers are not walked: then it counts as payload. */
		if (bpf_skb_load_bytes(skb, IPV6_NEXT, &byte, 1) || byte != PROTOCOL_TCP)
			return true;
	}
	if (bpf_skb_load_bytes(skb, at + TCP_OFFSET, &byte, 1))
		return true;
	return skb->len > at + (byte >> 4) * 4;
}

static __always_inline void held_tell(const struct gate_entry *entry, __u64 cookie)
{
	struct record_held *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record)
		return; /* the judge decides when its own time is up */
	*record = (struct record_held){.head = {.tag = RECORD_HELD, .id = entry->id}, .cookie = cookie};
	bpf_ringbuf_submit(record, 0);
}

SEC("cgroup_skb/egress")
int gate_egress(struct __sk_buff *skb)
{
	struct gate_entry *entry;
	struct record_id *let_go;
	__u64 cookie;

	/* Before 5.12 nobody else can give a socket its cookie. */
	if (can_make_cookie && *(volatile __s64 *)&gate.pending == 0)
		return PASS;
	cookie = bpf_get_socket_cookie(skb);
	entry = bpf_map_lookup_elem(&pending, &cookie);
	if (!entry)
		return PASS;
	if (entry->socket.protocol == PROTOCOL_TCP && !has_payload(skb))
		return PASS;
	let_go = bpf_map_lookup_elem(&released, &cookie);
	if (let_go && let_go->pid_tgid == entry->id.pid_tgid && let_go->ktime_ns == entry->id.ktime_ns)
		return PASS;
	if (!(entry->flags & GATE_DENIED) && !gate.closed && bpf_ktime_get_ns() > entry->deadline_ns)
		return PASS;
	__sync_fetch_and_add(&entry->held, 1);
	COUNT(held);
	if (entry->flags & GATE_UNVERIFIED)
		held_tell(entry, cookie);
	return entry->socket.protocol == PROTOCOL_TCP ? DROP : DROP_SILENTLY;
}

/* A connection that has ended is neither waiting nor remembered. Cookies are never used again. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_closed, const struct sock *sk, int from, int to)
{
	__u64 cookie = sk->__sk_common.skc_cookie.counter;

	if (to != STATE_CLOSE || !cookie)
		return 0;
	bpf_map_delete_elem(&verified, &cookie);
	if (gate.pending == 0)
		return 0;
	if (!bpf_map_delete_elem(&pending, &cookie))
		__sync_fetch_and_add(&gate.pending, -1);
	bpf_map_delete_elem(&released, &cookie);
	return 0;
}

#endif
