/* GnuTLS: how a session came about, from the fields that user/library/gnutls_session.c has asked for.
 *
 * A resumed session keeps the peer's certificates but not what came of their verification. If the application has given the
 * library a function that verifies, the first handshake has passed it, or there were no session to resume; so it counts as
 * verified if that function is the library's own, or one of which we saw that it verifies. Without such a function the
 * application may still verify when the handshake is over, as after any other. */
#ifndef GNUTLS_SESSION_H
#define GNUTLS_SESSION_H

enum {
	GNUTLS_CRD_CERTIFICATE = 1,
	GNUTLS_CRD_ANON = 2,
	GNUTLS_CRD_PSK = 4,
	GNUTLS_CRT_RAWPK = 3,
	GNUTLS_SERVER = 1,
	GNUTLS_CLIENT = 2,
	CREDENTIALS_MAX = 5,  /* of a session, one of each type: what comes later is not looked at */
	VERIFIERS_MAX = 4096, /* functions known to verify; beyond it the least recent is taken for one that does not */
};

/* An application's function that has called the library's verification. */
struct verifier {
	__u64 tgid;
	__u64 function;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VERIFIERS_MAX);
	__type(key, struct verifier);
	__type(value, __u32);
} verifiers SEC(".maps");

static __always_inline __u8 read_u8(__u64 address)
{
	__u8 value = 0;
	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

/* Fields that may not be known are 0 then. */
static __always_inline __u32 field_u32(__u64 object, __u16 at)
{
	return at == OFFSET_NONE ? 0 : read_u32(object + at);
}

static __always_inline __u64 auth_info_of(const struct gnutls_layout *at, __u64 session)
{
	if (read_u32(session + at->session_auth_type) != GNUTLS_CRD_CERTIFICATE)
		return 0;
	return read_u64(session + at->session_auth_info);
}

/* The function that the library calls for a peer's certificate, or 0. */
static __noinline __u64 verifier_of(const struct gnutls_layout *at, __u64 session)
{
	__u64 function = at->session_verify == OFFSET_NONE ? 0 : read_u64(session + at->session_verify), item;

	if (function || at->session_credentials == OFFSET_NONE || at->credentials_verify == OFFSET_NONE)
		return function;
	item = read_u64(session + at->session_credentials);
	for (__u32 i = 0; i < CREDENTIALS_MAX; i++) {
		if (!item)
			break;
		if (read_u32(item + at->item_type) == GNUTLS_CRD_CERTIFICATE)
			return read_u64(read_u64(item + at->item_object) + at->credentials_verify);
		item = read_u64(item + at->item_next);
	}
	return 0;
}

static __always_inline bool is_own_function(const struct gnutls_layout *at, __u64 entry, __u64 function)
{
	__s64 distance = function - entry;
	return entry && distance >= at->text_start && distance < at->text_end;
}

/* It has verified in the handshake that ends now. */
static __always_inline void verifier_note(const struct gnutls_layout *at, __u64 session, __u64 entry)
{
	struct verifier key = {.tgid = bpf_get_current_pid_tgid() >> 32, .function = verifier_of(at, session)};
	__u32 seen = 1;

	if (key.function && !is_own_function(at, entry, key.function) && !bpf_map_lookup_elem(&verifiers, &key))
		bpf_map_update_elem(&verifiers, &key, &seen, BPF_ANY);
}

static __always_inline bool verifier_verifies(const struct gnutls_layout *at, __u64 entry, __u64 function)
{
	struct verifier key = {.tgid = bpf_get_current_pid_tgid() >> 32, .function = function};

	return is_own_function(at, entry, function) || bpf_map_lookup_elem(&verifiers, &key);
}

/* VERIFY_RESUMED, VERIFY_EARLY. */
static __always_inline __u32 session_flags(const struct gnutls_layout *at, __u64 session)
{
	bool resumed = at->session_resumed != OFFSET_NONE && read_u8(session + at->session_resumed);
	bool early = field_u32(session, at->session_flags) & at->flags_early;

	return (resumed ? VERIFY_RESUMED : 0) | (early ? VERIFY_EARLY : 0);
}

/* True if the peer showed no X.509 certificate: then *ret says what instead. */
static __always_inline bool session_bare(const struct gnutls_layout *at, __u64 session, __u8 *ret)
{
	bool server = read_u32(session + at->session_entity) == GNUTLS_SERVER;
	__u32 type = read_u32(session + at->session_auth_type);
	__u64 auth_info = auth_info_of(at, session);

	if (auth_info && read_u32(auth_info + at->auth_count)) {
		*ret = BARE_RAW_KEY;
		return field_u32(session, server ? at->session_client_type : at->session_server_type) == GNUTLS_CRT_RAWPK;
	}
	*ret = type == GNUTLS_CRD_PSK ? BARE_PSK : type == GNUTLS_CRD_ANON ? BARE_ANONYMOUS : BARE_UNKNOWN;
	return true;
}

/* A client expects a certificate; a server does if it asks for one. */
static __always_inline bool session_expects(const struct gnutls_layout *at, __u64 session)
{
	return read_u32(session + at->session_entity) == GNUTLS_CLIENT || field_u32(session, at->session_request);
}

/* The name that the client asked for. ret: NAME_MAX_BYTES of zeros. */
static __always_inline void session_name(const struct gnutls_layout *at, __u64 session, char *ret)
{
	__u64 holder, len;

	if (!read_u8(session + at->session_has_name))
		return;
	holder = read_u64(session + at->session_name);
	len = read_u8(holder + at->name_length) | (__u64)read_u8(holder + at->name_length_high) << 8;
	barrier_var(len);
	if (len > NAME_MAX_BYTES - 1)
		len = NAME_MAX_BYTES - 1;
	bpf_probe_read_user(ret, len, (void *)(holder + at->name_text));
}

#endif
