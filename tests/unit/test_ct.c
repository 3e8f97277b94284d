/* Embedded SCTs (ct.h): which are counted as what. Every leaf here is signed, and every SCT over the bytes of RFC 6962 3.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ct_world.h"
#include "fixture.h"

#define EARLIER (MS(NOW) - MS(86400))

static struct ct_count count_at(const struct ct_logs *logs, const struct certificate *leaf, const struct certificate *issuer,
				int64_t at)
{
	struct ct_count count = {99, 99, 99, 99, 99};

	ct_check(logs, leaf, issuer, at, &count);
	assert_true(count.known <= count.embedded && count.valid <= count.known);
	assert_true(count.logs <= count.valid && count.operators <= count.logs);
	assert_int_equal(ERR_peek_error(), 0);
	return count;
}

/* Five numbers at once, readable when they differ. Takes the leaf over. */
static void expect_at(int line, const struct ct_logs *logs, struct certificate *leaf, int64_t at, const char *want)
{
	struct ct_count c = count_at(logs, leaf, world.ca, at);
	CLEANUP_FREE char *got = xasprintf("%zu %zu %zu %zu %zu", c.embedded, c.known, c.valid, c.logs, c.operators);

	if (strcmp(got, want) != 0)
		fail_msg("line %d: %s instead of %s", line, got, want);
	certificate_free(leaf);
}
/* embedded, known, valid, logs, operators */
#define EXPECT(logs, leaf, want) expect_at(__LINE__, logs, leaf, NOW, want)

static void who_logged_it(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *two = LOGS({"A", LOG_A, NULL}, {"R", RSA_LOG, NULL});
	CLEANUP(ct_logs_freep) struct ct_logs *same = LOGS({"A", LOG_A, NULL}, {"B", LOG_C, NULL}, {"A", LOG_B, NULL});

	(void)state;
	EXPECT(two, LEAF({LOG_A, LOG_A, EARLIER}, {RSA_LOG, RSA_LOG, EARLIER}), "2 2 2 2 2");
	EXPECT(same, LEAF({LOG_A, LOG_A, EARLIER}, {LOG_B, LOG_B, EARLIER}), "2 2 2 2 1");
	EXPECT(same, LEAF({LOG_A, LOG_A, EARLIER}, {LOG_A, LOG_A, EARLIER}), "2 2 2 1 1");
	EXPECT(same, LEAF({LOG_A, LOG_A, EARLIER}, {LOG_A, LOG_A, EARLIER - 1}), "2 2 2 1 1");
	EXPECT(two, LEAF({LOG_A, LOG_A, EARLIER}, {LOG_B, LOG_B, EARLIER}), "2 1 1 1 1");
	EXPECT(two, LEAF({LOG_C, LOG_C, EARLIER}), "1 0 0 0 0");
	EXPECT(two, LEAF({LOG_A, LOG_A, EARLIER, "an extension"}), "1 1 1 1 1");
	EXPECT(two, world_certificate(world.ca->x509), "0 0 0 0 0");
}

static void a_wrong_signature(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL}, {"R", RSA_LOG, NULL});
	CLEANUP(certificate_freep) struct certificate *leaf = LEAF({LOG_A, LOG_A, EARLIER}, {RSA_LOG, RSA_LOG, EARLIER});
	struct ct_count count;

	(void)state;
	EXPECT(logs, LEAF({LOG_A, STRANGER, EARLIER}, {RSA_LOG, RSA_LOG, EARLIER}), "2 2 1 1 1");
	EXPECT(logs, LEAF({LOG_A, RSA_LOG, EARLIER}, {RSA_LOG, LOG_A, EARLIER}), "2 2 0 0 0");
	EXPECT(logs, LEAF({LOG_A, LOG_A, EARLIER, .wrong_algorithm = 1}), "1 1 0 0 0");
	EXPECT(logs, LEAF({RSA_LOG, RSA_LOG, EARLIER, .wrong_algorithm = 1}), "1 1 0 0 0");
	EXPECT(logs, LEAF({LOG_A, LOG_A, EARLIER, .other_issuer = 1}), "1 1 0 0 0");
	/* The other CA has the same name, and another key. */
	count = count_at(logs, leaf, world.other_ca, NOW);
	assert_int_equal(count.known, 2);
	assert_int_equal(count.valid, 0);
	count = count_at(logs, leaf, NULL, NOW);
	assert_int_equal(count.known, 2);
	assert_int_equal(count.valid, 0);
}

/* SCTs of one certificate in another one of the same issuer. */
static void scts_of_another_leaf(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL});
	const struct sct_order order = {LOG_A, LOG_A, EARLIER};
	unsigned char *tbs, *list = NULL;
	int tbs_len, len;
	X509 *x509 = world_bare(&tbs, &tbs_len);

	(void)state;
	len = world_sct_list(&order, 1, tbs, (size_t)tbs_len, &list);
	world_add_raw(x509, list, len);
	world_extend(x509, NID_netscape_comment, "one more");
	X509_sign(x509, world.keys[THE_CA], EVP_sha256());
	EXPECT(logs, world_certificate(x509), "1 1 0 0 0");
	X509_free(x509);
	OPENSSL_free(tbs);
	OPENSSL_free(list);
}

static void the_future(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL});
	static const struct {
		int64_t ms, at;
		const char *want;
	} cases[] = {
		{MS(NOW), NOW, "1 1 1 1 1"},       {MS(NOW) + 999, NOW, "1 1 1 1 1"}, {MS(NOW) + 1000, NOW, "1 1 0 0 0"},
		{MS(NOW), NOW - 1, "1 1 0 0 0"},   {MS(NOW), 0, "1 1 0 0 0"},         {MS(NOW), -1, "1 1 0 0 0"},
		{MS(NOW), INT64_MIN, "1 1 0 0 0"}, {MS(NOW), INT64_MAX, "1 1 1 1 1"}, {0, 0, "1 1 1 1 1"},
		{INT64_MAX, NOW, "1 1 0 0 0"},     {INT64_MIN, NOW, "1 1 0 0 0"}, /* 2^63 in an SCT, which has no sign */
		{-1, INT64_MAX, "1 1 0 0 0"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_at((int)i, logs, LEAF({LOG_A, LOG_A, cases[i].ms}), cases[i].at, cases[i].want);
}

#define STATE(name, time) "\"state\":{\"" name "\":{\"timestamp\":\"" time "\"}}"

static void states_of_a_log(void **state)
{
	static const struct {
		const char *more;
		bool counts;
	} cases[] = {
		{STATE("usable", "2026-05-31T00:00:00Z"), true},
		{STATE("qualified", "2026-05-31T00:00:00Z"), true},
		{STATE("readonly", "2026-05-31T00:00:00Z"), true},
		{STATE("pending", "2020-01-01T00:00:00Z"), false},
		{STATE("rejected", "2099-01-01T00:00:00Z"), false},
		/* EARLIER is 2026-05-31T00:00:00Z. */
		{STATE("retired", "2026-05-31T00:00:01Z"), true},
		{STATE("retired", "2026-05-31T00:00:00.001Z"), true},
		{STATE("retired", "2026-05-31T00:00:00Z"), false},
		{STATE("retired", "2020-01-01T00:00:00Z"), false},
		{"\"x\":1", false},
		{USABLE ",\"log_type\":\"prod\"", true},
		{USABLE ",\"log_type\":\"test\"", false},
		{USABLE ",\"log_type\":\"monitoring_only\"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, cases[i].more});

		expect_at((int)i, logs, LEAF({LOG_A, LOG_A, EARLIER}), NOW, cases[i].counts ? "1 1 1 1 1" : "1 1 0 0 0");
	}
}

#define INTERVAL(start, end) \
	USABLE ",\"temporal_interval\":{\"start_inclusive\":\"" start "\",\"end_exclusive\":\"" end "\"}"

/* The leaf's notAfter is 2027-01-01T00:00:00Z. */
static void the_interval_of_a_log(void **state)
{
	static const struct {
		const char *more;
		bool counts;
	} cases[] = {
		{INTERVAL("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z"), true},
		{INTERVAL("2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"), true},
		{INTERVAL("2027-01-01T00:00:01Z", "2028-01-01T00:00:00Z"), false},
		{INTERVAL("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"), false},
		{INTERVAL("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), true},
	};
	CLEANUP(ct_logs_freep) struct ct_logs *any = LOGS({"A", LOG_A, NULL}), *all = LOGS({"A", LOG_A, cases[4].more});
	CLEANUP(certificate_freep) struct certificate *endless = LEAF({LOG_A, LOG_A, EARLIER});

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, cases[i].more});

		expect_at((int)i, logs, LEAF({LOG_A, LOG_A, EARLIER}), NOW, cases[i].counts ? "1 1 1 1 1" : "1 1 0 0 0");
	}
	/* What certificate.h says if notAfter cannot be read. */
	endless->not_after = INT64_MAX;
	assert_int_equal(count_at(any, endless, world.ca, NOW).valid, 1);
	assert_int_equal(count_at(all, endless, world.ca, NOW).valid, 0);
	endless->not_after = -1;
	assert_int_equal(count_at(all, endless, world.ca, NOW).valid, 0);
}

#define FORMER(list) USABLE ",\"previous_operators\":[" list "]"
#define UNTIL(name, time) "{\"name\":\"" name "\",\"end_time\":\"" time "\"}"

/* The operator that counts is the one at the time of the SCT: EARLIER is 2026-05-31T00:00:00Z. */
static void a_log_that_was_sold(void **state)
{
	static const struct {
		const char *more, *want;
	} cases[] = {
		{FORMER(""), "2 2 2 2 1"},
		{FORMER(UNTIL("B", "2026-05-31T00:00:01Z")), "2 2 2 2 2"},
		{FORMER(UNTIL("B", "2026-05-31T00:00:00Z")), "2 2 2 2 1"},
		{FORMER(UNTIL("A", "2026-06-01T00:00:00Z") "," UNTIL("B", "2026-05-31T12:00:00Z")), "2 2 2 2 2"},
		{FORMER(UNTIL("B", "2026-06-01T00:00:00Z") "," UNTIL("A", "2026-05-31T12:00:00Z")), "2 2 2 2 1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL}, {"A", LOG_B, cases[i].more});

		expect_at((int)i, logs, LEAF({LOG_A, LOG_A, EARLIER}, {LOG_B, LOG_B, EARLIER}), NOW, cases[i].want);
	}
}

/* Only the first CT_SCTS_MAX are looked at; the good one stands behind them. */
static void many_scts(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL}, {"B", LOG_B, NULL});
	struct sct_order orders[CT_SCTS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		orders[i] = (struct sct_order){LOG_A, LOG_A, EARLIER};
	orders[CT_SCTS_MAX].log = orders[CT_SCTS_MAX].signer = LOG_B;
	EXPECT(logs, world_leaf(orders, CT_SCTS_MAX + 1), "33 32 32 1 1");
	EXPECT(logs, world_leaf(orders + 1, CT_SCTS_MAX), "32 32 32 2 2");
}

/* As many as the extension holds: those of an unknown version may be as short as a byte. */
static void as_many_scts_as_can_be(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL});
	enum { COUNT = 20000, BYTES = 4 + 2 + 3 * COUNT };
	uint8_t *value = xcalloc(BYTES, 1), *at = value;

	(void)state;
	at = world_number(at, 0x0482, 2);
	at = world_number(at, BYTES - 4, 2);
	at = world_number(at, BYTES - 6, 2);
	for (size_t i = 0; i < COUNT; i++)
		at = world_number(at, 0x000177, 3);
	EXPECT(logs, world_leaf_raw(value, BYTES, 1), "20000 0 0 0 0");
	free(value);
}

static void an_extension_that_repeats(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL});
	const struct sct_order order = {LOG_A, LOG_A, EARLIER};
	unsigned char *list;
	int len = world_list_of(&order, 1, &list);

	(void)state;
	EXPECT(logs, world_leaf_raw(list, len, 1), "1 1 1 1 1");
	EXPECT(logs, world_leaf_raw(list, len, 2), "0 0 0 0 0");
	OPENSSL_free(list);
}

/* Cut at each length, and each byte changed: no change makes an SCT that the log did not make. */
static void a_broken_extension(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL}, {"B", LOG_B, NULL});
	static const struct sct_order orders[] = {{LOG_A, LOG_A, EARLIER, "ext"}, {LOG_B, LOG_B, EARLIER}};
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	unsigned char *list;
	int len = world_list_of(orders, ARRAY_SIZE(orders), &list);
	size_t whole = 0;

	(void)state;
	for (int i = 0; i < len; i++)
		EXPECT(logs, world_leaf_raw(list, i, 1), "0 0 0 0 0");
	for (int i = 0; i < len; i++)
		for (size_t j = 0; j < ARRAY_SIZE(flips); j++) {
			CLEANUP(certificate_freep) struct certificate *leaf = NULL;

			list[i] ^= flips[j];
			leaf = world_leaf_raw(list, len, 1);
			list[i] ^= flips[j];
			whole += count_at(logs, leaf, world.ca, NOW).valid == 2;
		}
	/* The version, the ID, the time, the extensions, the algorithm, the signature: all of it is signed or named. */
	assert_int_equal(whole, 0);
	EXPECT(logs, world_leaf_raw((const uint8_t *)"\x04\x02\x00\x00", 4, 1), "0 0 0 0 0");
	EXPECT(logs, world_leaf_raw((const uint8_t *)"\x05\x00", 2, 1), "0 0 0 0 0");
	EXPECT(logs, world_leaf_raw((const uint8_t *)"garbage", 7, 1), "0 0 0 0 0");
	OPENSSL_free(list);
}

/* A certificate that is none: an event from a log that kept no bytes, or garbage. */
static void not_a_certificate(void **state)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = LOGS({"A", LOG_A, NULL});
	CLEANUP(certificate_freep) struct certificate *garbage = NULL, *leaf = LEAF({LOG_A, LOG_A, EARLIER});
	struct certificate nothing = {.not_after = NOT_AFTER};

	(void)state;
	assert_int_equal(certificate_new((const uint8_t *)"garbage", 7, &garbage), 0);
	assert_int_equal(count_at(logs, garbage, world.ca, NOW).embedded, 0);
	assert_int_equal(count_at(logs, &nothing, &nothing, NOW).embedded, 0);
	assert_int_equal(count_at(logs, leaf, &nothing, NOW).known, 1);
	assert_int_equal(count_at(logs, leaf, garbage, NOW).valid, 0);
}

/* --- the same by OpenSSL --------------------------------------------------------------------------------------------- */

static CTLOG_STORE *openssl_store(void)
{
	CTLOG_STORE *store = CTLOG_STORE_new();
	char path[] = "/tmp/test_ct-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	dprintf(fd,
		"enabled_logs=a,b,r\n[a]\ndescription=a\nkey=%s\n[b]\ndescription=b\nkey=%s\n[r]\ndescription=r\nkey=%s\n",
		world.spki[LOG_A], world.spki[LOG_B], world.spki[RSA_LOG]);
	close(fd);
	assert_int_equal(CTLOG_STORE_load_file(store, path), 1);
	unlink(path);
	return store;
}

/* OpenSSL does not compare the algorithm that an SCT names with the log's key. */
static bool names_algorithm_of(const SCT *sct, const CTLOG_STORE *store)
{
	unsigned char *id;
	size_t len = SCT_get0_log_id(sct, &id);
	const CTLOG *log = CTLOG_STORE_get0_log_by_id(store, id, len);
	bool rsa = log && EVP_PKEY_get_base_id(CTLOG_get0_public_key(log)) == EVP_PKEY_RSA;

	return SCT_get_signature_nid(sct) == (rsa ? NID_sha256WithRSAEncryption : NID_ecdsa_with_SHA256);
}

static struct ct_count openssl_count(CTLOG_STORE *store, const struct certificate *leaf, const struct certificate *issuer)
{
	STACK_OF(SCT) *scts = X509_get_ext_d2i(leaf->x509, NID_ct_precert_scts, NULL, NULL);
	CT_POLICY_EVAL_CTX *ctx = CT_POLICY_EVAL_CTX_new();
	struct ct_count count = {.embedded = scts ? (size_t)sk_SCT_num(scts) : 0};

	CT_POLICY_EVAL_CTX_set_shared_CTLOG_STORE(ctx, store);
	CT_POLICY_EVAL_CTX_set_time(ctx, (uint64_t)MS(NOW) + 999);
	assert_int_equal(CT_POLICY_EVAL_CTX_set1_cert(ctx, leaf->x509), 1);
	assert_int_equal(CT_POLICY_EVAL_CTX_set1_issuer(ctx, issuer->x509), 1);
	for (int i = 0; i < (int)count.embedded; i++) {
		SCT *sct = sk_SCT_value(scts, i);
		bool valid = SCT_validate(sct, ctx) == 1;
		sct_validation_status_t status = SCT_get_validation_status(sct);

		count.valid += valid && names_algorithm_of(sct, store);
		count.known += status != SCT_VALIDATION_STATUS_UNKNOWN_LOG &&
			       status != SCT_VALIDATION_STATUS_UNKNOWN_VERSION;
	}
	SCT_LIST_free(scts);
	CT_POLICY_EVAL_CTX_free(ctx);
	ERR_clear_error();
	return count;
}

static void compare(const struct ct_logs *logs, CTLOG_STORE *store, const struct certificate *leaf,
		    const struct certificate *issuer, size_t *valid)
{
	struct ct_count ours = count_at(logs, leaf, issuer, NOW), theirs = openssl_count(store, leaf, issuer);

	assert_int_equal(ours.embedded, theirs.embedded);
	assert_int_equal(ours.known, theirs.known);
	assert_int_equal(ours.valid, theirs.valid);
	*valid += ours.valid;
}

static void openssl_agrees(void **state)
{
	CLEANUP(ct_logs_freep)
	struct ct_logs *logs = LOGS({"A", LOG_A, NULL}, {"B", LOG_B, NULL}, {"R", RSA_LOG, NULL});
	static const struct sct_order orders[] = {
		{LOG_A, LOG_A, EARLIER, "ext"},
		{RSA_LOG, RSA_LOG, EARLIER},
		{LOG_C, LOG_C, EARLIER},
		{LOG_B, STRANGER, EARLIER},
		{LOG_B, LOG_B, MS(NOW) + 60000},
		{LOG_B, LOG_B, EARLIER, .other_issuer = 1},
		{LOG_A, LOG_A, EARLIER, .wrong_algorithm = 1},
	};
	CLEANUP(certificate_freep) struct certificate *leaf = world_leaf(orders, ARRAY_SIZE(orders));
	CTLOG_STORE *store = openssl_store();
	unsigned char *list;
	size_t valid = 0;
	int len;

	(void)state;
	compare(logs, store, leaf, world.ca, &valid);
	assert_int_equal(valid, 2);
	compare(logs, store, leaf, world.other_ca, &valid);
	assert_int_equal(valid, 3);
	/* With one byte of the list changed at a time, whatever comes of it. */
	valid = 0;
	len = world_list_of(orders, 2, &list);
	for (int i = 0; i < len; i++) {
		CLEANUP(certificate_freep) struct certificate *changed = NULL;

		list[i] ^= (uint8_t)(1 << (i % 8));
		changed = world_leaf_raw(list, len, 1);
		list[i] ^= (uint8_t)(1 << (i % 8));
		compare(logs, store, changed, world.ca, &valid);
	}
	assert_true(valid > 0);
	OPENSSL_free(list);
	CTLOG_STORE_free(store);
}

/* --- what tests/fixtures/ct.py makes, another hand at the same bytes --------------------------------------------------- */

static struct ct_logs *fixture_logs(const char *file)
{
	size_t len = 0;
	CLEANUP_FREE char *text = fixture_text(file, &len), *why = NULL;
	struct ct_logs *logs = NULL;

	if (ct_logs_new(text, len, &logs, &why))
		fail_msg("%s: %s", file, why);
	return logs;
}

static void the_fixtures(void **state)
{
	static const struct {
		const char *file;
		size_t embedded, valid;
	} cases[] = {{"ct/logged.chain.pem", 2, 2}, {"ct/unlogged.chain.pem", 0, 0}, {"ct/forged.chain.pem", 2, 0}};
	CLEANUP(ct_logs_freep) struct ct_logs *logs = fixture_logs("ct/logs.json"), *old = fixture_logs("ct/logs-old.json");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture_chain chain = fixture_chain(cases[i].file);
		struct ct_count count = count_at(logs, chain.certs[0], chain.certs[1], NOW);

		assert_int_equal(chain.count, 2);
		assert_true(certificate_issued_by(chain.certs[0], chain.certs[1]));
		assert_int_equal(count.embedded, cases[i].embedded);
		assert_int_equal(count.known, cases[i].embedded);
		assert_int_equal(count.valid, cases[i].valid);
		assert_int_equal(count.operators, cases[i].valid);
		fixture_chain_clear(&chain);
	}
	assert_int_equal(ct_logs_stale_at(logs) - ct_logs_stale_at(old), 100 * 86400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_logged_it),          cmocka_unit_test(a_wrong_signature),
		cmocka_unit_test(scts_of_another_leaf),   cmocka_unit_test(the_future),
		cmocka_unit_test(states_of_a_log),        cmocka_unit_test(the_interval_of_a_log),
		cmocka_unit_test(a_log_that_was_sold),    cmocka_unit_test(many_scts),
		cmocka_unit_test(as_many_scts_as_can_be), cmocka_unit_test(an_extension_that_repeats),
		cmocka_unit_test(a_broken_extension),     cmocka_unit_test(not_a_certificate),
		cmocka_unit_test(openssl_agrees),         cmocka_unit_test(the_fixtures),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, world_make, world_free);
}
