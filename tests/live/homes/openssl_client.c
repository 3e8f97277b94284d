/* A client with OpenSSL's code, or a look-alike's, inside or beside it: openssl_client PORT CA. It verifies localhost's chain against
 * the bundle CA, or, with "-", not at all; asks for / and prints what comes. Exit 0: it was served. openssl_client hold: waits. Built
 * with NO_VERSION it does not ask for the version, so that a static link leaves that function out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

static int connected(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("connect");
		exit(1);
	}
	return fd;
}

static int failed(const char *what)
{
	fprintf(stderr, "%s failed\n", what);
	ERR_print_errors_fp(stderr);
	return 1;
}

int main(int argc, char **argv)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char answer[4096];
	SSL *ssl;
	int len, all = 0;

#ifndef NO_VERSION
	fprintf(stderr, "%s\n", OpenSSL_version(OPENSSL_VERSION));
#endif
	if (argc == 2)
		return pause();
	if (argc != 3 || !ctx)
		return 2;
	if (strcmp(argv[2], "-") != 0) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_load_verify_locations(ctx, argv[2], NULL) != 1)
			return failed("loading the bundle");
	}
	ssl = SSL_new(ctx);
	if (!ssl || SSL_set_tlsext_host_name(ssl, "localhost") != 1 ||
	    X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), "localhost", 0) != 1 ||
	    SSL_set_fd(ssl, connected(argv[1])) != 1)
		return failed("preparing");
	if (SSL_connect(ssl) != 1)
		return failed("the handshake");
	if (SSL_write(ssl, request, (int)strlen(request)) <= 0)
		return failed("writing");
	while ((len = SSL_read(ssl, answer, sizeof(answer))) > 0) {
		fwrite(answer, 1, (size_t)len, stdout);
		all += len;
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return all ? 0 : failed("reading");
}
