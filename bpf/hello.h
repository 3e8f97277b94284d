/* Which socket a handshake goes over, told by its hello: the random that a ClientHello or ServerHello carries names the
 * handshake, is seen in the packet that leaves, and is kept by the library. While the gate is on that is exact however a
 * program moves bytes between its sockets and the library: by memory, in batches, from one thread to another.
 *
 * Whoever sends a random first has it: a later hello with the same one, by somebody who has seen it, changes nothing. And a
 * process can only name a socket that it has received from. Of packets only the first bytes of what looks like a hello are
 * read. */
#ifndef HELLO_H
#define HELLO_H

enum {
	PARTS_MAX = 4096, /* hellos that left in part only; one more is not known */
	PART_ROOM = 128,
	HELLOS_MAX = 65536,  /* handshakes whose socket is known; beyond it the least recent is unknown */
	SOCKETS_MAX = 65536, /* sockets whose process is known; the same */
	RANDOM_BYTES = 32,
	RECORD_HANDSHAKE = 22, /* RFC 8446 5.1 */
	RECORD_MAJOR = 3,
	HELLO_CLIENT = 1, /* RFC 8446 4 */
	HELLO_SERVER = 2,
	HELLO_TYPE = 5, /* offsets in the record */
	HELLO_RANDOM = 11,
	HEADERS_MIN = 40, /* IPv4 and TCP without options; IPv6 */
	IPV4_PROTOCOL = 9,
	IPV6_NEXT = 6,
	IPV6_HEADER = 40,
	TCP_HEADER = 20,
	TCP_SEQUENCE = 4, /* offsets in the header: of the sequence number, of the byte with the header's length */
	TCP_OFFSET = 12,
	UDP_HEADER = 8,
};

#define SOCKET_ANOTHERS ((struct sock *)1)

struct random {
	__u64 words[RANDOM_BYTES / 8];
};

struct hello {
	__u64 sk; /* only compared and read with checks */
	__u64 cookie;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HELLOS_MAX);
	__type(key, struct random);
	__type(value, struct hello);
} hellos SEC(".maps");

/* Of a socket, while the gate is on. */
struct tracked {
	__u32 process; /* that received from it last; 0: none has */
	__u32 greeted; /* it has sent a hello */
};

/* By the socket's cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SOCKETS_MAX);
	__type(key, __u64);
	__type(value, struct tracked);
} sockets SEC(".maps");

/* Where the payload of a packet is. */
struct packet {
	__u32 payload_at, payload_len;
	__u32 protocol;
	__u32 sequence; /* TCP */
};

/* False: neither TCP nor UDP, or behind extension headers. */
static __always_inline bool packet_read(struct __sk_buff *skb, struct packet *ret)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end, *tcp;
	__u64 at, header;

	if (data + HEADERS_MIN > end)
		return false;
	at = data[0] >> 4 == 4 ? (data[0] & 15) * 4 : IPV6_HEADER;
	ret->protocol = data[0] >> 4 == 4 ? data[IPV4_PROTOCOL] : data[IPV6_NEXT];
	if (ret->protocol == PROTOCOL_TCP) {
		tcp = data + at;
		barrier_var(tcp); /* one pointer for the check and the reading, as the verifier wants it */
		if (tcp + TCP_HEADER > end)
			return false;
		header = (tcp[TCP_OFFSET] >> 4) * 4;
		ret->sequence = bpf_ntohl(*(__u32 *)(tcp + TCP_SEQUENCE));
	} else if (ret->protocol == PROTOCOL_UDP) {
		header = UDP_HEADER;
	} else {
		return false;
	}
	ret->payload_at = at + header;
	ret->payload_len = skb->len > ret->payload_at ? skb->len - ret->payload_at : 0;
	return true;
}

/* The beginning of a hello, of which TCP sends a few bytes at a time: the peer's window may be as small as it likes. */
struct hello_part {
	__u32 next; /* sequence number of what is missing */
	__u32 have;
	__u8 bytes[PART_ROOM];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PARTS_MAX);
	__type(key, __u64);
	__type(value, struct hello_part);
} hello_parts SEC(".maps");

static const struct hello_part part_blank;

/* Of that many bytes, as far as they go. */
static __always_inline bool is_hello(const __u8 *bytes, __u32 count)
{
	return bytes[0] == RECORD_HANDSHAKE && (count < 2 || bytes[1] == RECORD_MAJOR) &&
	       (count <= HELLO_TYPE || bytes[HELLO_TYPE] == HELLO_CLIENT || bytes[HELLO_TYPE] == HELLO_SERVER);
}

/* Adds what is new to what is known of a socket: each its own member, for the other may be written meanwhile. False: it cannot be
 * kept. */
static __always_inline bool socket_track(__u64 cookie, const struct tracked *new)
{
	struct tracked *known = bpf_map_lookup_elem(&sockets, &cookie);

	if (!known) {
		if (!bpf_map_update_elem(&sockets, &cookie, new, BPF_NOEXIST))
			return true;
		known = bpf_map_lookup_elem(&sockets, &cookie);
		if (!known)
			return false;
	}
	if (new->process)
		known->process = new->process;
	if (new->greeted)
		known->greeted = true;
	return true;
}

static __always_inline void hello_keep(struct __sk_buff *skb, const struct random *random)
{
	struct hello hello = {.sk = (__u64)skb->sk, .cookie = bpf_get_socket_cookie(skb)};
	struct tracked greeted = {.greeted = true};

	bpf_map_update_elem(&hellos, random, &hello, BPF_NOEXIST);
	socket_track(hello.cookie, &greeted);
}

/* More of a hello that left in part, or the first part of one. */
static __noinline int hello_part_note(struct __sk_buff *skb, const struct packet *packet, bool begins)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct hello_part *part;
	struct random random;
	__u64 have, more;

	part = bpf_map_lookup_elem(&hello_parts, &cookie);
	if (!part && begins) {
		__sync_fetch_and_add(&gate.parts, 1);
		if (bpf_map_update_elem(&hello_parts, &cookie, &part_blank, BPF_NOEXIST))
			__sync_fetch_and_add(&gate.parts, -1);
		part = bpf_map_lookup_elem(&hello_parts, &cookie);
	}
	if (!part)
		return 0;
	if (begins && part->next != packet->sequence) {
		part->have = 0;
		part->next = packet->sequence;
	}
	have = part->have;
	if (part->next != packet->sequence || have >= HELLO_RANDOM + RANDOM_BYTES)
		return 0;
	more = HELLO_RANDOM + RANDOM_BYTES - have;
	if (more > packet->payload_len)
		more = packet->payload_len;
	if (more == 0)
		return 0;
	/* The same, as the verifier of 5.10 can follow it: at most that, at least 1. */
	more--;
	barrier_var(more);
	barrier_var(have);
	have &= PART_ROOM / 2 - 1;
	more &= PART_ROOM / 2 - 1;
	more++;
	if (bpf_skb_load_bytes(skb, packet->payload_at, part->bytes + have, more))
		return 0;
	part->have = have + more;
	part->next += more;
	if (part->have < HELLO_RANDOM + RANDOM_BYTES && is_hello(part->bytes, part->have))
		return 0;
	if (part->have >= HELLO_RANDOM + RANDOM_BYTES && is_hello(part->bytes, part->have)) {
		__builtin_memcpy(&random, part->bytes + HELLO_RANDOM, sizeof(random));
		hello_keep(skb, &random);
	}
	if (!bpf_map_delete_elem(&hello_parts, &cookie))
		__sync_fetch_and_add(&gate.parts, -1);
	return 0;
}

static __always_inline void hello_note(struct __sk_buff *skb, const struct packet *packet)
{
	struct random random;
	__u8 head[HELLO_TYPE + 1];

	if (packet->protocol != PROTOCOL_TCP || packet->payload_len == 0)
		return;
	if (packet->payload_len < HELLO_RANDOM + RANDOM_BYTES) {
		if (bpf_skb_load_bytes(skb, packet->payload_at, head, 1))
			return;
		if (head[0] == RECORD_HANDSHAKE || *(volatile __s64 *)&gate.parts)
			hello_part_note(skb, packet, head[0] == RECORD_HANDSHAKE);
		return;
	}
	if (bpf_skb_load_bytes(skb, packet->payload_at, head, sizeof(head)))
		return;
	if (is_hello(head, sizeof(head))) {
		if (!bpf_skb_load_bytes(skb, packet->payload_at + HELLO_RANDOM, &random, sizeof(random)))
			hello_keep(skb, &random);
	} else if (*(volatile __s64 *)&gate.parts) {
		hello_part_note(skb, packet, false);
	}
}

/* The socket that sent the hello whose random is at that address of the process. NULL: none did. SOCKET_ANOTHERS: it is gone,
 * or the process never received from it. */
static __noinline struct sock *socket_of_random(__u64 address)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	struct tracked *socket;
	struct random random;
	struct hello *hello;
	struct sock *sk;

	if (!address || bpf_probe_read_user(&random, sizeof(random), (void *)address))
		return 0;
	hello = bpf_map_lookup_elem(&hellos, &random);
	if (!hello)
		return 0;
	socket = bpf_map_lookup_elem(&sockets, &hello->cookie);
	sk = (void *)hello->sk;
	if (!socket || socket->process != process ||
	    (__u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter) != hello->cookie)
		return SOCKET_ANOTHERS;
	return sk;
}

#endif
