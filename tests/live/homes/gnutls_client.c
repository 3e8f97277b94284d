/* A client with GnuTLS inside or beside it: gnutls_client PORT CA. It verifies localhost's chain against the bundle CA, or, with
 * "-", not at all; asks for / and prints what comes. Exit 0: it was served. gnutls_client hold: waits. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

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

static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, gnutls_strerror(result));
	exit(1);
}

int main(int argc, char **argv)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	char answer[4096];
	ssize_t len, all = 0;
	int result, fd;

	if (argc == 2)
		return pause();
	if (argc != 3)
		return 2;
	must(gnutls_certificate_allocate_credentials(&credentials), "credentials");
	must(gnutls_init(&session, GNUTLS_CLIENT), "session");
	must(gnutls_server_name_set(session, GNUTLS_NAME_DNS, "localhost", strlen("localhost")), "name");
	must(gnutls_set_default_priority(session), "priority");
	must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), "credentials");
	if (strcmp(argv[2], "-") != 0) {
		must(gnutls_certificate_set_x509_trust_file(credentials, argv[2], GNUTLS_X509_FMT_PEM), "bundle");
		gnutls_session_set_verify_cert(session, "localhost", 0);
	}
	fd = connected(argv[1]);
	gnutls_transport_set_int(session, fd);
	do
		result = gnutls_handshake(session);
	while (result < 0 && !gnutls_error_is_fatal(result));
	must(result, "handshake");
	must((int)gnutls_record_send(session, request, strlen(request)), "writing");
	/* Below 0 and not fatal: a ticket came, or nothing yet. */
	while ((len = gnutls_record_recv(session, answer, sizeof(answer))) > 0 ||
	       (len < 0 && !gnutls_error_is_fatal((int)len)))
		if (len > 0) {
			fwrite(answer, 1, (size_t)len, stdout);
			all += len;
		}
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
	return all ? 0 : 1;
}
