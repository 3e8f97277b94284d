/* OpenSSL: X509_verify_cert(X509_STORE_CTX *), at its return.
 *
 * libssl calls it for every peer certificate, unless a session is resumed or the application verifies by itself: see
 * finished.h. The X509_STORE_CTX has what was presented (untrusted), the chain built, the error; among its ex_data is the
 * SSL, which has the rest. Without an SSL it is no handshake: counted, not judged. */
#ifndef OPENSSL_H
#define OPENSSL_H

enum {
	EX_DATA_SLOTS = 8,        /* slots searched for the SSL; libssl's own index is 1 unless the application took some */
	BIO_TYPE_SOCKET = 0x0505, /* BIO_s_socket; what SSL_set_fd makes */
	BIO_TYPE_FD = 0x0504,
	BIO_TYPE_DGRAM = 0x0515, /* UDP: its descriptor is no TCP socket, and that settles it */
	VERIFY_MODE_MAX = 0x1f,
	TOLD_MAX = 16384, /* verifications whose handshake is not over; the oldest may be told of twice beyond it */
};

struct connection_key {
	__u64 tgid;
	__u64 ssl;
};

/* Verifications that were told of, and the handshake they belong to: by its random's first bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TOLD_MAX);
	__type(key, struct connection_key);
	__type(value, __u64);
} told SEC(".maps");

SEC("uprobe")
int openssl_verify(struct pt_regs *ctx)
{
	__u64 sp = PT_REGS_SP(ctx);
	struct openssl_call *call;
	struct thread *thread;

	if (checked(ctx, CHECK_X509_VERIFY_CERT))
		return 0;
	thread = thread_get();
	if (!thread)
		return 0;
	call = &thread->openssl;
	/* The stack grows down: a frame at or below this call's stack pointer was left without returning. */
	for (int i = 0; i < CALL_DEPTH; i++) {
		__u32 top = call->depth - 1;
		if (top >= CALL_DEPTH || call->frame[top].sp > sp)
			break;
		call->depth = top;
	}
	__u32 depth = call->depth;
	barrier_var(depth);
	if (depth < CALL_DEPTH) {
		struct openssl_frame *frame = &call->frame[depth];
		frame->store_ctx = PT_REGS_PARM1(ctx);
		frame->sp = sp;
		frame->received = thread->received;
	}
	call->depth = depth + 1;
	return 0;
}

/* Pops the frame that returns: gives its X509_STORE_CTX, and what its thread had received; 0 if it is not known. At the
 * return the return address has left the stack (x86). */
static __always_inline __u64 call_pop(struct openssl_call *call, __u64 sp, struct received *ret)
{
	for (int i = 0; i < CALL_DEPTH + 1; i++) {
		__u32 top = call->depth - 1;
		if (call->depth == 0)
			return 0;
		call->depth = top;
		if (top >= CALL_DEPTH)
			continue;
		if (call->frame[top].sp == sp - 8 || call->frame[top].sp == sp) {
			*ret = call->frame[top].received;
			return call->frame[top].store_ctx;
		}
	}
	return 0;
}

struct stack_view {
	__u64 data;
	__u32 count;
};

static __always_inline struct stack_view stack_read(const struct openssl_layout *at, __u64 stack)
{
	struct stack_view view = {};

	if (stack) {
		view.count = read_u32(stack + at->stack_num);
		view.data = read_u64(stack + at->stack_data);
		if (!view.data || view.count > 0x7fffffff)
			view.count = 0;
	}
	return view;
}

/* Does this pointer look like an SSL: a version of TLS or DTLS, a flag that is 0 or 1, a small mode, a BIO to read from? */
static __always_inline bool is_ssl(const struct openssl_layout *at, __u64 object)
{
	__u32 version = read_u32(object + at->ssl_version);

	if (at->ssl_type != OFFSET_NONE && read_u32(object + at->ssl_type) != 0)
		return false; /* QUIC: what it has inside is the one that verifies */
	return ((version >= 0x0300 && version <= 0x0304) || version == 0xfeff || version == 0xfefd || version == 0x0100) &&
	       read_u32(object + at->ssl_server) <= 1 && read_u32(object + at->ssl_verify_mode) <= VERIFY_MODE_MAX &&
	       read_u64(object + at->ssl_rbio) != 0;
}

static __noinline __u64 ssl_find(const struct openssl_layout *at, __u64 store_ctx)
{
	struct stack_view slots = stack_read(at, read_u64(store_ctx + at->ctx_ex_data));

	for (__u32 i = 0; i < EX_DATA_SLOTS; i++) {
		if (i >= slots.count)
			break;
		__u64 object = read_u64(slots.data + i * 8);
		if (object && is_ssl(at, object))
			return object;
	}
	return 0;
}

/* Number of value in list, or PRESENTED_MAX; without a branch for each, which the verifier would follow. */
static __always_inline __u32 number_in(__u64 value, const __u64 *list)
{
	__u64 number = PRESENTED_MAX;

	for (int i = PRESENTED_MAX - 1; i >= 0; i--) {
		__u64 x = value ^ list[i], negative = -x;
		barrier_var(negative); /* or clang sees what is asked here, and makes branches after all */
		__u64 differs = 0 - ((x | negative) >> 63);
		barrier_var(differs);
		number = (number & differs) | ((__u64)i & ~differs);
	}
	return number;
}

static __always_inline struct cert_source x509_source(const struct openssl_layout *at, __u64 x509)
{
	__u64 signature = x509 + at->x509_signature;
	__u64 flags = read_u64(signature + at->string_flags);

	return (struct cert_source){
		.object = x509,
		.form = CERT_TBS_SIGNATURE,
		.tbs = read_u64(x509 + at->x509_tbs),
		.tbs_len = read_u64(x509 + at->x509_tbs_len),
		.signature = read_u64(signature + at->string_data),
		.signature_len = read_u32(signature + at->string_length),
		/* ASN1_STRING_FLAG_BITS_LEFT is 8, the low three bits are the unused bits. */
		.unused_bits = flags & 8 ? flags & 7 : 0,
	};
}

static __noinline void x509_send(const struct openssl_layout *at, __u64 x509, struct record_verify *record)
{
	struct cert_source source = x509_source(at, x509);
	cert_send(&source, record);
}

static __always_inline bool x509_keying(const struct openssl_layout *at, __u64 x509, struct keying *k)
{
	struct cert_source source = x509_source(at, x509);
	return keying_cert(k, &source);
}

/* list: a stack. It begins with the leaf; but an application's own may not, nor does the one that a server keeps. */
static __always_inline void presented_fill(const struct openssl_layout *at, __u64 leaf, __u64 list,
					   struct record_verify *record)
{
	struct stack_view presented = stack_read(at, list);
	__u32 shift = leaf && (!presented.count || read_u64(presented.data) != leaf);

	if (presented.count + shift > PRESENTED_MAX)
		record->flags |= VERIFY_TRUNCATED;
	for (__u32 i = 0; i < PRESENTED_MAX; i++) {
		__u64 x509 = 0;
		if (shift && i == 0)
			x509 = leaf;
		else if (i - shift < presented.count)
			x509 = read_u64(presented.data + (i - shift) * 8);
		if (!x509)
			break;
		record->presented_object[i] = x509;
		record->presented = i + 1;
	}
}

/* Fills the lists of record. */
static __noinline void chains_list(const struct openssl_layout *at, __u64 store_ctx, struct record_verify *record)
{
	struct stack_view chain = stack_read(at, read_u64(store_ctx + at->ctx_chain));

	presented_fill(at, read_u64(store_ctx + at->ctx_cert), read_u64(store_ctx + at->ctx_untrusted), record);
	if (chain.count > CHAIN_MAX)
		record->flags |= VERIFY_TRUNCATED;
	for (__u32 i = 0; i < CHAIN_MAX; i++) {
		__u64 x509 = i < chain.count ? read_u64(chain.data + i * 8) : 0;
		if (!x509)
			break;
		record->chain_object[i] = x509;
		record->chain = i + 1;
	}
}

static __noinline bool chains_key(const struct openssl_layout *at, const struct record_verify *record,
				  struct verdict_keys *ret)
{
	struct keying k = {};

	if (!gate.caching || record->flags & VERIFY_TRUNCATED)
		return false;
	if (!keying_begin(&k, record, LIBRARY_OPENSSL))
		return false;
	for (__u32 i = 0; i < PRESENTED_MAX; i++) {
		if (i >= record->presented)
			break;
		if (!x509_keying(at, record->presented_object[i], &k))
			return false;
	}
	k.presented_bytes = k.bytes;
	for (__u32 i = 0; i < CHAIN_MAX; i++) {
		if (i >= record->chain)
			break;
		__u32 number = number_in(record->chain_object[i], record->presented_object);
		if (number < PRESENTED_MAX ? !keying_number(&k, number) : !x509_keying(at, record->chain_object[i], &k))
			return false;
	}
	return keying_end(&k, record, ret);
}

/* Each distinct certificate once. */
static __noinline void chains_send(const struct openssl_layout *at, struct record_verify *record)
{
	for (__u32 i = 0; i < PRESENTED_MAX; i++) {
		if (i >= record->presented)
			break;
		x509_send(at, record->presented_object[i], record);
	}
	for (__u32 i = 0; i < CHAIN_MAX; i++) {
		if (i >= record->chain)
			break;
		__u64 x509 = record->chain_object[i];
		if (number_in(x509, record->presented_object) == PRESENTED_MAX)
			x509_send(at, x509, record);
	}
}

static __noinline void host_read(const struct openssl_layout *at, __u64 param, struct record_verify *record)
{
	__u64 ip_len;
	struct stack_view hosts;

	if (!param || at->param_hosts == OFFSET_NONE)
		return;
	hosts = stack_read(at, read_u64(param + at->param_hosts));
	if (hosts.count)
		text_copy(record->expected_host, read_u64(hosts.data));
	if (at->param_ip == OFFSET_NONE)
		return;
	ip_len = read_u64(param + at->param_ip_len);
	if (ip_len != 4 && ip_len != 16)
		return;
	if (!bpf_probe_read_user(record->host_ip, ip_len == 4 ? 4 : 16, (void *)read_u64(param + at->param_ip)))
		record->host_ip_len = ip_len;
}

static __always_inline int bio_fd(const struct openssl_layout *at, __u64 bio)
{
	__u32 type = read_u32(read_u64(bio + at->bio_method) + at->method_type);

	return type == BIO_TYPE_SOCKET || type == BIO_TYPE_FD || type == BIO_TYPE_DGRAM ? (int)read_u32(bio + at->bio_num) :
											  -1;
}

/* Where the random of our own hello is; 0: not known. */
static __always_inline __u64 ssl_random(const struct openssl_layout *at, __u64 ssl, bool server)
{
	__u64 object = at->ssl_hello == OFFSET_NONE ? ssl : read_u64(ssl + at->ssl_hello);

	if (at->ssl_client_random == OFFSET_NONE || at->ssl_server_random == OFFSET_NONE || !object)
		return 0;
	return object + (server ? at->ssl_server_random : at->ssl_client_random);
}

static __noinline int ssl_socket(const struct openssl_layout *at, __u64 ssl, const struct received *received,
				 struct record_socket *ret)
{
	struct handshake handshake = {
		.fd = bio_fd(at, read_u64(ssl + at->ssl_rbio)),
		.random = ssl_random(at, ssl, read_u32(ssl + at->ssl_server)),
		.received = received,
	};

	return socket_find(&handshake, ret);
}

static __noinline void ssl_read_facts(const struct openssl_layout *at, __u64 ssl, const struct received *received,
				      struct record_verify *record)
{
	record->session = ssl;
	record->role = read_u32(ssl + at->ssl_server) ? ROLE_SERVER : ROLE_CLIENT;
	record->verify_mode = read_u32(ssl + at->ssl_verify_mode);
	text_copy(record->server_name, read_u64(ssl + at->ssl_server_name));
	if (at->ssl_early != OFFSET_NONE && read_u32(ssl + at->ssl_early))
		record->flags |= VERIFY_EARLY;
	ssl_socket(at, ssl, received, &record->socket);
}

static __always_inline void openssl_send(const struct openssl_layout *at, const struct record_verify *draft)
{
	struct record_verify *record = verify_reserve(draft);

	if (record) {
		chains_send(at, record);
		verify_submit(record);
	}
	verdict_told(draft, record != 0);
}

static __always_inline void openssl_record(struct pt_regs *ctx, const struct record_head *head,
					   const struct openssl_layout *at, __u64 store_ctx, __u64 ssl,
					   const struct received *received, bool keyed)
{
	struct record_verify *draft = verify_begin(head);
	struct verdict_keys keys = {};

	if (!draft)
		return;
	draft->result = (int)PT_REGS_RC(ctx);
	draft->error = read_u32(store_ctx + at->ctx_error);
	/* A raw public key (RFC 7250). */
	if (!read_u64(store_ctx + at->ctx_cert)) {
		draft->flags |= VERIFY_BARE;
		draft->bare = BARE_RAW_KEY;
	}
	ssl_read_facts(at, ssl, received, draft);
	host_read(at, read_u64(store_ctx + at->ctx_param), draft);
	chains_list(at, store_ctx, draft);
	if (keyed && chains_key(at, draft, &keys))
		keys_find(&keys);
	if (verdict_apply(draft, &keys, false)) {
		/* libssl ignores the answer if it was not asked to verify. */
		if (can_reject && draft->flags & VERIFY_DENIED && draft->verify_mode & SSL_VERIFY_PEER) {
			PT_REGS_RC(ctx) = 0;
			draft->flags |= VERIFY_REJECTED;
		}
		openssl_send(at, draft);
	}
	verify_end(head->id.pid_tgid);
}

/* Names the handshake within its connection; 0: not known. */
static __always_inline __u64 ssl_handshake(const struct openssl_layout *at, __u64 ssl)
{
	__u64 random = ssl_random(at, ssl, false);

	return random ? read_u64(random) : 0;
}

/* For finished.h, which else would tell of it. */
static __always_inline void told_note(const struct openssl_layout *at, __u64 thread, __u64 ssl)
{
	struct connection_key key = {.tgid = thread >> 32, .ssl = ssl};
	__u64 handshake = ssl_handshake(at, ssl);

	if (at->ssl_session != OFFSET_NONE)
		bpf_map_update_elem(&told, &key, &handshake, BPF_ANY);
}

static __always_inline int openssl_return(struct pt_regs *ctx, bool keyed)
{
	struct thread *thread = thread_known();
	struct library_layout *layout;
	struct received received = {};
	struct record_head head;
	__u64 store_ctx = thread ? call_pop(&thread->openssl, PT_REGS_SP(ctx), &received) : 0, ssl;

	if (checked(ctx, 0))
		return 0;
	if (!store_ctx) {
		COUNT(lost_call);
		return 0;
	}
	layout = layout_of(ctx, LIBRARY_OPENSSL, &head);
	if (!layout)
		return 0;
	ssl = ssl_find(&layout->openssl, store_ctx);
	if (!ssl) {
		COUNT(not_tls);
		return 0;
	}
	told_note(&layout->openssl, head.id.pid_tgid, ssl);
	openssl_record(ctx, &head, &layout->openssl, store_ctx, ssl, &received, keyed);
	return 0;
}

SEC("uretprobe")
int openssl_verified(struct pt_regs *ctx)
{
	return openssl_return(ctx, true);
}

SEC("uretprobe")
int openssl_verified_plain(struct pt_regs *ctx)
{
	return openssl_return(ctx, false);
}

#endif
