/* certificate.h: facts of ordinary and of odd certificates; whatever the bytes are, a certificate comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "der.h"
#include "fixture.h"

#define CLEANUP_CERTIFICATE CLEANUP(certificate_freep)
#define CLEANUP_CHAIN CLEANUP(fixture_chain_clear)

static void test_ordinary(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate("good-leaf.pem");
	time_t now = time(NULL);

	(void)state;
	assert_true(c->parsed);
	assert_null(c->error);
	assert_string_equal(c->subject, "CN=localhost");
	assert_string_equal(c->issuer, "CN=Good Intermediate,O=Example Trust");
	assert_string_equal(c->common_name, "localhost");
	assert_null(c->organization);
	assert_true(strlen(c->serial) >= 16 && strspn(c->serial, "0123456789ABCDEF") == strlen(c->serial));
	assert_true(c->not_before <= now && c->not_before > now - 3 * 86400);
	assert_int_equal(c->not_after - c->not_before, 3650LL * 86400);
	assert_string_equal(c->key_algorithm, "EC");
	assert_int_equal(c->key_bits, 256);
	assert_string_equal(c->signature_algorithm, "ecdsa-with-SHA256");
	assert_false(c->is_ca);
	assert_false(c->self_issued);
	assert_int_equal(c->sans_count, 3);
	assert_int_equal(c->sans_total, 3);
	assert_int_equal(c->sans[0].kind, SAN_DNS);
	assert_string_equal(c->sans[0].text, "localhost");
	assert_int_equal(c->sans[1].kind, SAN_IP);
	assert_string_equal(c->sans[1].text, "127.0.0.1");
	assert_int_equal(c->sans[1].address.len, 4);
	assert_string_equal(c->sans[2].text, "::1");
	assert_false(c->sans[0].odd || c->sans[1].odd || c->sans[2].odd);
}

/* Against hashes that OpenSSL's own functions give. */
static void test_hashes(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate("rsa-leaf.pem");
	uint8_t want[SHA256_BYTES];
	unsigned len = 0;
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	unsigned char *spki = NULL;
	int spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x509), &spki);

	(void)state;
	assert_int_equal(X509_digest(c->x509, sha256, want, &len), 1);
	assert_memory_equal(c->sha256, want, SHA256_BYTES);
	assert_int_equal(EVP_Digest(spki, (size_t)spki_len, want, &len, sha256, NULL), 1);
	assert_memory_equal(c->spki_sha256, want, SHA256_BYTES);
	OPENSSL_free(spki);
	EVP_MD_free(sha256);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *file, *key, *signature;
		unsigned bits;
		bool is_ca, self_issued;
	} kinds[] = {
		{"good-root.pem", "EC", "ecdsa-with-SHA256", 256, true, true},
		{"good-int.pem", "EC", "ecdsa-with-SHA256", 256, true, false},
		{"rsa-root.pem", "RSA", "sha256WithRSAEncryption", 2048, true, true},
		{"rsa-leaf.pem", "RSA", "sha256WithRSAEncryption", 2048, false, false},
		{"rsapss-root.pem", "RSA-PSS", "rsassaPss", 2048, true, true},
		{"rsapss-leaf.pem", "RSA", "rsassaPss", 2048, false, false},
		{"ed25519-leaf.pem", "ED25519", "ED25519", 256, false, false},
		{"self-signed.pem", "EC", "ecdsa-with-SHA256", 256, false, true},
		{"v1-root.pem", "EC", "ecdsa-with-SHA256", 256, true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate(kinds[i].file);

		assert_true(c->parsed);
		assert_string_equal(c->key_algorithm, kinds[i].key);
		assert_string_equal(c->signature_algorithm, kinds[i].signature);
		assert_int_equal(c->key_bits, kinds[i].bits);
		assert_int_equal(c->is_ca, kinds[i].is_ca);
		assert_int_equal(c->self_issued, kinds[i].self_issued);
	}
}

static void test_incident_names(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *forged = fixture_certificate("forged-1111.pem");
	CLEANUP_CERTIFICATE struct certificate *rdc = fixture_certificate("fina-rdc.pem");

	(void)state;
	assert_string_equal(forged->issuer, "CN=Fina RDC 2020,O=Financijska agencija,C=HR");
	assert_string_equal(rdc->subject, forged->issuer);
	assert_string_equal(rdc->organization, "Financijska agencija");
	assert_int_equal(forged->sans_count, 1);
	assert_string_equal(forged->sans[0].text, "1.1.1.1");
}

static void test_odd_san(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate("odd-nul.pem");

	(void)state;
	assert_true(c->parsed);
	assert_int_equal(c->sans_count, 2);
	assert_string_equal(c->sans[0].text, "good.example\\x00.evil.example");
	assert_true(c->sans[0].odd);
	assert_string_equal(c->sans[1].text, "evil.example");
	assert_false(c->sans[1].odd);
}

static void test_odd_text(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate("odd-text.pem");

	(void)state;
	assert_true(c->parsed);
	assert_string_equal(c->common_name, "a\"b\\x0ac\\\\d, e\\xe2\\x80\\xaef\\x00g\xc3\xa9");
	assert_string_equal(c->subject, "CN=a\\\"b\\x0ac\\\\d\\, e\\xe2\\x80\\xaef\\x00g\xc3\xa9");
}

static void test_odd_numbers(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *negative = fixture_certificate("odd-serial.pem");
	CLEANUP_CERTIFICATE struct certificate *expired = fixture_certificate("expired-leaf.pem");
	CLEANUP_CERTIFICATE struct certificate *first = fixture_certificate("v1-root.pem");

	(void)state;
	assert_string_equal(negative->serial, "-1234");
	assert_int_equal(expired->not_before, 1546300800); /* 2019-01-01 */
	assert_int_equal(expired->not_after, 1577836800);  /* 2020-01-01 */
	assert_int_equal(first->sans_count, 0);
}

static void test_broken_san(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate("broken-san.pem");

	(void)state;
	assert_true(c->parsed);
	assert_string_equal(c->error, "subjectAltName is broken");
	assert_int_equal(c->sans_count, 0);
	assert_int_equal(c->sans_total, 0);
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_unparsed(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *utf8 = fixture_certificate("odd-utf8.pem");
	CLEANUP_CERTIFICATE struct certificate *good = fixture_certificate("good-leaf.pem");
	CLEANUP_CERTIFICATE struct certificate *more = NULL;
	CLEANUP_FREE uint8_t *longer = xcalloc(good->der_len + 1, 1);

	(void)state;
	assert_false(utf8->parsed);
	assert_non_null(utf8->error);
	assert_null(utf8->x509);
	assert_true(utf8->der_len > 100);
	memcpy(longer, good->der, good->der_len);
	assert_int_equal(certificate_new(longer, good->der_len + 1, &more), 0);
	assert_false(more->parsed);
	assert_string_equal(more->error, "bytes after the certificate");
	assert_null(more->subject);
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(certificate_new(longer, 0, &more), -EINVAL);
	assert_int_equal(certificate_new(longer, CERTIFICATE_DER_MAX + 1, &more), -EINVAL);
}

/* BER that OpenSSL takes and der.h does not: the certificate around its parts with an indefinite length. */
static void test_indefinite_length(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *good = fixture_certificate("good-leaf.pem");
	CLEANUP_CERTIFICATE struct certificate *c = NULL;
	struct der_bytes bytes = {good->der, good->der_len};
	CLEANUP_FREE uint8_t *ber = xcalloc(good->der_len + 4, 1);
	struct der_element whole;

	(void)state;
	assert_true(der_next(&bytes, &whole));
	ber[0] = DER_SEQUENCE;
	ber[1] = 0x80;
	memcpy(ber + 2, whole.content, whole.content_len);
	assert_int_equal(certificate_new(ber, whole.content_len + 4, &c), 0);
	assert_true(c->parsed);
	assert_memory_equal(c->spki_sha256, good->spki_sha256, SHA256_BYTES);
	assert_memory_not_equal(c->sha256, good->sha256, SHA256_BYTES);
}

/* 2,000 names are listed. */
static void test_many_sans(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *c = fixture_certificate("many-sans.pem");

	(void)state;
	assert_int_equal(c->sans_count, 2000);
	assert_string_equal(c->sans[1999].text, "h1997.example.com");
}

/* More names than SANS_MAX are counted. DER of a certificate with that many empty DNS names; no other name in it. */
static int der_with_sans(EVP_PKEY *key, int count, unsigned char **ret)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	X509 *x509 = X509_new();
	int len;

	for (int i = 0; i < count; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();

		GENERAL_NAME_set0_value(name, GEN_DNS, ASN1_IA5STRING_new());
		assert_true(sk_GENERAL_NAME_push(names, name) > 0);
	}
	assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
	assert_int_equal(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	assert_int_equal(X509_set_pubkey(x509, key), 1);
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	len = i2d_X509(x509, ret);
	GENERAL_NAMES_free(names);
	X509_free(x509);
	return len;
}

static void test_sans_beyond_the_bound(void **state)
{
	enum { COUNT = 30000 };
	CLEANUP_CERTIFICATE struct certificate *c = NULL;
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	unsigned char *der = NULL;
	int len = der_with_sans(key, COUNT, &der);

	(void)state;
	assert_int_equal(certificate_new(der, (size_t)len, &c), 0);
	assert_true(c->parsed);
	assert_null(c->error);
	assert_int_equal(c->sans_count, SANS_MAX);
	assert_int_equal(c->sans_total, COUNT);
	assert_string_equal(c->subject, "");
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

/* Every fixture, taken apart as the probes do and put together again, is the same, byte for byte. */
static void test_from_parts(void **state)
{
	DIR *directory = opendir(FIXTURES);
	size_t tried = 0;

	(void)state;
	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));) {
		CLEANUP_CHAIN struct fixture_chain chain = {0};
		const char *suffix = strstr(entry->d_name, ".pem");

		if (!suffix)
			continue;
		chain = fixture_chain(entry->d_name);
		for (size_t i = 0; i < chain.count; i++) {
			CLEANUP_CERTIFICATE struct certificate *again = NULL;
			const struct certificate *c = chain.certs[i];
			struct der_bytes bytes = {c->der, c->der_len};
			struct der_element whole, tbs, algorithm, signature;

			assert_true(der_next(&bytes, &whole));
			bytes = (struct der_bytes){whole.content, whole.content_len};
			assert_true(der_next(&bytes, &tbs) && der_next(&bytes, &algorithm) && der_next(&bytes, &signature));
			assert_int_equal(certificate_new_from_parts(tbs.whole, tbs.whole_len, signature.content + 1,
								    signature.content_len - 1, signature.content[0], &again),
					 0);
			assert_int_equal(again->der_len, c->der_len);
			assert_memory_equal(again->der, c->der, c->der_len);
			assert_int_equal(again->parsed, c->parsed);
			tried++;
		}
	}
	closedir(directory);
	assert_true(tried > 100);
}

static void test_from_broken_parts(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *good = fixture_certificate("good-leaf.pem");
	CLEANUP_CERTIFICATE struct certificate *c = NULL, *whole = NULL, *bits = NULL;
	static const uint8_t tbs[] = {0x30, 3, 2, 1, 1};

	(void)state;
	assert_int_equal(certificate_new_from_parts(tbs, sizeof(tbs), (const uint8_t *)"ab", 2, 0, &c), 0);
	assert_false(c->parsed);
	assert_string_equal(c->error, "TBSCertificate is broken");
	assert_int_equal(c->der_len, 7);
	assert_memory_equal(c->der,
			    "\x30\x03\x02\x01\x01"
			    "ab",
			    7);
	/* A whole certificate is no TBSCertificate, though its bytes would parse. */
	assert_int_equal(certificate_new_from_parts(good->der, good->der_len, NULL, 0, 0, &whole), 0);
	assert_false(whole->parsed);
	assert_memory_equal(whole->sha256, good->sha256, SHA256_BYTES);
	assert_int_equal(certificate_new_from_parts(good->der, good->der_len, NULL, 0, 8, &bits), 0);
	assert_false(bits->parsed);
	assert_int_equal(certificate_new_from_parts(good->der, 0, NULL, 0, 0, &c), -EINVAL);
	assert_int_equal(certificate_new_from_parts(good->der, CERTIFICATE_DER_MAX, good->der, 1, 0, &c), -EINVAL);
}

/* Cut anywhere, and with each byte changed in three ways: nothing but a certificate comes out. Sanitizers watch. */
static void test_mutations(void **state)
{
	static const char *const files[] = {"genuine-1111.pem", "odd-text.pem", "client-good.pem"};

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		CLEANUP_CERTIFICATE struct certificate *good = fixture_certificate(files[f]);

		for (size_t i = 0; i < good->der_len; i++) {
			static const uint8_t masks[] = {0x01, 0x80, 0xff};

			for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
				CLEANUP_CERTIFICATE struct certificate *c = NULL, *cut = NULL;
				CLEANUP_FREE uint8_t *der = memcpy(xcalloc(good->der_len, 1), good->der, good->der_len);

				der[i] ^= masks[m];
				assert_int_equal(certificate_new(der, good->der_len, &c), 0);
				assert_true(c->parsed ? c->subject && c->issuer && c->serial : !!c->error);
				assert_false(certificate_issued_by(c, c));
				assert_int_equal(certificate_new_from_parts(der, good->der_len, der, i, 0, &cut), 0);
			}
			if (i > 0) {
				CLEANUP_CERTIFICATE struct certificate *c = NULL;

				assert_int_equal(certificate_new(good->der, i, &c), 0);
				assert_false(c->parsed);
			}
		}
	}
}

static void test_issued_by(void **state)
{
	static const struct {
		const char *subject, *issuer;
		bool issued;
	} links[] = {
		{"good-leaf.pem", "good-int.pem", true},        {"good-int.pem", "good-root.pem", true},
		{"good-root.pem", "good-root.pem", true},       {"good-leaf.pem", "good-root.pem", false},
		{"good-leaf.pem", "lookalike-int.pem", false},  {"good-leaf.pem", "good-leaf.pem", false},
		{"forged-leaf.pem", "rogue-int.pem", true},     {"forged-leaf.pem", "good-int.pem", false},
		{"rsa-leaf.pem", "rsa-root.pem", true},         {"rsapss-leaf.pem", "rsapss-root.pem", true},
		{"ed25519-leaf.pem", "ed25519-root.pem", true}, {"cross-leaf.pem", "cross-int-a.pem", true},
		{"cross-leaf.pem", "cross-int-b.pem", true},    {"cross-int-a.pem", "cross-root-b.pem", false},
		{"many-sans.pem", "good-int.pem", true},        {"odd-text.pem", "good-int.pem", true},
		{"odd-utf8.pem", "good-int.pem", false},        {"good-leaf.pem", "odd-utf8.pem", false},
		{"v1-root.pem", "v1-root.pem", true},           {"self-signed.pem", "self-signed.pem", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		CLEANUP_CERTIFICATE struct certificate *subject = fixture_certificate(links[i].subject);
		CLEANUP_CERTIFICATE struct certificate *issuer = fixture_certificate(links[i].issuer);

		if (certificate_issued_by(subject, issuer) != links[i].issued)
			fail_msg("%s by %s", links[i].subject, links[i].issuer);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

/* A signature of the right key over other bytes proves nothing. */
static void test_changed_after_signing(void **state)
{
	CLEANUP_CERTIFICATE struct certificate *good = fixture_certificate("good-leaf.pem");
	CLEANUP_CERTIFICATE struct certificate *issuer = fixture_certificate("good-int.pem");
	CLEANUP_CERTIFICATE struct certificate *changed = NULL;
	uint8_t *at = memmem(good->der, good->der_len, "localhost", 9);

	(void)state;
	assert_non_null(at);
	at[0] = 'L';
	assert_int_equal(certificate_new(good->der, good->der_len, &changed), 0);
	assert_true(changed->parsed);
	assert_false(certificate_issued_by(changed, issuer));
}

/* In a process that dies of opening any file: parses and proves a chain of each algorithm. Gives its exit code. */
static int prove_without_files(char *const *texts, size_t count)
{
	static const int forbidden[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(socket)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, forbidden[i], 0) < 0)
			return 1;
	if (seccomp_load(filter) < 0)
		return 2;
	for (size_t i = 0; i < count; i++) {
		CLEANUP_CHAIN struct fixture_chain chain = {0};

		if (certificates_from_pem(texts[i], strlen(texts[i]), &chain.certs, &chain.count) < 0)
			return 3;
		for (size_t j = 0; j + 1 < chain.count; j++)
			if (!certificate_issued_by(chain.certs[j], chain.certs[j + 1]))
				return 4;
	}
	return 0;
}

/* The program for this test is started anew, so that nothing in OpenSSL is warm but what certificate_init warms. */
static int main_without_files(void)
{
	static const char *const files[] = {"good-leaf.full.pem",    "rsa-leaf.full.pem",   "rsapss-leaf.full.pem",
					    "ed25519-leaf.full.pem", "ed448-leaf.full.pem", "dsa-leaf.full.pem",
					    "p384-leaf.full.pem",    "p521-leaf.full.pem"};
	char *texts[ARRAY_SIZE(files)];
	struct rlimit none = {0, 0};
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		texts[i] = fixture_text(files[i], &len);
	setrlimit(RLIMIT_CORE, &none);
	certificate_init();
	return prove_without_files(texts, ARRAY_SIZE(files));
}

static void test_opens_nothing_after_init(void **state)
{
	pid_t child = fork();
	int status = 0;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		execl("/proc/self/exe", "test_certificate", "without-files", (char *)NULL);
		_exit(9);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_incident_names),
		cmocka_unit_test(test_odd_san),
		cmocka_unit_test(test_odd_text),
		cmocka_unit_test(test_odd_numbers),
		cmocka_unit_test(test_broken_san),
		cmocka_unit_test(test_unparsed),
		cmocka_unit_test(test_indefinite_length),
		cmocka_unit_test(test_many_sans),
		cmocka_unit_test(test_sans_beyond_the_bound),
		cmocka_unit_test(test_from_parts),
		cmocka_unit_test(test_from_broken_parts),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_issued_by),
		cmocka_unit_test(test_changed_after_signing),
		cmocka_unit_test(test_opens_nothing_after_init),
	};

	if (argc > 1 && !strcmp(argv[1], "without-files"))
		_exit(main_without_files());
	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
