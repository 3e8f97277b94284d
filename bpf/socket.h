/* From a verification to the socket, and what names it: its cookie.
 *
 * Where the library reads from a descriptor itself, that decides. Otherwise, while the gate is on, the hello of the
 * handshake does (hello.h). Otherwise it is the socket that the thread took data from last, which a tracepoint tells. That can
 * be wrong, and so it counts only if no other hello is known to have gone over it. UDP sockets only count if they are connected:
 * one without a peer may serve many. */
#ifndef SOCKET_H
#define SOCKET_H

enum {
	MODE_TYPE = 0170000,
	MODE_SOCKET = 0140000,
	RECEIVED_AGE_MAX_NS = 1000000000, /* data taken longer ago says nothing about this verification */
};

/* The descriptor it reads from: the first argument of read, recvmsg and the like. Of another system call it is nonsense, so
 * whoever uses it asks its cookie first. */
static __always_inline __s64 fd_of_call(void)
{
	struct pt_regs___call *call;

	if (!can_read_registers)
		return -1;
	call = (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	return (__s32)BPF_CORE_READ(call, FIRST_ARGUMENT);
}

static __always_inline __u64 cookie_of(struct sock *sk)
{
	return can_make_cookie ? bpf_get_socket_cookie(sk) : (__u64)sk->__sk_common.skc_cookie.counter;
}

/* Is it the one it was? An address can be that of a new socket: the cookie tells. */
static __always_inline bool is_last(const struct received *last, const struct sock *sk)
{
	return last->sk == (__u64)sk && last->cookie == (__u64)sk->__sk_common.skc_cookie.counter &&
	       (last->noted || !gate.on);
}

static __always_inline bool receiver_track(__u64 cookie)
{
	struct tracked receiver = {.process = bpf_get_current_pid_tgid() >> 32};

	return socket_track(cookie, &receiver);
}

/* sk: a TCP socket, from which the current thread has taken data; or which gave the kernel some on its time: not certain. */
static __always_inline void received_note(struct sock *sk, bool certain)
{
	struct thread *thread = thread_get();
	struct received *last;

	if (!thread)
		return;
	last = &thread->received;
	if (certain)
		last->ktime_ns = bpf_ktime_get_ns();
	if (is_last(last, sk)) {
		last->certain |= certain;
		return;
	}
	last->certain = certain;
	last->sk = (__u64)sk;
	last->cookie = cookie_of(sk);
	last->fd = fd_of_call();
	last->noted = gate.on && receiver_track(last->cookie);
}

/* What came another way (a Unix socket, UDP) is not the last TCP socket's. */
static __always_inline void received_other(struct sock *sk, bool inet)
{
	struct thread *thread = thread_known();

	if (thread) {
		thread->received.sk = 0;
		thread->received.cookie = 0;
	}
	/* DTLS: so that the verification, which cannot make one, finds it. */
	if (inet && sk->sk_protocol == PROTOCOL_UDP && sk->__sk_common.skc_dport && !sk->__sk_common.skc_cookie.counter)
		bpf_get_socket_cookie(sk);
}

/* From 6.3 on: whatever recv and read bring. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *sk, int got)
{
	__u16 family = sk->__sk_common.skc_family;
	bool inet = family == INET || family == INET6;

	if (got <= 0)
		return 0;
	if (inet && sk->sk_protocol == PROTOCOL_TCP)
		received_note(sk, true);
	else
		received_other(sk, inet);
	return 0;
}

/* Before that: whatever TCP hands out; splice's too, and what the kernel takes for itself, on whose thread ever. Where the other one
 * is, this comes first, and alone only tells somebody who knows the hello whose process it was. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(socket_taken, struct sock *sk)
{
	received_note(sk, !can_tell_receipts || !gate.on);
	return 0;
}

static __always_inline struct sock *socket_of_fd(int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = 0;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & MODE_TYPE) != MODE_SOCKET)
		return 0;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline bool socket_describe(struct sock *sk, struct record_socket *ret)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family), protocol = BPF_CORE_READ(sk, sk_protocol);
	bool connected = BPF_CORE_READ(sk, __sk_common.skc_dport) != 0;

	if ((family != INET && family != INET6) || !(protocol == PROTOCOL_TCP || (protocol == PROTOCOL_UDP && connected)))
		return false;
	ret->family = family;
	ret->protocol = protocol;
	ret->inode = BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
	ret->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	ret->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	ret->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (protocol == PROTOCOL_TCP) {
		ret->received = BPF_CORE_READ((struct tcp_sock *)sk, bytes_received);
		ret->written = BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
		ret->closed = BPF_CORE_READ(sk, __sk_common.skc_state) == STATE_CLOSE;
	}
	ret->bound_if = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	ret->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (family == INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)ret->local_ip, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)ret->peer_ip, sk, __sk_common.skc_v6_daddr);
	} else {
		BPF_CORE_READ_INTO((__u32 *)ret->local_ip, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__u32 *)ret->peer_ip, sk, __sk_common.skc_daddr);
	}
	return true;
}

/* What is known of where a handshake's bytes come from. */
struct handshake {
	int fd;       /* the descriptor that the library reads from; -1: it does not do so itself */
	__u64 random; /* address of our own hello's random; 0: not known */
	const struct received *received;
};

/* ret is zeroed memory. */
static __noinline int socket_find(const struct handshake *handshake, struct record_socket *ret)
{
	const struct received *received = handshake->received;
	const struct tracked *known;
	struct sock *sk;

	ret->fd = -1;
	if (handshake->fd >= 0) {
		sk = socket_of_fd(handshake->fd);
		if (sk && socket_describe(sk, ret)) {
			ret->how = SOCKET_FD;
			ret->fd = handshake->fd;
		}
		return ret->how;
	}
	if (gate.on && handshake->random) {
		__u64 cookie = received->cookie;
		sk = socket_of_random(handshake->random);
		if (sk && sk != SOCKET_ANOTHERS && socket_describe(sk, ret)) {
			ret->how = SOCKET_HELLO;
			ret->fd = cookie == ret->cookie ? received->fd : -1;
		}
		/* The hello was not seen: it began before the gate was on, or behind something else. But a socket that has
		 * sent another one is another handshake's. */
		known = bpf_map_lookup_elem(&sockets, &cookie);
		if (sk || (known && known->greeted))
			return ret->how;
	}
	sk = (void *)received->sk;
	if (!sk || !received->certain || bpf_ktime_get_ns() - received->ktime_ns > RECEIVED_AGE_MAX_NS)
		return 0;
	if ((__u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter) != received->cookie)
		return 0;
	if (socket_describe(sk, ret)) {
		ret->how = SOCKET_THREAD;
		ret->fd = received->fd;
	}
	return ret->how;
}

#endif
