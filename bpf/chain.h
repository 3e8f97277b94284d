/* Certificates and the common part of a record, copied from the process into the ring.
 *
 * Everything read here is an attacker's: each length is bounded before it is used, each read can fail, and what does not
 * look like DER (a SEQUENCE) is not sent. */
#ifndef CHAIN_H
#define CHAIN_H

enum { DER_SEQUENCE = 0x30, DATUM_BYTES = 16 };

static __always_inline __u64 read_u64(__u64 address)
{
	__u64 value = 0;
	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

static __always_inline __u32 read_u32(__u64 address)
{
	__u32 value = 0;
	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

/* Where the bytes of one certificate are. */
struct cert_source {
	__u64 object;
	__u64 tbs;
	__u64 tbs_len;
	__u64 signature;
	__u64 signature_len;
	__u8 form;
	__u8 unused_bits;
};

/* The room is a constant for the verifier of 5.10, which wants one in the reservation. */
#define SEND_CERT(source, verify, signature_room, tbs_room)                                                                \
	({                                                                                                                 \
		__u64 signature_len_ = (source)->signature_len, tbs_len_ = (source)->tbs_len;                              \
		barrier_var(signature_len_);                                                                               \
		barrier_var(tbs_len_);                                                                                     \
		struct record_cert *record_ = bpf_ringbuf_reserve(&ring, sizeof(*record_) + (signature_room) + (tbs_room), \
								  0);                                                      \
		if (!record_) {                                                                                            \
			COUNT(lost_cert);                                                                                  \
			(verify)->flags |= VERIFY_LOST_CERT;                                                               \
			return;                                                                                            \
		}                                                                                                          \
		record_->head = (verify)->head;                                                                            \
		record_->head.tag = RECORD_CERT;                                                                           \
		record_->object = (source)->object;                                                                        \
		record_->form = (source)->form;                                                                            \
		record_->unused_bits = (source)->unused_bits;                                                              \
		record_->pad = 0;                                                                                          \
		record_->tbs_at = (signature_room);                                                                        \
		record_->tbs_len = tbs_len_;                                                                               \
		record_->signature_len = signature_len_;                                                                   \
		if (signature_len_ <= (signature_room) && tbs_len_ <= (tbs_room) &&                                        \
		    !bpf_probe_read_user(record_->data, signature_len_, (void *)(source)->signature) &&                    \
		    !bpf_probe_read_user(record_->data + (signature_room), tbs_len_, (void *)(source)->tbs)) {             \
			bpf_ringbuf_submit(record_, BPF_RB_NO_WAKEUP);                                                     \
			(verify)->certs++;                                                                                 \
		} else {                                                                                                   \
			bpf_ringbuf_discard(record_, BPF_RB_NO_WAKEUP);                                                    \
			(verify)->flags |= VERIFY_UNREADABLE;                                                              \
		}                                                                                                          \
	})

/* Counts it in verify->certs, or says in verify->flags why not: in memory, of which the verifier follows no values. */
static __noinline void cert_send(const struct cert_source *source, struct record_verify *verify)
{
	__u8 first = 0;

	if (!source->tbs_len || bpf_probe_read_user(&first, 1, (void *)source->tbs) || first != DER_SEQUENCE)
		verify->flags |= VERIFY_UNREADABLE;
	else if (source->signature_len <= 512 && source->tbs_len <= 1536)
		SEND_CERT(source, verify, 512, 1536);
	else if (source->signature_len <= 512 && source->tbs_len <= 4096)
		SEND_CERT(source, verify, 512, 4096);
	else if (source->signature_len <= SIGNATURE_MAX && source->tbs_len <= TBS_MAX)
		SEND_CERT(source, verify, SIGNATURE_MAX, TBS_MAX);
	else
		verify->flags |= VERIFY_TRUNCATED;
}

/* A NUL-terminated text of the process; empty stays empty. */
static __always_inline void text_copy(char *ret, __u64 address)
{
	if (address)
		bpf_probe_read_user_str(ret, NAME_MAX_BYTES, (void *)address);
}

/* The layout of the library that the probe sits in, if it is of that kind, and the head of a record; else counted, as a call
 * that nothing can be made of. */
static __always_inline struct library_layout *layout_of(void *ctx, __u32 kind, struct record_head *ret)
{
	__u32 library = library_of(ctx);
	struct library_layout *layout = bpf_map_lookup_elem(&layouts, &library);

	if (!layout || layout->kind != kind) {
		COUNT(lost_call);
		return 0;
	}
	*ret = (struct record_head){.library = library,
				    .id = {.pid_tgid = bpf_get_current_pid_tgid(), .ktime_ns = bpf_ktime_get_ns()}};
	return layout;
}

static __always_inline __u64 process_start(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

/* Too large for the stack, and a map's value must come from somewhere. */
static const struct draft draft_blank;

/* What every library has, in memory of the thread's own, or NULL (counted). A record is not made in the ring before it is known
 * to be told: what is taken back there leaves the reader asleep over the next one. verify_end() gives it back. */
static __always_inline struct record_verify *verify_begin(const struct record_head *head)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 thread = head->id.pid_tgid;
	struct record_verify *draft;
	struct draft *whole;

	bpf_map_update_elem(&drafts, &thread, &draft_blank, BPF_ANY);
	whole = bpf_map_lookup_elem(&drafts, &thread);
	if (!whole) {
		COUNT(lost_verify);
		return 0;
	}
	draft = &whole->record;
	draft->head = *head;
	draft->head.tag = RECORD_VERIFY;
	draft->end_ktime_ns = bpf_ktime_get_ns();
	draft->start_boottime_ns = process_start();
	draft->exec_id = BPF_CORE_READ(task, group_leader, self_exec_id);
	draft->cgroup_id = bpf_get_current_cgroup_id();
	draft->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(draft->comm, sizeof(draft->comm));
	return draft;
}

static __always_inline void verify_end(__u64 thread)
{
	bpf_map_delete_elem(&drafts, &thread);
}

/* A copy in the ring, or NULL (counted). The caller sends the certificates, and submits it last: until then the reader waits,
 * so that it finds them all behind it. */
static __always_inline struct record_verify *verify_reserve(const struct record_verify *draft)
{
	struct record_verify *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		COUNT(lost_verify);
		return 0;
	}
	bpf_probe_read_kernel(record, sizeof(*record), draft);
	return record;
}

/* Of what the warden is told by a notice the judge is not: it is woken when the warden says what became of it, which is after the
 * record was submitted. Set while such a record may be in the ring, unread. */
__u32 asleep;

/* Of a record's flags: does, or will, a notice go to the warden? */
static __always_inline bool is_told_by_notice(__u32 flags)
{
	return (flags & (VERIFY_DENIED | VERIFY_UNNOTICED | VERIFY_DENIED_BEFORE)) == VERIFY_DENIED;
}

/* How to submit what the judge must be woken for. A record is the first of its group in the ring, where a waiting reader stands:
 * the usual wake-up, for a waiting one, will do, unless it stands before one that did not wake it. */
static __always_inline __u64 ring_wakes(void)
{
	if (!*(volatile __u32 *)&asleep)
		return 0;
	*(volatile __u32 *)&asleep = 0;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void verify_submit(struct record_verify *record)
{
	bool wakes = !is_told_by_notice(record->flags) && !(record->flags & VERIFY_DENIED_BEFORE);

	COUNT(verifications);
	if (!wakes)
		*(volatile __u32 *)&asleep = 1;
	bpf_ringbuf_submit(record, wakes ? ring_wakes() : BPF_RB_NO_WAKEUP);
}

#endif
