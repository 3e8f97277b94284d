/* Asking GnuTLS how a session came about: what it answers is true of real sessions of the library that is installed here, read
 * through the answered offsets alone, the way the probes do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "asked.h"

enum {
	TYPE_CLIENT = 0,
	TYPE_SERVER = 1,
	X509_TYPE = 1,
	NAME_DNS = 1,
	CREDENTIALS_ANONYMOUS = 2,
	REQUEST = 1,
	EARLY_DATA = 1 << 10, /* GNUTLS_SFLAGS_EARLY_DATA */
};

static struct gnutls_layout at;
static void *credentials;
static struct datum ticket_key;

/* A client and its server, and the descriptors between them. */
struct sessions {
	void *client, *server;
	int fds[2];
};

static int set_up(void **state)
{
	(void)state;
	if (make_certificate() < 0 || !dlopen("libgnutls.so.30", RTLD_NOW | RTLD_GLOBAL))
		return -1;
	at = ask("libgnutls.so").gnutls;
	credentials = credentials_new();
	return CALL(gnutls_session_ticket_key_generate, (long)&ticket_key);
}

static int tear_down(void **state)
{
	(void)state;
	CALL(gnutls_certificate_free_credentials, (long)credentials);
	free((void *)ticket_key.data);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return 0;
}

static void sessions_begin(struct sessions *ret)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret->fds), 0);
	ret->client = session_new(GNUTLS_CLIENT_FLAG, credentials, ret->fds[0]);
	ret->server = session_new(GNUTLS_SERVER_FLAG, credentials, ret->fds[1]);
	assert_int_equal(CALL(gnutls_session_ticket_enable_server, (long)ret->server, (long)&ticket_key), 0);
}

static void sessions_shake_hands(const struct sessions *sessions)
{
	int client = -1, server = -1;

	for (int turn = 0; turn < 20 && (client < 0 || server < 0); turn++) {
		client = client < 0 ? CALL(gnutls_handshake, (long)sessions->client) : 0;
		server = server < 0 ? CALL(gnutls_handshake, (long)sessions->server) : 0;
	}
	assert_int_equal(client, 0);
	assert_int_equal(server, 0);
}

static void sessions_end(struct sessions *sessions)
{
	CALL(gnutls_deinit, (long)sessions->client);
	CALL(gnutls_deinit, (long)sessions->server);
	close(sessions->fds[0]);
	close(sessions->fds[1]);
}

static uint8_t byte_at(const void *object, size_t offset)
{
	return ((const uint8_t *)object)[offset];
}

/* --- the name ------------------------------------------------------------------------------------------------------- */

static void check_name(const void *session, const char *expected)
{
	const uint8_t *holder = pointer_at(session, at.session_name);
	size_t length;

	assert_int_not_equal(byte_at(session, at.session_has_name), 0);
	length = byte_at(holder, at.name_length) | (size_t)byte_at(holder, at.name_length_high) << 8;
	assert_int_equal(length, strlen(expected));
	assert_memory_equal(holder + at.name_text, expected, length);
}

static void both_sides_know_the_name(void **state)
{
	static const char name[] = "a-rather-long-name-of-a-server.of-some-department.asked.example";
	struct sessions sessions;

	(void)state;
	sessions_begin(&sessions);
	assert_int_equal(byte_at(sessions.client, at.session_has_name), 0);
	assert_int_equal(CALL(gnutls_server_name_set, (long)sessions.client, NAME_DNS, (long)"first", 5), 0);
	check_name(sessions.client, "first");
	assert_int_equal(CALL(gnutls_server_name_set, (long)sessions.client, NAME_DNS, (long)name, sizeof(name) - 1), 0);
	sessions_shake_hands(&sessions);
	check_name(sessions.client, name);
	check_name(sessions.server, name);
	sessions_end(&sessions);
}

static void no_name_is_none(void **state)
{
	struct sessions sessions;

	(void)state;
	sessions_begin(&sessions);
	sessions_shake_hands(&sessions);
	assert_int_equal(byte_at(sessions.client, at.session_has_name), 0);
	assert_int_equal(byte_at(sessions.server, at.session_has_name), 0);
	sessions_end(&sessions);
}

/* --- how it came about ------------------------------------------------------------------------------------------------ */

static void check_flags(const void *session, unsigned flags)
{
	assert_int_equal(!!((unsigned)int_at(session, at.session_flags) & at.flags_early), !!(flags & EARLY_DATA));
}

static void check_resumed(const struct sessions *sessions, bool resumed)
{
	assert_int_equal(CALL(gnutls_session_is_resumed, (long)sessions->client), resumed);
	assert_int_equal(!!byte_at(sessions->client, at.session_resumed), resumed);
	assert_int_equal(!!byte_at(sessions->server, at.session_resumed), resumed);
	check_flags(sessions->client, (unsigned)CALL(gnutls_session_get_flags, (long)sessions->client));
	check_flags(sessions->server, (unsigned)CALL(gnutls_session_get_flags, (long)sessions->server));
}

/* In TLS 1.3 tickets come with the data, and first. */
static void receive_one(const struct sessions *sessions)
{
	char byte = 0;
	int got = 0;

	assert_int_equal(CALL(gnutls_record_send, (long)sessions->server, (long)&byte, 1), 1);
	for (int turn = 0; turn < 5 && got != 1; turn++)
		got = CALL(gnutls_record_recv, (long)sessions->client, (long)&byte, 1);
	assert_int_equal(got, 1);
}

static void resumed(void **state)
{
	static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
	struct sessions sessions;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct datum session = {NULL, 0};

		for (int number = 0; number < 2; number++) {
			sessions_begin(&sessions);
			CALL(gnutls_priority_set_direct, (long)sessions.client, (long)versions[i], 0);
			if (number)
				CALL(gnutls_session_set_data, (long)sessions.client, (long)session.data, session.size);
			sessions_shake_hands(&sessions);
			check_resumed(&sessions, number == 1);
			receive_one(&sessions);
			if (!number)
				assert_int_equal(CALL(gnutls_session_get_data2, (long)sessions.client, (long)&session), 0);
			/* The peer's certificate goes with the session. */
			assert_int_equal(int_at(pointer_at(sessions.client, at.session_auth_info), at.auth_count), 1);
			sessions_end(&sessions);
		}
		free((void *)session.data);
	}
}

static void certificate_types(void **state)
{
	struct sessions sessions;

	(void)state;
	sessions_begin(&sessions);
	sessions_shake_hands(&sessions);
	assert_int_equal(int_at(sessions.client, at.session_server_type), X509_TYPE);
	assert_int_equal(int_at(sessions.client, at.session_client_type),
			 CALL(gnutls_certificate_type_get2, (long)sessions.client, TYPE_CLIENT));
	assert_int_equal(int_at(sessions.server, at.session_server_type),
			 CALL(gnutls_certificate_type_get2, (long)sessions.server, TYPE_SERVER));
	assert_int_equal(int_at(sessions.server, at.session_request), 0);
	CALL(gnutls_certificate_server_set_request, (long)sessions.server, REQUEST);
	assert_int_equal(int_at(sessions.server, at.session_request), REQUEST);
	sessions_end(&sessions);
}

/* --- who verifies ------------------------------------------------------------------------------------------------------- */

/* As the probes walk. */
static void *verify_function(const void *session)
{
	void *function = pointer_at(session, at.session_verify);

	if (function)
		return function;
	for (const void *item = pointer_at(session, at.session_credentials); item; item = pointer_at(item, at.item_next))
		if (int_at(item, at.item_type) == GNUTLS_CERTIFICATE)
			return pointer_at(pointer_at(item, at.item_object), at.credentials_verify);
	return NULL;
}

static void functions_that_verify(void **state)
{
	const char *entry = dlsym(RTLD_DEFAULT, "gnutls_handshake"), *own;
	void *anonymous = NULL;
	struct sessions sessions;

	(void)state;
	sessions_begin(&sessions);
	assert_null(verify_function(sessions.client));
	/* Credentials of another type come first in the list. */
	assert_int_equal(CALL(gnutls_anon_allocate_client_credentials, (long)&anonymous), 0);
	assert_int_equal(CALL(gnutls_credentials_set, (long)sessions.client, CREDENTIALS_ANONYMOUS, (long)anonymous), 0);
	CALL(gnutls_certificate_set_verify_function, (long)credentials, (long)set_up);
	assert_ptr_equal(verify_function(sessions.client), set_up);
	CALL(gnutls_session_set_verify_function, (long)sessions.client, (long)tear_down);
	assert_ptr_equal(verify_function(sessions.client), tear_down);
	/* The library's own is told by where it lies. */
	CALL(gnutls_session_set_verify_cert, (long)sessions.client, (long)"asked.example", 0);
	own = verify_function(sessions.client);
	assert_true(own >= entry + at.text_start && own < entry + at.text_end);
	CALL(gnutls_certificate_set_verify_function, (long)credentials, 0);
	sessions_end(&sessions);
	CALL(gnutls_anon_free_client_credentials, (long)anonymous);
}

/* --- library_answer_check ------------------------------------------------------------------------------------------ */

static void answers_out_of_range(void **state)
{
	struct library_answer answer = ask("libgnutls.so");
	struct gnutls_layout *layout = &answer.gnutls;
	const struct {
		__u16 *field;
		__u16 bad, none; /* none: what is said of one that is not known */
	} table[] = {
		{&layout->session_name, 4, EPROTO},
		{&layout->session_has_name, OFFSET_MAX + 1, EPROTO},
		{&layout->name_text, OFFSET_MAX + 1, EPROTO},
		{&layout->name_length_high, OFFSET_MAX + 1, EPROTO},
		{&layout->session_resumed, OFFSET_MAX + 1, 0},
		{&layout->session_flags, 2, 0},
		{&layout->session_request, 2, 0},
		{&layout->session_client_type, OFFSET_MAX + 4, 0},
		{&layout->session_verify, 4, 0},
		{&layout->item_next, 4, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const __u16 good = *table[i].field;

		*table[i].field = table[i].bad;
		assert_int_equal(library_answer_check(&answer, 1 << 30), -EPROTO);
		*table[i].field = OFFSET_NONE;
		assert_int_equal(library_answer_check(&answer, 1 << 30), -table[i].none);
		*table[i].field = good;
		assert_int_equal(library_answer_check(&answer, 1 << 30), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_know_the_name),
		cmocka_unit_test(no_name_is_none),
		cmocka_unit_test(resumed),
		cmocka_unit_test(certificate_types),
		cmocka_unit_test(functions_that_verify),
		cmocka_unit_test(answers_out_of_range),
	};

	/* library_ask starts /proc/self/exe: the confined half is this program. */
	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
