/* A client and a server of OpenSSL's that do what common programs seldom do: verify with functions of their own, resume, go
 * without certificates, shake hands again, or ask for a certificate later.
 *
 *   hidden_openssl server CERT KEY WORD…     prints "port N", then a line for each connection when it ends
 *   hidden_openssl client PORT CA WORD…      prints a line for each connection
 *
 * Words of both: 1.2, 1.3, dtls, psk, anonymous, custom (an own function, which accepts everything), calls (an own function that
 * calls the library's), implicit (no SSL_do_handshake: reads and writes drive it), again (the handshake, once more at the end: TLS
 * 1.2), later (ask for a client certificate after the handshake: TLS 1.3).
 * Of the client: peer (SSL_VERIFY_PEER), resume (three connections, the later ones with the first one's session), early (with
 * early data), cert=FILE, look (ask SSL_get_verify_result afterwards), overrule (a callback that forgives everything), repeat
 * (SSL_do_handshake thrice more), pause (a line is read before each connection but the first), name=HOST (expected, and the SNI).
 * Of the server: ask, require (a client certificate), clients=FILE. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { REQUEST = 5, PSK_BYTES = 16, ACCEPTED_MAX = 64, SECONDS_MAX = 20 };

static char **words;
static SSL_SESSION *kept;

static bool has(const char *word)
{
	for (char **at = words; *at; at++)
		if (strcmp(*at, word) == 0)
			return true;
	return false;
}

static const char *value(const char *key)
{
	size_t len = strlen(key);

	for (char **at = words; *at; at++)
		if (strncmp(*at, key, len) == 0 && (*at)[len] == '=')
			return *at + len + 1;
	return NULL;
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(2);
}

static int accepts_all(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static int calls_library(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	return X509_verify_cert(ctx);
}

static int forgives(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

static unsigned psk_client(SSL *ssl, const char *hint, char *identity, unsigned identity_max, unsigned char *psk,
			   unsigned max)
{
	(void)ssl;
	(void)hint;
	snprintf(identity, identity_max, "somebody");
	memset(psk, 7, max < PSK_BYTES ? max : PSK_BYTES);
	return PSK_BYTES;
}

static unsigned psk_server(SSL *ssl, const char *identity, unsigned char *psk, unsigned max)
{
	(void)ssl;
	(void)identity;
	memset(psk, 7, max < PSK_BYTES ? max : PSK_BYTES);
	return PSK_BYTES;
}

static int session_new(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

static SSL_CTX *context_new(bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(has("dtls") ? DTLS_method() : TLS_method());

	if (!ctx)
		die("SSL_CTX_new");
	if (has("1.2")) {
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	} else if (has("1.3")) {
		SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	}
	if (has("custom"))
		SSL_CTX_set_cert_verify_callback(ctx, accepts_all, NULL);
	if (has("calls"))
		SSL_CTX_set_cert_verify_callback(ctx, calls_library, NULL);
	if (has("anonymous"))
		SSL_CTX_set_cipher_list(ctx, "aNULL:@SECLEVEL=0");
	if (has("psk")) {
		SSL_CTX_set_cipher_list(ctx, "PSK");
		SSL_CTX_set_psk_client_callback(ctx, psk_client);
		SSL_CTX_set_psk_server_callback(ctx, psk_server);
	}
	if (has("early"))
		SSL_CTX_set_max_early_data(ctx, 1024);
	if (server) {
		SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"hidden", 6);
		SSL_CTX_set_options(ctx, SSL_OP_NO_ANTI_REPLAY | SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	} else {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, session_new);
		SSL_CTX_set_post_handshake_auth(ctx, has("later"));
	}
	return ctx;
}

static void identity_load(SSL_CTX *ctx, const char *cert, const char *key)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		die(cert);
}

static void transport_set(SSL *ssl, int fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	BIO *bio;

	if (!has("dtls")) {
		SSL_set_fd(ssl, fd);
		return;
	}
	bio = BIO_new_dgram(fd, BIO_NOCLOSE);
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		die("getpeername");
	BIO_ctrl_set_connected(bio, &peer);
	SSL_set_bio(ssl, bio, bio);
}

/* --- the server ------------------------------------------------------------------------------------------------------- */

/* Of DTLS the socket that listens becomes the connection's. */
static int peer_accept(int listener)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char first;

	if (!has("dtls"))
		return accept(listener, NULL, NULL);
	if (recvfrom(listener, &first, 1, MSG_PEEK, (struct sockaddr *)&peer, &len) < 0 ||
	    connect(listener, (struct sockaddr *)&peer, len) < 0)
		die("recvfrom");
	return listener;
}

static int bytes_read(SSL *ssl)
{
	char data[256];
	int total = 0, got;

	while (total < REQUEST && (got = SSL_read(ssl, data, sizeof(data))) > 0)
		total += got;
	return total;
}

/* 1, or what SSL_accept says. */
static int handshake(SSL *ssl, int *ret_early)
{
	unsigned char data[256];
	size_t got;
	int r;

	if (!has("early"))
		return has("implicit") ? 1 : SSL_do_handshake(ssl);
	while ((r = SSL_read_early_data(ssl, data, sizeof(data), &got)) == SSL_READ_EARLY_DATA_SUCCESS)
		*ret_early += (int)got;
	return r == SSL_READ_EARLY_DATA_FINISH ? SSL_do_handshake(ssl) : -1;
}

static void serve(SSL_CTX *ctx, int fd)
{
	int early = 0, bytes = 0, ok;
	SSL *ssl = SSL_new(ctx);

	transport_set(ssl, fd);
	SSL_set_accept_state(ssl);
	ok = handshake(ssl, &early);
	if (ok == 1 && has("later")) {
		SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_POST_HANDSHAKE | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		ok = SSL_verify_client_post_handshake(ssl) == 1 ? SSL_do_handshake(ssl) : -1;
	}
	if (ok == 1)
		bytes = bytes_read(ssl);
	if (bytes >= REQUEST || early) {
		SSL_write(ssl, "hello", 5);
		bytes += bytes_read(ssl); /* to the client's end */
	}
	printf("ended ok=%d bytes=%d early=%d resumed=%d\n", ok, bytes, early, SSL_session_reused(ssl));
	fflush(stdout);
	ERR_print_errors_fp(stderr);
	SSL_free(ssl);
	if (!has("dtls"))
		close(fd);
}

static int server(const char *cert, const char *key)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int mode = has("require") ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : has("ask") ? SSL_VERIFY_PEER : 0;
	int fd = socket(AF_INET, has("dtls") ? SOCK_DGRAM : SOCK_STREAM, 0);
	SSL_CTX *ctx = context_new(true);
	socklen_t len = sizeof(address);

	if (!has("psk") && !has("anonymous"))
		identity_load(ctx, cert, key);
	if (value("clients") && SSL_CTX_load_verify_locations(ctx, value("clients"), NULL) != 1)
		die(value("clients"));
	SSL_CTX_set_verify(ctx, mode, NULL);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (!has("dtls") && listen(fd, ACCEPTED_MAX) < 0) || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		die("socket");
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	do {
		int peer = peer_accept(fd);

		if (peer < 0)
			die("accept");
		serve(ctx, peer);
	} while (!has("dtls"));
	SSL_CTX_free(ctx);
	return 0;
}

/* --- the client ------------------------------------------------------------------------------------------------------- */

static int peer_connect(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, has("dtls") ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	return fd;
}

static int shake(SSL *ssl)
{
	size_t written;
	int ok = 1;

	if (has("early") && SSL_get_session(ssl) &&
	    (SSL_write_early_data(ssl, "early", REQUEST, &written) != 1 || SSL_do_handshake(ssl) != 1))
		return -1;
	if (!has("implicit"))
		ok = SSL_do_handshake(ssl);
	for (int i = 0; i < 3 && has("repeat") && ok == 1; i++)
		ok = SSL_do_handshake(ssl);
	if (ok == 1 && has("again"))
		ok = SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1 ? 1 : -1;
	return ok;
}

static void ask(SSL_CTX *ctx, int port)
{
	const char *name = value("name");
	SSL *ssl = SSL_new(ctx);
	char answer[16];
	int fd = peer_connect(port), ok, got = 0;

	transport_set(ssl, fd);
	SSL_set_connect_state(ssl);
	if (name) {
		SSL_set_tlsext_host_name(ssl, name);
		SSL_set1_host(ssl, name);
	}
	if (kept)
		SSL_set_session(ssl, kept);
	ok = shake(ssl);
	if (ok == 1 && SSL_write(ssl, "ask !", REQUEST) == REQUEST)
		got = SSL_read(ssl, answer, sizeof(answer));
	printf("connection ok=%d served=%d resumed=%d", ok, got > 0, SSL_session_reused(ssl));
	if (has("look"))
		printf(" result=%ld", SSL_get_verify_result(ssl));
	printf("\n");
	fflush(stdout);
	ERR_print_errors_fp(stderr);
	if (has("later"))
		sleep(1); /* the server has yet to read what it asked for, and to answer it */
	if (ok == 1 && got > 0)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

static int client(int port, const char *ca)
{
	SSL_CTX *ctx = context_new(false);
	const char *cert = value("cert"), *key = value("key");

	if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		die(ca);
	if (cert)
		identity_load(ctx, cert, key);
	SSL_CTX_set_verify(ctx, has("peer") ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, has("overrule") ? forgives : NULL);
	for (int i = 0; i < (has("resume") ? 3 : 1); i++) {
		if (i > 0 && has("pause"))
			getchar();
		ask(ctx, port);
	}
	SSL_SESSION_free(kept);
	SSL_CTX_free(ctx);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	words = argv + 4;
	alarm(SECONDS_MAX * 3);
	signal(SIGPIPE, SIG_IGN);
	return strcmp(argv[1], "server") == 0 ? server(argv[2], argv[3]) : client(atoi(argv[2]), argv[3]);
}
