/* peer_name.h: RFC 9525 by table, and against OpenSSL's own answer where both must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/x509v3.h>

#include "fixture.h"
#include "peer_name.h"
#include "random_case.h"

/* A certificate whose subjectAltName is of these dNSNames. The signature is of no interest. */
static struct certificate *made(const char *const *names, size_t count)
{
	static EVP_PKEY *key;
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
	struct certificate *certificate = NULL;
	X509 *x509 = X509_new();
	unsigned char *der = NULL;
	int len;

	if (!key)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < count; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		assert_int_equal(ASN1_STRING_set(text, names[i], -1), 1);
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		assert_true(sk_GENERAL_NAME_push(list, name) > 0);
	}
	assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
	assert_int_equal(X509_add1_ext_i2d(x509, NID_subject_alt_name, list, 0, 0), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	assert_int_equal(X509_set_pubkey(x509, key), 1);
	assert_true(X509_sign(x509, key, NULL) > 0);
	len = i2d_X509(x509, &der);
	assert_int_equal(certificate_new(der, (size_t)len, &certificate), 0);
	assert_true(certificate->parsed);
	OPENSSL_free(der);
	X509_free(x509);
	GENERAL_NAMES_free(list);
	return certificate;
}

static bool matches(const char *san, const char *name)
{
	CLEANUP(certificate_freep) struct certificate *leaf = made(&san, 1);

	return peer_name_matches(leaf, name);
}

static void names(void **state)
{
	(void)state;
	assert_true(matches("www.example.com", "www.example.com"));
	assert_true(matches("WWW.Example.com", "www.eXample.COM"));
	assert_true(matches("www.example.com", "www.example.com."));
	assert_true(matches("localhost", "localhost"));
	assert_true(matches("_dns.resolver-1.test", "_dns.resolver-1.test"));
	assert_true(matches("xn--mnchen-3ya.example", "XN--mnchen-3ya.example"));
	assert_false(matches("www.example.com", "example.com"));
	assert_false(matches("example.com", "www.example.com"));
	assert_false(matches("www.example.com", "www.example.com.."));
	assert_false(matches("www.example.com", "www.example.co"));
	assert_false(matches("www.example.com", "xww.example.com"));
	assert_false(matches("www.example.com", "www.example.com.evil.test"));
	/* A dNSName has no final dot (RFC 5280 4.2.1.6). */
	assert_false(matches("www.example.com.", "www.example.com."));
	assert_false(matches("www.example.com.", "www.example.com"));
	/* Nor an empty label, which some take for "any name beneath". */
	assert_false(matches("www.example.com", ".example.com"));
	assert_false(matches(".example.com", "www.example.com"));
	assert_false(matches(".example.com", ".example.com"));
	assert_false(matches("", ""));
	assert_false(matches(".", "."));
	assert_false(matches("", "."));
}

static void wildcards(void **state)
{
	(void)state;
	assert_true(matches("*.example.com", "www.example.com"));
	assert_true(matches("*.EXAMPLE.com", "www.example.com."));
	assert_true(matches("*.example.com", "xn--mnchen-3ya.example.com"));
	assert_false(matches("*.example.com", "example.com"));
	assert_false(matches("*.example.com", ".example.com"));
	assert_false(matches("*.example.com", "a.b.example.com"));
	assert_false(matches("*.example.com", "wwwexample.com"));
	assert_false(matches("*.example.com.", "www.example.com"));
	/* Two labels more, and the whole label. */
	assert_false(matches("*.com", "example.com"));
	assert_false(matches("*.com.", "example.com."));
	assert_false(matches("*", "localhost"));
	assert_false(matches("*.", "localhost."));
	assert_false(matches("w*.example.com", "www.example.com"));
	assert_false(matches("*w.example.com", "www.example.com"));
	assert_false(matches("w*w.example.com", "www.example.com"));
	assert_false(matches("**.example.com", "www.example.com"));
	assert_false(matches("www.*.com", "www.example.com"));
	assert_false(matches("*.*.com", "www.example.com"));
	assert_false(matches("*..example.com", "www..example.com"));
	/* Nobody asks for a star. */
	assert_false(matches("*.example.com", "*.example.com"));
	assert_false(matches("www.example.com", "*.example.com"));
}

static void odd_names(void **state)
{
	char longest[300];

	(void)state;
	assert_false(matches("a\\b.example.com", "a\\b.example.com"));
	assert_false(matches("a\\b.example.com", "a\\\\b.example.com"));
	assert_false(matches("a b.example.com", "a b.example.com"));
	assert_false(matches("*.example.com", "a b.example.com"));
	assert_false(matches("*.example.com", "a\nb.example.com"));
	assert_false(matches("*.example.com", "a\\x00b.example.com"));
	assert_false(matches("m\xc3\xbcnchen.example", "m\xc3\xbcnchen.example"));
	assert_false(matches("*.example.com", "m\xc3\xbcnchen.example.com"));
	assert_false(matches("[::1]", "[::1]"));

	memset(longest, 'a', sizeof(longest));
	for (size_t i = 49; i < 253; i += 50)
		longest[i] = '.';
	longest[253] = '\0';
	assert_true(matches(longest, longest));
	longest[253] = 'a';
	longest[254] = '\0';
	assert_false(matches(longest, longest));
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 63, ".example.com");
	assert_true(matches("*.example.com", longest));
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 64, ".example.com");
	assert_false(matches("*.example.com", longest));
}

/* Text that looks like an address is looked for among addresses, and text that a resolver may take for one nowhere. */
static void addresses(void **state)
{
	static const char *const not_names[] = {"1.1.1.1", "1.1.1.1.", "127.1", "2130706433", "0x7f000001",
						"127.0x1", "0x.1",     "1.0X",  "::1",        "1.1.1"};
	CLEANUP(certificate_freep) struct certificate *good = fixture_certificate("good-leaf.pem");
	CLEANUP(certificate_freep) struct certificate *forged = fixture_certificate("forged-1111.pem");

	(void)state;
	assert_true(peer_name_matches(good, "127.0.0.1"));
	assert_true(peer_name_matches(good, "::ffff:127.0.0.1"));
	assert_true(peer_name_matches(good, "::1"));
	assert_true(peer_name_matches(good, "0:0:0:0:0:0:0:1"));
	assert_true(peer_name_matches(good, "LOCALHOST"));
	assert_false(peer_name_matches(good, "127.0.0.2"));
	assert_false(peer_name_matches(good, "127.0.0.1."));
	assert_false(peer_name_matches(good, "[::1]"));
	assert_false(peer_name_matches(good, "::1%lo"));
	assert_true(peer_name_matches(forged, "1.1.1.1"));
	assert_false(peer_name_matches(forged, "one.one.one.one"));
	for (size_t i = 0; i < ARRAY_SIZE(not_names); i++)
		assert_false(matches(not_names[i], not_names[i]));
	assert_false(matches("*.1.1.1", "1.1.1.1"));
	assert_false(matches("*.1.1.1", "a.1.1.1"));
	assert_true(matches("1.1.1.1a", "1.1.1.1a"));
	assert_true(matches("0xg", "0xg"));
}

/* The subject's common name is "localhost" or "good.example" in all of these. */
static void the_common_name_never_counts(void **state)
{
	static const char *const none[] = {"good.example"};
	CLEANUP(certificate_freep) struct certificate *nul = fixture_certificate("odd-nul.pem");
	CLEANUP(certificate_freep) struct certificate *broken = fixture_certificate("broken-san.pem");
	CLEANUP(certificate_freep) struct certificate *unparsed = fixture_certificate("odd-utf8.pem");
	CLEANUP(certificate_freep) struct certificate *many = fixture_certificate("many-sans.pem");
	CLEANUP(certificate_freep) struct certificate *root = fixture_certificate("good-root.pem");

	(void)state;
	assert_false(peer_name_matches(nul, none[0]));
	assert_false(peer_name_matches(nul, "good.example\\x00.evil.example"));
	assert_true(peer_name_matches(nul, "evil.example"));
	assert_false(peer_name_matches(broken, "localhost"));
	assert_false(peer_name_matches(unparsed, "localhost"));
	assert_true(peer_name_matches(many, "h1997.example.com"));
	assert_false(peer_name_matches(many, "h1998.example.com"));
	assert_false(peer_name_matches(root, "Good Root"));
}

/* Two extensions, the first of which has the name: a verifier reads the one, the other or none. */
static void two_extensions(void **state)
{
	const char *names[] = {"www.example.com"};
	CLEANUP(certificate_freep) struct certificate *one = made(names, 1), *two = NULL;
	X509 *x509 = X509_dup(one->x509);
	unsigned char *der = NULL;
	int len;

	(void)state;
	assert_true(peer_name_matches(one, names[0]));
	assert_int_equal(X509_add_ext(x509, X509_get_ext(x509, 0), -1), 1);
	len = i2d_re_X509_tbs(x509, NULL);
	assert_true(len > 0);
	len = i2d_X509(x509, &der);
	assert_int_equal(certificate_new(der, (size_t)len, &two), 0);
	assert_true(two->parsed);
	assert_int_equal(two->sans_count, 2);
	assert_false(peer_name_matches(two, names[0]));
	OPENSSL_free(der);
	X509_free(x509);
}

static char *random_name(bool pattern)
{
	static const char *const labels[] = {"a", "b", "A", "ab", "a-b", "xn--a", "1", "com", "*", "a*", "**", ""};
	size_t kinds = pattern ? ARRAY_SIZE(labels) : 8, count = 1 + random_below(4);
	char *name = xstrdup(pattern && random_below(3) == 0 ? "*" : labels[random_below(kinds)]);

	for (size_t i = 1; i < count; i++) {
		CLEANUP_FREE char *shorter = name;

		name = xasprintf("%s.%s", shorter, labels[random_below(kinds)]);
	}
	return name;
}

/* X509_check_host() has its own ideas of a last label that is a number, of a name that begins with a dot, and of '_' behind a
 * wildcard: the names here have no dot in front and no '_'. */
static void as_openssl_has_it(void **state)
{
	enum { CERTIFICATES = 400, NAMES = 60, SANS = 3 };
	const unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	size_t matched = 0;

	(void)state;
	random_start();
	for (int i = 0; i < CERTIFICATES; i++) {
		char *sans[SANS];
		struct certificate *leaf;

		for (size_t j = 0; j < SANS; j++)
			sans[j] = random_name(true);
		leaf = made((const char *const *)sans, SANS);
		for (int j = 0; j < NAMES; j++) {
			CLEANUP_FREE char *name = random_name(false);
			const char *last = strrchr(name, '.');
			bool want = X509_check_host(leaf->x509, name, 0, flags, NULL) == 1;

			if (!strcmp(last ? last + 1 : name, "1"))
				want = false;
			if (peer_name_matches(leaf, name) != want)
				fail_msg("%s in %s, %s, %s: not as OpenSSL has it (%d)", name, sans[0], sans[1], sans[2],
					 want);
			matched += want;
		}
		for (size_t j = 0; j < SANS; j++)
			free(sans[j]);
		certificate_free(leaf);
	}
	assert_true(matched > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(wildcards),
		cmocka_unit_test(odd_names),
		cmocka_unit_test(addresses),
		cmocka_unit_test(the_common_name_never_counts),
		cmocka_unit_test(two_extensions),
		cmocka_unit_test(as_openssl_has_it),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
