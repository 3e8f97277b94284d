/* A TLS server that answers at once and tells what it was sent: `server PORT CHAIN KEY LOG`.
 *
 * Each connection is a process, which appends to LOG, a line at a time: `PORT open`, `PORT handshake`, `PORT bytes N` for application
 * bytes as they come in, `PORT end`. It answers the first of them at once: what a gate lets through is answered, and counted.
 * Prints nothing; runs until it is killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CONNECTION_SECONDS = 300, /* beyond it SIGALRM ends a connection: nothing hangs */
	BACKLOG = 64,
	ROOM = 16384,
};

static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nserved\n";
static const char *port_text;
static int log_fd;

static void die(const char *what)
{
	fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void tell(const char *what, int number)
{
	char line[64];
	int len = number < 0 ? snprintf(line, sizeof(line), "%s %s\n", port_text, what) :
			       snprintf(line, sizeof(line), "%s %s %d\n", port_text, what, number);

	if (write(log_fd, line, len) != len)
		die("log");
}

static void serve(SSL_CTX *context, int fd)
{
	char data[ROOM];
	SSL *ssl = SSL_new(context);
	int got, answered = 0;

	alarm(CONNECTION_SECONDS);
	tell("open", -1);
	if (!ssl || !SSL_set_fd(ssl, fd))
		die("connection");
	if (SSL_accept(ssl) == 1) {
		tell("handshake", -1);
		while ((got = SSL_read(ssl, data, sizeof(data))) > 0) {
			tell("bytes", got);
			if (!answered && SSL_write(ssl, answer, sizeof(answer) - 1) > 0)
				SSL_shutdown(ssl);
			answered = 1;
		}
	}
	tell("end", -1);
	_exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, yes = 1;

	if (argc != 5)
		die("usage: server PORT CHAIN KEY LOG");
	port_text = argv[1];
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	log_fd = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (!context || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
		die(argv[2]);
	if (log_fd < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, BACKLOG))
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	while ((fd = accept(listener, NULL, NULL)) >= 0 || errno == EINTR || errno == ECONNABORTED) {
		if (fd >= 0 && fork() == 0)
			serve(context, fd);
		if (fd >= 0)
			close(fd);
	}
	die("accept");
}
