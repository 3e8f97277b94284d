/* The search for traces: each text is found wherever it lies, and nothing else is; and what it says of real files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "traces.h"
#include "util.h"

enum { PIECE = 256 << 10, TEXT_BYTES = 128, ROUNDS = 300 };

/* In two parts, as this program is looked at too. */
static const struct {
	const char *head, *tail;
	bool name; /* with the NUL behind it */
	uint32_t trace;
} texts[] = {
	{"X509_verify", "_cert", true, TRACE_X509_VERIFY},
	{"SSL_get_verify", "_mode", true, TRACE_SSL},
	{"gnutls_", "handshake", true, TRACE_GNUTLS},
	{"ssl/statem", "/statem_clnt.c", false, TRACE_OPENSSL_TEXT},
	{"tls_process_server", "_certificate", false, TRACE_OPENSSL_TEXT},
	{"ssl3_get_server", "_certificate", false, TRACE_OPENSSL_TEXT},
	{"ssl/handshake", "_client.cc", false, TRACE_OPENSSL_TEXT},
	{"An unexpected TLS handshake packet", " was received.", false, TRACE_GNUTLS_TEXT},
	{"crypto/tls.(*Conn).verify", "ServerCertificate", false, TRACE_GO},
	{"tls: server's certificate contains an", " unsupported type of public key", false, TRACE_GO},
	{"received corrupt message", " of type ", false, TRACE_RUSTLS},
	{"presented server name type", " wasn't supported", false, TRACE_RUSTLS},
	{"Peer reports negotiation not in compliance", " with export regulations.", false, TRACE_NSS},
	{"The certificate has been revoked", " (is on a CRL)", false, TRACE_MBEDTLS},
	{"! Certificate verification", " flags", false, TRACE_MBEDTLS},
	{"ASN CRL no signer error to", " confirm failure", false, TRACE_WOLFSSL},
	{"DTLS trying to send too much", " in single datagram error", false, TRACE_WOLFSSL},
	{"java/lang/invoke", "/MethodHandleNatives", false, TRACE_JAVA},
};

static size_t text_make(size_t i, char out[TEXT_BYTES])
{
	return (size_t)snprintf(out, TEXT_BYTES, "%s%s", texts[i].head, texts[i].tail) + texts[i].name;
}

/* Of a file of len bytes, all of them ',', but for what there is at at. */
static uint32_t traces_of(size_t len, size_t at, const void *bytes, size_t bytes_len)
{
	CLEANUP_CLOSE int fd = memfd_create("traces", MFD_CLOEXEC);
	char *file CLEANUP_FREE = xcalloc(1, len + 1);
	uint32_t found = UINT32_MAX;

	assert_true(at + bytes_len <= len);
	memset(file, ',', len);
	memcpy(file + at, bytes, bytes_len);
	assert_int_equal(write(fd, file, len), len);
	assert_int_equal(traces_search(fd, (int64_t)len, &found), 0);
	return found;
}

static void test_each_is_found_wherever_it_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[TEXT_BYTES];
		size_t len = text_make(i, text), places[] = {0, 1, 999, PIECE - len, PIECE, 2 * PIECE - 1};

		for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
			assert_int_equal(traces_of(3 * PIECE, places[k], text, len), texts[i].trace);
			assert_int_equal(traces_of(places[k] + len, places[k], text, len), texts[i].trace); /* at the end */
		}
	}
}

static void test_across_two_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[TEXT_BYTES];
		size_t len = text_make(i, text);

		for (size_t split = 1; split < len; split++)
			assert_int_equal(traces_of(PIECE + TEXT_BYTES, PIECE - split, text, len), texts[i].trace);
	}
}

static void test_what_is_not_whole_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[TEXT_BYTES];
		size_t len = text_make(i, text);

		assert_int_equal(traces_of(PIECE, 77, text, len - 1), 0);
		assert_int_equal(traces_of(len - 1, 0, text, len - 1), 0);
		assert_int_equal(traces_of(PIECE, 77, text + 1, len - 1), 0);
		text[len / 2] ^= 1;
		assert_int_equal(traces_of(PIECE, 77, text, len), 0);
	}
	assert_int_equal(traces_of(0, 0, "", 0), 0);
	assert_int_equal(traces_of(1, 0, "S", 1), 0);
}

/* Linkers let a name be the end of a longer one. */
static void test_name_at_the_end_of_another(void **state)
{
	static const char longer[] = "my_own_SSL_get_verify_mode";

	(void)state;
	assert_int_equal(traces_of(1000, 400, longer, sizeof(longer)), TRACE_SSL);
}

/* Files put together of parts of the texts, some whole: compared with a search for one after the other. */
static void test_random(void **state)
{
	uint32_t seed = 20261122;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		CLEANUP_CLOSE int fd = memfd_create("traces", MFD_CLOEXEC);
		static char file[PIECE + 5000];
		size_t filled = round % 2 ? 0 : PIECE - 2500;
		uint32_t expected = 0, found;

		memset(file, 0, filled);
		while (filled + TEXT_BYTES < sizeof(file) && filled < PIECE + 2500) {
			char text[TEXT_BYTES];
			size_t len, from, to;

			seed = seed * 1664525 + 1013904223;
			len = text_make((seed >> 8) % ARRAY_SIZE(texts), text);
			from = seed >> 16 & 15;
			to = (seed >> 20 & 31) ? len - (seed >> 25) % len : len;
			if ((seed >> 28) == 0) {
				from = 0;
				to = len;
			}
			if (from >= to)
				continue;
			memcpy(file + filled, text + from, to - from);
			filled += to - from;
		}
		for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
			char text[TEXT_BYTES];
			size_t len = text_make(i, text);

			if (memmem(file, filled, text, len))
				expected |= texts[i].trace;
		}
		assert_int_equal(write(fd, file, filled), filled);
		assert_int_equal(traces_search(fd, (int64_t)filled, &found), 0);
		assert_int_equal(found, expected);
	}
}

static void test_only_as_far_as_told(void **state)
{
	CLEANUP_CLOSE int fd = memfd_create("traces", MFD_CLOEXEC);
	char text[TEXT_BYTES];
	size_t len = text_make(0, text);
	uint32_t found = UINT32_MAX;

	(void)state;
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(traces_search(fd, 0, &found), 0);
	assert_int_equal(found, 0);
	assert_int_equal(traces_search(fd, TRACES_BYTES_MAX, &found), 0); /* longer than it is */
	assert_int_equal(found, TRACE_X509_VERIFY);
	found = 12345;
	assert_int_equal(traces_search(-1, 10, &found), -EBADF);
	assert_int_equal(found, 12345);
}

static uint32_t traces_of_path(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t found = UINT32_MAX;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(traces_search(fd, st.st_size, &found), 0);
	return found;
}

static uint32_t traces_of_loaded(const char *name)
{
	struct link_map *map;
	void *library = dlopen(name, RTLD_NOW);

	assert_non_null(library);
	assert_int_equal(dlinfo(library, RTLD_DI_LINKMAP, &map), 0);
	return traces_of_path(map->l_name);
}

static void test_real_libraries(void **state)
{
	uint32_t ssl;

	(void)state;
	assert_int_equal(traces_of_loaded("libcrypto.so.3"), TRACE_X509_VERIFY);
	ssl = traces_of_loaded("libssl.so.3");
	assert_int_equal(ssl, TRACE_X509_VERIFY | TRACE_SSL | TRACE_OPENSSL_TEXT);
	assert_null(traces_name(ssl));
	assert_null(traces_why(ssl));
	assert_int_equal(traces_of_loaded("libgnutls.so.30"), TRACE_GNUTLS | TRACE_GNUTLS_TEXT);
	assert_int_equal(traces_of_loaded("libc.so.6"), 0);
	/* Which has the search itself in it, and the texts, and is linked to libssl. */
	assert_int_equal(traces_of_path("/proc/self/exe") & ~(uint32_t)TRACE_ASKABLE, 0);
}

static void test_what_is_told(void **state)
{
	(void)state;
	assert_null(traces_name(0));
	assert_null(traces_name(TRACE_ASKABLE));
	for (uint32_t trace = TRACE_OPENSSL_TEXT; trace <= TRACE_JAVA; trace <<= 1) {
		assert_non_null(traces_name(trace));
		assert_non_null(traces_why(trace));
	}
	assert_string_equal(traces_name(TRACE_GO | TRACE_ASKABLE | TRACE_OPENSSL_TEXT), "Go's crypto/x509");
	/* Names and texts of one library: it is one that is asked; of two: the other is without. */
	assert_null(traces_name(TRACE_X509_VERIFY | TRACE_OPENSSL_TEXT));
	assert_null(traces_name(TRACE_SSL | TRACE_OPENSSL_TEXT));
	assert_null(traces_name(TRACE_GNUTLS | TRACE_GNUTLS_TEXT));
	assert_string_equal(traces_name(TRACE_GNUTLS | TRACE_OPENSSL_TEXT), "OpenSSL without symbols");
	assert_string_equal(traces_name(TRACE_X509_VERIFY | TRACE_GNUTLS_TEXT), "GnuTLS without symbols");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_found_wherever_it_lies),
		cmocka_unit_test(test_across_two_pieces),
		cmocka_unit_test(test_what_is_not_whole_is_none),
		cmocka_unit_test(test_name_at_the_end_of_another),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_only_as_far_as_told),
		cmocka_unit_test(test_real_libraries),
		cmocka_unit_test(test_what_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
