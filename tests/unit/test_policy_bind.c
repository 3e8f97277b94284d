/* Keys of the language that need files: trusted_by, ct and crl, both ways, judged over real certificates; what is said of files that
 * are missing or broken; and what becomes known by them: anchors and moments. */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fixture.h"
#include "path.h"
#include "policy.h"

enum { FILES_MAX = 4 };

/* A policy, the files that it names (by their order), and a chain. */
struct world {
	struct policies *policies;
	struct policy_content contents[FILES_MAX];
	char *texts[FILES_MAX];
	size_t count;
	struct fixture_chain chain;
	struct facts facts;
};

static void world_file(struct world *w, const char *fixture)
{
	size_t len = 0;

	w->texts[w->count] = fixture ? fixture_text(fixture, &len) : NULL;
	w->contents[w->count] = (struct policy_content){.data = w->texts[w->count], .len = len, .error = fixture ? 0 : 2};
	w->count++;
}

static void world_text(struct world *w, char *text, size_t len)
{
	w->texts[w->count] = text;
	w->contents[w->count++] = (struct policy_content){.data = text, .len = len};
}

static void world_policy(struct world *w, const char *head, const char *body)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	CLEANUP_FREE char *text = xasprintf("version: 1\nname: p\n%srules:\n  - {id: r, match: [{any: true}], %s}\n", head,
					    body);
	const struct policy_source source = {"/etc/p/f.yaml", text, strlen(text)};
	const struct policy_need *needs;

	if (policies_parse(&source, 1, &w->policies, &problems) < 0)
		fail_msg("%s: %s", body, problems.items[0].text);
	assert_int_equal(policies_needs(w->policies, &needs), w->count);
	if (policies_bind(w->policies, w->contents, &problems) < 0)
		fail_msg("%s: %s", body, problems.items[0].text);
}

/* The stores' certificates live as long as the policies. */
static void world_chain(struct world *w, const char *fixture)
{
	CLEANUP(anchors_freep) struct anchors *anchors = policies_anchors(w->policies, NULL);

	w->chain = fixture_chain(fixture);
	w->facts = (struct facts){.role = FACTS_ROLE_CLIENT, .verify_mode = "peer", .certs_count = w->chain.count};
	for (size_t i = 0; i < w->chain.count; i++)
		w->facts.certs[i] = (struct fact_cert){.certificate = w->chain.certs[i], .presented = true};
	path_prove(&w->facts, anchors);
}

static void world_clear(struct world *w)
{
	policies_free(w->policies);
	fixture_chain_clear(&w->chain);
	for (size_t i = 0; i < w->count; i++)
		free(w->texts[i]);
	memset(w, 0, sizeof(*w));
}

/* The reason in which wanted is found, or none at all if it is NULL. */
static void expect_at(struct world *w, int64_t now, const char *wanted)
{
	struct verdict verdict;

	policies_judge(w->policies, &w->facts, now, false, &verdict);
	if (!wanted && verdict.count)
		fail_msg("%s", verdict.violations[0].reason);
	if (wanted) {
		assert_int_equal(verdict.count, 1);
		if (!strstr(verdict.violations[0].reason, wanted))
			fail_msg("%s", verdict.violations[0].reason);
	}
	verdict_clear(&verdict);
}

static int64_t now(void)
{
	return time(NULL);
}

/* --- trusted_by ------------------------------------------------------------------------------------------------------- */

static void trusted_by(void **state)
{
	struct world w = {0};

	(void)state;
	world_file(&w, "good-root.pem");
	world_policy(&w, "sets: {trust_stores: {ours: roots.pem}}\n", "require: {trusted_by: ours}");
	world_chain(&w, "good-leaf.chain.pem");
	expect_at(&w, now(), NULL);
	expect_at(&w, 4102444800, "not trusted by @ours: certificate has expired");
	fixture_chain_clear(&w.chain);
	world_chain(&w, "forged-leaf.chain.pem");
	expect_at(&w, now(), "not trusted by @ours: ");
	w.facts.truncated = true;
	expect_at(&w, now(), "not trusted by @ours: ");
	world_clear(&w);
}

static void stores_in_place(void **state)
{
	const struct policy_need *needs;
	struct world w = {0};

	(void)state;
	world_file(&w, "good-root.pem");
	world_policy(&w, "", "require: {trusted_by: ./roots.pem}");
	assert_int_equal(policies_needs(w.policies, &needs), 1);
	assert_string_equal(needs[0].path, "/etc/p/./roots.pem");
	assert_int_equal(needs[0].kind, POLICY_TRUST_STORE);
	assert_int_equal(needs[0].line, 4);
	world_chain(&w, "good-leaf.chain.pem");
	expect_at(&w, now(), NULL);
	world_clear(&w);
}

/* The same path for the same use is one file; for another it is another. */
static void files_are_named_once(void **state)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	static const char text[] = "version: 1\nname: p\nsets: {trust_stores: {a: x.pem, b: x.pem}}\nrules:\n"
				   "  - {id: r, match: [{any: true}], require: {trusted_by: a}, forbid: {crl: x.pem}}\n"
				   "  - {id: s, match: [{any: true}], require: {trusted_by: {store: b, crl: [x.pem, y]}}}\n";
	static const char other[] = "version: 1\nname: q\nrules:\n"
				    "  - {id: r, match: [{any: true}], require: {trusted_by: /d/x.pem}}\n";
	const struct policy_source sources[] = {{"/d/f", text, sizeof(text) - 1}, {"/e/f", other, sizeof(other) - 1}};
	const struct policy_need *needs;
	struct policies *policies;

	(void)state;
	assert_int_equal(policies_parse(sources, 2, &policies, &problems), 0);
	assert_int_equal(policies_needs(policies, &needs), 3);
	assert_string_equal(needs[0].path, "/d/x.pem");
	assert_int_equal(needs[1].kind, POLICY_CRL);
	assert_string_equal(needs[1].path, "/d/x.pem");
	assert_string_equal(needs[2].path, "/d/y");
	policies_free(policies);
}

static void issuers_by_name(void **state)
{
	static const struct {
		const char *entries, *wanted;
	} cases[] = {
		{"{common_name: \"Good Intermediate\"}", NULL},
		{"{common_name: \"Good Root\"}", NULL},
		{"{organization: Nobody}, {common_name: \"Good Root\"}", NULL},
		{"{common_name: \"Good Root\", organization: Nobody}", "no key of the set in line 4"},
		{"{common_name: localhost}", "no key of the set in line 4"}, /* the leaf */
		{"{common_name: \"good root\"}", "no key of the set in line 4"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *body = xasprintf("require: {trusted_by: /s.pem, issuer_in: [%s]}", cases[i].entries);
		struct world w = {0};

		world_file(&w, "good-root.pem");
		world_policy(&w, "", body);
		world_chain(&w, "good-leaf.chain.pem");
		expect_at(&w, now(), cases[i].wanted);
		world_clear(&w);
	}
}

/* A CA of the right name that the store does not vouch for. */
static void issuer_name_needs_trust(void **state)
{
	struct world w = {0};

	(void)state;
	world_file(&w, "rogue-root.pem");
	world_policy(&w, "", "require: {trusted_by: /s.pem, issuer_in: [{common_name: \"Good Intermediate\"}]}");
	world_chain(&w, "good-leaf.chain.pem");
	expect_at(&w, now(), "no key of the set in line 4 on the proven path above the leaf");
	world_clear(&w);
}

/* --- ct --------------------------------------------------------------------------------------------------------------- */

static void transparency(void **state)
{
	static const struct {
		const char *ask, *chain, *wanted;
	} cases[] = {
		{"scts: 2, operators: 2", "ct/logged.chain.pem", NULL},
		{"scts: 1", "ct/logged.chain.pem", NULL},
		{"scts: 3", "ct/logged.chain.pem", "good SCTs: 2, logs: 2, operators: 2"},
		{"scts: 1", "ct/unlogged.chain.pem", "good SCTs: 0"},
		{"scts: 1", "ct/forged.chain.pem", "good SCTs: 0"},
		{"scts: 1", "ct/logged.pem", "good SCTs: 0"}, /* no issuer: nothing to check them with */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *body = xasprintf("require: {ct: {%s, logs: logs.json}}", cases[i].ask);
		struct world w = {0};

		world_file(&w, "ct/logs.json");
		world_policy(&w, "", body);
		world_chain(&w, cases[i].chain);
		expect_at(&w, now(), cases[i].wanted);
		world_clear(&w);
	}
}

static void stale_list_fails_nobody(void **state)
{
	const struct policy_moment *moments;
	struct world w = {0};

	(void)state;
	world_file(&w, "ct/logs-old.json");
	world_policy(&w, "", "require: {ct: {scts: 2, logs: logs.json}}");
	world_chain(&w, "ct/unlogged.chain.pem");
	expect_at(&w, now(), NULL);
	assert_int_equal(policies_moments(w.policies, &moments), 1);
	assert_true(moments[0].at < now());
	assert_non_null(strstr(moments[0].text, "CT log list is too old"));
	expect_at(&w, moments[0].at, NULL);
	expect_at(&w, moments[0].at - 1, "good SCTs: 0");
	world_clear(&w);
}

/* --- crl -------------------------------------------------------------------------------------------------------------- */

static X509 *x509_of(const char *fixture)
{
	size_t len;
	CLEANUP_FREE char *text = fixture_text(fixture, &len);
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x509);
	return x509;
}

static EVP_PKEY *key_of(const char *fixture)
{
	size_t len;
	CLEANUP_FREE char *text = fixture_text(fixture, &len);
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(key);
	return key;
}

/* A CRL by that CA (NAME.pem, NAME.key of the fixtures), good until a day from now, with that certificate on it if one is
 * named. PEM, new memory. */
static char *crl_make(const char *ca, const char *revoked, size_t *ret_len)
{
	CLEANUP_FREE char *ca_pem = xasprintf("%s.pem", ca), *ca_key = xasprintf("%s.key", ca);
	X509 *issuer = x509_of(ca_pem), *leaf = revoked ? x509_of(revoked) : NULL;
	EVP_PKEY *key = key_of(ca_key);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *when = ASN1_TIME_adj(NULL, now(), 0, -60);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, when);
	if (leaf) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(leaf));
		X509_REVOKED_set_revocationDate(entry, when);
		X509_CRL_add0_revoked(crl, entry);
	}
	ASN1_TIME_adj(when, now(), 1, 0);
	X509_CRL_set1_nextUpdate(crl, when);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
	len = BIO_get_mem_data(bio, &data);
	copy = xstrndup(data, (size_t)len);
	*ret_len = (size_t)len;
	BIO_free(bio);
	ASN1_TIME_free(when);
	X509_CRL_free(crl);
	X509_free(issuer);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return copy;
}

static void world_crl(struct world *w, const char *ca, const char *revoked)
{
	size_t len;
	char *text = crl_make(ca, revoked, &len);

	world_text(w, text, len);
}

static void forbid_crl(void **state)
{
	static const struct {
		const char *ca, *revoked, *wanted;
	} cases[] = {
		{"good-int", "good-leaf.pem", "revoked (unspecified, "},
		{"good-int", NULL, NULL},
		{"rogue-int", "good-leaf.pem", NULL}, /* another CA's list of numbers */
		{"good-root", "good-int.pem", "CN=Good Intermediate (presented)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct policy_moment *moments;
		struct world w = {0};

		world_crl(&w, cases[i].ca, cases[i].revoked);
		world_policy(&w, "", "forbid: {crl: a.crl}");
		world_chain(&w, "good-leaf.chain.pem");
		expect_at(&w, now(), cases[i].wanted);
		/* Old, but what was revoked stays so. */
		expect_at(&w, now() + 10 * 86400, cases[i].wanted);
		assert_int_equal(policies_moments(w.policies, &moments), 1);
		assert_non_null(strstr(moments[0].text, "nextUpdate"));
		world_clear(&w);
	}
}

static void trusted_by_with_crl(void **state)
{
	static const char body[] = "require: {trusted_by: {store: /s.pem, crl: [int.crl, root.crl]}}";
	struct world w = {0};

	(void)state;
	world_file(&w, "good-root.pem");
	world_crl(&w, "good-int", NULL);
	world_crl(&w, "good-root", NULL);
	world_policy(&w, "", body);
	world_chain(&w, "good-leaf.chain.pem");
	expect_at(&w, now(), NULL);
	expect_at(&w, now() + 10 * 86400, "CRL has expired");
	world_clear(&w);

	world_file(&w, "good-root.pem");
	world_crl(&w, "good-int", "good-leaf.pem");
	world_crl(&w, "good-root", NULL);
	world_policy(&w, "", body);
	world_chain(&w, "good-leaf.chain.pem");
	expect_at(&w, now(), "certificate revoked");
	world_clear(&w);

	/* Nobody knows of the leaf's CA. */
	world_file(&w, "good-root.pem");
	world_crl(&w, "good-root", NULL);
	world_policy(&w, "", "require: {trusted_by: {store: /s.pem, crl: root.crl}}");
	world_chain(&w, "good-leaf.chain.pem");
	expect_at(&w, now(), "unable to get certificate CRL");
	world_clear(&w);
}

/* --- files that are missing or broken ------------------------------------------------------------------------------------ */

static void broken_files_are_named(void **state)
{
	static char junk[] = "junk", broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	static const struct {
		const char *body, *data, *wanted;
	} cases[] = {
		{"require: {trusted_by: ./s.pem}", NULL, "the trust store /e/./s.pem: No such file"},
		{"require: {trusted_by: ./s.pem}", junk, "the trust store /e/./s.pem: no certificate in it"},
		{"require: {trusted_by: ./s.pem}", broken, "the trust store /e/./s.pem: no certificate in it"},
		{"require: {ct: {scts: 1, logs: l.json}}", NULL, "the CT log list /e/l.json: No such file"},
		{"require: {ct: {scts: 1, logs: l.json}}", junk, "the CT log list /e/l.json: "},
		{"forbid: {crl: [a.crl]}", NULL, "the CRL /e/a.crl: No such file"},
		{"forbid: {crl: [a.crl]}", junk, "the CRL /e/a.crl: "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(problems_clear) struct problems problems = {0};
		CLEANUP_FREE char *text = xasprintf(
			"version: 1\nname: p\nrules:\n  - id: r\n    match: [{any: true}]\n    %s\n", cases[i].body);
		const struct policy_source source = {"/e/f", text, strlen(text)};
		const struct policy_content content = {cases[i].data, cases[i].data ? strlen(cases[i].data) : 0,
						       cases[i].data ? 0 : 2};
		struct policies *policies;

		assert_int_equal(policies_parse(&source, 1, &policies, &problems), 0);
		assert_int_equal(policies_bind(policies, &content, &problems), -22);
		assert_int_equal(problems.count, 1);
		assert_string_equal(problems.items[0].file, "/e/f");
		assert_int_equal(problems.items[0].line, 6);
		if (!strstr(problems.items[0].text, cases[i].wanted))
			fail_msg("%s", problems.items[0].text);
		policies_free(policies);
	}
}

/* --- anchors and moments --------------------------------------------------------------------------------------------------- */

static void stores_are_anchors(void **state)
{
	CLEANUP(anchors_freep) struct anchors *anchors = NULL;
	struct world w = {0};

	(void)state;
	world_file(&w, "good-root.pem");
	world_policy(&w, "", "require: {trusted_by: /s.pem}");
	anchors = policies_anchors(w.policies, NULL);
	assert_non_null(anchors);
	assert_int_equal(anchors_count(anchors), 1);
	world_chain(&w, "good-leaf.chain.pem"); /* without the root */
	path_prove(&w.facts, anchors);
	assert_int_equal(w.facts.path_count, 3);
	assert_string_equal(w.facts.path[2]->common_name, "Good Root");
	world_clear(&w);
}

static void moments_tell_what_changes(void **state)
{
	static const char head[] = "expires: \"2030-01-01T00:00:00Z\"\nenforce_until: \"2029-01-01T00:00:00Z\"\n";
	const struct policy_moment *moments;
	struct world w = {0};

	(void)state;
	world_policy(&w, head, "require: {verified: true}");
	assert_int_equal(policies_moments(w.policies, &moments), 2);
	assert_int_equal(moments[0].at, 1893456000);
	assert_non_null(strstr(moments[0].text, "no longer applies"));
	assert_int_equal(moments[1].at, 1861920000);
	assert_non_null(strstr(moments[1].text, "audit from now on"));
	world_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trusted_by),
		cmocka_unit_test(stores_in_place),
		cmocka_unit_test(files_are_named_once),
		cmocka_unit_test(issuers_by_name),
		cmocka_unit_test(issuer_name_needs_trust),
		cmocka_unit_test(transparency),
		cmocka_unit_test(stale_list_fails_nobody),
		cmocka_unit_test(forbid_crl),
		cmocka_unit_test(trusted_by_with_crl),
		cmocka_unit_test(broken_files_are_named),
		cmocka_unit_test(stores_are_anchors),
		cmocka_unit_test(moments_tell_what_changes),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
