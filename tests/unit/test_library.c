/* Asking the libraries that are installed here: they answer, and what they answer is true. Real objects are made with the
 * real library in this process and read through the answered offsets alone, the way the probes do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

#include "asked.h"
#include "library.h"
#include "util.h"

static struct library_answer crypto, ssl, gnutls;

/* --- reading fields by offset ------------------------------------------------------------------------------------- */
static void *item_of(const void *stack, int index)
{
	assert_non_null(stack);
	assert_true(index < int_at(stack, crypto.openssl.stack_num));
	return pointer_at(pointer_at(stack, crypto.openssl.stack_data), (size_t)index * sizeof(void *));
}

/* --- what is there ------------------------------------------------------------------------------------------------ */
static int set_up(void **state)
{
	(void)state;
	if (make_certificate() < 0 || !dlopen("libgnutls.so.30", RTLD_NOW | RTLD_GLOBAL))
		return -1;
	crypto = ask("libcrypto.so");
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

static void test_parts_and_versions(void **state)
{
	const char *(*gnutls_version)(const char *);
	char version[VERSION_MAX + 16];

	(void)state;
	assert_int_equal(crypto.parts, PART_CRYPTO);
	assert_int_equal(ssl.parts, PART_SSL);
	assert_int_equal(gnutls.parts, PART_GNUTLS);
	snprintf(version, sizeof(version), "OpenSSL %s ", crypto.version);
	assert_memory_equal(version, OpenSSL_version(OPENSSL_VERSION), strlen(version));
	assert_string_equal(ssl.version, "");
	gnutls_version = (const char *(*)(const char *))dlsym(RTLD_DEFAULT, "gnutls_check_version");
	assert_non_null(gnutls_version);
	assert_string_equal(gnutls.version, gnutls_version(NULL));
	assert_int_equal(ssl.site[SITE_X509_VERIFY_CERT], 0);
	assert_int_equal(crypto.site[SITE_GNUTLS_HANDSHAKE], 0);
}

struct entry {
	uint64_t address, offset; /* of a function: in memory, in its file */
};

static int note_entry(struct dl_phdr_info *info, size_t size, void *data)
{
	struct entry *entry = data;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t within = entry->address - info->dlpi_addr - segment->p_vaddr;

		if (segment->p_type != PT_LOAD || within >= segment->p_memsz)
			continue;
		entry->offset = segment->p_offset + within;
		return 1;
	}
	return 0;
}

/* The site is where site_pick says, from the function's place in the file. (Memory isn't looked at: there may be probes.) */
static void check_site(const char *file_name, const struct library_answer *answer, enum site site)
{
	struct entry entry = {.address = (uint64_t)dlsym(RTLD_DEFAULT, site_names[site])};
	struct wanted_file file = {file_name, NULL};
	uint8_t code[32];
	int fd;

	assert_int_equal(dl_iterate_phdr(note_entry, &entry), 1);
	assert_int_equal(dl_iterate_phdr(note_file, &file), 1);
	fd = open(file.path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, code, sizeof(code), (off_t)entry.offset), sizeof(code));
	assert_int_equal(answer->site[site], entry.offset + site_pick(code, sizeof(code)));
	close(fd);
	free(file.path);
}

static void test_sites(void **state)
{
	(void)state;
	check_site("libcrypto.so", &crypto, SITE_X509_VERIFY_CERT);
	for (enum site site = SITE_GNUTLS_HANDSHAKE; site < SITE_COUNT; site++)
		check_site("libgnutls.so", &gnutls, site);
}

/* --- libcrypto ---------------------------------------------------------------------------------------------------- */
static void test_certificate(void **state)
{
	const struct openssl_layout *layout = &crypto.openssl;
	const unsigned char *at, *tbs;
	const ASN1_BIT_STRING *signature;
	unsigned char *der = NULL;
	int der_len = i2d_X509(certificate, &der), tag, class;
	X509 *parsed;
	long len;

	(void)state;
	at = der;
	parsed = d2i_X509(NULL, &at, der_len);
	assert_non_null(parsed);
	tbs = der;
	ASN1_get_object(&tbs, &len, &tag, &class, der_len); /* into the Certificate */
	at = tbs;
	ASN1_get_object(&at, &len, &tag, &class, der + der_len - tbs);
	assert_int_equal(pointer_at(parsed, layout->x509_tbs_len), (at - tbs) + len);
	assert_memory_equal(pointer_at(parsed, layout->x509_tbs), tbs, (size_t)(at - tbs + len));

	X509_get0_signature(&signature, NULL, parsed);
	assert_ptr_equal((char *)parsed + layout->x509_signature, signature);
	assert_int_equal(int_at(signature, layout->string_length), ASN1_STRING_length(signature));
	assert_ptr_equal(pointer_at(signature, layout->string_data), ASN1_STRING_get0_data(signature));
	assert_int_equal(layout->string_flags, offsetof(ASN1_STRING, flags));
	assert_int_equal((uint64_t)pointer_at(signature, layout->string_flags) & 0xf, ASN1_STRING_FLAG_BITS_LEFT);
	X509_free(parsed);
	OPENSSL_free(der);
}

static void test_verification(void **state)
{
	const struct openssl_layout *layout = &crypto.openssl;
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	int extra = 0, index;

	(void)state;
	for (index = 0; index < 5; index++)
		extra = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	sk_X509_push(untrusted, certificate);
	X509_STORE_add_cert(store, certificate);
	assert_int_equal(X509_STORE_CTX_init(context, store, certificate, untrusted), 1);
	X509_STORE_CTX_set_ex_data(context, extra, context);
	assert_int_equal(X509_verify_cert(context), 1);

	assert_ptr_equal(pointer_at(context, layout->ctx_cert), certificate);
	assert_ptr_equal(pointer_at(context, layout->ctx_untrusted), untrusted);
	assert_ptr_equal(pointer_at(context, layout->ctx_chain), X509_STORE_CTX_get0_chain(context));
	assert_ptr_equal(item_of(pointer_at(context, layout->ctx_chain), 0), certificate);
	assert_ptr_equal(pointer_at(context, layout->ctx_param), X509_STORE_CTX_get0_param(context));
	assert_ptr_equal(item_of(pointer_at(context, layout->ctx_ex_data), extra), context);
	assert_int_equal(int_at(context, layout->ctx_error), X509_V_OK);
	X509_STORE_CTX_set_error(context, X509_V_ERR_CERT_REVOKED);
	assert_int_equal(int_at(context, layout->ctx_error), X509_V_ERR_CERT_REVOKED);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	sk_X509_free(untrusted);
}

static void test_expected_names(void **state)
{
	const struct openssl_layout *layout = &crypto.openssl;
	X509_VERIFY_PARAM *param = X509_VERIFY_PARAM_new();

	(void)state;
	assert_null(pointer_at(param, layout->param_hosts));
	X509_VERIFY_PARAM_set1_host(param, "one.example", 0);
	X509_VERIFY_PARAM_add1_host(param, "two.example", 0);
	X509_VERIFY_PARAM_set1_email(param, "someone@example", 0);
	assert_string_equal(item_of(pointer_at(param, layout->param_hosts), 0), "one.example");
	assert_string_equal(item_of(pointer_at(param, layout->param_hosts), 1), "two.example");
	X509_VERIFY_PARAM_set1_ip_asc(param, "192.0.2.7");
	assert_int_equal(pointer_at(param, layout->param_ip_len), 4);
	assert_memory_equal(pointer_at(param, layout->param_ip), "\xc0\x00\x02\x07", 4);
	X509_VERIFY_PARAM_set1_ip_asc(param, "2001:db8::1");
	assert_int_equal(pointer_at(param, layout->param_ip_len), 16);
	assert_memory_equal(pointer_at(param, layout->param_ip), "\x20\x01\x0d\xb8", 4);
	X509_VERIFY_PARAM_free(param);
}

static void test_socket_bio(void **state)
{
	const struct openssl_layout *layout = &crypto.openssl;
	BIO *bio = BIO_new_socket(4711, BIO_NOCLOSE), *memory = BIO_new(BIO_s_mem());

	(void)state;
	assert_int_equal(int_at(bio, layout->bio_num), 4711);
	assert_int_equal(int_at(pointer_at(bio, layout->bio_method), layout->method_type), BIO_TYPE_SOCKET);
	assert_int_equal(int_at(pointer_at(memory, layout->bio_method), layout->method_type), BIO_TYPE_MEM);
	BIO_free(bio);
	BIO_free(memory);
}

/* --- libssl: a handshake between two memory BIOs, seen from the client's verification --------------------------------- */
static unsigned seen;

static int verify(X509_STORE_CTX *context, void *arg)
{
	SSL *connection = item_of(pointer_at(context, crypto.openssl.ctx_ex_data), SSL_get_ex_data_X509_STORE_CTX_idx());
	void *leaf = item_of(pointer_at(context, crypto.openssl.ctx_untrusted), 0);
	const void *param;

	(void)arg;
	X509_verify_cert(context);
	assert_int_equal(int_at(context, crypto.openssl.ctx_error), X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
	assert_int_equal(X509_cmp(leaf, certificate), 0);
	assert_int_equal(int_at(connection, ssl.openssl.ssl_version), SSL_version(connection));
	assert_int_equal(int_at(connection, ssl.openssl.ssl_server), 0);
	assert_int_equal(int_at(connection, ssl.openssl.ssl_verify_mode), SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE);
	assert_ptr_equal(pointer_at(connection, ssl.openssl.ssl_rbio), SSL_get_rbio(connection));
	assert_string_equal(pointer_at(connection, ssl.openssl.ssl_server_name), "asked.example");
	param = pointer_at(context, crypto.openssl.ctx_param);
	assert_string_equal(item_of(pointer_at(param, crypto.openssl.param_hosts), 0), "expected.example");
	seen++;
	return 1;
}

static void handshake(int version)
{
	SSL_CTX *client_settings = SSL_CTX_new(TLS_client_method()), *server_settings = SSL_CTX_new(TLS_server_method());
	SSL *client, *server;
	BIO *left, *right;

	SSL_CTX_set_min_proto_version(client_settings, version);
	SSL_CTX_set_max_proto_version(client_settings, version);
	SSL_CTX_set_verify(client_settings, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
	SSL_CTX_set_cert_verify_callback(client_settings, verify, NULL);
	SSL_CTX_use_certificate(server_settings, certificate);
	SSL_CTX_use_PrivateKey(server_settings, key);
	client = SSL_new(client_settings);
	server = SSL_new(server_settings);
	assert_int_equal(BIO_new_bio_pair(&left, 0, &right, 0), 1);
	SSL_set_bio(client, left, left);
	SSL_set_bio(server, right, right);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	SSL_set_tlsext_host_name(client, "asked.example");
	SSL_set1_host(client, "expected.example");
	seen = 0;
	for (int turn = 0; turn < 10 && (SSL_do_handshake(client) != 1 || SSL_do_handshake(server) != 1); turn++)
		SSL_do_handshake(server);
	assert_int_equal(SSL_is_init_finished(server), 1);
	assert_int_equal(seen, 1);
	assert_int_equal(int_at(server, ssl.openssl.ssl_server), 1);
	assert_int_equal(int_at(server, ssl.openssl.ssl_version), version);
	assert_int_equal(int_at(server, ssl.openssl.ssl_verify_mode), SSL_VERIFY_NONE);
	assert_string_equal(pointer_at(server, ssl.openssl.ssl_server_name), "asked.example");
	assert_ptr_equal(pointer_at(server, ssl.openssl.ssl_rbio), right);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_settings);
	SSL_CTX_free(server_settings);
}

static void test_handshake(void **state)
{
	(void)state;
	handshake(TLS1_2_VERSION);
	handshake(TLS1_3_VERSION);
}

/* --- GnuTLS, loaded at run time: its header is not needed to build the program ---------------------------------------- */
static void check_sessions(void *client, void *server, int client_fd)
{
	const struct gnutls_layout *layout = &gnutls.gnutls;
	const char *handshake_entry = dlsym(RTLD_DEFAULT, "gnutls_handshake");
	const char *pull = pointer_at(client, layout->session_pull);
	const struct datum *list;
	unsigned char *der = NULL;
	int der_len = i2d_X509(certificate, &der);
	const void *info;

	assert_int_equal(int_at(client, layout->session_entity), GNUTLS_CLIENT_FLAG);
	assert_int_equal(int_at(server, layout->session_entity), GNUTLS_SERVER_FLAG);
	assert_int_equal(int_at(client, layout->session_auth_type), GNUTLS_CERTIFICATE);
	info = pointer_at(client, layout->session_auth_info);
	assert_int_equal(int_at(info, layout->auth_count), 1);
	list = pointer_at(info, layout->auth_list);
	assert_int_equal(list[0].size, der_len);
	assert_memory_equal(list[0].data, der, (size_t)der_len);
	assert_int_equal(pointer_at(client, layout->session_transport), client_fd);
	assert_true(pull >= handshake_entry + layout->text_start && pull < handshake_entry + layout->text_end);

	CALL(gnutls_transport_set_pull_function, (long)client, (long)check_sessions);
	pull = pointer_at(client, layout->session_pull);
	assert_ptr_equal(pull, check_sessions);
	assert_false(pull >= handshake_entry + layout->text_start && pull < handshake_entry + layout->text_end);
	OPENSSL_free(der);
}

static void test_gnutls_session(void **state)
{
	int fds[2], client_result = -1, server_result = -1;
	void *credentials = credentials_new(), *client, *server;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	client = session_new(GNUTLS_CLIENT_FLAG, credentials, fds[0]);
	server = session_new(GNUTLS_SERVER_FLAG, credentials, fds[1]);
	for (int turn = 0; turn < 20 && (client_result < 0 || server_result < 0); turn++) {
		client_result = client_result < 0 ? CALL(gnutls_handshake, (long)client) : 0;
		server_result = server_result < 0 ? CALL(gnutls_handshake, (long)server) : 0;
	}
	assert_int_equal(client_result, 0);
	assert_int_equal(server_result, 0);
	check_sessions(client, server, fds[0]);
	CALL(gnutls_deinit, (long)client);
	CALL(gnutls_deinit, (long)server);
	CALL(gnutls_certificate_free_credentials, (long)credentials);
	close(fds[0]);
	close(fds[1]);
}

/* --- library_answer_check ------------------------------------------------------------------------------------------ */
static void refused(const struct library_answer *base, size_t at, size_t len, uint64_t value)
{
	struct library_answer answer = *base;

	memcpy((char *)&answer + at, &value, len);
	if (library_answer_check(&answer, 1 << 30) != -EPROTO)
		fail_msg("taken: %#lx at %zu", (unsigned long)value, at);
}
#define REFUSED(base, field, value) \
	refused(&(base), offsetof(struct library_answer, field), sizeof((base).field), (uint64_t)(value))

static void test_answers_out_of_range(void **state)
{
	(void)state;
	assert_int_equal(library_answer_check(&crypto, 1 << 30), 0);
	assert_int_equal(library_answer_check(&ssl, 1 << 30), 0);
	assert_int_equal(library_answer_check(&gnutls, 1 << 30), 0);
	assert_int_equal(library_answer_check(&crypto, crypto.site[SITE_X509_VERIFY_CERT]), -EPROTO);
	REFUSED(crypto, parts, PART_CRYPTO | PART_SSL);
	REFUSED(crypto, wanted, 8 | PART_CRYPTO);
	REFUSED(crypto, build_id_len, BUILD_ID_MAX + 1);
	REFUSED(crypto, site[SITE_X509_VERIFY_CERT], 0);
	REFUSED(crypto, site[SITE_X509_VERIFY_CERT], 1);
	REFUSED(crypto, site[SITE_GNUTLS_DEINIT], UINT64_MAX);
	REFUSED(crypto, version[0], '\n');
	REFUSED(crypto, reason[0], 0x80);
	REFUSED(crypto, openssl.ctx_chain, OFFSET_NONE);
	REFUSED(crypto, openssl.ctx_chain, OFFSET_MAX + 8);
	REFUSED(crypto, openssl.ctx_chain, 0x9c);
	REFUSED(crypto, openssl.ctx_error, 0xb2);
	REFUSED(crypto, openssl.param_ip, OFFSET_NONE);
	REFUSED(ssl, openssl.ssl_server_name, OFFSET_NONE);
	REFUSED(ssl, openssl.ssl_version, 2);
	REFUSED(gnutls, gnutls.auth_list, 4);
	REFUSED(gnutls, gnutls.session_entity, OFFSET_NONE);
	REFUSED(gnutls, gnutls.text_start, 1);
	REFUSED(gnutls, gnutls.text_end, 0);
	REFUSED(gnutls, gnutls.text_end, INT64_MAX);
	REFUSED(gnutls, gnutls.text_start, INT64_MIN);
}

static void test_text_without_end(void **state)
{
	struct library_answer answer = crypto;

	(void)state;
	memset(answer.version, 'x', VERSION_MAX);
	assert_int_equal(library_answer_check(&answer, 1 << 30), -EPROTO);
	answer.version[VERSION_MAX - 1] = '\0';
	assert_int_equal(library_answer_check(&answer, 1 << 30), 0);
	memset(answer.reason, 'x', REASON_MAX);
	assert_int_equal(library_answer_check(&answer, 1 << 30), -EPROTO);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_and_versions),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_verification),
		cmocka_unit_test(test_expected_names),
		cmocka_unit_test(test_socket_bio),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_gnutls_session),
		cmocka_unit_test(test_answers_out_of_range),
		cmocka_unit_test(test_text_without_end),
	};

	/* library_ask starts /proc/self/exe: the confined half is this program. */
	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
