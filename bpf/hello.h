/* Which socket a handshake goes over, told by its hello: the random that a ClientHello or ServerHello carries names the handshake, is
 * seen in the packet that leaves, and is kept by the library. While the gate is on that is exact however a program moves bytes
 * between its sockets and the library: by memory, in batches, from one thread to another.
 *
 * Whoever sends a random first has it: a later hello with the same one, by somebody who has seen it, changes nothing. And a
 * process can only name a socket that it has received from. Of packets only the first bytes of what looks like a hello are read. */
#ifndef HELLO_H
#define HELLO_H

enum {
	HELLOS_MAX = 65536,    /* handshakes whose socket is known; beyond it the least recent is unknown */
	RECEIVERS_MAX = 65536, /* sockets whose process is known; the same */
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

/* Socket cookie → the process that received from it last. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RECEIVERS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} receivers SEC(".maps");

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

static __always_inline void hello_note(struct __sk_buff *skb, const struct packet *packet)
{
	struct random random;
	struct hello hello;
	__u8 head[HELLO_TYPE + 1];

	if (packet->protocol != PROTOCOL_TCP || packet->payload_len < HELLO_RANDOM + RANDOM_BYTES ||
	    bpf_skb_load_bytes(skb, packet->payload_at, head, sizeof(head)) || head[0] != RECORD_HANDSHAKE ||
	    head[1] != RECORD_MAJOR || (head[HELLO_TYPE] != HELLO_CLIENT && head[HELLO_TYPE] != HELLO_SERVER) ||
	    bpf_skb_load_bytes(skb, packet->payload_at + HELLO_RANDOM, &random, sizeof(random)))
		return;
	hello.sk = (__u64)skb->sk;
	hello.cookie = bpf_get_socket_cookie(skb);
	bpf_map_update_elem(&hellos, &random, &hello, BPF_NOEXIST);
}

/* The socket that sent the hello whose random is at that address of the process; NULL: none did, or the process never received
 * from it. */
static __noinline struct sock *socket_of_random(__u64 address)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32, *receiver;
	struct random random;
	struct hello *hello;
	struct sock *sk;

	if (!address || bpf_probe_read_user(&random, sizeof(random), (void *)address))
		return 0;
	hello = bpf_map_lookup_elem(&hellos, &random);
	if (!hello)
		return 0;
	receiver = bpf_map_lookup_elem(&receivers, &hello->cookie);
	sk = (void *)hello->sk;
	if (!receiver || *receiver != process || (__u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter) != hello->cookie)
		return 0;
	return sk;
}

#endif
