/* The key of a verification: the same for the same, another for anything that a verdict may depend on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>

#include "capture_key.h"
#include "random_case.h"
#include "util.h"
#include "verdict_key.h"

enum { CERTS = 3, BYTES_MAX = 40000, INET = 2, TCP = 6 };

static const struct siphash_key secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

/* Bytes as they came: the signature, and behind it the TBS. */
struct made_cert {
	uint8_t form, unused_bits;
	uint32_t signature_len, tbs_len;
	uint8_t bytes[BYTES_MAX];
	uint64_t object;
};

/* Presented: certificates 0 and 1. The chain: 0 and 1, the same objects, and 2. */
struct made {
	struct record_verify verify;
	struct made_cert certs[CERTS];
	size_t count;
	enum library_kind kind;
};

static struct made *made_new(void)
{
	static const uint32_t lengths[CERTS][2] = {{256, 1000}, {71, 128}, {0, 700}};
	struct made *made = xcalloc(1, sizeof(*made));
	struct record_verify *verify = &made->verify;

	*verify = (struct record_verify){
		.head = {.tag = RECORD_VERIFY, .id = {.pid_tgid = 12ULL << 32 | 13, .ktime_ns = 99}},
		.start_boottime_ns = 77,
		.exec_id = 5,
		.cgroup_id = 6,
		.uid = 1000,
		.result = 1,
		.verify_mode = 1,
		.role = ROLE_CLIENT,
		.presented = 2,
		.chain = 3,
		.certs = 3,
		.host_ip_len = 4,
		.host_ip = {1, 1, 1, 1},
		.comm = "curl",
		.server_name = "one.one.one.one",
		.expected_host = "one.one.one.one",
		.socket = {.cookie = 4711,
			   .family = INET,
			   .how = SOCKET_FD,
			   .peer_ip = {1, 1, 1, 1},
			   .peer_port = 853,
			   .protocol = TCP},
	};
	random_state = 1;
	for (size_t i = 0; i < CERTS; i++) {
		struct made_cert *cert = &made->certs[i];

		cert->form = lengths[i][0] ? CERT_TBS_SIGNATURE : CERT_DER;
		cert->signature_len = lengths[i][0];
		cert->tbs_len = lengths[i][1];
		cert->object = 0x7f0000001000 + i * 64;
		for (size_t j = 0; j < BYTES_MAX; j++)
			cert->bytes[j] = (uint8_t)random_below(256);
		verify->chain_object[i] = cert->object;
	}
	verify->presented_object[0] = made->certs[0].object;
	verify->presented_object[1] = made->certs[1].object;
	made->count = CERTS;
	made->kind = LIBRARY_OPENSSL;
	return made;
}

/* As the ring makes it, but for the certificates themselves. */
static struct capture *made_capture(const struct made *made, const struct siphash_key *with)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));

	capture->verify = made->verify;
	capture->digested = true;
	for (size_t i = 0; i < made->count; i++) {
		const struct made_cert *cert = &made->certs[i];
		CLEANUP_FREE struct record_cert *record = xcalloc(1, sizeof(*record) + BYTES_MAX + 100);

		record->form = cert->form;
		record->unused_bits = cert->unused_bits;
		record->signature_len = cert->signature_len;
		record->tbs_len = cert->tbs_len;
		record->tbs_at = cert->signature_len + 33; /* anywhere behind it */
		memset(record->data, 0xee, BYTES_MAX + 100);
		memcpy(record->data, cert->bytes, cert->signature_len);
		memcpy(record->data + record->tbs_at, cert->bytes + cert->signature_len, cert->tbs_len);
		capture_digest(record, with, &capture->digests[i]);
		capture->digested_bytes += record->signature_len + record->tbs_len;
		capture->objects[capture->count++] = cert->object;
	}
	return capture;
}

static struct siphash_value key_of(const struct made *made, bool with_process)
{
	struct capture *capture = made_capture(made, &secret);
	struct siphash_value key = {0}, own;

	assert_true(capture_key(capture, made->kind, &secret, &key));
	capture_key_process(&key, &capture->verify, &secret, &own);
	capture_free(capture);
	return with_process ? own : key;
}

static bool same(struct siphash_value a, struct siphash_value b)
{
	return a.a == b.a && a.b == b.b;
}

static void assert_other(const struct made *made, struct siphash_value than)
{
	assert_false(same(key_of(made, false), than));
}

/* --- the contract, written out once more ------------------------------------------------------------------------------- */

struct words {
	struct siphash s;
};

static void words_add(struct words *words, const uint8_t *data, size_t len, size_t fill_to)
{
	for (size_t i = 0; i < (len + fill_to - 1) / fill_to * fill_to; i += 8) {
		uint64_t word = 0;

		for (size_t j = 0; j < 8 && i + j < len; j++)
			word |= (uint64_t)data[i + j] << 8 * j;
		siphash_add(&words->s, word);
	}
}

static void words_cert(struct words *words, const struct made_cert *cert)
{
	struct words part;
	struct siphash_value digest;

	siphash_begin(&part.s, &secret);
	siphash_add(&part.s, cert->form | (uint64_t)cert->unused_bits << 32);
	siphash_add(&part.s, cert->tbs_len | (uint64_t)cert->signature_len << 32);
	words_add(&part, cert->bytes, cert->signature_len, 128);
	words_add(&part, cert->bytes + cert->signature_len, cert->tbs_len, 128);
	digest = siphash_end(&part.s);
	siphash_add(&words->s, 1);
	siphash_add(&words->s, digest.a);
	siphash_add(&words->s, digest.b);
}

static void the_key_is_what_the_header_says(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct words words, with_process;
	struct siphash_value general;

	(void)state;
	siphash_begin(&words.s, &secret);
	verdict_key_facts(&words.s, &made->verify, made->kind);
	words_cert(&words, &made->certs[0]);
	words_cert(&words, &made->certs[1]);
	siphash_add(&words.s, 2);
	siphash_add(&words.s, 2 | 1 << 8);
	words_cert(&words, &made->certs[2]);
	general = siphash_end(&words.s);
	assert_true(same(key_of(made, false), general));
	siphash_begin(&with_process.s, &secret);
	siphash_add(&with_process.s, 1 | 1000ULL << 32);
	siphash_add(&with_process.s, general.a);
	siphash_add(&with_process.s, general.b);
	siphash_add(&with_process.s, 12);
	siphash_add(&with_process.s, 77);
	siphash_add(&with_process.s, 5);
	siphash_add(&with_process.s, 6);
	assert_true(same(key_of(made, true), siphash_end(&with_process.s)));
}

/* --- what it is made of -------------------------------------------------------------------------------------------------- */

enum matters { NEVER, ALWAYS, PROCESS, ELSEWHERE /* see the other tests */ };

#define FIELD(name, how)                                                                                    \
	{                                                                                                   \
		offsetof(struct record_verify, name), sizeof(((struct record_verify *)0)->name), how, #name \
	}

static const struct {
	size_t at, len;
	enum matters matters;
	const char *name;
} fields[] = {
	FIELD(head.tag, NEVER),
	FIELD(head.library, NEVER),
	FIELD(head.id.pid_tgid, PROCESS), /* the upper half */
	FIELD(head.id.ktime_ns, NEVER),
	FIELD(session, NEVER),
	FIELD(start_boottime_ns, PROCESS),
	FIELD(exec_id, PROCESS),
	FIELD(end_ktime_ns, NEVER),
	FIELD(cgroup_id, PROCESS),
	FIELD(exe, NEVER),
	FIELD(uid, PROCESS),
	FIELD(flags, ELSEWHERE),
	FIELD(result, ALWAYS),
	FIELD(error, ALWAYS),
	FIELD(verify_mode, ALWAYS),
	FIELD(role, ALWAYS),
	FIELD(presented, ELSEWHERE),
	FIELD(chain, ELSEWHERE),
	FIELD(certs, NEVER),
	FIELD(host_ip_len, ALWAYS),
	FIELD(bare, ALWAYS),
	FIELD(pad, NEVER),
	FIELD(host_ip, ALWAYS),
	FIELD(comm, NEVER),
	FIELD(socket.cookie, NEVER),
	FIELD(socket.inode, NEVER),
	FIELD(socket.netns, NEVER),
	FIELD(socket.family, ALWAYS),
	FIELD(socket.how, ELSEWHERE),
	FIELD(socket.local_ip, NEVER),
	FIELD(socket.peer_ip, ALWAYS),
	FIELD(socket.local_port, NEVER),
	FIELD(socket.peer_port, ALWAYS),
	FIELD(socket.bound_if, NEVER),
	FIELD(socket.received, NEVER),
	FIELD(socket.fd, NEVER),
	FIELD(socket.protocol, ALWAYS),
	FIELD(socket.written, NEVER),
	FIELD(socket.closed, NEVER),
	FIELD(presented_object, ELSEWHERE),
	FIELD(chain_object, ELSEWHERE),
	FIELD(server_name, ALWAYS),
	FIELD(expected_host, ALWAYS),
};

/* A field that is new must be put into the table. */
static void the_table_is_whole(void **state)
{
	size_t end = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		assert_true(fields[i].at >= end && fields[i].at - end < 8); /* between them only padding */
		end = fields[i].at + fields[i].len;
	}
	assert_int_equal(end, sizeof(struct record_verify));
}

static bool is_thread_half(size_t at)
{
	return at >= offsetof(struct record_verify, head.id.pid_tgid) &&
	       at < offsetof(struct record_verify, head.id.pid_tgid) + 4;
}

static void each_byte_of_the_facts(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct siphash_value without = key_of(made, false), with = key_of(made, true);

	(void)state;
	assert_false(same(with, without));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		bool always = fields[i].matters == ALWAYS, process = fields[i].matters == PROCESS;

		for (size_t j = 0; j < fields[i].len && fields[i].matters != ELSEWHERE; j++) {
			uint8_t *byte = (uint8_t *)&made->verify + fields[i].at + j;
			bool thread = is_thread_half(fields[i].at + j);

			*byte ^= 0x40;
			if (same(key_of(made, false), without) == always)
				fail_msg("%s, byte %zu, without the process", fields[i].name, j);
			if (same(key_of(made, true), with) == (always || (process && !thread)))
				fail_msg("%s, byte %zu, with the process", fields[i].name, j);
			*byte ^= 0x40;
		}
	}
	assert_true(same(key_of(made, false), without));
	made->kind = LIBRARY_GNUTLS;
	assert_other(made, without);
}

static void flags(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct siphash_value key = key_of(made, false);

	(void)state;
	for (uint32_t flag = VERIFY_NONE_YET; flag <= VERIFY_BARE; flag <<= 1) {
		made->verify.flags = flag;
		assert_int_equal(same(key_of(made, false), key), !(flag & VERDICT_FLAGS));
	}
}

static void how_the_socket_was_found(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct siphash_value key = key_of(made, false);

	(void)state;
	made->verify.socket.how = SOCKET_THREAD;
	made->verify.socket.received = TBS_MAX;
	assert_true(same(key_of(made, false), key));
	made->verify.socket = (struct record_socket){.how = SOCKET_UNKNOWN};
	assert_other(made, key);
	key = key_of(made, false);
	made->verify.socket.how = SOCKET_FD;
	assert_other(made, key);
}

static void each_certificate(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct siphash_value key = key_of(made, false);

	(void)state;
	for (size_t i = 0; i < CERTS; i++) {
		struct made_cert *cert = &made->certs[i];
		size_t len = cert->signature_len + cert->tbs_len;

		for (size_t at = 0; at < len; at += 61) {
			cert->bytes[at] ^= 1;
			assert_other(made, key);
			cert->bytes[at] ^= 1;
		}
		cert->bytes[len - 1] ^= 0x80;
		assert_other(made, key);
		cert->bytes[len - 1] ^= 0x80;
		cert->bytes[len] ^= 1; /* what lies behind it */
		assert_true(same(key_of(made, false), key));
		cert->form ^= 3;
		assert_other(made, key);
		cert->form ^= 3;
		cert->unused_bits = 1;
		assert_other(made, key);
		cert->unused_bits = 0;
	}
	assert_true(same(key_of(made, false), key));
}

/* The same bytes with another border between them, or with zeros that were there as filling. */
static void lengths(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct made_cert *cert = &made->certs[0];
	struct siphash_value key = key_of(made, false);

	(void)state;
	cert->signature_len--;
	cert->tbs_len++;
	assert_other(made, key);
	cert->signature_len += 2;
	cert->tbs_len -= 2;
	assert_other(made, key);
	cert->signature_len = 128;
	cert->tbs_len = 128;
	key = key_of(made, false);
	cert->signature_len = 0;
	cert->tbs_len = 256;
	assert_other(made, key);
	cert->signature_len = 256;
	cert->tbs_len = 0;
	assert_other(made, key);
	memset(cert->bytes + 200, 0, 100);
	cert->signature_len = 0;
	cert->tbs_len = 200;
	key = key_of(made, false);
	for (cert->tbs_len = 201; cert->tbs_len < 300; cert->tbs_len++)
		assert_other(made, key);
}

static void swap(__u64 *a, __u64 *b)
{
	__u64 old = *a;

	*a = *b;
	*b = old;
}

static void order_and_place(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct record_verify *verify = &made->verify;
	struct siphash_value key = key_of(made, false);

	(void)state;
	swap(&verify->presented_object[0], &verify->presented_object[1]);
	assert_other(made, key);
	swap(&verify->presented_object[0], &verify->presented_object[1]);
	swap(&verify->chain_object[1], &verify->chain_object[2]);
	assert_other(made, key);
	swap(&verify->chain_object[1], &verify->chain_object[2]);
	verify->chain = 2;
	assert_other(made, key);
	verify->chain = 3;
	verify->presented = 1; /* what was presented is now only in the chain */
	assert_other(made, key);
	verify->presented = 3;
	verify->presented_object[2] = made->certs[2].object;
	assert_other(made, key);
	verify->presented_object[2] = made->certs[1].object;
	assert_other(made, key);
}

/* A chain that names a presented certificate is not one that has a copy of it. */
static void a_copy_is_another(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct siphash_value named, copied;

	(void)state;
	made->verify.chain = 1;
	named = key_of(made, false);
	made->certs[2] = made->certs[0];
	made->certs[2].object = made->verify.chain_object[0] = 4096;
	copied = key_of(made, false);
	assert_false(same(named, copied));
	made->certs[2].bytes[0] ^= 1;
	assert_other(made, copied);
	assert_other(made, named);
}

/* Where the library has its certificates says nothing. */
static void addresses_do_not_matter(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct record_verify *verify = &made->verify;
	struct siphash_value key = key_of(made, false);
	struct made_cert *first = &made->certs[0];

	(void)state;
	for (size_t i = 0; i < CERTS; i++) {
		uint64_t object = 0xffff - i;

		made->certs[i].object = verify->chain_object[i] = object;
		if (i < verify->presented)
			verify->presented_object[i] = object;
	}
	assert_true(same(key_of(made, false), key));
	/* Nor does the order in which they came, nor one that nobody names. */
	{
		CLEANUP_FREE struct made_cert *kept = xcalloc(1, sizeof(*kept));

		*kept = *first;
		*first = made->certs[2];
		made->certs[2] = *kept;
	}
	assert_true(same(key_of(made, false), key));
	verify->chain_object[3] = verify->presented_object[2] = 1;
	assert_true(same(key_of(made, false), key));
}

static void the_secret_matters(void **state)
{
	static const struct siphash_key other = {0x0706050403020101, 0x0f0e0d0c0b0a0908};
	CLEANUP_FREE struct made *made = made_new();
	struct capture *capture = made_capture(made, &other);
	struct siphash_value key = key_of(made, false), ret;

	(void)state;
	assert_true(capture_key(capture, made->kind, &other, &ret));
	assert_false(same(ret, key));
	/* Digests of one secret under another. */
	assert_true(capture_key(capture, made->kind, &secret, &ret));
	assert_false(same(ret, key));
	capture_free(capture);
}

/* --- what has no key ------------------------------------------------------------------------------------------------------ */

static void assert_none(const struct made *made)
{
	struct capture *capture = made_capture(made, &secret);
	struct siphash_value key = {1, 2};

	assert_false(capture_key(capture, made->kind, &secret, &key));
	assert_true(key.a == 1 && key.b == 2);
	capture_free(capture);
}

static void what_is_not_whole_has_none(void **state)
{
	static const uint32_t bad[] = {VERIFY_TRUNCATED, VERIFY_LOST_CERT, VERIFY_UNREADABLE,
				       VERIFY_TRUNCATED | VERIFY_NONE_YET};
	CLEANUP_FREE struct made *made = made_new();
	struct capture *capture = made_capture(made, &secret);
	struct siphash_value key;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		made->verify.flags = bad[i];
		assert_none(made);
	}
	made->verify.flags = 0;
	made->count = 2; /* the root did not come */
	assert_none(made);
	made->verify.chain = 2;
	key_of(made, false);
	made->verify.presented_object[1] = 1;
	assert_none(made);
	capture->digested = false;
	assert_false(capture_key(capture, LIBRARY_OPENSSL, &secret, &key));
	capture_free(capture);
}

static void a_socket_that_cannot_be_the_one_has_none(void **state)
{
	CLEANUP_FREE struct made *made = made_new();

	(void)state;
	made->verify.socket.how = SOCKET_THREAD;
	made->verify.socket.received = 0;
	assert_none(made);
	made->verify.socket.received = 10000000;
	assert_none(made);
	made->verify.socket = (struct record_socket){.how = SOCKET_UNKNOWN};
	key_of(made, false);
}

static void too_many_bytes_have_none(void **state)
{
	CLEANUP_FREE struct made *made = made_new();

	(void)state;
	made->certs[0].signature_len = made->certs[1].signature_len = 0;
	made->certs[0].tbs_len = made->certs[1].tbs_len = 32000;
	made->certs[2].tbs_len = VERDICT_BYTES_MAX - 64000;
	key_of(made, false);
	made->certs[2].tbs_len++;
	assert_none(made);
}

static void nothing_at_all_has_one(void **state)
{
	CLEANUP_FREE struct made *made = made_new();
	struct siphash_value key = key_of(made, false);

	(void)state;
	made->count = made->verify.presented = made->verify.chain = 0;
	assert_other(made, key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_is_what_the_header_says),
		cmocka_unit_test(the_table_is_whole),
		cmocka_unit_test(each_byte_of_the_facts),
		cmocka_unit_test(flags),
		cmocka_unit_test(how_the_socket_was_found),
		cmocka_unit_test(each_certificate),
		cmocka_unit_test(lengths),
		cmocka_unit_test(order_and_place),
		cmocka_unit_test(a_copy_is_another),
		cmocka_unit_test(addresses_do_not_matter),
		cmocka_unit_test(the_secret_matters),
		cmocka_unit_test(what_is_not_whole_has_none),
		cmocka_unit_test(a_socket_that_cannot_be_the_one_has_none),
		cmocka_unit_test(too_many_bytes_have_none),
		cmocka_unit_test(nothing_at_all_has_one),
	};
	return cmocka_run_group_tests_name("capture key", tests, NULL, NULL);
}
