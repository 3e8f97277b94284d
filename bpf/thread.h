/* What is kept of a thread: the socket it took data from last, and the calls it is in.
 *
 * With the task itself, where the kernel can: quicker than a map of all threads, and it ends with the thread. Before 6.2 what
 * is kept there may not be found while another program on the same processor is interrupted in looking for its own. And the
 * kernel may refuse it: 7.2 always does on a processor without cmpxchg16b. So there is a map, too. */
#ifndef THREAD_H
#define THREAD_H

enum {
	CALL_DEPTH = 4, /* nested verifications of a thread (CRL paths); a deeper one is lost_call */
};

/* The TCP socket from which a thread last took data. sk is only compared and read with checks: it may be gone. */
struct received {
	__u64 sk; /* 0: none */
	__u64 cookie;
	__u64 ktime_ns;
	__s32 fd;      /* that it read from, if it can be told; -1 */
	__u16 noted;   /* among the sockets that hellos are asked about: hello.h */
	__u16 certain; /* it was the thread itself that took it; what counts without a hello */
};

struct openssl_frame {
	__u64 store_ctx;
	__u64 sp;                 /* tells frames that were left by longjmp or an exception */
	struct received received; /* as it was when this one began: an OCSP fetch inside must not count */
};

/* Verifications that have not returned. */
struct openssl_call {
	__u32 depth;
	__u32 pad;
	struct openssl_frame frame[CALL_DEPTH];
};

/* What a thread is doing inside GnuTLS. */
struct gnutls_call {
	struct received received;
	__u64 handshake; /* session of the handshake under way, or 0 */
	__u64 verify;    /* session of the verification under way, or 0 */
	__u64 data;      /* gnutls_typed_vdata_st *, what is to be checked */
	__u64 status;    /* unsigned int * */
	__u32 elements;
	__u32 pad;
};

struct thread {
	struct received received;
	struct openssl_call openssl;
	struct gnutls_call gnutls;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, THREAD_STATES_MAX); /* or THREAD_STATES_SPARE: the agent sets it */
	__type(key, __u64);
	__type(value, struct thread);
} threads SEC(".maps");

/* There are some in that map. */
bool threads_in_map;

/* Too large for the stack, and a map's value must come from somewhere. */
static const struct thread thread_blank;

/* What is known of the current one; NULL: nothing. */
static __always_inline struct thread *thread_known(void)
{
	struct thread *known = 0;
	__u64 number;

	if (can_keep_with_task)
		known = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	if (known || !*(volatile bool *)&threads_in_map)
		return known;
	number = bpf_get_current_pid_tgid();
	return bpf_map_lookup_elem(&threads, &number);
}

/* Likewise, made if there is nothing; NULL: it cannot be kept. */
static __always_inline struct thread *thread_get(void)
{
	struct thread *known = thread_known();
	__u64 number;

	if (!known && can_keep_with_task)
		known = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (known)
		return known;
	number = bpf_get_current_pid_tgid();
	*(volatile bool *)&threads_in_map = true;
	bpf_map_update_elem(&threads, &number, &thread_blank, BPF_ANY);
	return bpf_map_lookup_elem(&threads, &number);
}

static __always_inline struct received received_snapshot(void)
{
	const struct thread *known = thread_known();

	return known ? known->received : (struct received){};
}

#endif
