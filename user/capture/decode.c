/* What a record means.
 *
 * verify.result is decided here, from what the function returned and whether the application cared:
 *
 *   library  asked to verify   returned            result
 *   OpenSSL  yes (peer)        1, error 0          ok
 *            yes               1, error not 0      failed-ignored: a callback overruled it
 *            yes               0 or less           failed
 *            no (none)         1, error 0          off: it would have been well, but nobody looks
 *            no                anything else       failed-ignored
 *   GnuTLS   verify_peers      0, status 0         ok
 *            verify_peers      anything else       failed
 *            not (yet)                             pending, and in the end off
 *   either   VERIFY_CUSTOM                         custom: the application's own function decided
 *            VERIFY_BARE                           none: there was no certificate
 *
 * Of a resumed session of OpenSSL the result is that of the handshake it came from, which the session keeps. */
#include "decode.h"

#include <string.h>

enum {
	SSL_MODE_PEER = 1,
	HANDSHAKE_BESIDE_MAX =
		65536, /* bytes of a handshake beside its certificates, and what came before it (a proxy's answer) */
	COMPRESSED_TO_AT_LEAST = 16, /* a certificate shrinks to no less than this part (RFC 8879) */
};

_Static_assert(FACTS_CERTS_MAX >= PRESENTED_MAX + CHAIN_MAX, "each certificate of a capture has a place in the facts");

void decoded_clear(struct decoded *decoded)
{
	free(decoded->server_name);
	free(decoded->expected_host);
	free(decoded->comm);
	*decoded = (struct decoded){};
}

static enum verify_result result_of(const struct record_verify *verify, enum library_kind library)
{
	if (verify->flags & VERIFY_BARE)
		return VERIFY_NO_CERTIFICATE;
	if (verify->flags & VERIFY_CUSTOM)
		return VERIFY_BY_CALLBACK;
	if (library == LIBRARY_GNUTLS) {
		if (verify->flags & VERIFY_NONE_YET)
			return VERIFY_PENDING;
		return verify->result == 0 && verify->error == 0 ? VERIFY_OK : VERIFY_FAILED;
	}
	if (verify->verify_mode & SSL_MODE_PEER) {
		if (verify->result <= 0)
			return VERIFY_FAILED;
		return verify->error == 0 ? VERIFY_OK : VERIFY_FAILED_IGNORED;
	}
	return verify->result > 0 && verify->error == 0 ? VERIFY_OFF : VERIFY_FAILED_IGNORED;
}

static const char *mode_of(const struct record_verify *verify, enum library_kind library)
{
	bool asked = library == LIBRARY_GNUTLS ? !(verify->flags & VERIFY_NONE_YET) : verify->verify_mode & SSL_MODE_PEER;
	return asked ? "peer" : "none";
}

static enum peer_proof proof_of(const struct record_verify *verify)
{
	static const enum peer_proof proofs[] = {
		[BARE_UNKNOWN] = PROOF_UNKNOWN,
		[BARE_PSK] = PROOF_PSK,
		[BARE_RAW_KEY] = PROOF_RAW_KEY,
		[BARE_ANONYMOUS] = PROOF_ANONYMOUS,
	};

	if (!(verify->flags & VERIFY_BARE))
		return PROOF_CERTIFICATE;
	return verify->bare < ARRAY_SIZE(proofs) ? proofs[verify->bare] : PROOF_UNKNOWN;
}

static struct fact_cert *cert_known(struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!memcmp(facts->certs[i].certificate->sha256, certificate->sha256, SHA256_BYTES))
			return &facts->certs[i];
	return NULL;
}

static const struct certificate *object_find(const struct capture *capture, uint64_t object)
{
	for (size_t i = 0; i < capture->count; i++)
		if (capture->objects[i] == object)
			return capture->certificates[i];
	return NULL;
}

/* Stands where one was named that did not come, so that no other takes its place, least of all the leaf's. */
static const struct certificate not_captured = {.error = "it was not captured: it is too large, or was lost"};

/* A certificate that did not come makes the facts truncated. */
static void list_decode(const struct capture *capture, const __u64 *objects, size_t count, bool presented,
			struct facts *facts)
{
	for (size_t i = 0; i < count; i++) {
		const struct certificate *certificate = object_find(capture, objects[i]);
		struct fact_cert *cert;

		if (!certificate) {
			certificate = &not_captured;
			facts->truncated = true;
		}
		cert = cert_known(facts, certificate);
		if (!cert) {
			cert = &facts->certs[facts->certs_count++];
			cert->certificate = certificate;
		}
		if (presented)
			cert->presented = true;
		else
			cert->chain = true;
	}
}

/* The thread's last socket is that of the handshake only if it has received what a handshake takes: the certificates that
 * were presented (TLS can compress them; a resumed session sends none), and not much more. A library that reads in one thread and verifies in another
 * would else have a stranger's connection ended. */
bool capture_socket_fits(const struct capture *capture)
{
	const struct record_verify *verify = &capture->verify;
	uint64_t presented = 0;

	if (verify->socket.how != SOCKET_THREAD)
		return verify->socket.how == SOCKET_FD || verify->socket.how == SOCKET_HELLO;
	for (size_t i = 0; i < verify->presented; i++) {
		const struct certificate *certificate = object_find(capture, verify->presented_object[i]);
		presented += certificate ? certificate->der_len : TBS_MAX;
	}
	return (verify->flags & VERIFY_RESUMED || verify->socket.received >= presented / COMPRESSED_TO_AT_LEAST) &&
	       verify->socket.received <= presented + HANDSHAKE_BESIDE_MAX;
}

static void addresses_decode(const struct capture *capture, struct facts *facts)
{
	const struct record_socket *socket = &capture->verify.socket;
	size_t len = socket->family == 2 /* AF_INET */ ? 4 : 16;

	if (!capture_socket_fits(capture))
		return;
	facts->local = address_from_bytes(socket->local_ip, len);
	facts->peer = address_from_bytes(socket->peer_ip, len);
	facts->local_port = socket->local_port;
	facts->peer_port = socket->peer_port;
}

/* Escaped. One that was cut gets a mark that no name has, so that the rest of it is not taken for the whole. */
static char *name_text(const char *name)
{
	size_t len = strlen(name);
	char *text = text_escape(name, len), *marked;

	if (len < NAME_MAX_BYTES - 1)
		return text;
	marked = xasprintf("%s\\…", text);
	free(text);
	return marked;
}

static char *expected_host_text(const struct record_verify *verify)
{
	char text[ADDRESS_TEXT_MAX];
	struct address address;

	if (verify->expected_host[0])
		return name_text(verify->expected_host);
	if (verify->host_ip_len != 4 && verify->host_ip_len != 16)
		return NULL;
	address = address_from_bytes(verify->host_ip, verify->host_ip_len);
	address_format(&address, text);
	return xstrdup(text);
}

void capture_decode(const struct capture *capture, enum library_kind library, struct decoded *ret)
{
	const struct record_verify *verify = &capture->verify;
	struct facts *facts = &ret->facts;

	*ret = (struct decoded){};
	if (verify->server_name[0])
		ret->server_name = name_text(verify->server_name);
	ret->expected_host = expected_host_text(verify);
	ret->comm = text_escape(verify->comm, strlen(verify->comm));
	facts->server_name = ret->server_name;
	facts->expected_host = ret->expected_host;
	facts->role = verify->role == ROLE_CLIENT ? FACTS_ROLE_CLIENT :
		      verify->role == ROLE_SERVER ? FACTS_ROLE_SERVER :
						    FACTS_ROLE_UNKNOWN;
	facts->library = library;
	facts->verify = result_of(verify, library);
	facts->verify_code = verify->error ? verify->error : verify->result < 0 ? verify->result : 0;
	facts->verify_mode = mode_of(verify, library);
	facts->proof = proof_of(verify);
	facts->resumed = verify->flags & VERIFY_RESUMED;
	facts->early_data = verify->flags & VERIFY_EARLY;
	facts->uid = verify->uid;
	facts->truncated = verify->flags & (VERIFY_TRUNCATED | VERIFY_LOST_CERT | VERIFY_UNREADABLE);
	facts->lost = verify->flags & (VERIFY_LOST_CERT | VERIFY_UNREADABLE);
	addresses_decode(capture, facts);
	list_decode(capture, verify->presented_object, verify->presented, true, facts);
	list_decode(capture, verify->chain_object, verify->chain, false, facts);
}
