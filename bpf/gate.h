/* The gate: packets of sockets whose verification is not yet judged do not leave.
 *
 *   return of a verification ──→ pending[cookie]            warden ──→ released[cookie]
 *                                     │                                    │
 *   egress of any socket ─────────────┴── payload? not released? in time? ─┴──→ drop
 *
 * TCP keeps a segment that was dropped here at the head of its queue and tries again. What has no payload (acknowledgements,
 * the reset of a destroyed socket) always passes, and so does what was written before the verification returned. A UDP datagram
 * is lost, and its sender is not told: return value 2. A socket that is not pending loses nothing. The same program notes the
 * hellos (hello.h). */
#ifndef GATE_H
#define GATE_H

enum {
	PASS = 1,
	DROP = 0, /* the sender gets an error, which TCP takes for "later" */
	DROP_SILENTLY = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GATE_MAX); /* the agent sets what its configuration says, and the reserve */
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

/* False: the map is full. What is condemned stays so; what was written since it was entered first waits for this verdict, too.
 * The count never is below the entries: it goes up before, and down after. */
static __noinline bool gate_enter(const struct record_head *head, const struct record_socket *socket, __u64 start,
				  __u32 flags)
{
	__u64 cookie = socket->cookie, thread = head->id.pid_tgid;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &thread);
	struct gate_entry *before, *entry;

	if (!draft)
		return false;
	entry = &draft->entry;
	entry->id = head->id;
	entry->start_boottime_ns = start;
	entry->deadline_ns = bpf_ktime_get_ns() + gate.timeout_ns;
	if (flags & GATE_UNVERIFIED)
		entry->deadline_ns += GATE_UNVERIFIED_MS * 1000000ULL;
	entry->held = 0;
	entry->flags = flags;
	entry->uid = (__u32)bpf_get_current_uid_gid();
	__builtin_memcpy(&entry->socket, socket, sizeof(*socket));
	/* Twice: it may be deleted in between. */
	for (int i = 0; i < 2; i++) {
		__sync_fetch_and_add(&gate.pending, 1);
		if (!bpf_map_update_elem(&pending, &cookie, entry, BPF_NOEXIST))
			goto entered;
		__sync_fetch_and_add(&gate.pending, -1);
		before = bpf_map_lookup_elem(&pending, &cookie);
		if (!before)
			continue;
		entry->flags |= before->flags & GATE_DENIED;
		entry->socket.written = before->socket.written;
		if (!bpf_map_update_elem(&pending, &cookie, entry, BPF_EXIST))
			goto entered;
	}
	return false;
entered:
	COUNT(gated);
	return true;
}

/* A later verification of the same connection is known to be fine. */
static __always_inline void gate_pass(__u64 cookie)
{
	struct gate_entry *entry = gate.pending ? bpf_map_lookup_elem(&pending, &cookie) : 0;

	if (entry && !(entry->flags & GATE_DENIED) && !bpf_map_delete_elem(&pending, &cookie))
		__sync_fetch_and_add(&gate.pending, -1);
}

static __always_inline void held_tell(const struct gate_entry *entry, __u64 cookie)
{
	struct record_held *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record)
		return; /* the judge decides when its own time is up */
	*record = (struct record_held){.head = {.tag = RECORD_HELD, .id = entry->id}, .cookie = cookie};
	bpf_ringbuf_submit(record, ring_wakes());
}

/* No payload; or it was written before the verification returned, and so is the handshake's: a last flight that TCP had no
 * leave to send yet. */
static __always_inline bool is_harmless(const struct gate_entry *entry, const struct packet *packet)
{
	return packet->protocol == PROTOCOL_TCP &&
	       (packet->payload_len == 0 || (__s32)(packet->sequence + packet->payload_len - entry->socket.written) <= 0);
}

/* Told once; where nothing waited, nothing was late. */
static __always_inline void late_tell(struct gate_entry *entry)
{
	struct gate_notice *notice;

	if (entry->flags & GATE_LATE || !entry->held)
		return;
	entry->flags |= GATE_LATE;
	notice = bpf_ringbuf_reserve(&notices, sizeof(*notice), 0);
	if (!notice) {
		COUNT(lost_notice);
		return;
	}
	*notice = (struct gate_notice){
		.id = entry->id,
		.start_boottime_ns = entry->start_boottime_ns,
		.epoch = gate.epoch,
		.why = NOTICE_LATE,
		.uid = entry->uid,
		.held = entry->held,
		.socket = entry->socket,
	};
	notice_submit(notice);
}

/* A packet of a socket that is pending. */
static __always_inline bool is_held(struct gate_entry *entry, __u64 cookie)
{
	struct record_id *let_go = bpf_map_lookup_elem(&released, &cookie);

	if (let_go && let_go->pid_tgid == entry->id.pid_tgid && let_go->ktime_ns == entry->id.ktime_ns)
		return false;
	if (entry->flags & GATE_DENIED || gate.closed || bpf_ktime_get_ns() <= entry->deadline_ns)
		return true;
	late_tell(entry);
	return false;
}

SEC("cgroup_skb/egress")
int gate_egress(struct __sk_buff *skb)
{
	struct packet packet = {};
	bool known = packet_read(skb, &packet);
	struct gate_entry *entry;
	__u64 cookie;

	if (known)
		hello_note(skb, &packet);
	/* Before 5.12 nobody else can give a socket its cookie. */
	if (can_make_cookie && *(volatile __s64 *)&gate.pending == 0)
		return PASS;
	cookie = bpf_get_socket_cookie(skb);
	entry = bpf_map_lookup_elem(&pending, &cookie);
	if (!entry || (known && is_harmless(entry, &packet)) || !is_held(entry, cookie))
		return PASS;
	__sync_fetch_and_add(&entry->held, 1);
	COUNT(held);
	if (entry->flags & GATE_UNVERIFIED && entry->held == 1)
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
	if (gate.parts && !bpf_map_delete_elem(&hello_parts, &cookie))
		__sync_fetch_and_add(&gate.parts, -1);
	if (gate.pending == 0)
		return 0;
	if (!bpf_map_delete_elem(&pending, &cookie))
		__sync_fetch_and_add(&gate.pending, -1);
	bpf_map_delete_elem(&released, &cookie);
	return 0;
}

#endif
