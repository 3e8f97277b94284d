/* The question to OpenSSL where a connection keeps the randoms of its two hellos.
 *
 * SSL_get_client_random and SSL_get_server_random copy them out, from the SSL itself (3.0 and later) or from an object that
 * it points to (1.1.1). On an SSL of zeros the former answer, the latter read through no pointer at all and fault: then
 * the fault search tells which pointer it is. One-hot searches the rest, and a pattern proves that all 32 bytes lie there
 * in a row. An SSL of zeros also passes the type check of 3.2 and later.
 *
 * Optional: a library without an answer is used without the randoms.
 */
#include "questions.h"

#include <string.h>

enum { RANDOM_BYTES = 32 };

/* A call of one of the two, always with that SSL, whatever object is being searched. */
struct random_call {
	size_t (*function)(const void *ssl, uint8_t *out, size_t len);
	uint8_t *ssl;
	uint8_t out[RANDOM_BYTES];
};

static bool copies_random(uint8_t *object, void *arg)
{
	struct random_call *call = arg;

	(void)object;
	return call->function(call->ssl, call->out, RANDOM_BYTES) == RANDOM_BYTES;
}

static bool copies_mark(uint8_t *object, void *arg)
{
	const uint32_t mark = MARK_INT;
	struct random_call *call = arg;

	memset(call->out, 0, sizeof(call->out));
	return copies_random(object, arg) && memcmp(call->out, &mark, sizeof(mark)) == 0;
}

/* holder: the object of zeros that the random lies in. */
static bool random_find(uint8_t *holder, struct random_call *call, __u16 *ret)
{
	uint8_t pattern[RANDOM_BYTES];
	bool same;
	__u16 at;

	if (onehot_search(holder, 4, MARK_INT, copies_mark, call, &at) < 0 || at > OBJECT_BYTES - RANDOM_BYTES)
		return false;
	for (size_t i = 0; i < RANDOM_BYTES; i++)
		pattern[i] = (uint8_t)(i + 1);
	memcpy(holder + at, pattern, RANDOM_BYTES);
	same = guarded(copies_random, holder, call, NULL) && memcmp(call->out, pattern, RANDOM_BYTES) == 0;
	memset(holder + at, 0, RANDOM_BYTES);
	if (same)
		*ret = at;
	return same;
}

void openssl_ask_hello(const struct questions *questions, struct openssl_layout *ret)
{
	struct random_call client = {.ssl = questions->object}, server = client;
	uint64_t hello = (uint64_t)questions->second;
	__u16 at = OFFSET_NONE, client_at, server_at;
	char unheard[REASON_MAX]; /* that there is no answer is no reason against the library */
	struct questions aside = *questions;
	uint8_t *holder = questions->object;
	void *functions[2];

	aside.reason = unheard;
	if (!question_function(&aside, "SSL_get_client_random", &functions[0]) ||
	    !question_function(&aside, "SSL_get_server_random", &functions[1]))
		return;
	client.function = (size_t(*)(const void *, uint8_t *, size_t))functions[0];
	server.function = (size_t(*)(const void *, uint8_t *, size_t))functions[1];
	object_fill(questions->object, 0);
	object_fill(questions->second, 0);
	if (!guarded(copies_random, questions->object, &client, NULL)) {
		if (fault_search(questions->object, copies_random, &client, &at) < 0)
			return;
		object_fill(questions->object, 0);
		memcpy(questions->object + at, &hello, sizeof(hello));
		holder = questions->second;
	}
	if (!random_find(holder, &client, &client_at) || !random_find(holder, &server, &server_at))
		return;
	ret->ssl_hello = at;
	ret->ssl_client_random = client_at;
	ret->ssl_server_random = server_at;
}
