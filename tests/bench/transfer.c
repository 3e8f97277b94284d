/* One TCP connection over loopback that carries a given number of writes: the load for the cost of the gate per packet.
 *
 *   transfer SIZE COUNT [BURST]    COUNT writes of SIZE bytes, each sent at once (TCP_NODELAY); after each BURST of them
 *                                  the sender waits for an answer of one byte, so that no two writes become one packet;
 *                                  without BURST it never waits. Prints "bytes B packets P processor S seconds T"
 *
 * P is what both ends sent, acknowledgements included, as TCP counts it; S is the processor time of both. The way through
 * the network stack is in it: packets are received in their sender's own time. Both stay on one processor, so that nothing
 * waits for another one to wake up. No TLS: whatever agent is on the host, it never judges this connection.
 * Stops by itself: MAX_SECONDS. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/tcp.h>

enum {
	MAX_SECONDS = 60,      /* beyond it SIGALRM ends either process: nothing hangs */
	MAX_SIZE = 1 << 20,    /* of a write */
	MAX_COUNT = 100000000, /* more is a mistake of the command line */
	READ_BYTES = 1 << 18,  /* at most taken at once */
};

/* What the receiver says once it has everything. */
struct receipt {
	uint64_t bytes;
	uint64_t packets;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "transfer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double read_clock(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time))
		die("clock");
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Of this process and its child, the kernel's on their behalf included. */
static double processor_seconds(pid_t child)
{
	clockid_t clock;

	if (clock_getcpuclockid(child, &clock))
		die("the receiver's clock");
	return read_clock(CLOCK_PROCESS_CPUTIME_ID) + read_clock(clock);
}

static uint64_t packets_sent(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_segs_out;
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

static int listen_loopback(struct sockaddr_in *ret_address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		die("listening on loopback");
	*ret_address = address;
	return fd;
}

/* Stays until the sender hangs up, which has read our clock by then. burst: bytes after which an answer is due, or 0. */
static _Noreturn void receive(int listener, uint64_t expected, uint64_t burst)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
	struct receipt receipt = {0};
	static char data[READ_BYTES];
	ssize_t got = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		die("accept");
	while (receipt.bytes < expected && (got = read(fd, data, sizeof(data))) > 0) {
		receipt.bytes += (uint64_t)got;
		if (burst && receipt.bytes % burst == 0 && write(fd, "!", 1) != 1)
			die("answer");
	}
	if (got < 0)
		die("read");
	receipt.packets = packets_sent(fd);
	if (write(fd, &receipt, sizeof(receipt)) != sizeof(receipt))
		die("receipt");
	while (read(fd, data, sizeof(data)) > 0)
		;
	exit(0);
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		die("connect");
	return fd;
}

static void send_all(int fd, const char *data, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t n = write(fd, data + sent, size - sent);

		if (n < 0)
			die("write");
		sent += (size_t)n;
	}
}

static void transfer(int fd, pid_t receiver, size_t size, long count, long burst)
{
	uint64_t expected = (uint64_t)size * (uint64_t)count, packets;
	static char data[MAX_SIZE];
	struct receipt receipt;
	char answer;
	double start, used;

	memset(data, 'x', sizeof(data)); /* its page faults are not to be measured */
	start = read_clock(CLOCK_MONOTONIC);
	used = processor_seconds(receiver);
	for (long i = 1; i <= count; i++) {
		send_all(fd, data, size);
		if (burst && i % burst == 0 && read(fd, &answer, 1) != 1)
			die("no answer");
	}
	if (recv(fd, &receipt, sizeof(receipt), MSG_WAITALL) != (ssize_t)sizeof(receipt) || receipt.bytes != expected)
		die("the receiver did not get everything");
	packets = packets_sent(fd) + receipt.packets;
	printf("bytes %" PRIu64 " packets %" PRIu64 " processor %.6f seconds %.6f\n", expected, packets,
	       processor_seconds(receiver) - used, read_clock(CLOCK_MONOTONIC) - start);
}

static long number(const char *text, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (value <= 0 || value > max || *end) {
		fprintf(stderr, "usage: transfer SIZE COUNT [BURST]\n");
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	long size = number(argc > 1 ? argv[1] : "", MAX_SIZE);
	long count = number(argc > 2 ? argv[2] : "", MAX_COUNT);
	long burst = argc > 3 ? number(argv[3], count) : 0;
	struct sockaddr_in address;
	int listener, fd, status;
	pid_t receiver;

	signal(SIGPIPE, SIG_IGN);
	stay_on_one_processor();
	listener = listen_loopback(&address);
	receiver = fork();
	if (receiver < 0)
		die("fork");
	alarm(MAX_SECONDS);
	if (receiver == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		receive(listener, (uint64_t)size * (uint64_t)count, (uint64_t)size * (uint64_t)burst);
	}
	close(listener);
	fd = connect_to(&address);
	transfer(fd, receiver, (size_t)size, count, burst);
	close(fd);
	if (waitpid(receiver, &status, 0) != receiver || !WIFEXITED(status) || WEXITSTATUS(status))
		die("the receiver failed");
	return 0;
}
