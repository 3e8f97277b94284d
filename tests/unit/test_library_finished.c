/* What the installed OpenSSL answers about a handshake that is over, compared with its own accessors on real connections: new and
 * resumed ones, without a certificate, with the application's own verification; and the functions that go on with a handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "asked.h"
#include "library.h"
#include "util.h"

enum { STATE_DONE = 1, AUTH_NONE = 4, TURNS = 20, PSK_BYTES = 16 };

static struct library_answer ssl;
static const struct openssl_layout *at = &ssl.openssl;
static SSL_SESSION *kept;

static int set_up(void **state)
{
	(void)state;
	if (make_certificate() < 0)
		return -1;
	ssl = ask("libssl.so");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	X509_free(certificate);
	EVP_PKEY_free(key);
	SSL_SESSION_free(kept);
	return 0;
}

static int accepts_all(X509_STORE_CTX *context, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(context, X509_V_ERR_HOSTNAME_MISMATCH);
	return 1;
}

static unsigned client_psk(SSL *connection, const char *hint, char *identity, unsigned identity_max, unsigned char *psk,
			   unsigned max)
{
	(void)connection;
	(void)hint;
	assert_true(identity_max > 8 && max >= PSK_BYTES);
	memcpy(identity, "somebody", 9);
	memset(psk, 7, PSK_BYTES);
	return PSK_BYTES;
}

static unsigned server_psk(SSL *connection, const char *identity, unsigned char *psk, unsigned max)
{
	(void)connection;
	(void)identity;
	assert_true(max >= PSK_BYTES);
	memset(psk, 7, PSK_BYTES);
	return PSK_BYTES;
}

static int session_new_kept(SSL *connection, SSL_SESSION *session)
{
	(void)connection;
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

static SSL_CTX *context_new(int version, const char *ciphers)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	assert_non_null(context);
	assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
	if (ciphers) {
		assert_int_equal(SSL_CTX_set_cipher_list(context, ciphers), 1);
		SSL_CTX_set_psk_client_callback(context, client_psk);
		SSL_CTX_set_psk_server_callback(context, server_psk);
	} else {
		assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	}
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_BOTH);
	SSL_CTX_sess_set_new_cb(context, session_new_kept);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"unit", 4);
	return context;
}

static SSL *connection_new(SSL_CTX *context, bool server, int fd)
{
	SSL *connection = SSL_new(context);

	assert_non_null(connection);
	SSL_set_fd(connection, fd);
	server ? SSL_set_accept_state(connection) : SSL_set_connect_state(connection);
	assert_int_equal(int_at(connection, at->ssl_state), SSL_get_state(connection));
	return connection;
}

static void check(SSL *connection)
{
	SSL_SESSION *session = SSL_get_session(connection);

	assert_int_equal(SSL_get_state(connection), STATE_DONE);
	assert_int_equal(int_at(connection, at->ssl_state), STATE_DONE);
	assert_ptr_equal(pointer_at(connection, at->ssl_session), session);
	assert_int_equal(int_at(connection, at->ssl_reused), SSL_session_reused(connection));
	assert_int_equal(int_at(connection, at->ssl_early), SSL_get_early_data_status(connection));
	assert_int_equal((long)pointer_at(connection, at->ssl_result), SSL_get_verify_result(connection));
	assert_ptr_equal(pointer_at(connection, at->ssl_ctx), SSL_get_SSL_CTX(connection));
	assert_ptr_equal(pointer_at(connection, at->ssl_param), SSL_get0_param(connection));
	assert_ptr_equal(pointer_at(session, at->session_peer), SSL_SESSION_get0_peer(session));
	assert_ptr_equal(pointer_at(session, at->session_chain), SSL_get_peer_cert_chain(connection));
	assert_ptr_equal(pointer_at(session, at->session_cipher), SSL_SESSION_get0_cipher(session));
	assert_ptr_equal(pointer_at(session, at->session_psk), SSL_get_psk_identity(connection));
	if (at->ssl_type != OFFSET_NONE)
		assert_int_equal(int_at(connection, at->ssl_type), 0);
	if (SSL_is_server(connection))
		return;
	assert_int_equal(int_at(pointer_at(session, at->session_cipher), at->cipher_auth) == AUTH_NONE,
			 SSL_CIPHER_get_auth_nid(SSL_SESSION_get0_cipher(session)) == NID_auth_null);
}

/* A whole connection, with a byte of data, so that tickets have come; gives the session to go on with. */
static void connection_make(SSL_CTX *client_context, SSL_CTX *server_context, bool resumed)
{
	bool client_done = false, server_done = false;
	SSL *client, *server;
	char byte = 'x';
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	client = connection_new(client_context, false, fds[0]);
	server = connection_new(server_context, true, fds[1]);
	if (resumed)
		assert_int_equal(SSL_set_session(client, kept), 1);
	for (int turn = 0; turn < TURNS && !(client_done && server_done); turn++) {
		client_done = client_done || SSL_do_handshake(client) == 1;
		server_done = server_done || SSL_do_handshake(server) == 1;
	}
	assert_true(client_done && server_done);
	assert_int_equal(SSL_write(server, &byte, 1), 1);
	assert_int_equal(SSL_read(client, &byte, 1), 1);
	assert_int_equal(SSL_session_reused(client), resumed);
	check(client);
	check(server);
	SSL_shutdown(client);
	SSL_shutdown(server);
	SSL_free(client);
	SSL_free(server);
	close(fds[0]);
	close(fds[1]);
}

static void with_certificates(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		SSL_CTX *client = context_new(versions[i], NULL), *server = context_new(versions[i], NULL);

		assert_null(pointer_at(client, at->context_verify));
		connection_make(client, server, false);
		connection_make(client, server, true);
		SSL_CTX_set_cert_verify_callback(client, accepts_all, NULL);
		assert_ptr_equal(pointer_at(client, at->context_verify), (void *)accepts_all);
		connection_make(client, server, false);
		connection_make(client, server, true);
		SSL_CTX_free(client);
		SSL_CTX_free(server);
	}
}

static void without_certificates(void **state)
{
	static const char *const ciphers[] = {"PSK", "aNULL:@SECLEVEL=0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
		SSL_CTX *client = context_new(TLS1_2_VERSION, ciphers[i]), *server = context_new(TLS1_2_VERSION, ciphers[i]);

		connection_make(client, server, false);
		SSL_CTX_free(client);
		SSL_CTX_free(server);
	}
}

/* The file offset of an address in a file that is mapped here. */
static int note_offset(struct dl_phdr_info *info, size_t size, void *data)
{
	uint64_t *place = data;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t within = *place - info->dlpi_addr - segment->p_vaddr;

		if (segment->p_type != PT_LOAD || *place < info->dlpi_addr + segment->p_vaddr || within >= segment->p_memsz)
			continue;
		*place = segment->p_offset + within;
		return 1;
	}
	return 0;
}

/* A method has them among its functions: the sites lie in their first bytes, and SSL_do_handshake needs no probe then. */
static void the_functions_that_go_on(void **state)
{
	enum { SLOTS_OF_A_METHOD = 16, PROLOGUE = 32 };
	const SSL_METHOD *method = TLS_method();
	unsigned connects = 0, accepts = 0;

	(void)state;
	assert_int_equal(ssl.site[SITE_SSL_DO_HANDSHAKE], 0);
	for (size_t i = 0; i < SLOTS_OF_A_METHOD; i++) {
		uint64_t place = (uint64_t)pointer_at(method, i * 8);

		if (!dl_iterate_phdr(note_offset, &place))
			continue;
		connects += ssl.site[SITE_SSL_CONNECT] - place < PROLOGUE;
		accepts += ssl.site[SITE_SSL_ACCEPT] - place < PROLOGUE;
	}
	assert_true(connects > 0 && accepts > 0);
	assert_int_not_equal(ssl.site[SITE_SSL_CONNECT], ssl.site[SITE_SSL_ACCEPT]);
}

/* Only all of it, or nothing. */
static void answers_out_of_range(void **state)
{
	const uint64_t size = UINT64_MAX;
	struct library_answer answer = ssl;

	(void)state;
	assert_int_equal(library_answer_check(&answer, size), 0);
	answer.openssl.session_peer = OFFSET_NONE;
	assert_int_equal(library_answer_check(&answer, size), -EPROTO);
	answer = ssl;
	answer.openssl.ssl_state += 1;
	assert_int_equal(library_answer_check(&answer, size), -EPROTO);
	answer = ssl;
	answer.openssl.context_verify = OFFSET_MAX + 8;
	assert_int_equal(library_answer_check(&answer, size), -EPROTO);
	answer = ssl;
	answer.openssl.session_raw_key = answer.openssl.session_psk = answer.openssl.ssl_type = OFFSET_NONE;
	assert_int_equal(library_answer_check(&answer, size), 0);
	memset(&answer.openssl.ssl_state, 0xff,
	       offsetof(struct openssl_layout, pad) - offsetof(struct openssl_layout, ssl_state));
	assert_int_equal(library_answer_check(&answer, size), 0);
}

static void a_pair(void **state)
{
	struct library_answer crypto = ask("libcrypto.so");
	struct library_layout pair = library_pair_layout(&crypto, &ssl);

	(void)state;
	assert_int_equal(pair.kind, LIBRARY_OPENSSL);
	assert_int_equal(pair.openssl.ctx_cert, crypto.openssl.ctx_cert);
	assert_int_equal(pair.openssl.method_type, crypto.openssl.method_type);
	assert_memory_equal(&pair.openssl.ssl_version, &at->ssl_version,
			    offsetof(struct openssl_layout, pad) - offsetof(struct openssl_layout, ssl_version));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_certificates),
		cmocka_unit_test(without_certificates),
		cmocka_unit_test(the_functions_that_go_on),
		cmocka_unit_test(answers_out_of_range),
		cmocka_unit_test(a_pair),
	};

	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
