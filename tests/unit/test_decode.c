/* What a record means: verify results and modes, lists of certificates, texts, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>

#include "decode.h"
#include "util.h"

enum { AF_INET_VALUE = 2, AF_INET6_VALUE = 10 };

static enum verify_result result(enum library_kind library, uint32_t mode, int32_t returned, int32_t error, uint32_t flags,
				 const char *expected_mode)
{
	struct capture capture = {.verify = {.verify_mode = mode, .result = returned, .error = error, .flags = flags}};
	struct decoded decoded;
	enum verify_result verify;

	capture_decode(&capture, library, &decoded);
	assert_string_equal(decoded.facts.verify_mode, expected_mode);
	verify = decoded.facts.verify;
	decoded_clear(&decoded);
	return verify;
}

static void openssl_results(void **state)
{
	(void)state;
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 1, 0, 0, "peer"), VERIFY_OK);
	assert_int_equal(result(LIBRARY_OPENSSL, 3, 1, 0, 0, "peer"), VERIFY_OK);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 1, 18, 0, "peer"), VERIFY_FAILED_IGNORED);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 0, 20, 0, "peer"), VERIFY_FAILED);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, -1, 0, 0, "peer"), VERIFY_FAILED);
	assert_int_equal(result(LIBRARY_OPENSSL, 0, 1, 0, 0, "none"), VERIFY_OFF);
	assert_int_equal(result(LIBRARY_OPENSSL, 0, 0, 20, 0, "none"), VERIFY_FAILED_IGNORED);
	assert_int_equal(result(LIBRARY_OPENSSL, 2, 1, 0, 0, "none"), VERIFY_OFF);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 1, 0, VERIFY_RESUMED, "peer"), VERIFY_OK);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 1, 20, VERIFY_RESUMED, "peer"), VERIFY_FAILED_IGNORED);
	assert_int_equal(result(LIBRARY_OPENSSL, 0, 1, 0, VERIFY_RESUMED, "none"), VERIFY_OFF);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 1, 0, VERIFY_CUSTOM, "peer"), VERIFY_BY_CALLBACK);
	assert_int_equal(result(LIBRARY_OPENSSL, 0, 1, 0, VERIFY_RESUMED | VERIFY_CUSTOM, "none"), VERIFY_BY_CALLBACK);
	assert_int_equal(result(LIBRARY_OPENSSL, 1, 1, 0, VERIFY_BARE, "peer"), VERIFY_NO_CERTIFICATE);
}

static void gnutls_results(void **state)
{
	(void)state;
	assert_int_equal(result(LIBRARY_GNUTLS, 0, 0, 0, 0, "peer"), VERIFY_OK);
	assert_int_equal(result(LIBRARY_GNUTLS, 0, 0, 0, VERIFY_AFTER, "peer"), VERIFY_OK);
	assert_int_equal(result(LIBRARY_GNUTLS, 0, 0, 66, 0, "peer"), VERIFY_FAILED);
	assert_int_equal(result(LIBRARY_GNUTLS, 0, -49, 0, 0, "peer"), VERIFY_FAILED);
	assert_int_equal(result(LIBRARY_GNUTLS, 0, 0, 0, VERIFY_NONE_YET, "none"), VERIFY_PENDING);
}

static struct certificate *garbage(const char *bytes)
{
	struct certificate *certificate;

	assert_int_equal(certificate_new((const uint8_t *)bytes, strlen(bytes), &certificate), 0);
	return certificate;
}

/* Presented: A, B, A again; the library's chain: B and a root that was not sent. */
static void lists_are_merged(void **state)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));
	struct decoded decoded;
	const struct facts *facts = &decoded.facts;

	(void)state;
	capture->certificates[0] = garbage("A");
	capture->certificates[1] = garbage("B");
	capture->certificates[2] = garbage("root");
	capture->certificates[3] = garbage("A");
	memcpy(capture->objects, (uint64_t[]){11, 12, 13, 14}, 4 * sizeof(uint64_t));
	capture->count = 4;
	capture->verify.presented = 3;
	memcpy(capture->verify.presented_object, (__u64[]){11, 12, 14}, 3 * sizeof(__u64));
	capture->verify.chain = 2;
	memcpy(capture->verify.chain_object, (__u64[]){12, 13}, 2 * sizeof(__u64));
	capture_decode(capture, LIBRARY_OPENSSL, &decoded);
	assert_int_equal(facts->certs_count, 3);
	assert_ptr_equal(facts->certs[0].certificate, capture->certificates[0]);
	assert_true(facts->certs[0].presented && !facts->certs[0].chain);
	assert_true(facts->certs[1].presented && facts->certs[1].chain);
	assert_ptr_equal(facts->certs[2].certificate, capture->certificates[2]);
	assert_true(!facts->certs[2].presented && facts->certs[2].chain);
	assert_false(facts->truncated);
	decoded_clear(&decoded);
	capture_free(capture);
}

static void a_missing_certificate_truncates(void **state)
{
	struct capture capture = {.verify = {.presented = 1, .presented_object = {7}}};
	struct decoded decoded;

	(void)state;
	capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
	assert_true(decoded.facts.truncated);
	assert_int_equal(decoded.facts.certs_count, 1);
	assert_int_equal(decoded.facts.certs[0].certificate->der_len, 0);
	assert_false(decoded.facts.certs[0].certificate->parsed);
	assert_true(decoded.facts.certs[0].presented);
	decoded_clear(&decoded);
}

/* The leaf did not come: the intermediate must not stand in its place. */
static void a_missing_leaf_keeps_its_place(void **state)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));
	struct decoded decoded;

	(void)state;
	capture->certificates[0] = garbage("intermediate");
	capture->objects[0] = 12;
	capture->count = 1;
	capture->verify.presented = 2;
	memcpy(capture->verify.presented_object, (__u64[]){11, 12}, 2 * sizeof(__u64));
	capture_decode(capture, LIBRARY_OPENSSL, &decoded);
	assert_int_equal(decoded.facts.certs_count, 2);
	assert_int_equal(decoded.facts.certs[0].certificate->der_len, 0);
	assert_ptr_equal(decoded.facts.certs[1].certificate, capture->certificates[0]);
	decoded_clear(&decoded);
	capture_free(capture);
}

static void flags_truncate(void **state)
{
	static const uint32_t flags[] = {VERIFY_TRUNCATED, VERIFY_LOST_CERT, VERIFY_UNREADABLE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct capture capture = {.verify.flags = flags[i]};
		struct decoded decoded;
		capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
		assert_true(decoded.facts.truncated);
		assert_int_equal(decoded.facts.lost, flags[i] != VERIFY_TRUNCATED);
		decoded_clear(&decoded);
	}
}

static void texts_are_escaped(void **state)
{
	struct capture capture = {.verify = {.comm = "a\nb", .server_name = "x\x01y", .expected_host = "good.example"}};
	struct decoded decoded;

	(void)state;
	capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
	assert_string_equal(decoded.comm, "a\\x0ab");
	assert_string_equal(decoded.facts.server_name, "x\\x01y");
	assert_string_equal(decoded.facts.expected_host, "good.example");
	decoded_clear(&decoded);
}

/* As long as there is room for: the end is missing, and what is there must not pass for a name. */
static void a_name_that_was_cut_is_marked(void **state)
{
	struct capture capture = {0};
	struct decoded decoded;

	(void)state;
	memset(capture.verify.server_name, 'a', NAME_MAX_BYTES - 1);
	memset(capture.verify.expected_host, 'b', NAME_MAX_BYTES - 2);
	capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
	assert_string_equal(decoded.facts.server_name + NAME_MAX_BYTES - 1, "\\…");
	assert_int_equal(strlen(decoded.facts.expected_host), NAME_MAX_BYTES - 2);
	decoded_clear(&decoded);
}

static void an_expected_address_becomes_text(void **state)
{
	struct capture capture = {.verify = {.host_ip_len = 4, .host_ip = {1, 1, 1, 1}}};
	struct decoded decoded;

	(void)state;
	capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
	assert_string_equal(decoded.facts.expected_host, "1.1.1.1");
	assert_null(decoded.facts.server_name);
	decoded_clear(&decoded);
}

static void addresses_and_ports(void **state)
{
	struct capture capture = {.verify.socket = {.how = SOCKET_FD,
						    .family = AF_INET6_VALUE,
						    .local_port = 40000,
						    .peer_port = 853,
						    .peer_ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 1, 1, 1}}};
	struct decoded decoded;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
	address_format(&decoded.facts.peer, text);
	assert_string_equal(text, "1.1.1.1");
	assert_int_equal(decoded.facts.peer_port, 853);
	assert_int_equal(decoded.facts.local_port, 40000);
	decoded_clear(&decoded);
	capture.verify.socket.how = SOCKET_UNKNOWN;
	capture.verify.socket.family = AF_INET_VALUE;
	capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
	assert_int_equal(decoded.facts.peer.len, 0);
	decoded_clear(&decoded);
}

/* Found by what the thread had received: not if that is less, or far more, than this handshake takes. */
static void a_thread_s_socket_must_fit(void **state)
{
	static const struct {
		uint64_t received;
		bool fits;
	} cases[] = {{0, false}, {100, true}, {5000, true}, {60000, true}, {100000, false}};
	struct capture *capture = xcalloc(1, sizeof(*capture));
	struct decoded decoded;

	(void)state;
	capture->certificates[0] = garbage("0123456789012345678901234567890123456789012345678901234567890123456789");
	capture->objects[0] = capture->verify.presented_object[0] = 11;
	capture->count = capture->verify.presented = 1;
	capture->verify.socket = (struct record_socket){
		.how = SOCKET_THREAD, .family = AF_INET_VALUE, .peer_ip = {127, 0, 0, 1}, .peer_port = 443};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		capture->verify.socket.received = cases[i].received;
		assert_int_equal(capture_socket_fits(capture), cases[i].fits);
		capture_decode(capture, LIBRARY_OPENSSL, &decoded);
		assert_int_equal(decoded.facts.peer.len, cases[i].fits ? 4 : 0);
		decoded_clear(&decoded);
	}
	/* The descriptor that the library reads from is exact. */
	capture->verify.socket.how = SOCKET_FD;
	assert_true(capture_socket_fits(capture));
	capture->verify.socket.how = SOCKET_UNKNOWN;
	assert_false(capture_socket_fits(capture));
	capture_free(capture);
}

static void roles(void **state)
{
	static const enum facts_role expected[] = {FACTS_ROLE_UNKNOWN, FACTS_ROLE_CLIENT, FACTS_ROLE_SERVER,
						   FACTS_ROLE_UNKNOWN};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct capture capture = {.verify.role = i};
		struct decoded decoded;
		capture_decode(&capture, LIBRARY_OPENSSL, &decoded);
		assert_int_equal(decoded.facts.role, expected[i]);
		decoded_clear(&decoded);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_results),
		cmocka_unit_test(gnutls_results),
		cmocka_unit_test(lists_are_merged),
		cmocka_unit_test(a_missing_certificate_truncates),
		cmocka_unit_test(a_missing_leaf_keeps_its_place),
		cmocka_unit_test(flags_truncate),
		cmocka_unit_test(texts_are_escaped),
		cmocka_unit_test(an_expected_address_becomes_text),
		cmocka_unit_test(a_name_that_was_cut_is_marked),
		cmocka_unit_test(addresses_and_ports),
		cmocka_unit_test(a_thread_s_socket_must_fit),
		cmocka_unit_test(roles),
	};
	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
