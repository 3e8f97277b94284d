/* Notices to the warden. While they come thick and fast it looks at their ring by the clock, and is not woken for each: an
 * interrupt on the processor of the very thread that verifies, and a wake-up for every one of them. */
#ifndef NOTICES_H
#define NOTICES_H

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NOTICES_BYTES);
} notices SEC(".maps");

static __always_inline bool is_watched(void)
{
	return *(volatile __u32 *)&gate.watched;
}

/* Will one fit? By then others may have taken the room. */
static __always_inline bool notice_fits(void)
{
	return bpf_ringbuf_query(&notices, BPF_RB_AVAIL_DATA) <= NOTICES_BYTES - NOTICES_SPARE;
}

/* The warden says that it stops looking, and then looks once more; here it is the other way round: one of the two sees
 * what the other did, for a submission is a full barrier. */
static __always_inline void notice_submit(struct gate_notice *notice)
{
	bool watched = is_watched();
	__u64 *nothing;

	bpf_ringbuf_submit(notice, watched ? BPF_RB_NO_WAKEUP : 0);
	if (!watched || is_watched())
		return;
	nothing = bpf_ringbuf_reserve(&notices, sizeof(*nothing), 0);
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

#endif
