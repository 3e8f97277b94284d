/* Where the libraries keep the randoms of the two hellos: what the installed ones answer is compared with their own accessors
 * and with the bytes that went over the socket, while certificates are being verified and afterwards; made-up ones answer
 * right or not at all, and are used all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "asked.h"
#include "library.h"
#include "util.h"

enum {
	RANDOM_BYTES = 32,
	RECORD_HEADER = 5, /* RFC 8446 5.1 */
	HANDSHAKE = 22,    /* content type */
	CLIENT_HELLO = 1,  /* RFC 8446 4: message types, and where the version and the random begin in the record */
	SERVER_HELLO = 2,
	VERSION_AT = 9,
	RANDOM_AT = 11,
	TURNS = 20, /* at most, until both ends are done */
};

static struct library_answer ssl, gnutls;

static int set_up(void **state)
{
	(void)state;
	if (make_certificate() < 0 || !dlopen("libgnutls.so.30", RTLD_NOW | RTLD_GLOBAL))
		return -1;
	ssl = ask("libssl.so");
	gnutls = ask("libgnutls.so");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	X509_free(certificate);
	EVP_PKEY_free(key);
	return 0;
}

/* --- what went over the socket --------------------------------------------------------------------------------------- */
static struct {
	uint8_t random[SERVER_HELLO + 1][RANDOM_BYTES]; /* of the last hello of each type */
	unsigned count[SERVER_HELLO + 1];
} wire;

/* Notes the hellos that wait to be read. */
static void look(int fd)
{
	uint8_t bytes[32 << 10];
	ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	for (ssize_t at = 0; at + RANDOM_AT + RANDOM_BYTES <= len;
	     at += RECORD_HEADER + (bytes[at + 3] << 8 | bytes[at + 4])) {
		uint8_t type = bytes[at + RECORD_HEADER];

		if (bytes[at] != HANDSHAKE || (type != CLIENT_HELLO && type != SERVER_HELLO) ||
		    memcmp(bytes + at + VERSION_AT, "\3\3", 2) != 0)
			continue;
		memcpy(wire.random[type], bytes + at + RANDOM_AT, RANDOM_BYTES);
		wire.count[type]++;
	}
}

typedef bool (*step_fn)(void *session);

/* Both hellos are seen on their way, retried ones too. */
static void shake_hands(step_fn step, void *client, void *server, const int fds[2], bool retried)
{
	bool client_done = false, server_done = false;

	memset(&wire, 0, sizeof(wire));
	for (int turn = 0; turn < TURNS && !(client_done && server_done); turn++) {
		look(fds[0]);
		client_done = client_done || step(client);
		look(fds[1]);
		server_done = server_done || step(server);
	}
	assert_true(client_done && server_done);
	assert_int_equal(wire.count[CLIENT_HELLO], retried ? 2 : 1);
	assert_int_equal(wire.count[SERVER_HELLO], retried ? 2 : 1);
}

static void check_randoms(const uint8_t *holder, unsigned client_at, unsigned server_at, const uint8_t *client,
			  const uint8_t *server)
{
	assert_memory_equal(holder + client_at, client, RANDOM_BYTES);
	assert_memory_equal(holder + server_at, server, RANDOM_BYTES);
	assert_memory_equal(holder + client_at, wire.random[CLIENT_HELLO], RANDOM_BYTES);
	assert_memory_equal(holder + server_at, wire.random[SERVER_HELLO], RANDOM_BYTES);
}

static void pair_open(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

/* --- OpenSSL: both ends verify ----------------------------------------------------------------------------------------- */
static unsigned verified;

static void openssl_check(SSL *connection)
{
	const struct openssl_layout *layout = &ssl.openssl;
	const uint8_t *holder = (const uint8_t *)connection;
	uint8_t client[RANDOM_BYTES], server[RANDOM_BYTES];

	if (layout->ssl_hello != OFFSET_NONE)
		holder = pointer_at(connection, layout->ssl_hello);
	assert_int_equal(SSL_get_client_random(connection, client, sizeof(client)), sizeof(client));
	assert_int_equal(SSL_get_server_random(connection, server, sizeof(server)), sizeof(server));
	check_randoms(holder, layout->ssl_client_random, layout->ssl_server_random, client, server);
}

/* Both hellos have been seen on the wire by then. */
static int openssl_verify(X509_STORE_CTX *context, void *arg)
{
	(void)arg;
	openssl_check(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
	verified++;
	return 1;
}

static SSL_CTX *openssl_settings(int version, const char *groups)
{
	SSL_CTX *settings = SSL_CTX_new(TLS_method());

	SSL_CTX_set_min_proto_version(settings, version);
	SSL_CTX_set_max_proto_version(settings, version);
	SSL_CTX_set_verify(settings, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(settings, openssl_verify, NULL);
	SSL_CTX_use_certificate(settings, certificate);
	SSL_CTX_use_PrivateKey(settings, key);
	assert_int_equal(SSL_CTX_set1_groups_list(settings, groups), 1);
	return settings;
}

static bool openssl_step(void *connection)
{
	return SSL_do_handshake(connection) == 1;
}

static void openssl_handshake(int version, const char *client_groups, const char *server_groups, bool retried)
{
	SSL_CTX *client_settings = openssl_settings(version, client_groups);
	SSL_CTX *server_settings = openssl_settings(version, server_groups);
	SSL *client = SSL_new(client_settings), *server = SSL_new(server_settings);
	int fds[2];

	pair_open(fds);
	SSL_set_fd(client, fds[0]);
	SSL_set_fd(server, fds[1]);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	verified = 0;
	shake_hands(openssl_step, client, server, fds, retried);
	assert_int_equal(verified, 2);
	openssl_check(client);
	openssl_check(server);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_settings);
	SSL_CTX_free(server_settings);
	close(fds[0]);
	close(fds[1]);
}

static void test_openssl_1_2(void **state)
{
	(void)state;
	openssl_handshake(TLS1_2_VERSION, "P-256", "P-256", false);
}

static void test_openssl_1_3(void **state)
{
	(void)state;
	openssl_handshake(TLS1_3_VERSION, "X25519:P-384", "X25519", false);
}

/* The server asks for another key share: its first hello has a fixed random, which is not kept. */
static void test_openssl_retried(void **state)
{
	(void)state;
	openssl_handshake(TLS1_3_VERSION, "X25519:P-384", "P-384", true);
}

/* --- GnuTLS ------------------------------------------------------------------------------------------------------------ */
static void gnutls_check(const void *session)
{
	struct datum client, server;

	CALL(gnutls_session_get_random, (long)session, (long)&client, (long)&server);
	assert_int_equal(client.size, RANDOM_BYTES);
	assert_int_equal(server.size, RANDOM_BYTES);
	check_randoms(session, gnutls.gnutls.session_client_random, gnutls.gnutls.session_server_random, client.data,
		      server.data);
}

static int gnutls_verify(const void *session)
{
	gnutls_check(session);
	verified++;
	return 0;
}

static bool gnutls_step(void *session)
{
	return CALL(gnutls_handshake, (long)session) == 0;
}

static void gnutls_handshake_with(const char *client_priority, const char *server_priority, bool retried)
{
	enum { KEY_SHARE_TOP = 1 << 11, REQUIRE = 2 };
	void *credentials = credentials_new(), *client, *server;
	int fds[2];

	pair_open(fds);
	CALL(gnutls_certificate_set_verify_function, (long)credentials, (long)gnutls_verify);
	client = session_new(GNUTLS_CLIENT_FLAG | KEY_SHARE_TOP, credentials, fds[0]);
	server = session_new(GNUTLS_SERVER_FLAG, credentials, fds[1]);
	CALL(gnutls_certificate_server_set_request, (long)server, REQUIRE);
	assert_int_equal(CALL(gnutls_priority_set_direct, (long)client, (long)client_priority, 0), 0);
	assert_int_equal(CALL(gnutls_priority_set_direct, (long)server, (long)server_priority, 0), 0);
	verified = 0;
	shake_hands(gnutls_step, client, server, fds, retried);
	assert_int_equal(verified, 2);
	gnutls_check(client);
	gnutls_check(server);
	CALL(gnutls_deinit, (long)client);
	CALL(gnutls_deinit, (long)server);
	CALL(gnutls_certificate_free_credentials, (long)credentials);
	close(fds[0]);
	close(fds[1]);
}

static void test_gnutls_1_2(void **state)
{
	(void)state;
	gnutls_handshake_with("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL", false);
}

static void test_gnutls_1_3(void **state)
{
	(void)state;
	gnutls_handshake_with("NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL", false);
}

static void test_gnutls_retried(void **state)
{
	(void)state;
	gnutls_handshake_with("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1",
			      "NORMAL:-GROUP-ALL:+GROUP-SECP384R1", true);
}

/* --- libraries without the accessor, made-up ones ------------------------------------------------------------------------ */
static struct library_answer ask_path(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct library_answer answer;

	assert_true(fd >= 0);
	assert_int_equal(library_ask(fd, &answer), 0);
	assert_int_equal(answer.parts, answer.wanted);
	assert_string_equal(answer.reason, "");
	return answer;
}

/* The installed library, in which that function has another name. */
static struct library_answer ask_without(const char *library, const char *function)
{
	struct wanted_file file = {library, NULL};
	char path[] = "/tmp/library-hello-XXXXXX", *text = NULL, *at;
	int fd = mkostemp(path, O_CLOEXEC);
	struct library_answer answer;
	size_t len = 0;

	assert_int_equal(dl_iterate_phdr(note_file, &file), 1);
	assert_int_equal(file_read(file.path, 64 << 20, &text, &len), 0);
	at = memmem(text, len, function, strlen(function) + 1);
	assert_non_null(at);
	at[strlen(function) - 1] = '?';
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	answer = ask_path(path);
	unlink(path);
	free(text);
	free(file.path);
	return answer;
}

static void check_layout(const char *what, const struct openssl_layout *layout, __u16 hello, __u16 client, __u16 server)
{
	if (layout->ssl_hello != hello || layout->ssl_client_random != client || layout->ssl_server_random != server)
		fail_msg("%s: %#x, %#x, %#x", what, layout->ssl_hello, layout->ssl_client_random, layout->ssl_server_random);
}

static void test_optional(void **state)
{
	struct library_answer answer = ask_without("libssl.so", "SSL_get_client_random");

	(void)state;
	check_layout("no client random", &answer.openssl, OFFSET_NONE, OFFSET_NONE, OFFSET_NONE);
	assert_int_equal(answer.openssl.ssl_server_name, ssl.openssl.ssl_server_name);
	answer = ask_without("libssl.so", "SSL_get_server_random");
	check_layout("no server random", &answer.openssl, OFFSET_NONE, OFFSET_NONE, OFFSET_NONE);
	answer = ask_without("libgnutls.so", "gnutls_session_get_random");
	assert_int_equal(answer.gnutls.session_client_random, OFFSET_NONE);
	assert_int_equal(answer.gnutls.session_server_random, OFFSET_NONE);
	assert_int_equal(answer.gnutls.session_pull, gnutls.gnutls.session_pull);
}

/* A libssl: FIELDS begin at 0x20, CLIENT and SERVER say how the randoms are given. */
static const char source[] =
	"typedef unsigned char B; typedef unsigned long L;\n"
	"typedef struct { int version; int pad; void *rbio; int server; int mode; void *name; FIELDS } S;\n"
	"static L copy(B *out, const B *from, L n) { for (L i = 0; i < n; i++) out[i] = from[i]; return n; }\n"
	"static L fill(B *out, L value, L n) { for (L i = 0; i < n; i++) out[i] = value; return n; }\n"
	"void unknown(void);\n"
	"int SSL_version(S *s) { return s->version; }\n"
	"void *SSL_get_rbio(S *s) { return s->rbio; }\n"
	"int SSL_is_server(S *s) { return s->server; }\n"
	"int SSL_get_verify_mode(S *s) { return s->mode; }\n"
	"void *SSL_get_servername(S *s, int type) { return type ? 0 : s->name; }\n"
	"L SSL_get_client_random(S *s, B *out, L n) { CLIENT; }\n"
	"L SSL_get_server_random(S *s, B *out, L n) { SERVER; }\n";

struct made {
	const char *fields, *client, *server;
	__u16 hello, client_at, server_at;
};

#define IN(place) "return copy(out, " place ", n)"
#define NOWHERE OFFSET_NONE, OFFSET_NONE, OFFSET_NONE
static const struct made right[] = {
	{"B s[32], c[32];", IN("s->c"), IN("s->s"), OFFSET_NONE, 0x40, 0x20},
	{"int x; B s[32], c[32];", IN("s->c"), IN("s->s"), OFFSET_NONE, 0x44, 0x24},
	{"B x[0x7f80], c[32], s[32];", IN("s->c"), IN("s->s"), OFFSET_NONE, 0x7fa0, 0x7fc0},
	{"struct { long x; B s[32], c[32]; } *h;", IN("s->h->c"), IN("s->h->s"), 0x20, 0x28, 0x8},
	{"long x; struct { B c[32], s[32]; } *h;", IN("s->h->c"), IN("s->h->s"), 0x28, 0, 0x20},
	/* A check of the type, which zeros pass. */
	{"B s[32], c[32];", "if (s->version) return 0; " IN("s->c"), "if (s->version) return 0; " IN("s->s"), OFFSET_NONE,
	 0x40, 0x20},
};
static const struct made wrong[] = {
	{"B s[32];", "return fill(out, 0, n)", IN("s->s"), NOWHERE},
	{"B s[32];", "return fill(out, 0x17, n)", IN("s->s"), NOWHERE},
	{"B s[32];", "return 0", IN("s->s"), NOWHERE},
	{"B s[32];", "unknown(); return 0", IN("s->s"), NOWHERE},
	{"B s[32];", IN("s->s"), "unknown(); return 0", NOWHERE},
	{"B s[32], c[16], x[16], d[16];", "copy(out, s->c, 16); return copy(out + 16, s->d, 16) * 2", IN("s->s"), NOWHERE},
	{"B s[32], c[32], d[32];", "fill(out, 0, n); for (L i = 0; i < n; i++) out[i] = s->c[i] | s->d[i]; return n",
	 IN("s->s"), NOWHERE},
	{"B s[32], x[0x7fb0], c[32];", IN("s->c"), IN("s->s"), NOWHERE},
	{"B s[32]; struct { B c[32]; } *h;", IN("s->h->c"), IN("s->s"), NOWHERE},
	{"struct { B c[32]; } *h; struct { B s[32]; } *g;", IN("s->h->c"), IN("s->g->s"), NOWHERE},
	{"struct { struct { B c[32], s[32]; } *h; } *g;", IN("s->g->h->c"), IN("s->g->h->s"), NOWHERE},
};

static void check_made(const struct made *made)
{
	char path[] = "/tmp/library-hello-XXXXXX";
	struct library_answer answer;
	FILE *compiler;
	char *command;

	close(mkostemp(path, O_CLOEXEC));
	command = xasprintf("cc -w -O1 -fPIC -fno-builtin -fno-stack-protector -nostdlib -shared -x c -o %s -", path);
	compiler = popen(command, "we");
	assert_non_null(compiler);
	fprintf(compiler, "#define FIELDS %s\n#define CLIENT %s\n#define SERVER %s\n%s", made->fields, made->client,
		made->server, source);
	assert_int_equal(pclose(compiler), 0);
	answer = ask_path(path);
	check_layout(made->fields, &answer.openssl, made->hello, made->client_at, made->server_at);
	assert_int_equal(answer.parts, PART_SSL);
	unlink(path);
	free(command);
}

static void test_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		check_made(&right[i]);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		check_made(&wrong[i]);
}

/* --- library_answer_check ------------------------------------------------------------------------------------------------ */
static int check_openssl(__u16 hello, __u16 client, __u16 server)
{
	struct library_answer answer = ssl;

	answer.openssl.ssl_hello = hello;
	answer.openssl.ssl_client_random = client;
	answer.openssl.ssl_server_random = server;
	return library_answer_check(&answer, 1 << 30);
}

static int check_gnutls(__u16 client, __u16 server)
{
	struct library_answer answer = gnutls;

	answer.gnutls.session_client_random = client;
	answer.gnutls.session_server_random = server;
	return library_answer_check(&answer, 1 << 30);
}

static void test_out_of_range(void **state)
{
	(void)state;
	assert_int_equal(check_openssl(NOWHERE), 0);
	assert_int_equal(check_openssl(OFFSET_NONE, 0x161, 0x143), 0);
	assert_int_equal(check_openssl(0x20, 0, OFFSET_MAX), 0);
	assert_int_equal(check_openssl(0x20, OFFSET_NONE, OFFSET_NONE), -EPROTO);
	assert_int_equal(check_openssl(0x24, 0, 0x20), -EPROTO);
	assert_int_equal(check_openssl(OFFSET_MAX + 8, 0, 0x20), -EPROTO);
	assert_int_equal(check_openssl(OFFSET_NONE, OFFSET_NONE, 0x20), -EPROTO);
	assert_int_equal(check_openssl(OFFSET_NONE, 0x20, OFFSET_NONE), -EPROTO);
	assert_int_equal(check_openssl(OFFSET_NONE, OFFSET_MAX + 1, 0x20), -EPROTO);
	assert_int_equal(check_gnutls(OFFSET_NONE, OFFSET_NONE), 0);
	assert_int_equal(check_gnutls(0x50, 0x71), 0);
	assert_int_equal(check_gnutls(0x50, OFFSET_NONE), -EPROTO);
	assert_int_equal(check_gnutls(OFFSET_MAX + 1, 0x70), -EPROTO);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssl_1_2),     cmocka_unit_test(test_openssl_1_3),
		cmocka_unit_test(test_openssl_retried), cmocka_unit_test(test_gnutls_1_2),
		cmocka_unit_test(test_gnutls_1_3),      cmocka_unit_test(test_gnutls_retried),
		cmocka_unit_test(test_optional),        cmocka_unit_test(test_made),
		cmocka_unit_test(test_out_of_range),
	};

	/* library_ask starts /proc/self/exe: the confined half is this program. */
	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
