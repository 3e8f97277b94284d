/* Certificates that nobody makes in good faith (tests/fixtures/hostile.py): of each comes a certificate whose texts are safe
 * to print, or a refusal that says why; and a verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "fixture.h"
#include "path.h"
#include "policy.h"

/* What comes of the bytes. */
enum outcome {
	REFUSED,    /* too many bytes: -EINVAL */
	NO_X509,    /* "not an X.509 certificate" */
	BYTES_LEFT, /* "bytes after the certificate" */
	BROKEN_SAN, /* "subjectAltName is broken" */
	FINE,
};

static const struct {
	const char *file;
	enum outcome outcome;
} expected[] = {
	{"algorithm-pss-garbage", FINE},
	{"algorithm-unknown", FINE},
	{"basic-garbage", FINE},
	{"basic-huge-length", FINE},
	{"basic-length-of-2-to-31", FINE},
	{"basic-length-of-2-to-32", FINE},
	{"basic-length-of-no-ca", FINE},
	{"basic-negative-length", FINE},
	{"basic-twice", FINE},
	{"bmp-odd", NO_X509},
	{"bmp-surrogate", NO_X509},
	{"bytes-after", BYTES_LEFT},
	{"constraints-1500", FINE},
	{"constraints-empty", FINE},
	{"constraints-garbage", FINE},
	{"crl-points-garbage", FINE},
	{"cut-in-half", NO_X509},
	{"cut", NO_X509},
	{"directions-in-names", FINE},
	{"escapes-in-names", FINE},
	{"extension-nested-10000", FINE},
	{"extension-without-value", NO_X509},
	{"extensions-3000", FINE},
	{"extensions-none", FINE},
	{"indefinite-length", NO_X509},
	{"key-dsa-garbage", FINE},
	{"key-ec-binary-curve", FINE},
	{"key-ec-garbage-curve", FINE},
	{"key-ec-infinity", FINE},
	{"key-ec-no-curve", FINE},
	{"key-ec-off-curve", FINE},
	{"key-ec-unknown-curve", FINE},
	{"key-ed25519-short", FINE},
	{"key-garbage", FINE},
	{"key-rsa-16384", FINE},
	{"key-rsa-500000", FINE},
	{"key-rsa-even", FINE},
	{"key-rsa-negative", FINE},
	{"key-rsa-of-nothing", FINE},
	{"key-dh", FINE},
	{"key-ed448", FINE},
	{"key-x25519", FINE},
	{"key-x448", FINE},
	{"key-unknown", FINE},
	{"key-without-bits", FINE},
	{"length-of-4-gigabytes", NO_X509},
	{"length-of-9-bytes", NO_X509},
	{"name-empty", FINE},
	{"name-of-3000-parts", FINE},
	{"name-of-50000", FINE},
	{"name-of-empty-set", FINE},
	{"name-of-long-oid", FINE},
	{"name-of-no-string", NO_X509},
	{"nested-15000", NO_X509},
	{"newlines-in-names", FINE},
	{"nul-in-names", FINE},
	{"one-byte", NO_X509},
	{"ones", NO_X509},
	{"overlong-utf8", NO_X509},
	{"policies-garbage", FINE},
	{"quotes-in-names", FINE},
	{"san-bytes-after", BROKEN_SAN},
	{"san-empty", FINE},
	{"san-garbage", BROKEN_SAN},
	{"san-mapped-address", FINE},
	{"san-nested-2000", BROKEN_SAN},
	{"san-of-nothing", BROKEN_SAN},
	{"san-of-odd-addresses", FINE},
	{"san-tag-9", BROKEN_SAN},
	{"san-twice", BROKEN_SAN},
	{"sans-10000-long", REFUSED},
	{"sans-10000", FINE},
	{"sans-of-each-kind", FINE},
	{"scts-garbage", FINE},
	{"serial-empty", NO_X509},
	{"serial-negative", FINE},
	{"serial-of-5000-bytes", FINE},
	{"serial-padded", NO_X509},
	{"serial-zero", FINE},
	{"signature-9-bits-unused", NO_X509},
	{"signature-empty", FINE},
	{"signature-of-60000", FINE},
	{"signature-of-negative", FINE},
	{"size-200-kilobytes", REFUSED},
	{"size-just-fits", FINE},
	{"size-just-too-large", REFUSED},
	{"surrogates-in-utf8", NO_X509},
	{"time-backwards", FINE},
	{"time-day-31-february", FINE},
	{"time-empty", FINE},
	{"time-of-letters", FINE},
	{"time-with-zone", FINE},
	{"time-without-seconds", FINE},
	{"time-year-0", FINE},
	{"time-year-9999", FINE},
	{"two-algorithms", FINE},
	{"unique-ids", FINE},
	{"universal-beyond", NO_X509},
	{"unknown-critical", FINE},
	{"usage-empty", FINE},
	{"usage-garbage", FINE},
	{"version-4", FINE},
	{"version-huge", FINE},
	{"version-negative", FINE},
	{"zeroes", NO_X509},
};

static enum outcome outcome_of(int r, const struct certificate *certificate)
{
	static const char *const errors[] = {
		[NO_X509] = "not an X.509 certificate",
		[BYTES_LEFT] = "bytes after the certificate",
		[BROKEN_SAN] = "subjectAltName is broken",
	};

	if (r < 0) {
		assert_int_equal(r, -EINVAL);
		return REFUSED;
	}
	if (!certificate->error)
		return FINE;
	for (size_t i = NO_X509; i < ARRAY_SIZE(errors); i++)
		if (strcmp(certificate->error, errors[i]) == 0)
			return i;
	fail_msg("%s", certificate->error);
	return REFUSED;
}

/* Nothing in it that text_escape would have to change, but the backslashes that it or RFC 2253 wrote. */
static void expect_safe(const char *text)
{
	CLEANUP_FREE char *escaped = NULL;
	size_t backslashes = 0;

	assert_non_null(text);
	escaped = text_escape(text, strlen(text));
	for (const char *p = text; *p; p++)
		backslashes += *p == '\\';
	assert_int_equal(strlen(escaped), strlen(text) + backslashes);
}

static void expect_facts(const struct certificate *c)
{
	if (!c->parsed)
		return;
	expect_safe(c->subject);
	expect_safe(c->issuer);
	expect_safe(c->serial);
	if (c->common_name)
		expect_safe(c->common_name);
	for (size_t i = 0; i < c->sans_count; i++)
		expect_safe(c->sans[i].text);
	assert_true(c->sans_count <= c->sans_total);
	assert_non_null(c->key_algorithm);
	assert_non_null(c->signature_algorithm);
}

static struct policies *some_policies(void)
{
	static const char text[] =
		"version: 1\nname: p\nrules:\n"
		"  - {id: unproven, match: [{any: true}], require: {issuer_in: &}}\n"
		"  - {id: named, match: [{san_dns: \"**.example\"}, {san_ip: 0.0.0.0/0}], require: {verified: true}}\n"
		"  - {id: forbidden, match: [{any: true}], forbid: {key_in: &}}\n";
	static const char pin[] = "[{name: x, spki_sha256: \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}]";
	CLEANUP(problems_clear) struct problems problems = {0};
	char whole[sizeof(text) + 2 * sizeof(pin)], *at = whole;
	struct policy_source source = {"f", whole, 0};
	struct policies *policies = NULL;

	for (const char *p = text; *p; p++) {
		if (*p == '&')
			at = stpcpy(at, pin);
		else
			*at++ = *p;
	}
	source.len = (size_t)(at - whole);
	assert_int_equal(policies_parse(&source, 1, &policies, &problems), 0);
	return policies;
}

/* As a leaf, as an issuer beside a good one, and as its own. */
static void expect_verdict(const struct certificate *c, const struct policies *policies)
{
	CLEANUP(fixture_chain_clear) struct fixture_chain good = fixture_chain("good-leaf.full.pem");
	struct facts facts = {.role = FACTS_ROLE_CLIENT, .verify = VERIFY_FAILED, .verify_mode = "peer", .certs_count = 4};
	struct verdict verdict;

	for (size_t i = 0; i < 2; i++) {
		facts.certs[i] = (struct fact_cert){.certificate = i ? good.certs[0] : c, .presented = true};
		facts.certs[1 - i].certificate = i ? c : good.certs[0];
		facts.certs[2].certificate = good.certs[1];
		facts.certs[3].certificate = good.certs[2];
		assert_true(path_prove(&facts, NULL));
		assert_true(facts.path_count <= 1);
		policies_judge(policies, &facts, 1800000000, false, &verdict);
		assert_true(verdict.count > 0);
		for (size_t v = 0; v < verdict.count; v++)
			expect_safe(verdict.violations[v].reason);
		verdict_clear(&verdict);
		facts.certs[0].certificate = NULL;
	}
}

static void each_is_read_or_refused(void **state)
{
	struct policies *policies = some_policies();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		CLEANUP_FREE char *file = xasprintf("hostile/%s.der", expected[i].file);
		CLEANUP(certificate_freep) struct certificate *c = NULL;
		CLEANUP_FREE char *der = NULL;
		size_t len = 0;
		int r;

		der = fixture_text(file, &len);
		r = certificate_new((const uint8_t *)der, len, &c);
		if (outcome_of(r, c) != expected[i].outcome)
			fail_msg("%s: %s", expected[i].file, !c ? "refused" : c->error ? c->error : "fine");
		assert_int_equal(ERR_peek_error(), 0);
		if (r < 0)
			continue;
		assert_int_equal(c->parsed, expected[i].outcome >= BROKEN_SAN);
		expect_facts(c);
		expect_verdict(c, policies);
		/* Its key, if it has one that can be tried, has signed none of this. */
		assert_false(certificate_issued_by(c, c));
	}
	policies_free(policies);
}

static void none_is_left_out(void **state)
{
	CLEANUP_FREE char *directory = xasprintf("%s/hostile", FIXTURES);
	DIR *files = opendir(directory);
	size_t count = 0;

	(void)state;
	assert_non_null(files);
	for (struct dirent *entry; (entry = readdir(files));)
		count += strstr(entry->d_name, ".der") != NULL;
	closedir(files);
	assert_int_equal(count, ARRAY_SIZE(expected));
}

static struct certificate *hostile(const char *name)
{
	CLEANUP_FREE char *file = xasprintf("hostile/%s.der", name);
	struct certificate *c = NULL;
	CLEANUP_FREE char *der = NULL;
	size_t len = 0;

	der = fixture_text(file, &len);
	assert_int_equal(certificate_new((const uint8_t *)der, len, &c), 0);
	return c;
}

/* What the facts of some of them are. */
static void facts_of_some(void **state)
{
	CLEANUP(certificate_freep) struct certificate *nul = hostile("nul-in-names");
	CLEANUP(certificate_freep) struct certificate *many = hostile("sans-10000");
	CLEANUP(certificate_freep) struct certificate *negative = hostile("serial-negative");
	CLEANUP(certificate_freep) struct certificate *key = hostile("key-unknown");
	CLEANUP(certificate_freep) struct certificate *february = hostile("time-day-31-february");
	CLEANUP(certificate_freep) struct certificate *twice = hostile("basic-twice");
	CLEANUP(certificate_freep) struct certificate *mapped = hostile("san-mapped-address");
	CLEANUP(certificate_freep) struct certificate *large = hostile("basic-length-of-2-to-32");

	(void)state;
	assert_string_equal(nul->subject, "CN=a\\x00b");
	assert_string_equal(nul->sans[0].text, "a\\x00b.example");
	assert_true(nul->sans[0].odd);
	assert_int_equal(many->sans_count, SANS_MAX);
	assert_int_equal(many->sans_total, 10000);
	assert_string_equal(negative->serial, "-1234");
	assert_string_equal(key->key_algorithm, "unknown");
	assert_int_equal(key->key_bits, 0);
	assert_true(february->not_before == INT64_MIN && february->not_after == INT64_MAX);
	assert_false(twice->may_sign);
	assert_true(large->may_sign && large->path_len > FACTS_CERTS_MAX);
	assert_int_equal(mapped->sans[0].address.len, 4);
	assert_string_equal(mapped->sans[0].text, "1.1.1.1");
}

/* A key that does not decode is still named. */
static void names_of_keys(void **state)
{
	static const char *const kinds[][2] = {
		{"key-x25519", "X25519"},   {"key-x448", "X448"},   {"key-ed448", "ED448"},    {"key-dh", "DH"},
		{"key-dsa-garbage", "DSA"}, {"key-garbage", "RSA"}, {"key-ec-no-curve", "EC"}, {"key-unknown", "unknown"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		CLEANUP(certificate_freep) struct certificate *c = hostile(kinds[i][0]);

		assert_string_equal(c->key_algorithm, kinds[i][1]);
	}
}

static int init(void **state)
{
	(void)state;
	certificate_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_read_or_refused),
		cmocka_unit_test(none_is_left_out),
		cmocka_unit_test(facts_of_some),
		cmocka_unit_test(names_of_keys),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
