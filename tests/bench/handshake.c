/* Full TLS 1.3 handshakes over loopback, one after the other, for a given time: the load of the bench.
 *
 * A forked server process presents a chain (leaf and intermediate), the client verifies it against a root and for
 * "localhost"; it asks for the name "bench.example", so that policies can tell it from whatever else runs here. No resumption: the server issues no ticket. A handshake counts when the client has read the one byte that
 * the server sends after its own end of it, so both sides have done all their work. Connections end with a reset, so that
 * no port waits in TIME_WAIT. Both processes stay on one processor: it is never idle then, and how long a sleeping processor
 * takes to wake up, which varies far more than what is measured here, does not come into it.
 *
 *   handshake DIR seconds S    prints "handshakes N seconds T processor P p50 M p99 M ended N": P is what client and server
 *                              used, M is µs from a handshake's first byte to the server's, or to the connection's end
 *   handshake DIR count N      the same, for N handshakes
 *   handshake DIR paced N      the same, with a pause after each: about a hundred in a second
 *   handshake DIR fresh N      as paced, but each asks for another name, which no cache has heard of
 *   handshake DIR condemned N, condemned-fresh N
 *                              as paced and fresh, but somebody is expected to end the connections: how many were, is N
 *                              behind "ended"; without "condemned" one that ends is an error
 *   handshake DIR records N    one handshake, then, each time a line comes in on standard input, a step: N records of
 *                              1 KiB sent and N received; prints "established", then "records N", and ends
 *
 * DIR has good-leaf.chain.pem, good-leaf.key and good-root.pem. Stops by itself: MAX_SECONDS. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_SECONDS = 120,   /* beyond it SIGALRM ends either process: nothing hangs */
	MAX_COUNT = 1000000, /* handshakes or records; more is a mistake of the command line */
	WARM_UP = 20,        /* handshakes before the clock starts: page faults, lazily loaded algorithms */
	RECORD_BYTES = 1024,
	PAUSE_US = 9000,
	NAME_BYTES = 64,
};

static void die(const char *what)
{
	fprintf(stderr, "handshake: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

static double read_clock(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time))
		die("clock");
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Processor time that this process and the server have used so far, the kernel's on their behalf included. */
static double processor_seconds(pid_t server)
{
	clockid_t clock;

	if (clock_getcpuclockid(server, &clock))
		die("the server's clock");
	return read_clock(CLOCK_PROCESS_CPUTIME_ID) + read_clock(clock);
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION))
		die("TLS context");
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	return context;
}

static SSL_CTX *server_context(const char *dir)
{
	SSL_CTX *context = context_new(TLS_server_method());
	char chain[4096], key[4096];

	snprintf(chain, sizeof(chain), "%s/good-leaf.chain.pem", dir);
	snprintf(key, sizeof(key), "%s/good-leaf.key", dir);
	if (SSL_CTX_use_certificate_chain_file(context, chain) != 1)
		die(chain);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		die(key);
	return context;
}

static SSL_CTX *client_context(const char *dir)
{
	SSL_CTX *context = context_new(TLS_client_method());
	char root[4096];

	snprintf(root, sizeof(root), "%s/good-root.pem", dir);
	if (SSL_CTX_load_verify_locations(context, root, NULL) != 1)
		die(root);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

static int listen_loopback(struct sockaddr_in *ret_address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		die("listening on loopback");
	*ret_address = address;
	return fd;
}

/* Greets with one byte, then echoes records until the client resets. */
static void serve_one(SSL *ssl)
{
	char record[RECORD_BYTES];
	int got;

	if (SSL_accept(ssl) != 1 || SSL_write(ssl, "!", 1) != 1)
		return;
	while ((got = SSL_read(ssl, record, sizeof(record))) > 0)
		if (SSL_write(ssl, record, got) != got)
			return;
}

static _Noreturn void serve(int listener, const char *dir)
{
	SSL_CTX *context = server_context(dir);

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		SSL *ssl;

		if (fd < 0)
			die("accept");
		ssl = SSL_new(context);
		if (!ssl || !SSL_set_fd(ssl, fd))
			die("TLS object");
		serve_one(ssl);
		ERR_clear_error();
		SSL_free(ssl);
		close(fd);
	}
}

struct load {
	SSL_CTX *context;
	const struct sockaddr_in *address;
	pid_t server;
	useconds_t pause;
	bool fresh;
	bool condemned;
	long begun, ended;
	float *times_us; /* of each since the clock started */
};

/* False: it was condemned, and ended. */
static bool handshake(SSL_CTX *context, const struct sockaddr_in *address, const char *name, bool condemned, SSL **ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	char byte;
	SSL *ssl;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		die("connect");
	ssl = SSL_new(context);
	if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set1_host(ssl, "localhost") || !SSL_set_tlsext_host_name(ssl, name))
		die("TLS object");
	*ret = ssl;
	if (SSL_connect(ssl) != 1 || SSL_get_verify_result(ssl) != X509_V_OK || SSL_read(ssl, &byte, 1) != 1) {
		if (!condemned)
			die("handshake");
		ERR_clear_error();
		return false;
	}
	if (SSL_session_reused(ssl))
		die("a session was resumed: this measures nothing");
	return true;
}

static void hang_up(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_free(ssl);
	close(fd);
}

static void handshake_once(struct load *load)
{
	char name[NAME_BYTES] = "bench.example";
	SSL *ssl;

	if (load->fresh)
		snprintf(name, sizeof(name), "%d-%ld.bench.example", (int)getpid(), load->begun);
	load->begun++;
	load->ended += !handshake(load->context, load->address, name, load->condemned, &ssl);
	hang_up(ssl);
}

static int compare_times(const void *a, const void *b)
{
	float left = *(const float *)a, right = *(const float *)b;

	return (left > right) - (left < right);
}

static void run_handshakes(struct load *load, double seconds, long count)
{
	double start, now, used, before;
	long done = 0;

	load->times_us = calloc(MAX_COUNT, sizeof(*load->times_us));
	if (!load->times_us)
		die("memory");
	for (int i = 0; i < WARM_UP; i++)
		handshake_once(load);
	load->ended = 0;
	start = now = read_clock(CLOCK_MONOTONIC);
	used = processor_seconds(load->server);
	do {
		before = now;
		handshake_once(load);
		now = read_clock(CLOCK_MONOTONIC);
		load->times_us[done++] = (float)((now - before) * 1e6);
		if (load->pause) {
			usleep(load->pause);
			now = read_clock(CLOCK_MONOTONIC);
		}
	} while (done < MAX_COUNT && (count ? done < count : now - start < seconds));
	used = processor_seconds(load->server) - used;
	qsort(load->times_us, (size_t)done, sizeof(*load->times_us), compare_times);
	printf("handshakes %ld seconds %.6f processor %.6f p50 %.1f p99 %.1f ended %ld\n", done, now - start, used,
	       (double)load->times_us[done / 2], (double)load->times_us[done * 99 / 100], load->ended);
	free(load->times_us);
}

/* The first processor that we may use; fork() passes it on. */
static void stay_on_one_processor(void)
{
	cpu_set_t allowed, one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		die("processors");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed)) {
			CPU_SET(cpu, &one);
			break;
		}
	if (sched_setaffinity(0, sizeof(one), &one))
		die("processors");
}

static void wait_for_line(void)
{
	char line[16];

	if (!fgets(line, sizeof(line), stdin))
		die("standard input ended");
}

static void run_records(SSL_CTX *context, const struct sockaddr_in *address, long count)
{
	char record[RECORD_BYTES] = {0};
	SSL *ssl;

	handshake(context, address, "bench.example", false, &ssl);
	printf("established\n");
	wait_for_line();
	for (long i = 0; i < count; i++)
		if (SSL_write(ssl, record, sizeof(record)) != sizeof(record) ||
		    SSL_read(ssl, record, sizeof(record)) != sizeof(record))
			die("record");
	printf("records %ld\n", count);
	wait_for_line();
	hang_up(ssl);
}

static void run(const char *how, double value, struct load *load)
{
	bool timed = !strcmp(how, "seconds"), unpaced = timed || !strcmp(how, "count");

	load->pause = unpaced ? 0 : PAUSE_US;
	load->condemned = !strncmp(how, "condemned", strlen("condemned"));
	load->fresh = strstr(how, "fresh") != NULL;
	if (!strcmp(how, "records"))
		run_records(load->context, load->address, (long)value);
	else
		run_handshakes(load, timed ? value : 0, timed ? 0 : (long)value);
}

static bool is_known(const char *how)
{
	static const char *const known[] = {"seconds", "count", "paced", "fresh", "condemned", "condemned-fresh", "records"};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(how, known[i]))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	struct load load = {.address = &address};
	int listener;
	double value;

	value = argc == 4 ? strtod(argv[3], NULL) : 0;
	if (argc != 4 || !is_known(argv[2]) || value <= 0 ||
	    value > (strcmp(argv[2], "seconds") ? MAX_COUNT : MAX_SECONDS)) {
		fprintf(stderr, "usage: handshake DIR seconds|count|paced|fresh|condemned|condemned-fresh|records NUMBER\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	stay_on_one_processor();
	listener = listen_loopback(&address);
	load.server = fork();
	if (load.server < 0)
		die("fork");
	alarm(MAX_SECONDS + 10);
	if (load.server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener, argv[1]);
	}
	close(listener);
	load.context = client_context(argv[1]);
	run(argv[2], value, &load);
	SSL_CTX_free(load.context);
	kill(load.server, SIGTERM);
	waitpid(load.server, NULL, 0);
	return 0;
}
