/* A GnuTLS client and its server, in two processes, whose handshakes differ in what they show of a certificate.
 *
 *     hidden_gnutls DIRECTORY [NAME=VALUE…]
 *
 * DIRECTORY has the certificates; the options are in options.c. The server listens on a port of 127.0.0.1 that the system
 * chooses; the first line is `port N`, then there is a line of either side for each connection, `client …` and `server …`,
 * with what the library said of it. Exit code 0, whatever became of the connections, unless something could not be set up. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gnutls/dtls.h>

#include "hidden.h"

enum {
	QUIET_SECONDS = 15, /* until a side gives up */
	STAY_US = 300000,   /* between handshake and data, where the test says so */
};

static gnutls_datum_t resumed; /* the session that the client goes on with */

/* --- a session -------------------------------------------------------------------------------------------------------- */

static const char *exchanges(void)
{
	if (is("credentials", "psk"))
		return is("tls", "1.3") ? ":+DHE-PSK:+ECDHE-PSK" : ":-KX-ALL:+PSK";
	if (is("credentials", "anonymous"))
		return ":-KX-ALL:+ANON-ECDH";
	if (is("credentials", "srp"))
		return ":-KX-ALL:+SRP";
	return is("credentials", "raw") ? ":+CTYPE-SRV-RAWPK" : "";
}

static gnutls_session_t session_new(int fd)
{
	bool udp = is("transport", "udp");
	unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | (udp ? GNUTLS_DATAGRAM : 0) |
			 (is("credentials", "raw") ? GNUTLS_ENABLE_RAWPK : 0) |
			 (is("false-start", "yes") ? GNUTLS_ENABLE_FALSE_START : 0) |
			 (is("early", "yes") && server ? GNUTLS_ENABLE_EARLY_DATA : 0) |
			 (strstr(option("again"), "reauth") ? GNUTLS_POST_HANDSHAKE_AUTH : 0) |
			 (!server && is("again", "auto-reauth") ? GNUTLS_AUTO_REAUTH : 0);
	gnutls_session_t session;
	char priorities[160];

	snprintf(priorities, sizeof(priorities), "NORMAL:-VERS-ALL:+VERS-%s%s%s", udp ? "DTLS" : "TLS", option("tls"),
		 exchanges());
	must(gnutls_init(&session, flags), "session");
	must(gnutls_priority_set_direct(session, priorities, NULL), priorities);
	credentials_give(session);
	verify_prepare(session, credentials_certificates());
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, QUIET_SECONDS * 1000);
	if (!server) {
		must(gnutls_server_name_set(session, GNUTLS_NAME_DNS, "localhost", 9), "name");
		return session;
	}
	gnutls_certificate_server_set_request(session, is("request", "require") ? GNUTLS_CERT_REQUIRE :
						       is("request", "request") ? GNUTLS_CERT_REQUEST :
										  GNUTLS_CERT_IGNORE);
	memory_give(session);
	return session;
}

static int handshake(gnutls_session_t session)
{
	int result;

	do
		result = gnutls_handshake(session);
	while (result < 0 && !gnutls_error_is_fatal(result));
	return result;
}

static void tell(gnutls_session_t session, int number, int shaken, int verified, long got)
{
	unsigned count = 0;

	if (shaken == 0)
		gnutls_certificate_get_peers(session, &count);
	printf("%s %d handshake=%d verified=%d resumed=%d auth=%d type=%d certificates=%u early=%d false-start=%d got=%ld\n",
	       server ? "server" : "client", number, shaken, verified, gnutls_session_is_resumed(session),
	       (int)gnutls_auth_get_type(session), (int)gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS), count,
	       !!(gnutls_session_get_flags(session) & GNUTLS_SFLAGS_EARLY_DATA),
	       !!(gnutls_session_get_flags(session) & GNUTLS_SFLAGS_FALSE_START), got);
}

/* Bytes of application data, or a negative number; what a peer asks for meanwhile is done. */
static long receive(gnutls_session_t session, char *buffer, size_t size)
{
	for (;;) {
		ssize_t got = gnutls_record_recv(session, buffer, size);

		if (got == GNUTLS_E_REHANDSHAKE)
			got = handshake(session);
		else if (got == GNUTLS_E_REAUTH_REQUEST)
			got = gnutls_reauth(session, 0);
		else if (got != GNUTLS_E_AGAIN && got != GNUTLS_E_INTERRUPTED)
			return got;
		if (got < 0 && gnutls_error_is_fatal((int)got))
			return got;
	}
}

/* The server asks anew, in the middle of the connection. */
static int ask_again(gnutls_session_t session)
{
	int result = 0;

	if (is("again", "rehandshake")) {
		result = gnutls_rehandshake(session);
		return result < 0 ? result : handshake(session);
	}
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	do
		result = gnutls_reauth(session, 0);
	while (result < 0 && !gnutls_error_is_fatal(result));
	return result;
}

/* --- both sides ------------------------------------------------------------------------------------------------------- */

static void serve(int fd, int number)
{
	gnutls_session_t session = session_new(fd);
	int shaken = handshake(session), verified = shaken ? -1 : verify_afterwards(session), again = 0;
	char buffer[256];
	long got = 0, part = 0;

	if (shaken == 0 && is("early", "yes"))
		while ((part = gnutls_record_recv_early_data(session, buffer, sizeof(buffer))) > 0)
			got += part;
	tell(session, number, shaken, verified, got);
	for (int turn = 0; shaken == 0 && verified == 0 && again == 0; turn++) {
		part = receive(session, buffer, sizeof(buffer));
		if (part <= 0)
			break;
		got += part;
		if (turn == 0 && !is("again", "no"))
			again = ask_again(session);
		gnutls_record_send(session, "answer", 6);
	}
	printf("server %d end got=%ld again=%d\n", number, got, again);
	gnutls_deinit(session);
}

static void ask(int fd, int number, bool last)
{
	gnutls_session_t session = session_new(fd);
	long got = 0, sent = 0;
	int shaken, verified;
	char buffer[256];

	if (resumed.data)
		must(gnutls_session_set_data(session, resumed.data, resumed.size), "session data");
	if (resumed.data && is("early", "yes"))
		must((int)gnutls_record_send_early_data(session, "early", 5), "early data");
	shaken = handshake(session);
	verified = shaken ? -1 : verify_afterwards(session);
	if (is("stay", "yes"))
		usleep(STAY_US);
	for (int turn = 0; verified == 0 && sent >= 0 && got >= 0 && turn < (is("again", "no") ? 1 : 2); turn++) {
		sent = gnutls_record_send(session, "question", 8);
		got = sent < 0 ? sent : receive(session, buffer, sizeof(buffer));
	}
	tell(session, number, shaken, verified, got);
	if (got > 0 && !last && !is("resume", "no"))
		must(gnutls_session_get_data2(session, &resumed), "session data");
	if (shaken == 0)
		gnutls_bye(session, GNUTLS_SHUT_WR);
	gnutls_deinit(session);
}

static int socket_new(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, (is("transport", "udp") ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), one = 1;
	struct timeval quiet = {.tv_sec = QUIET_SECONDS};
	socklen_t len = sizeof(*address);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)address, len) < 0 || getsockname(fd, (struct sockaddr *)address, &len) < 0)
		must(GNUTLS_E_PUSH_ERROR, "socket");
	return fd;
}

/* For each connection a socket that is connected to the client alone. */
static void server_run(int listener, struct sockaddr_in own, int connections)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char byte;

	for (int i = 1; i <= connections; i++) {
		int fd = -1;

		if (is("forget", "yes"))
			memory_forget();
		if (!is("transport", "udp")) {
			fd = accept(listener, NULL, NULL);
		} else if (recvfrom(listener, &byte, 1, MSG_PEEK, (struct sockaddr *)&peer, &len) >= 0 &&
			   connect(listener, (struct sockaddr *)&peer, len) == 0) {
			fd = listener;
			listener = i < connections ? socket_new(&own) : -1;
		}
		if (fd < 0)
			break;
		serve(fd, i);
		close(fd);
	}
}

static void client_run(struct sockaddr_in to, int connections)
{
	for (int i = 1; i <= connections; i++) {
		struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket_new(&own);

		if (i == connections && is("pause", "yes")) {
			printf("pause\n");
			getchar();
		}
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			must(GNUTLS_E_PUSH_ERROR, "connect");
		ask(fd, i, i == connections);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener, connections, status = 0;
	pid_t child;

	options_read(argc, argv);
	connections = atoi(option("connections"));
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	listener = socket_new(&own);
	if (!is("transport", "udp") && listen(listener, 8) < 0)
		must(GNUTLS_E_PUSH_ERROR, "listen");
	printf("port %d\n", ntohs(own.sin_port));
	memory_prepare();
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		server = true;
	}
	credentials_prepare();
	if (server) {
		server_run(listener, own, connections);
		_exit(0);
	}
	close(listener);
	client_run(own, connections);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
