/* The pin command: what it prints for files and for a live server, and its exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "cmd.h"
#include "fixture.h"

enum { OUTPUT_MAX = 1 << 20 };

/* Runs the command in a child, for it gives up its rights for good. Standard output in new memory; the exit code. */
static int run_pin(const char *argument, char **ret_output)
{
	char *argv[] = {"pin", (char *)argument, NULL};
	size_t len = 0;
	int ends[2], status = 0;
	pid_t child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int result;

		dup2(ends[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		result = cmd_pin(argument ? 2 : 1, argv);
		fflush(stdout);
		_exit(result);
	}
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], OUTPUT_MAX, ret_output, &len), 0);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int run_pin_fixture(const char *file, char **ret_output)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", FIXTURES, file);

	return run_pin(path, ret_output);
}

/* The line that a policy takes, with the pin of that fixture. */
static char *want_line(const char *name, const char *file)
{
	CLEANUP(certificate_freep) struct certificate *certificate = fixture_certificate(file);
	char pin[PIN_CHARS + 1];

	pin_encode(certificate->spki_sha256, pin);
	return xasprintf("\n- {name: \"%s\", spki_sha256: \"%s\"}\n", name, pin);
}

static void expect_line(const char *output, const char *name, const char *file)
{
	CLEANUP_FREE char *line = want_line(name, file);

	if (!strstr(output, line))
		fail_msg("no line %s in:\n%s", line, output);
}

/* Each line is a comment or an entry: nothing that a certificate says breaks out. */
static void expect_only_comments_and(const char *output, size_t entries)
{
	size_t seen = 0;

	for (const char *at = output; *at; at = strchr(at, '\n') + 1) {
		assert_true(*at == '#' || !strncmp(at, "- {name: \"", 10));
		seen += *at == '-';
	}
	assert_int_equal(seen, entries);
}

static void test_file(void **state)
{
	CLEANUP_FREE char *output = NULL;

	(void)state;
	assert_int_equal(run_pin_fixture("good-leaf.full.pem", &output), EXIT_FINE);
	expect_only_comments_and(output, 3);
	expect_line(output, "localhost", "good-leaf.pem");
	expect_line(output, "Good Intermediate", "good-int.pem");
	expect_line(output, "Good Root", "good-root.pem");
	assert_non_null(strstr(output, "NOT VERIFIED"));
	assert_non_null(strstr(output, "# 2 of 3: intermediate CA, EC 256 bits; its key signed number 1\n"));
}

static void test_same_key_once(void **state)
{
	CLEANUP_FREE char *output = NULL;

	(void)state;
	assert_int_equal(run_pin_fixture("cross-leaf.full.pem", &output), EXIT_FINE);
	expect_only_comments_and(output, 4);
	assert_non_null(strstr(output, "#   the same key as number 2\n"));
}

static void test_names_are_quoted(void **state)
{
	CLEANUP_FREE char *output = NULL;

	(void)state;
	assert_int_equal(run_pin_fixture("odd-text.pem", &output), EXIT_FINE);
	expect_only_comments_and(output, 1);
	expect_line(output, "a\\\"b\\\\x0ac\\\\\\\\d, e\\\\xe2\\\\x80\\\\xaef\\\\x00g\xc3\xa9", "odd-text.pem");
}

/* PEM of a self-issued certificate of that name, with a key of its own; signer NULL: signed by itself. */
static void write_certificate(FILE *out, const char *name, EVP_PKEY *signer)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x509 = X509_new();
	X509_NAME *subject = X509_get_subject_name(x509);

	if (*name)
		X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(x509, subject);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	X509_set_pubkey(x509, key);
	assert_true(X509_sign(x509, signer ? signer : key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(out, x509), 1);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static char *pin_written(void (*fill)(FILE *out))
{
	char path[] = "/tmp/test_pin.XXXXXX", *output = NULL;
	FILE *out = fdopen(mkstemp(path), "w");

	assert_non_null(out);
	fill(out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(run_pin(path, &output), EXIT_FINE);
	unlink(path);
	return output;
}

static void fill_names(FILE *out)
{
	char text[62];

	/* 60 bytes of which each line feed takes four, and a last character of two bytes that is cut off whole. */
	memset(text, 'x', sizeof(text));
	memset(text + 30, '\n', 26);
	memcpy(text + 59, "\xc3\xa9", 3);
	write_certificate(out, "", NULL);
	write_certificate(out, text, NULL);
}

/* A policy takes neither an empty name nor a very long one. */
static void test_names_that_a_policy_takes(void **state)
{
	CLEANUP_FREE char *output = pin_written(fill_names);
	const char *name = strstr(output, "- {name: \"O=");

	(void)state;
	assert_non_null(strstr(output, "\n- {spki_sha256: \""));
	assert_non_null(name);
	/* Each \\x0a stands there with its backslash doubled. */
	assert_int_equal(strcspn(name + 10, "\"") - 120, 22);
}

static void fill_lookalikes(FILE *out)
{
	EVP_PKEY *unknown = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	for (int i = 0; i < 64; i++)
		write_certificate(out, "lookalike", unknown);
	EVP_PKEY_free(unknown);
}

/* Each of 64 may have signed each other, which is 4096 checks: at some point it is let go, and nothing is claimed. */
static void test_checks_are_bounded(void **state)
{
	CLEANUP_FREE char *output = pin_written(fill_lookalikes);
	const char *last = strstr(output, "# 64 of 64: ");
	size_t told = 0;

	(void)state;
	assert_non_null(last);
	assert_null(strstr(last, "signed"));
	for (const char *at = output; (at = strstr(at, "its key signed none of the others")); at++)
		told++;
	assert_int_equal(told, 1024 / 64 - 2); /* of the first it is not said, and the last uses the rest up */
}

static void test_nothing_to_pin(void **state)
{
	static const char *const files[] = {"odd-utf8.pem", "good-leaf.key", "no such file.pem", "."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP_FREE char *output = NULL;

		assert_int_equal(run_pin_fixture(files[i], &output), EXIT_USAGE);
		expect_only_comments_and(output, 0);
	}
}

static void test_command_line(void **state)
{
	static const char *const bad[] = {NULL,      "--no-such-option", "localhost:0", "localhost:65536",
					  "::1:443", "[]:443",           ":443"};
	CLEANUP_FREE char *help = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP_FREE char *output = NULL;

		assert_int_equal(run_pin(bad[i], &output), EXIT_USAGE);
		assert_string_equal(output, "");
	}
	assert_int_equal(run_pin("--help", &help), EXIT_FINE);
	assert_non_null(strstr(help, "usage: tlswarden pin"));
}

/* A socket that listens on the loopback, and its port. */
static int listening(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* In a child: one handshake with the chain of that name. */
static _Noreturn void serve_once(int listener, const char *name)
{
	CLEANUP_FREE char *chain = xasprintf("%s/%s.chain.pem", FIXTURES, name);
	CLEANUP_FREE char *key = xasprintf("%s/%s.key", FIXTURES, name);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl;

	alarm(20);
	signal(SIGPIPE, SIG_IGN); /* pin hangs up as soon as it has the chain */
	if (SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		_exit(1);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, accept(listener, NULL, NULL));
	SSL_accept(ssl);
	SSL_shutdown(ssl);
	_exit(0);
}

static void test_server(void **state)
{
	CLEANUP_FREE char *output = NULL, *target = NULL, *closed = NULL;
	uint16_t port = 0;
	int listener = listening(&port), status = 0;
	pid_t server = fork();

	(void)state;
	assert_true(server >= 0);
	if (server == 0)
		serve_once(listener, "genuine-1111");
	close(listener);
	target = xasprintf("127.0.0.1:%u", port);
	assert_int_equal(run_pin(target, &output), EXIT_FINE);
	expect_only_comments_and(output, 2);
	expect_line(output, "cloudflare-dns.com", "genuine-1111.pem");
	expect_line(output, "Example Resolver CA 1", "resolver-int.pem");
	assert_int_equal(waitpid(server, &status, 0), server);
	assert_int_equal(status, 0);
	assert_int_equal(run_pin(target, &closed), EXIT_USAGE);
	assert_string_equal(closed, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_same_key_once),
		cmocka_unit_test(test_names_are_quoted),
		cmocka_unit_test(test_names_that_a_policy_takes),
		cmocka_unit_test(test_checks_are_bounded),
		cmocka_unit_test(test_nothing_to_pin),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_server),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
