/* OpenSSL: the end of a handshake, for those of which X509_verify_cert says nothing: a session was resumed, the application
 * verified with a function of its own, or the peer showed no certificate.
 *
 * The probes sit on the two functions that go on with a handshake, for clients and for servers, whoever calls them:
 * SSL_do_handshake, or SSL_read and SSL_write while it is not over (and each time a message of the handshake comes later: a
 * ticket, a new key, a request for a certificate). Where these are not known they sit on SSL_do_handshake. Of the handshake's
 * own state they read whether it was over before, and is now. Told of here is also a verification that could not be told of
 * when it returned: of QUIC, where X509_verify_cert is not given the SSL that has the fields, and of a handshake that began
 * before the agent. A session keeps the peer's certificates and what came of their verification, but no chain.
 *
 * Kernels from 6.13 on run one program at both ends of a call and keep eight bytes for it in between, which is cheaper than an
 * entry in a map: there openssl_handshake_session stands for openssl_handshake and openssl_handshaken. */
#ifndef FINISHED_H
#define FINISHED_H

#include "uprobe_session.h"

enum {
	STATE_DONE = 1, /* TLS_ST_OK */
	TELL = 1 << 30,
	TLS_1_3 = 0x0304,
	SSL_VERIFY_POST_HANDSHAKE = 8,
	AUTH_NONE = 4,          /* SSL_aNULL: an anonymous cipher */
	HANDSHAKES_MAX = 16384, /* calls under way at once; beyond it the end of the least recent goes unseen */
};

/* Kept for a session's return: an SSL, or this bit, which no address of a process has: see the map. */
#define KEPT_IN_MAP (1ULL << 63)

/* What a call has more on the stack than what it returns to. */
#ifdef __TARGET_ARCH_x86
#define RETURN_ADDRESS 8
#else
#define RETURN_ADDRESS 0
#endif

/* One call, told from others of its thread by where it has its return address. */
struct handshake_key {
	__u64 thread;
	__u64 sp;
};

struct handshake_call {
	__u64 ssl;
	/* If the handshake was over before: what it was, and whose certificate it had. */
	__u64 done;
	__u64 handshake, peer;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, struct handshake_key);
	__type(value, struct handshake_call);
} handshakes SEC(".maps");

static __always_inline __u64 ssl_peer(const struct openssl_layout *at, __u64 ssl)
{
	__u64 session = read_u64(ssl + at->ssl_session);

	return session ? read_u64(session + at->session_peer) : 0;
}

static __always_inline struct handshake_key handshake_key(__u64 sp)
{
	return (struct handshake_key){.thread = bpf_get_current_pid_tgid(), .sp = sp};
}

/* False: there is nothing to be told of at the return. ret: all zeros. */
static __always_inline bool handshake_begin(struct pt_regs *ctx, struct handshake_call *ret)
{
	__u32 library = library_of(ctx);
	struct library_layout *layout;
	const struct openssl_layout *at;

	if (checked(ctx, CHECK_SSL_DO_HANDSHAKE))
		return false;
	layout = bpf_map_lookup_elem(&layouts, &library);
	if (!layout || layout->kind != LIBRARY_OPENSSL || layout->openssl.ssl_session == OFFSET_NONE)
		return false;
	at = &layout->openssl;
	ret->ssl = PT_REGS_PARM1(ctx);
	ret->done = read_u32(ret->ssl + at->ssl_state) == STATE_DONE;
	if (ret->done) {
		/* A ticket or a new key: with TLS 1.3 no later message changes whom a client talks to. */
		if (read_u32(ret->ssl + at->ssl_version) == TLS_1_3 && !read_u32(ret->ssl + at->ssl_server))
			return false;
		ret->handshake = ssl_handshake(at, ret->ssl);
		ret->peer = ssl_peer(at, ret->ssl);
	}
	return true;
}

SEC("uprobe")
int openssl_handshake(struct pt_regs *ctx)
{
	struct handshake_key key = handshake_key(PT_REGS_SP(ctx));
	struct handshake_call call = {};

	if (handshake_begin(ctx, &call))
		bpf_map_update_elem(&handshakes, &key, &call, BPF_ANY);
	return 0;
}

/* Has X509_verify_cert been told of, in this handshake? */
static __always_inline bool was_told(const struct openssl_layout *at, __u64 thread, __u64 ssl)
{
	struct connection_key key = {.tgid = thread >> 32, .ssl = ssl};
	__u64 *handshake = bpf_map_lookup_elem(&told, &key);
	bool now = handshake && *handshake == ssl_handshake(at, ssl);

	if (handshake)
		bpf_map_delete_elem(&told, &key);
	return now;
}

/* Does the application verify with a function of its own? */
static __always_inline bool has_callback(const struct openssl_layout *at, __u64 ssl)
{
	__u64 context = at->context_verify == OFFSET_NONE ? 0 : read_u64(ssl + at->ssl_ctx);

	return context && read_u64(context + at->context_verify);
}

/* Of a session that was resumed, with TLS 1.3, only a client knows that it began with a key: for a server it may have begun with
 * nothing at all. */
static __always_inline __u32 bare_kind(const struct openssl_layout *at, __u64 ssl, __u64 session)
{
	__u64 cipher = read_u64(session + at->session_cipher);

	if (at->session_raw_key != OFFSET_NONE && read_u64(session + at->session_raw_key))
		return BARE_RAW_KEY;
	if (at->session_psk != OFFSET_NONE && read_u64(session + at->session_psk))
		return BARE_PSK;
	if (read_u32(ssl + at->ssl_version) == TLS_1_3 && !read_u32(ssl + at->ssl_server))
		return BARE_PSK;
	return cipher && read_u32(cipher + at->cipher_auth) == AUTH_NONE ? BARE_ANONYMOUS : BARE_UNKNOWN;
}

/* What there is to tell of a handshake that is over: its flags, without VERIFY_EARLY, and TELL; 0: nothing. Most were told of,
 * so that is asked first. */
static __noinline __u32 finished_flags(const struct openssl_layout *at, const struct handshake_call *call, __u64 thread)
{
	__u64 ssl = call->ssl, peer;
	bool before = call->done && call->handshake == ssl_handshake(at, ssl), server, tls_1_3, resumed;
	__u32 mode;

	if (before) {
		peer = ssl_peer(at, ssl);
		if (!peer || peer == call->peer)
			return 0;
	}
	if (was_told(at, thread, ssl) || !is_ssl(at, ssl) || !read_u64(ssl + at->ssl_session))
		return 0;
	peer = ssl_peer(at, ssl);
	server = read_u32(ssl + at->ssl_server);
	tls_1_3 = read_u32(ssl + at->ssl_version) == TLS_1_3;
	mode = read_u32(ssl + at->ssl_verify_mode);
	/* Before, that was another handshake: a certificate was asked for later. */
	resumed = !before && read_u32(ssl + at->ssl_reused) != 0;
	if (peer)
		return TELL | (resumed ? VERIFY_RESUMED : 0) | (has_callback(at, ssl) ? VERIFY_CUSTOM : 0);
	/* Most servers ask for none; some only later. */
	if (server && (!(mode & SSL_VERIFY_PEER) || mode & SSL_VERIFY_POST_HANDSHAKE)) {
		COUNT(no_certificate);
		return 0;
	}
	/* TLS 1.3 counts a key that both had before as a session, which tells a client nothing. */
	return TELL | VERIFY_BARE | (resumed && (server || !tls_1_3) ? VERIFY_RESUMED : 0);
}

/* The certificates that the session has. */
static __noinline void session_list(const struct openssl_layout *at, __u64 ssl, struct record_verify *record)
{
	__u64 session = read_u64(ssl + at->ssl_session);

	presented_fill(at, read_u64(session + at->session_peer), read_u64(session + at->session_chain), record);
}

static __always_inline void finished_record(const struct record_head *head, const struct openssl_layout *at, __u64 ssl,
					    __u32 flags, bool keyed)
{
	struct record_verify *draft = verify_begin(head);
	struct received received = received_snapshot();
	struct verdict_keys keys = {};

	if (!draft)
		return;
	draft->result = 1;
	draft->flags = flags;
	if (flags & VERIFY_BARE)
		draft->bare = bare_kind(at, ssl, read_u64(ssl + at->ssl_session));
	else
		draft->error = read_u32(ssl + at->ssl_result);
	ssl_read_facts(at, ssl, &received, draft);
	host_read(at, read_u64(ssl + at->ssl_param), draft);
	if (!(flags & VERIFY_BARE))
		session_list(at, ssl, draft);
	if (keyed && chains_key(at, draft, &keys))
		keys_find(&keys);
	if (verdict_apply(draft, &keys, false))
		openssl_send(at, draft);
	verify_end(head->id.pid_tgid);
}

/* Did this call end a handshake, or the message after it? Most go on, or fail. */
static __always_inline bool is_end(struct pt_regs *ctx)
{
	return (int)PT_REGS_RC(ctx) == 1;
}

static __always_inline void handshake_end(struct pt_regs *ctx, const struct handshake_call *call, bool keyed)
{
	const struct openssl_layout *at;
	struct library_layout *layout;
	struct record_head head;
	__u32 flags;

	layout = layout_of(ctx, LIBRARY_OPENSSL, &head);
	if (!layout)
		return;
	at = &layout->openssl;
	/* Early data may be sent or read before it is over. */
	if (read_u32(call->ssl + at->ssl_state) != STATE_DONE)
		return;
	flags = finished_flags(at, call, head.id.pid_tgid);
	if (flags)
		finished_record(&head, at, call->ssl, flags & ~TELL, keyed);
}

/* What the map has of the call that returns; it is deleted there. False: nothing. */
static __always_inline bool call_take(struct pt_regs *ctx, struct handshake_call *ret)
{
	struct handshake_key key = handshake_key(PT_REGS_SP(ctx) - RETURN_ADDRESS);
	struct handshake_call *found = bpf_map_lookup_elem(&handshakes, &key);

	if (!found || checked(ctx, 0))
		return false;
	*ret = *found;
	bpf_map_delete_elem(&handshakes, &key);
	return true;
}

static __always_inline int finished_return(struct pt_regs *ctx, bool keyed)
{
	struct handshake_call call;

	if (call_take(ctx, &call) && is_end(ctx))
		handshake_end(ctx, &call, keyed);
	return 0;
}

SEC("uretprobe")
int openssl_handshaken(struct pt_regs *ctx)
{
	return finished_return(ctx, true);
}

SEC("uretprobe")
int openssl_handshaken_plain(struct pt_regs *ctx)
{
	return finished_return(ctx, false);
}

/* At the return. kept: what the entry left. */
static __always_inline int session_return(struct pt_regs *ctx, __u64 kept)
{
	struct handshake_call call = {.ssl = kept & ~KEPT_IN_MAP};

	if (kept & KEPT_IN_MAP && !call_take(ctx, &call))
		return SESSION_ON;
	if (is_end(ctx))
		handshake_end(ctx, &call, true);
	return SESSION_ON;
}

/* Of a call in a handshake that was not over before, which are nearly all, its SSL is all there is to keep. */
SEC("uprobe")
int openssl_handshake_session(struct pt_regs *ctx)
{
	struct handshake_key key = handshake_key(PT_REGS_SP(ctx));
	struct handshake_call call = {};
	__u64 *kept;

	if (session_is_return(ctx)) {
		kept = session_cookie(ctx);
		return session_return(ctx, *kept);
	}
	if (!handshake_begin(ctx, &call))
		return SESSION_NO_RETURN;
	kept = session_cookie(ctx);
	if (call.ssl & KEPT_IN_MAP || call.done) {
		if (bpf_map_update_elem(&handshakes, &key, &call, BPF_ANY))
			return SESSION_NO_RETURN;
		*kept = KEPT_IN_MAP;
	} else {
		*kept = call.ssl;
	}
	return SESSION_ON;
}

#endif
