/* The libraries that are installed here: asking them, reading fields of real objects by offset as the probes do, and what
 * it takes to make sessions. GnuTLS is called by name, its header is not needed to build. Include after cmocka.h. Defines no
 * function that is unused where it is included: all are static inline. */
#ifndef ASKED_H
#define ASKED_H

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

#include "library.h"
#include "util.h"

static inline void *pointer_at(const void *object, size_t offset)
{
	void *value;

	memcpy(&value, (const char *)object + offset, sizeof(value));
	return value;
}

static inline int int_at(const void *object, size_t offset)
{
	int value;

	memcpy(&value, (const char *)object + offset, sizeof(value));
	return value;
}

struct wanted_file {
	const char *name;
	char *path;
};

static inline int note_file(struct dl_phdr_info *info, size_t size, void *data)
{
	struct wanted_file *file = data;

	(void)size;
	if (!strstr(info->dlpi_name, file->name))
		return 0;
	file->path = xstrdup(info->dlpi_name);
	return 1;
}

/* Asks the file of a library that this process has loaded. */
static inline struct library_answer ask(const char *name)
{
	struct wanted_file file = {name, NULL};
	struct library_answer answer;
	int fd;

	assert_int_equal(dl_iterate_phdr(note_file, &file), 1);
	fd = open(file.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(library_ask(fd, &answer), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still ours */
	close(fd);
	assert_string_equal(answer.reason, "");
	assert_int_equal(answer.parts, answer.wanted);
	assert_true(answer.build_id_len >= 8);
	free(file.path);
	return answer;
}

/* The certificate of every server here, signed with its own key. */
static X509 *certificate;
static EVP_PKEY *key;

static inline int make_certificate(void)
{
	X509_NAME *name;

	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	if (!key || !certificate)
		return -1;
	name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"asked.example", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	return X509_sign(certificate, key, EVP_sha256()) > 0 ? 0 : -1;
}

struct datum {
	const unsigned char *data;
	unsigned size;
};
enum { GNUTLS_SERVER_FLAG = 1, GNUTLS_CLIENT_FLAG = 2, GNUTLS_NONBLOCK_FLAG = 8, GNUTLS_CERTIFICATE = 1, GNUTLS_PEM = 1 };

/* Calls GnuTLS by name, all arguments as words. */
#define CALL(name, ...) gnutls_call(#name, (long[5]){__VA_ARGS__})
static inline int gnutls_call(const char *name, const long arguments[5])
{
	int (*function)(long, long, long, long, long) = (int (*)(long, long, long, long, long))dlsym(RTLD_DEFAULT, name);

	assert_non_null(function);
	return function(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
}

static inline void *credentials_new(void)
{
	BIO *certificate_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
	struct datum certificate_pem, key_pem;
	void *credentials = NULL;

	PEM_write_bio_X509(certificate_text, certificate);
	PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL);
	certificate_pem.size = (unsigned)BIO_get_mem_data(certificate_text, &certificate_pem.data);
	key_pem.size = (unsigned)BIO_get_mem_data(key_text, &key_pem.data);
	assert_int_equal(CALL(gnutls_certificate_allocate_credentials, (long)&credentials), 0);
	assert_int_equal(CALL(gnutls_certificate_set_x509_key_mem, (long)credentials, (long)&certificate_pem, (long)&key_pem,
			      GNUTLS_PEM),
			 0);
	BIO_free(certificate_text);
	BIO_free(key_text);
	return credentials;
}

static inline void *session_new(int flag, void *credentials, int fd)
{
	void *session = NULL;

	assert_int_equal(CALL(gnutls_init, (long)&session, flag | GNUTLS_NONBLOCK_FLAG), 0);
	assert_int_equal(CALL(gnutls_set_default_priority, (long)session), 0);
	assert_int_equal(CALL(gnutls_credentials_set, (long)session, GNUTLS_CERTIFICATE, (long)credentials), 0);
	CALL(gnutls_transport_set_int2, (long)session, fd, fd);
	return session;
}

#endif
