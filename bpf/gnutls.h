/* GnuTLS: the handshake and gnutls_certificate_verify_peers, through which verify_peers2, verify_peers3 and the automatic
 * verification all go. What was presented is read from the session at either function's return.
 *
 * An application may verify after the handshake, or not at all. So a handshake that ends unverified is sent as
 * VERIFY_NONE_YET, a verification outside a handshake as VERIFY_AFTER, and the session's end as RECORD_CLOSED; the agent
 * puts them together. GnuTLS keeps no chain of its own making, so none is sent. */
#ifndef GNUTLS_H
#define GNUTLS_H

#include "gnutls_session.h"

enum {
	GNUTLS_DT_DNS_HOSTNAME = 1,
	GNUTLS_DT_IP_ADDRESS = 4, /* gnutls_typed_vdata_st.type */
	TYPED_VDATA_BYTES = 24,
	TYPED_VDATA_MAX = 4,            /* elements looked at for the expected host */
	GNUTLS_CERTIFICATE_ERROR = -43, /* GNUTLS_E_CERTIFICATE_ERROR */
};

static __always_inline struct gnutls_call *gnutls_call_begin(void)
{
	struct thread *known = thread_get();

	return known ? &known->gnutls : 0;
}

/* That under way; NULL: none. */
static __always_inline struct gnutls_call *gnutls_call_known(void)
{
	struct thread *known = thread_known();

	return known && (known->gnutls.handshake || known->gnutls.verify) ? &known->gnutls : 0;
}

static __always_inline void gnutls_call_end(struct gnutls_call *call)
{
	call->handshake = 0;
	call->verify = 0;
}

static __always_inline struct session_state *session_of(__u64 thread, __u64 session)
{
	struct session_key key = {.tgid = thread >> 32, .session = session};
	return bpf_map_lookup_elem(&sessions, &key);
}

static __always_inline struct session_state *session_make(__u64 thread, __u64 session)
{
	struct session_key key = {.tgid = thread >> 32, .session = session};
	struct session_state *state = bpf_map_lookup_elem(&sessions, &key);

	if (!state) {
		struct session_state fresh = {};
		bpf_map_update_elem(&sessions, &key, &fresh, BPF_ANY);
		state = bpf_map_lookup_elem(&sessions, &key);
	}
	return state;
}

SEC("uprobe")
int gnutls_handshake_begin(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), session = PT_REGS_PARM1(ctx);
	__u32 library = library_of(ctx);
	struct library_layout *layout = bpf_map_lookup_elem(&layouts, &library);
	struct session_state *state;
	struct gnutls_call *call;

	if (checked(ctx, CHECK_GNUTLS_HANDSHAKE))
		return 0;
	call = gnutls_call_begin();
	if (!call)
		return 0;
	call->handshake = session;
	call->verify = 0;
	if (!layout || layout->kind != LIBRARY_GNUTLS)
		return 0;
	state = session_make(thread, session);
	if (!state)
		return 0;
	/* Only with the library's own pull function is the transport pointer the fd. */
	state->entry = PT_REGS_IP(ctx);
	state->own_pull = is_own_function(&layout->gnutls, state->entry, read_u64(session + layout->gnutls.session_pull));
	return 0;
}

static __always_inline struct cert_source presented_source(__u64 list, __u32 i)
{
	return (struct cert_source){
		.object = i + 1,
		.form = CERT_DER,
		.tbs = read_u64(list + i * DATUM_BYTES),
		.tbs_len = read_u32(list + i * DATUM_BYTES + 8),
	};
}

static __always_inline void presented_list(const struct gnutls_layout *at, __u64 auth_info, struct record_verify *record)
{
	__u32 count = auth_info ? read_u32(auth_info + at->auth_count) : 0;

	if (count > PRESENTED_MAX)
		record->flags |= VERIFY_TRUNCATED;
	for (__u32 i = 0; i < PRESENTED_MAX; i++) {
		if (i >= count)
			break;
		record->presented_object[i] = i + 1;
		record->presented = i + 1;
	}
}

static __noinline bool presented_key(const struct gnutls_layout *at, __u64 auth_info, const struct record_verify *record,
				     struct verdict_keys *ret)
{
	__u64 list = read_u64(auth_info + at->auth_list);
	struct keying k = {};

	if (!gate.caching || record->flags & VERIFY_TRUNCATED)
		return false;
	if (!keying_begin(&k, record, LIBRARY_GNUTLS))
		return false;
	for (__u32 i = 0; i < PRESENTED_MAX; i++) {
		if (i >= record->presented)
			break;
		struct cert_source source = presented_source(list, i);
		if (!keying_cert(&k, &source))
			return false;
	}
	k.presented_bytes = k.bytes;
	return keying_end(&k, record, ret);
}

static __noinline void presented_send(const struct gnutls_layout *at, __u64 auth_info, struct record_verify *record)
{
	__u64 list = read_u64(auth_info + at->auth_list);

	for (__u32 i = 0; i < PRESENTED_MAX; i++) {
		if (i >= record->presented)
			break;
		struct cert_source source = presented_source(list, i);
		cert_send(&source, record);
	}
}

/* gnutls_typed_vdata_st { int type; unsigned char *data; unsigned int size; } */
static __always_inline void vdata_read(__u64 data, __u32 elements, struct record_verify *record)
{
	for (__u32 i = 0; i < TYPED_VDATA_MAX; i++) {
		if (i >= elements || !data)
			break;
		__u64 entry = data + i * TYPED_VDATA_BYTES;
		__u32 type = read_u32(entry), size = read_u32(entry + 16);
		if (type == GNUTLS_DT_DNS_HOSTNAME)
			text_copy(record->expected_host, read_u64(entry + 8));
		if (type == GNUTLS_DT_IP_ADDRESS && (size == 4 || size == 16) &&
		    !bpf_probe_read_user(record->host_ip, size == 4 ? 4 : 16, (void *)read_u64(entry + 8)))
			record->host_ip_len = size;
	}
}

/* The descriptor, if the library reads from it itself; or -1. */
static __always_inline int session_fd(const struct gnutls_layout *at, __u64 session, const struct session_state *state)
{
	return state && state->own_pull ? (int)read_u64(session + at->session_transport) : -1;
}

static __always_inline __u64 session_random(const struct gnutls_layout *at, __u64 session, bool server)
{
	if (at->session_client_random == OFFSET_NONE || at->session_server_random == OFFSET_NONE)
		return 0;
	return session + (server ? at->session_server_random : at->session_client_random);
}

/* The beginning of our own random, which names the handshake within its session; 0: not known. */
static __always_inline __u64 session_handshake(const struct gnutls_layout *at, __u64 session)
{
	__u64 random = session_random(at, session, read_u32(session + at->session_entity) == GNUTLS_SERVER);

	return random ? read_u64(random) : 0;
}

static __noinline int session_socket(const struct gnutls_layout *at, __u64 session, const struct session_state *state,
				     const struct received *received, struct record_socket *ret)
{
	struct handshake handshake = {
		.fd = session_fd(at, session, state),
		.random = session_random(at, session, read_u32(session + at->session_entity) == GNUTLS_SERVER),
		.received = received,
	};

	return socket_find(&handshake, ret);
}

static __always_inline void gnutls_session_read(const struct gnutls_layout *at, __u64 session,
						const struct session_state *state, const struct received *received,
						struct record_verify *record)
{
	__u32 entity = read_u32(session + at->session_entity);

	record->session = session;
	record->role = entity == GNUTLS_CLIENT ? ROLE_CLIENT : entity == GNUTLS_SERVER ? ROLE_SERVER : ROLE_UNKNOWN;
	record->flags |= session_flags(at, session);
	session_name(at, session, record->server_name);
	session_socket(at, session, state, received, &record->socket);
}

/* True if it was sent. */
static __always_inline bool gnutls_send(const struct gnutls_layout *at, __u64 auth_info, const struct record_verify *draft)
{
	struct record_verify *record = verify_reserve(draft);

	if (record) {
		presented_send(at, auth_info, record);
		verify_submit(record);
	}
	verdict_told(draft, record != 0);
	return record != 0;
}

/* The rest, when the facts are there: true if it was sent. */
static __always_inline bool gnutls_finish(struct pt_regs *ctx, const struct gnutls_layout *at, __u64 auth_info,
					  struct record_verify *draft, bool keyed, bool awaited)
{
	struct verdict_keys keys = {};
	bool sent = false;

	presented_list(at, auth_info, draft);
	if (keyed && presented_key(at, auth_info, draft, &keys))
		keys_find(&keys);
	if (verdict_apply(draft, &keys, awaited)) {
		if (can_reject && draft->flags & VERIFY_DENIED && !(draft->flags & VERIFY_NONE_YET)) {
			PT_REGS_RC(ctx) = GNUTLS_CERTIFICATE_ERROR;
			draft->flags |= VERIFY_REJECTED;
		}
		sent = gnutls_send(at, auth_info, draft);
	}
	verify_end(draft->head.id.pid_tgid);
	return sent;
}

/* Of a handshake that has ended without a verification: one may follow, or an earlier one counts, or an application's own
 * function has decided. */
static __always_inline __u32 unverified_flags(const struct gnutls_layout *at, __u64 session,
					      const struct session_state *state, bool resumed)
{
	__u64 function = verifier_of(at, session);

	if (!function)
		return VERIFY_NONE_YET;
	return resumed && state && verifier_verifies(at, state->entry, function) ? 0 : VERIFY_CUSTOM;
}

static __always_inline void gnutls_unverified(struct pt_regs *ctx, const struct record_head *head,
					      const struct gnutls_layout *at, __u64 session, struct session_state *state,
					      bool keyed)
{
	__u8 kind = BARE_UNKNOWN;
	bool bare = session_bare(at, session, &kind);
	struct received received;
	struct record_verify *draft;

	if (bare) {
		COUNT(no_certificate);
		if (!session_expects(at, session))
			return;
	}
	received = received_snapshot();
	draft = verify_begin(head);
	if (!draft)
		return;
	gnutls_session_read(at, session, state, &received, draft);
	draft->flags |= bare ? VERIFY_BARE : unverified_flags(at, session, state, draft->flags & VERIFY_RESUMED);
	draft->bare = bare ? kind : 0;
	if (state)
		state->told_random = session_handshake(at, session);
	if (gnutls_finish(ctx, at, bare ? 0 : auth_info_of(at, session), draft, keyed, false) && state)
		state->pending = !(draft->flags & VERIFY_NONE_YET) ? PENDING_NOT :
				 is_told_by_notice(draft->flags)   ? PENDING_DENIED :
								     PENDING_JUDGED;
}

static __always_inline int gnutls_handshake_return(struct pt_regs *ctx, bool keyed)
{
	__u64 thread = bpf_get_current_pid_tgid(), session, random;
	struct gnutls_call *call = gnutls_call_known();
	const struct gnutls_layout *at;
	struct library_layout *layout;
	struct session_state *state;
	struct record_head head;

	if (checked(ctx, 0))
		return 0;
	if (!call || !call->handshake) {
		COUNT(lost_call);
		return 0;
	}
	session = call->handshake;
	gnutls_call_end(call);
	if ((int)PT_REGS_RC(ctx) != 0) /* again, interrupted, a warning, or failed */
		return 0;
	layout = layout_of(ctx, LIBRARY_GNUTLS, &head);
	if (!layout)
		return 0;
	at = &layout->gnutls;
	state = session_of(thread, session);
	if (state && state->verified) {
		state->verified = 0;
		verifier_note(at, session, state->entry);
		return 0;
	}
	/* After a false start the handshake ends twice. */
	random = session_handshake(at, session);
	if (state && random && state->told_random == random)
		return 0;
	gnutls_unverified(ctx, &head, at, session, state, keyed);
	return 0;
}

SEC("uretprobe")
int gnutls_handshake_end(struct pt_regs *ctx)
{
	return gnutls_handshake_return(ctx, true);
}

SEC("uretprobe")
int gnutls_handshake_end_plain(struct pt_regs *ctx)
{
	return gnutls_handshake_return(ctx, false);
}

/* gnutls_reauth: a server has asked for the client's certificate after the handshake (RFC 8446 4.6.2). Nothing is told of a
 * client that has shown one. */
SEC("uprobe")
int gnutls_reauth_begin(struct pt_regs *ctx)
{
	struct gnutls_call *call;

	if (checked(ctx, CHECK_GNUTLS_REAUTH))
		return 0;
	call = gnutls_call_begin();
	if (call)
		call->handshake = PT_REGS_PARM1(ctx);
	return 0;
}

static __always_inline int gnutls_reauth_return(struct pt_regs *ctx, bool keyed)
{
	__u64 thread = bpf_get_current_pid_tgid(), session;
	struct gnutls_call *call = gnutls_call_known();
	const struct gnutls_layout *at;
	struct library_layout *layout;
	struct session_state *state;
	struct record_head head;

	if (checked(ctx, 0) || !call || !call->handshake)
		return 0;
	session = call->handshake;
	gnutls_call_end(call);
	layout = layout_of(ctx, LIBRARY_GNUTLS, &head);
	if ((int)PT_REGS_RC(ctx) != 0 || !layout)
		return 0;
	at = &layout->gnutls;
	state = session_of(thread, session);
	if (state && state->verified)
		state->verified = 0;
	else if (read_u32(session + at->session_entity) == GNUTLS_SERVER)
		gnutls_unverified(ctx, &head, at, session, state, keyed);
	return 0;
}

SEC("uretprobe")
int gnutls_reauth_end(struct pt_regs *ctx)
{
	return gnutls_reauth_return(ctx, true);
}

SEC("uretprobe")
int gnutls_reauth_end_plain(struct pt_regs *ctx)
{
	return gnutls_reauth_return(ctx, false);
}

SEC("uprobe")
int gnutls_verify_begin(struct pt_regs *ctx)
{
	struct gnutls_call *call;

	if (checked(ctx, CHECK_GNUTLS_VERIFY_PEERS))
		return 0;
	call = gnutls_call_begin();
	if (!call)
		return 0;
	call->verify = PT_REGS_PARM1(ctx);
	call->data = PT_REGS_PARM2(ctx);
	call->elements = PT_REGS_PARM3(ctx);
	call->status = PT_REGS_PARM4(ctx);
	call->received = received_snapshot();
	return 0;
}

/* False: there was no certificate to verify. */
static __always_inline bool gnutls_record(struct pt_regs *ctx, const struct record_head *head,
					  const struct gnutls_layout *at, const struct gnutls_call *call,
					  struct session_state *state, bool keyed)
{
	__u32 awaited = state ? state->pending : PENDING_NOT;
	struct record_verify *draft;
	__u8 kind;

	if (session_bare(at, call->verify, &kind))
		return false;
	if (state) {
		state->pending = PENDING_NOT;
		state->told_random = session_handshake(at, call->verify);
	}
	draft = verify_begin(head);
	if (!draft)
		return true;
	draft->result = (int)PT_REGS_RC(ctx);
	draft->error = call->status ? read_u32(call->status) : 0;
	if (call->handshake != call->verify)
		draft->flags |= VERIFY_AFTER;
	if (awaited == PENDING_DENIED)
		draft->flags |= VERIFY_DENIED_BEFORE;
	vdata_read(call->data, call->elements, draft);
	gnutls_session_read(at, call->verify, state, &call->received, draft);
	gnutls_finish(ctx, at, auth_info_of(at, call->verify), draft, keyed, awaited != PENDING_NOT);
	return true;
}

static __always_inline int gnutls_verify_return(struct pt_regs *ctx, bool keyed)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct gnutls_call *call = gnutls_call_known();
	struct library_layout *layout;
	struct session_state *state;
	struct record_head head;

	if (checked(ctx, 0))
		return 0;
	if (!call || !call->verify) {
		COUNT(lost_call);
		return 0;
	}
	state = session_make(thread, call->verify);
	layout = layout_of(ctx, LIBRARY_GNUTLS, &head);
	if (layout && gnutls_record(ctx, &head, &layout->gnutls, call, state, keyed) && state)
		state->verified = call->handshake == call->verify;
	if (call->handshake)
		call->verify = 0;
	else
		gnutls_call_end(call);
	return 0;
}

SEC("uretprobe")
int gnutls_verify_end(struct pt_regs *ctx)
{
	return gnutls_verify_return(ctx, true);
}

SEC("uretprobe")
int gnutls_verify_end_plain(struct pt_regs *ctx)
{
	return gnutls_verify_return(ctx, false);
}

SEC("uprobe")
int gnutls_session_end(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), session = PT_REGS_PARM1(ctx);
	struct session_key key = {.tgid = thread >> 32, .session = session};
	struct session_state *state = bpf_map_lookup_elem(&sessions, &key);
	struct record_closed *record;

	if (checked(ctx, CHECK_GNUTLS_DEINIT))
		return 0;
	if (!state)
		return 0;
	if (state->pending) {
		record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
		if (record) {
			*record = (struct record_closed){.session = session};
			record->head.tag = RECORD_CLOSED;
			record->head.library = library_of(ctx);
			record->head.id.pid_tgid = thread;
			record->head.id.ktime_ns = bpf_ktime_get_ns();
			bpf_ringbuf_submit(record, state->pending == PENDING_DENIED ? BPF_RB_NO_WAKEUP : ring_wakes());
		}
	}
	bpf_map_delete_elem(&sessions, &key);
	return 0;
}

#endif
