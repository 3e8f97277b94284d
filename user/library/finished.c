/* The questions to OpenSSL about a handshake that is over: was a session resumed, whose certificates, what came of their
 * verification, what a peer without a certificate proved itself by; and which functions go on with a handshake.
 *
 * These two (ossl_statem_connect and …_accept, which no library exports) are what SSL_do_handshake calls, and also SSL_read and
 * SSL_write while a handshake is not over. SSL_set_connect_state copies the first out of the method into the SSL: on a made-up
 * method, each of whose slots has another value, that tells which slot it is, and TLS_method() has the function there.
 *
 * Optional: a library without an answer is used without them.
 */
#include "questions.h"

#include <string.h>

enum { AUTH_NONE = 4, AUTH_NONE_NAME = 1053 }; /* SSL_aNULL, and what SSL_CIPHER_get_auth_nid makes of it: NID_auth_null */

struct through {
	void *function;
	uint8_t *ssl;
};

static bool gives_pointer(uint8_t *object, void *arg)
{
	struct through *through = arg;

	(void)object; /* what the SSL points to */
	return ((uint64_t(*)(void *))through->function)(through->ssl) == MARK_POINTER;
}

/* A field of the session, by an accessor that takes the SSL. */
static bool ask_through(struct questions *questions, const char *name, __u16 session_at, __u16 *ret)
{
	uint64_t session = (uint64_t)questions->second;
	struct through through = {.ssl = questions->object};

	if (!question_function(questions, name, &through.function))
		return false;
	object_fill(questions->object, 0);
	object_fill(questions->second, 0);
	memcpy(questions->object + session_at, &session, sizeof(session));
	return question_answered(questions, name,
				 onehot_search(questions->second, 8, MARK_POINTER, gives_pointer, &through, ret));
}

static bool names_none(uint8_t *object, void *function)
{
	return ((int (*)(void *))function)(object) == AUTH_NONE_NAME;
}

static bool ask_cipher(struct questions *questions, struct openssl_layout *layout)
{
	static const struct accessor cipher = {"SSL_SESSION_get0_cipher", 8,
					       offsetof(struct openssl_layout, session_cipher)};
	static const char name[] = "SSL_CIPHER_get_auth_nid";
	void *function;

	if (!question_accessors(questions, &cipher, 1, layout) || !question_function(questions, name, &function))
		return false;
	object_fill(questions->object, 0);
	return question_answered(questions, name,
				 onehot_search(questions->object, 4, AUTH_NONE, names_none, function, &layout->cipher_auth));
}

static bool sets_callback(uint8_t *object, void *function)
{
	((void (*)(void *, uint64_t, uint64_t))function)(object, MARK_POINTER, 0);
	return true;
}

/* The one slot that a call has given that value. */
static bool landed(const uint8_t *object, uint64_t value, __u16 *ret)
{
	size_t hits = 0;

	for (size_t at = 0; at < OBJECT_BYTES; at += 8) {
		uint64_t now;

		memcpy(&now, object + at, sizeof(now));
		if (now != value)
			continue;
		*ret = (__u16)at;
		hits++;
	}
	return hits == 1;
}

static bool ask_callback(struct questions *questions, struct openssl_layout *layout)
{
	void *function;

	if (!question_function(questions, "SSL_CTX_set_cert_verify_callback", &function))
		return false;
	object_fill(questions->object, 0);
	(void)guarded(sets_callback, questions->object, function, NULL);
	return landed(questions->object, MARK_POINTER, &layout->context_verify);
}

/* In 3.2 and later an SSL may be one of QUIC, which begins with another type: then accessors look elsewhere, or nowhere. */
static void ask_type(struct questions *questions, struct openssl_layout *layout)
{
	struct through through = {.ssl = questions->object};
	uint64_t mark = MARK_POINTER;
	const uint32_t other = 1;
	size_t hits = 0;
	__u16 type = OFFSET_NONE;

	if (!question_function(questions, "SSL_get_rbio", &through.function))
		return;
	object_fill(questions->object, 0);
	memcpy(questions->object + layout->ssl_rbio, &mark, sizeof(mark));
	for (size_t at = 0; at < OBJECT_BYTES; at += 4) {
		uint32_t before;

		if (at - layout->ssl_rbio < 8)
			continue;
		memcpy(&before, questions->object + at, sizeof(before));
		memcpy(questions->object + at, &other, sizeof(other));
		if (!guarded(gives_pointer, questions->object, &through, NULL)) {
			type = (__u16)at;
			hits++;
		}
		memcpy(questions->object + at, &before, sizeof(before));
	}
	if (hits == 1)
		layout->ssl_type = type;
}

static bool sets_state(uint8_t *object, void *function)
{
	((void (*)(void *))function)(object);
	return true;
}

static bool gives_method(uint8_t *object, void *arg)
{
	void **function_and_result = arg;

	(void)object;
	function_and_result[1] = ((void *(*)(void))function_and_result[0])();
	return function_and_result[1] != NULL;
}

static bool reads_slot(uint8_t *object, void *arg)
{
	memcpy(arg, object, sizeof(uint64_t));
	return true;
}

/* What the setter copies out of the method; as an address in the file, in its code, or 0. */
static uint64_t ask_function(struct questions *questions, __u16 method_at, const char *setter)
{
	uint64_t method = (uint64_t)questions->second, address = 0;
	void *call[2] = {NULL, NULL}, *function;
	size_t slot = SLOTS;

	if (!question_function(questions, setter, &function) || !question_function(questions, "TLS_method", &call[0]))
		return 0;
	object_fill(questions->object, 0);
	object_fill_addresses(questions->second);
	memcpy(questions->object + method_at, &method, sizeof(method));
	(void)guarded(sets_state, questions->object, function, NULL); /* it may fault afterwards */
	for (size_t at = 0; at < OBJECT_BYTES; at += 8) {
		uint64_t now;

		memcpy(&now, questions->object + at, sizeof(now));
		for (size_t i = 0; i < SLOTS && now >= SLOT_ADDRESS(0) && slot == SLOTS; i++)
			if (now == SLOT_ADDRESS(i))
				slot = i;
	}
	if (slot == SLOTS || !guarded(gives_method, NULL, call, NULL) ||
	    !guarded(reads_slot, (uint8_t *)call[1] + slot * 8, &address, NULL))
		return 0;
	address -= questions->image.bias;
	return elf_file_segment(questions->elf, address, PF_X) ? address : 0;
}

void openssl_ask_finished(const struct questions *questions, struct openssl_layout *ret,
			  struct handshake_functions *ret_functions)
{
	static const struct accessor accessors[] = {
		{"SSL_get_state", 4, offsetof(struct openssl_layout, ssl_state)},
		{"SSL_get_session", 8, offsetof(struct openssl_layout, ssl_session)},
		{"SSL_session_reused", 4, offsetof(struct openssl_layout, ssl_reused)},
		{"SSL_get_early_data_status", 4, offsetof(struct openssl_layout, ssl_early)},
		{"SSL_get_verify_result", 8, offsetof(struct openssl_layout, ssl_result)},
		{"SSL_get_SSL_CTX", 8, offsetof(struct openssl_layout, ssl_ctx)},
		{"SSL_get0_param", 8, offsetof(struct openssl_layout, ssl_param)},
		{"SSL_SESSION_get0_peer", 8, offsetof(struct openssl_layout, session_peer)},
	};
	/* An accessor's answer goes into a layout: this one's is not kept. */
	static const struct accessor method = {"SSL_get_ssl_method", 8, offsetof(struct openssl_layout, ssl_version)};
	char unheard[REASON_MAX]; /* that there is no answer is no reason against the library */
	struct questions aside = *questions;
	struct openssl_layout found = *ret, scratch;

	aside.reason = unheard;
	if (!question_accessors(&aside, accessors, ARRAY_SIZE(accessors), &found) ||
	    !ask_through(&aside, "SSL_get_peer_cert_chain", found.ssl_session, &found.session_chain) ||
	    !ask_cipher(&aside, &found) || !ask_callback(&aside, &found))
		return;
	(void)ask_through(&aside, "SSL_get_psk_identity", found.ssl_session, &found.session_psk);
	(void)ask_through(&aside, "SSL_get0_peer_rpk", found.ssl_session, &found.session_raw_key);
	ask_type(&aside, &found);
	*ret = found;
	if (!question_accessors(&aside, &method, 1, &scratch))
		return;
	ret_functions->connect = ask_function(&aside, scratch.ssl_version, "SSL_set_connect_state");
	ret_functions->accept = ask_function(&aside, scratch.ssl_version, "SSL_set_accept_state");
}
