/* The shortest life that speaks TLS: `handshake PORT CA` connects to 127.0.0.1, verifies, asks once, reads the answer, and ends.
 *
 * Built twice, with OpenSSL, and with WITH_GNUTLS. Appends one line to standard output, `PID PORT MAIN BEGIN END`: its own port,
 * and when main() ran, the handshake began, and it was over, in µs since 1970. Exit code 0: it was answered. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_GNUTLS
#include <gnutls/gnutls.h>
#else
#include <openssl/ssl.h>
#endif

enum { LIMIT_SECONDS = 60 /* beyond it SIGALRM ends it: nothing hangs */, ROOM = 4096 };

static const char request[] = "GET / HTTP/1.0\r\n\r\n";

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void must(int fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "handshake: %s\n", what);
	exit(1);
}

#ifdef WITH_GNUTLS
static gnutls_session_t session;

static void prepare(const char *ca, int fd)
{
	gnutls_certificate_credentials_t trusted;

	must(gnutls_certificate_allocate_credentials(&trusted) == 0 &&
		     gnutls_certificate_set_x509_trust_file(trusted, ca, GNUTLS_X509_FMT_PEM) > 0 &&
		     gnutls_init(&session, GNUTLS_CLIENT) == 0 && gnutls_set_default_priority(session) == 0 &&
		     gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trusted) == 0 &&
		     gnutls_server_name_set(session, GNUTLS_NAME_DNS, "localhost", strlen("localhost")) == 0,
	     "session");
	gnutls_session_set_verify_cert(session, "localhost", 0);
	gnutls_transport_set_int(session, fd);
}

static int shake_hands(void)
{
	int err;

	do {
		err = gnutls_handshake(session);
	} while (err < 0 && !gnutls_error_is_fatal(err));
	return err == 0;
}

static int ask(char *answer, size_t size)
{
	ssize_t got = gnutls_record_send(session, request, strlen(request));

	if (got < 0)
		return -1;
	do { /* a session's ticket comes first, and counts as nothing received */
		got = gnutls_record_recv(session, answer, size);
	} while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
	return (int)got;
}
#else
static SSL *ssl;

static void prepare(const char *ca, int fd)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	must(context && SSL_CTX_load_verify_locations(context, ca, NULL) == 1, "trust");
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	ssl = SSL_new(context);
	must(ssl && SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, "localhost") == 1 &&
		     SSL_set1_host(ssl, "localhost") == 1,
	     "session");
}

static int shake_hands(void)
{
	return SSL_connect(ssl) == 1;
}

static int ask(char *answer, size_t size)
{
	return SSL_write(ssl, request, (int)strlen(request)) > 0 ? SSL_read(ssl, answer, (int)size) : -1;
}
#endif

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, own;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), len;
	long long at_main = now_us(), begin, end;
	socklen_t size = sizeof(own);
	char answer[ROOM], line[128];

	must(argc == 3 && fd >= 0, "usage: handshake PORT CA");
	alarm(LIMIT_SECONDS);
	prepare(argv[2], fd);
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		     getsockname(fd, (struct sockaddr *)&own, &size) == 0,
	     "connect");
	begin = now_us();
	must(shake_hands(), "handshake");
	end = now_us();
	must(ask(answer, sizeof(answer)) > 0, "no answer");
	len = snprintf(line, sizeof(line), "%d %u %lld %lld %lld\n", getpid(), ntohs(own.sin_port), at_main, begin, end);
	must(write(STDOUT_FILENO, line, len) == len, "output");
	return 0;
}
