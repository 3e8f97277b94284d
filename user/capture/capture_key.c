/* The agent's side of verdict_key.h: digests of certificates as they come, the key of a verification when it is whole.
 *
 * Trusts the records' lengths, which known.c has checked. Bounds: those of the records; beyond VERDICT_BYTES_MAX there is no
 * key, as there is none in the probe. */
#include "capture_key.h"

#include <string.h>

#include "decode.h"
#include "verdict_key.h"

/* Words that go before what stands for a certificate. */
enum { NOTED_CERT = 1, NOTED_NUMBER = 2 };

enum { CHUNK_WORDS = VERDICT_CHUNK / 8 };

/* Filled up with zeros to whole chunks. */
static void part_add(struct siphash *s, const uint8_t *data, size_t len)
{
	while (len) {
		size_t size = len < VERDICT_CHUNK ? len : VERDICT_CHUNK;
		__u64 words[CHUNK_WORDS] = {0};

		memcpy(words, data, size);
		for (size_t i = 0; i < CHUNK_WORDS; i++)
			siphash_add(s, words[i]);
		data += size;
		len -= size;
	}
}

void capture_digest(const struct record_cert *record, const struct siphash_key *secret, struct siphash_value *ret)
{
	struct siphash s;

	siphash_begin(&s, secret);
	verdict_key_cert(&s, record->form, record->unused_bits, record->tbs_len, record->signature_len);
	part_add(&s, record->data, record->signature_len);
	part_add(&s, record->data + record->tbs_at, record->tbs_len);
	*ret = siphash_end(&s);
}

/* False: it did not come. */
static bool object_add(struct siphash *s, const struct capture *capture, uint64_t object)
{
	for (size_t i = 0; i < capture->count; i++) {
		if (capture->objects[i] != object)
			continue;
		siphash_add(s, NOTED_CERT);
		siphash_add(s, capture->digests[i].a);
		siphash_add(s, capture->digests[i].b);
		return true;
	}
	return false;
}

/* The place of the first of that name in the presented list, or its length. */
static size_t presented_number(const struct record_verify *verify, uint64_t object)
{
	size_t i = 0;

	while (i < verify->presented && verify->presented_object[i] != object)
		i++;
	return i;
}

static bool lists_add(struct siphash *s, const struct capture *capture)
{
	const struct record_verify *verify = &capture->verify;

	for (size_t i = 0; i < verify->presented; i++)
		if (!object_add(s, capture, verify->presented_object[i]))
			return false;
	for (size_t i = 0; i < verify->chain; i++) {
		size_t number = presented_number(verify, verify->chain_object[i]);

		if (number < verify->presented)
			siphash_add(s, NOTED_NUMBER | (__u64)number << 8);
		else if (!object_add(s, capture, verify->chain_object[i]))
			return false;
	}
	return true;
}

static bool has_key(const struct capture *capture)
{
	const struct record_verify *verify = &capture->verify;

	/* Judged without its socket it would be remembered as judged with it. */
	if (verify->socket.how != SOCKET_UNKNOWN && !capture_socket_fits(capture))
		return false;
	return capture->digested && capture->digested_bytes <= VERDICT_BYTES_MAX &&
	       !(verify->flags & (VERIFY_TRUNCATED | VERIFY_LOST_CERT | VERIFY_UNREADABLE));
}

bool capture_key(const struct capture *capture, enum library_kind kind, const struct siphash_key *secret,
		 struct siphash_value *ret)
{
	struct siphash s;

	if (!has_key(capture))
		return false;
	siphash_begin(&s, secret);
	verdict_key_facts(&s, &capture->verify, kind);
	if (!lists_add(&s, capture))
		return false;
	*ret = siphash_end(&s);
	return true;
}

void capture_key_process(const struct siphash_value *general, const struct record_verify *verify,
			 const struct siphash_key *secret, struct siphash_value *ret)
{
	struct siphash s;

	siphash_begin(&s, secret);
	verdict_key_who(&s, general, KEY_BY_PROCESS, verify->uid);
	verdict_key_process(&s, verify);
	*ret = siphash_end(&s);
}

void capture_key_exe(const struct siphash_value *general, uint32_t uid, const struct siphash_value *exe,
		     const struct siphash_key *secret, struct siphash_value *ret)
{
	struct siphash s;

	siphash_begin(&s, secret);
	verdict_key_who(&s, general, KEY_BY_EXE, uid);
	verdict_key_exe(&s, exe);
	*ret = siphash_end(&s);
}

bool capture_exe_digest(const char *exe, const struct siphash_key *secret, struct siphash_value *ret)
{
	size_t end = strlen(exe);
	struct siphash s;

	if (exe[0] != '/' || !exe[1])
		return false;
	siphash_begin(&s, secret);
	while (end) {
		size_t begin = end;

		while (exe[begin - 1] != '/')
			begin--;
		if (begin == end || end - begin >= VERDICT_CHUNK)
			return false;
		part_add(&s, (const uint8_t *)exe + begin, end - begin);
		end = begin - 1;
	}
	*ret = siphash_end(&s);
	return true;
}
