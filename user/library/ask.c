/* The privileged side of asking a library: starts the confined half on an open file, waits for its answer with a deadline,
 * ends and reaps it, and checks what it said.
 *
 * Trusts nothing that comes back: exactly one answer of exactly the right size from a process that ended well, every
 * number in range, every text printable. Bounds: ASK_TIMEOUT_MS for the whole of it; the child never outlives the call.
 */
#include "library.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

enum {
	FILE_FD = 3,
	ANSWER_FD = 4,
	OUT_OF_THE_WAY = 16, /* descriptors are moved here first, so that none overwrites another */
};
#define TEXT_MAX (1ll << 30) /* of a library's code; more is refused */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In the child: only async-signal-safe calls until exec. */
static void __attribute__((noreturn)) child_exec(int file, int answer)
{
	static char *const argv[] = {(char *)"tlswarden", (char *)"ask-library", NULL};
	static char *const environment[] = {NULL};
	sigset_t none;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	file = fcntl(file, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	answer = fcntl(answer, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	if (null < 0 || file < 0 || answer < 0 || (null = fcntl(null, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY)) < 0)
		_exit(1);
	for (int fd = 0; fd < FILE_FD; fd++)
		if (dup2(null, fd) < 0)
			_exit(1);
	if (dup2(file, FILE_FD) < 0 || dup2(answer, ANSWER_FD) < 0 || close_range(ANSWER_FD + 1, ~0u, 0) < 0)
		_exit(1);
	execve("/proc/self/exe", argv, environment);
	_exit(1);
}

/* One answer and then the end of the pipe, or -EPROTO; -ETIMEDOUT at the deadline. */
static int answer_read(int pipe_fd, struct library_answer *ret)
{
	int64_t deadline = now_ms() + ASK_TIMEOUT_MS;
	uint8_t room[sizeof(*ret) + 1];
	size_t len = 0;

	for (;;) {
		struct pollfd ready = {.fd = pipe_fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t got;
		int r;

		if (left <= 0)
			return -ETIMEDOUT;
		r = poll(&ready, 1, (int)left);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		got = read(pipe_fd, room + len, sizeof(room) - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		len += (size_t)got;
		if (len == sizeof(room) || (got == 0 && len != sizeof(*ret)))
			return -EPROTO;
		if (got == 0) {
			memcpy(ret, room, sizeof(*ret));
			return 0;
		}
	}
}

/* The pipe's end is held by the child alone, so an answer means that it is ending: then the signal changes nothing. The
 * pid is ours until it is waited for. */
static int child_end(pid_t pid)
{
	pid_t waited;
	int status;

	kill(pid, SIGKILL);
	do
		waited = waitpid(pid, &status, 0);
	while (waited < 0 && errno == EINTR);
	if (waited < 0)
		return -errno;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return -ETIMEDOUT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}

int library_ask(int fd, struct library_answer *ret)
{
	CLEANUP_CLOSE int read_end = -1;
	CLEANUP_CLOSE int write_end = -1;
	struct library_answer answer = {0};
	int ends[2], r, ended;
	struct stat st;
	pid_t pid;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_exec(fd, write_end);
	close(TAKE_FD(write_end));
	r = answer_read(read_end, &answer);
	ended = child_end(pid);
	if (r == -ETIMEDOUT || ended == -ETIMEDOUT)
		return -ETIMEDOUT;
	if (r < 0 || ended < 0)
		return r < 0 ? r : ended;
	r = library_answer_check(&answer, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	*ret = answer;
	return 0;
}

static bool text_fine(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len < size;
}

static bool offsets_fine(const __u16 *const *offsets, size_t count, unsigned width)
{
	for (size_t i = 0; i < count; i++)
		if (*offsets[i] > OFFSET_MAX || *offsets[i] % width)
			return false;
	return true;
}

static bool crypto_fine(const struct openssl_layout *layout)
{
	const __u16 *const pointers[] = {
		&layout->ctx_cert,       &layout->ctx_untrusted, &layout->ctx_chain,    &layout->ctx_param,
		&layout->ctx_ex_data,    &layout->stack_data,    &layout->x509_tbs,     &layout->x509_tbs_len,
		&layout->x509_signature, &layout->string_data,   &layout->string_flags, &layout->param_hosts,
		&layout->bio_method,
	};
	const __u16 *const ints[] = {
		&layout->ctx_error, &layout->stack_num, &layout->string_length, &layout->bio_num, &layout->method_type,
	};
	const __u16 *const ip[] = {&layout->param_ip, &layout->param_ip_len};
	bool no_ip = layout->param_ip == OFFSET_NONE && layout->param_ip_len == OFFSET_NONE;

	return offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4) &&
	       (no_ip || offsets_fine(ip, ARRAY_SIZE(ip), 8));
}

/* Bytes of any alignment; both, or neither. */
static bool randoms_fine(__u16 client, __u16 server)
{
	return (client <= OFFSET_MAX && server <= OFFSET_MAX) || (client == OFFSET_NONE && server == OFFSET_NONE);
}

static bool ssl_fine(const struct openssl_layout *layout)
{
	bool hello_fine = layout->ssl_hello == OFFSET_NONE ||
			  (layout->ssl_client_random != OFFSET_NONE && layout->ssl_hello <= OFFSET_MAX &&
			   layout->ssl_hello % 8 == 0);
	const __u16 *const pointers[] = {&layout->ssl_rbio, &layout->ssl_server_name};
	const __u16 *const ints[] = {&layout->ssl_version, &layout->ssl_server, &layout->ssl_verify_mode};

	return offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4) && hello_fine &&
	       randoms_fine(layout->ssl_client_random, layout->ssl_server_random);
}

static bool gnutls_fine(const struct gnutls_layout *layout)
{
	const __u16 *const pointers[] = {
		&layout->session_auth_info,
		&layout->session_transport,
		&layout->session_pull,
		&layout->auth_list,
	};
	const __u16 *const ints[] = {&layout->session_entity, &layout->session_auth_type, &layout->auth_count};

	return offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4) &&
	       randoms_fine(layout->session_client_random, layout->session_server_random) && layout->text_start <= 0 &&
	       layout->text_start >= -TEXT_MAX && layout->text_end > 0 && layout->text_end <= TEXT_MAX;
}

int library_answer_check(const struct library_answer *answer, uint64_t file_size)
{
	const uint32_t all = PART_CRYPTO | PART_SSL | PART_GNUTLS;

	if (answer->wanted & ~all || answer->parts & ~answer->wanted || answer->build_id_len > BUILD_ID_MAX ||
	    !text_fine(answer->version, VERSION_MAX) || !text_fine(answer->reason, REASON_MAX))
		return -EPROTO;
	for (size_t i = 0; i < SITE_COUNT; i++)
		if (answer->site[i] && (answer->site[i] < sizeof(Elf64_Ehdr) || answer->site[i] >= file_size))
			return -EPROTO;
	if (answer->wanted & PART_CRYPTO && !answer->site[SITE_X509_VERIFY_CERT])
		return -EPROTO;
	if (answer->wanted & PART_GNUTLS && !answer->site[SITE_GNUTLS_HANDSHAKE])
		return -EPROTO;
	if ((answer->parts & PART_CRYPTO && !crypto_fine(&answer->openssl)) ||
	    (answer->parts & PART_SSL && !ssl_fine(&answer->openssl)) ||
	    (answer->parts & PART_GNUTLS && !gnutls_fine(&answer->gnutls)))
		return -EPROTO;
	return 0;
}
