/* A TLS client that asks for nothing but the server's certificates (peer_chain.h).
 *
 * The server is not believed: this runs without privilege, and what it sends is only taken apart by OpenSSL and
 * certificate.h. Every address of the name is tried in turn, CONNECT_SECONDS each. More than CHAIN_BYTES_MAX of certificates
 * fail the handshake. */
#include "peer_chain.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { CONNECT_SECONDS = 4, CHAIN_BYTES_MAX = 1 << 20 };

static void ssl_cleanup(SSL **ssl)
{
	SSL_free(*ssl);
}
static void ssl_ctx_cleanup(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}
static void addrinfo_cleanup(struct addrinfo **info)
{
	if (*info)
		freeaddrinfo(*info);
}

/* A connected socket, or -errno of the last address that was tried. */
static int connect_to(const char *host, const char *port, char **ret_error)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const struct timeval limit = {.tv_sec = CONNECT_SECONDS}; /* connect(2) minds SO_SNDTIMEO */
	CLEANUP(addrinfo_cleanup) struct addrinfo *found = NULL;
	int r, last = ENOENT;

	r = getaddrinfo(host, port, &hints, &found);
	if (r) {
		*ret_error = xstrdup(gai_strerror(r));
		return -ENOENT;
	}
	for (const struct addrinfo *at = found; at; at = at->ai_next) {
		CLEANUP_CLOSE int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);

		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
		    connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
			last = errno == EINPROGRESS ? ETIMEDOUT : errno;
			continue;
		}
		return TAKE_FD(fd);
	}
	*ret_error = xstrdup(strerror(last));
	return -last;
}

static bool is_address(const char *host)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
	CLEANUP(addrinfo_cleanup) struct addrinfo *found = NULL;

	return getaddrinfo(host, NULL, &hints, &found) == 0;
}

/* RFC 6066 3: a name without its final dot, and no address. */
static bool set_server_name(SSL *ssl, const char *host)
{
	size_t len = strlen(host);
	CLEANUP_FREE char *name = xstrndup(host, len && host[len - 1] == '.' ? len - 1 : len);

	return is_address(host) || SSL_set_tlsext_host_name(ssl, name) == 1;
}

static int take_chain(const SSL *ssl, struct certificate ***ret, size_t *ret_count)
{
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	int presented = chain ? sk_X509_num(chain) : 0;
	struct certificate **certificates = xcalloc((size_t)presented, sizeof(*certificates));
	size_t count = 0;

	for (int i = 0; i < presented; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(chain, i), &der);

		if (len > 0 && certificate_new(der, (size_t)len, &certificates[count]) == 0)
			count++;
		OPENSSL_free(der);
	}
	if (count == 0) {
		certificates_free(certificates, 0);
		return -ENODATA;
	}
	*ret = certificates;
	*ret_count = count;
	return 0;
}

int peer_chain(const char *host, const char *port, struct certificate ***ret, size_t *ret_count, char **ret_error)
{
	CLEANUP(ssl_ctx_cleanup) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	CLEANUP(ssl_cleanup) SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	CLEANUP_CLOSE int fd = -1;
	const char *why;
	int shaken;

	/* Level 0: weak keys are to be seen too. */
	if (!ssl || SSL_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 || !set_server_name(ssl, host)) {
		*ret_error = xstrdup("OpenSSL does not take this name");
		return -EINVAL;
	}
	SSL_set_security_level(ssl, 0);
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	SSL_set_max_cert_list(ssl, CHAIN_BYTES_MAX);
	fd = connect_to(host, port, ret_error);
	if (fd < 0)
		return fd;
	if (SSL_set_fd(ssl, fd) != 1) {
		*ret_error = xstrdup("OpenSSL does not take the socket");
		return -EIO;
	}
	ERR_clear_error();
	shaken = SSL_connect(ssl);
	why = ERR_reason_error_string(ERR_peek_error());
	/* A server that wants a certificate of ours may end the handshake; by then it has shown its own. */
	if (take_chain(ssl, ret, ret_count) == 0)
		return 0;
	if (!why)
		why = shaken == 1 ? "the server has none" : "the connection was closed during the handshake";
	*ret_error = xasprintf("no certificate: %s", why);
	return -EPROTO;
}
