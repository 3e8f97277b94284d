/* Scenarios: the facts that come of what is told are those that come of the same verification when it is captured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/types.h>
#include <string.h>

#include "decode.h"
#include "fixture.h"
#include "scenario.h"

/* --- words ---------------------------------------------------------------------------------------------------------- */

static void test_words(void **state)
{
	enum verify_result verify = VERIFY_PENDING;
	enum library_kind library = LIBRARY_NONE;
	enum facts_role role = FACTS_ROLE_UNKNOWN;

	(void)state;
	assert_true(scenario_verify("ok", &verify) && verify == VERIFY_OK);
	assert_true(scenario_verify("failed", &verify) && verify == VERIFY_FAILED);
	assert_true(scenario_verify("failed-ignored", &verify) && verify == VERIFY_FAILED_IGNORED);
	assert_true(scenario_verify("off", &verify) && verify == VERIFY_OFF);
	assert_false(scenario_verify("OK", &verify) || scenario_verify("", &verify) || scenario_verify("pending", &verify));
	assert_int_equal(verify, VERIFY_OFF);
	assert_true(scenario_role("client", &role) && role == FACTS_ROLE_CLIENT);
	assert_true(scenario_role("server", &role) && role == FACTS_ROLE_SERVER);
	assert_false(scenario_role("unknown", &role));
	assert_true(scenario_library("openssl", &library) && library == LIBRARY_OPENSSL);
	assert_true(scenario_library("gnutls", &library) && library == LIBRARY_GNUTLS);
	assert_false(scenario_library("nss", &library));
}

static void test_users(void **state)
{
	static const char *const bad[] = {"", "4294967295", "4294967296", "99999999999999999999"};
	struct scenario scenario = {0};

	(void)state;
	assert_true(scenario_user("alice", &scenario));
	assert_string_equal(scenario.user, "alice");
	assert_false(scenario.has_uid);
	scenario = (struct scenario){0};
	assert_true(scenario_user("4294967294", &scenario));
	assert_null(scenario.user);
	assert_true(scenario.has_uid && scenario.uid == 4294967294U);
	assert_true(scenario_user("1000x", &scenario)); /* a name may begin with digits */
	assert_string_equal(scenario.user, "1000x");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		scenario = (struct scenario){0};
		assert_false(scenario_user(bad[i], &scenario));
		assert_false(scenario.has_uid);
	}
}

static void test_peers(void **state)
{
	static const struct {
		const char *text, *ip;
		uint16_t port;
	} good[] = {
		{"192.0.2.1", "192.0.2.1", 0},
		{"192.0.2.1:853", "192.0.2.1", 853},
		{"192.0.2.1:65535", "192.0.2.1", 65535},
		{"2001:db8::1", "2001:db8::1", 0},
		{"2001:db8::1:443", "2001:db8::1:443", 0}, /* an address without brackets is all address */
		{"[2001:db8::1]:443", "2001:db8::1", 443},
		{"[2001:db8::1]", "2001:db8::1", 0},
		{"::ffff:1.1.1.1", "1.1.1.1", 0},
		{"[::ffff:1.1.1.1]:53", "1.1.1.1", 53},
	};
	static const char *const bad[] = {
		"",
		":",
		":443",
		"1.1.1",
		"1.1.1.1:",
		"1.1.1.1:0",
		"1.1.1.1:65536",
		"1.1.1.1:99999999999",
		"1.1.1.1:-1",
		"1.1.1.1:+1",
		"1.1.1.1:1x",
		"1.1.1.1: 1",
		"[1.1.1.1]:53",
		"[]:53",
		"[",
		"]",
		"[::1",
		"[::1]53",
		"[::1]:",
		"[::1]:0",
		"[::1]x:53",
		"localhost:443",
		"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:53",
		"111111111111111111111111111111111111111111111111111111111111111111111111111111:53",
	};
	uint16_t port = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct address address = {0};
		char text[ADDRESS_TEXT_MAX];

		assert_true(scenario_peer(good[i].text, &address, &port));
		address_format(&address, text);
		assert_string_equal(text, good[i].ip);
		assert_int_equal(port, good[i].port);
	}
	port = 7;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct address address = {.len = 4, .bytes = {9, 9, 9, 9}};

		if (scenario_peer(bad[i], &address, &port))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(port, 7);
		assert_int_equal(address.bytes[3], 9);
	}
}

/* --- the same as captured -------------------------------------------------------------------------------------------- */

static struct anchors *anchors_of(const char *file)
{
	CLEANUP_FREE char *text = NULL;
	struct anchors *anchors = NULL;
	size_t len = 0, skipped = 0;

	text = fixture_text(file, &len);
	assert_int_equal(anchors_new(text, len, &anchors, &skipped), 0);
	return anchors;
}

/* What the agent would get of a process that was presented the certificates of one file, and built the chain of another. */
static struct capture *capture_of(const char *presented, const char *chain, enum library_kind library)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));
	struct record_verify *verify = &capture->verify;
	const char *const files[] = {presented, chain};

	for (size_t f = 0; f < 2; f++) {
		struct fixture_chain certs = {0};

		if (files[f])
			certs = fixture_chain(files[f]);
		for (size_t i = 0; i < certs.count && i < 16; i++) {
			size_t len = certs.certs[i]->der_len;
			uint64_t object = 100 * (f + 1) + i;

			if (f == 0)
				verify->presented_object[verify->presented++] = object;
			else
				verify->chain_object[verify->chain++] = object;
			/* Of the fixtures one alone is too large, and its signature takes less than 100 bytes. */
			if (len > (library == LIBRARY_GNUTLS ? (size_t)TBS_MAX : (size_t)TBS_MAX + 100)) {
				verify->flags |= VERIFY_TRUNCATED;
				continue;
			}
			capture->certificates[capture->count] = certificate_ref(certs.certs[i]);
			capture->objects[capture->count++] = object;
		}
		if (certs.count > 16)
			verify->flags |= VERIFY_TRUNCATED;
		fixture_chain_clear(&certs);
	}
	return capture;
}

static void expect_text(const char *a, const char *b)
{
	assert_true((a == NULL) == (b == NULL));
	if (a)
		assert_string_equal(a, b);
}

static void expect_same_certificate(const struct certificate *a, const struct certificate *b)
{
	assert_memory_equal(a->sha256, b->sha256, SHA256_BYTES);
	assert_int_equal(a->der_len, b->der_len);
	assert_int_equal(a->parsed, b->parsed);
}

static void expect_same(const struct facts *told, const struct facts *seen)
{
	assert_int_equal(told->role, seen->role);
	assert_int_equal(told->library, seen->library);
	assert_int_equal(told->verify, seen->verify);
	assert_int_equal(told->verify_code, seen->verify_code);
	assert_string_equal(told->verify_mode, seen->verify_mode);
	expect_text(told->server_name, seen->server_name);
	expect_text(told->expected_host, seen->expected_host);
	assert_true(address_equal(&told->peer, &seen->peer));
	assert_int_equal(told->peer_port, seen->peer_port);
	assert_int_equal(told->truncated, seen->truncated);
	assert_int_equal(told->lost, seen->lost);
	assert_int_equal(told->path_cut, seen->path_cut);
	assert_int_equal(told->certs_count, seen->certs_count);
	for (size_t i = 0; i < told->certs_count; i++) {
		expect_same_certificate(told->certs[i].certificate, seen->certs[i].certificate);
		assert_int_equal(told->certs[i].presented, seen->certs[i].presented);
		assert_int_equal(told->certs[i].chain, seen->certs[i].chain);
		assert_int_equal(told->certs[i].proven, seen->certs[i].proven);
	}
	assert_int_equal(told->path_count, seen->path_count);
	for (size_t i = 0; i < told->path_count; i++)
		expect_same_certificate(told->path[i], seen->path[i]);
	assert_int_equal(told->beside_count, seen->beside_count);
	for (size_t i = 0; i < told->beside_count; i++)
		expect_same_certificate(told->beside[i], seen->beside[i]);
}

struct told {
	char *chain, *application_chain;
	struct scenario scenario;
};

static struct told told_of(const char *presented, const char *chain)
{
	struct told told = {0};

	told.chain = fixture_text(presented, &told.scenario.chain_len);
	told.scenario.chain = told.chain;
	if (chain)
		told.application_chain = fixture_text(chain, &told.scenario.application_chain_len);
	told.scenario.application_chain = told.application_chain;
	return told;
}

static void told_clear(struct told *told)
{
	free(told->chain);
	free(told->application_chain);
}

static void compare(struct told *told, struct capture *capture, const struct anchors *anchors)
{
	struct scenario_facts facts;
	struct decoded decoded;
	char *why = NULL;

	assert_int_equal(scenario_facts(&told->scenario, anchors, &facts, &why), 0);
	capture_decode(capture, told->scenario.library ? told->scenario.library : LIBRARY_OPENSSL, &decoded);
	path_prove(&decoded.facts, anchors);
	expect_same(&facts.facts, &decoded.facts);
	scenario_facts_clear(&facts);
	assert_null(facts.certificates);
	decoded_clear(&decoded);
}

static void test_chains_as_captured(void **state)
{
	static const struct {
		const char *presented, *chain, *anchors;
	} cases[] = {
		{"good-leaf.chain.pem", NULL, NULL},
		{"good-leaf.chain.pem", NULL, "good-root.pem"},
		{"good-leaf.chain.pem", "good-leaf.full.pem", NULL},
		{"good-leaf.full.pem", "good-leaf.full.pem", "clients.pem"},
		{"good-leaf.pem", "good-leaf.full.pem", "good-root.pem"},
		{"good-leaf.pem", NULL, "good-root.pem"},
		{"forged-leaf.chain.pem", "good-leaf.full.pem", "clients.pem"},
		{"cross-leaf.chain.pem", "cross-int-b.full.pem", "cross-root-a.pem"},
		{"cross-leaf.full.pem", NULL, NULL},
		{"self-signed.pem", "self-signed.pem", NULL},
		{"rsapss-leaf.chain.pem", NULL, "rsapss-root.pem"},
		{"odd-utf8.pem", NULL, "good-root.pem"},
		{"odd-nul.chain.pem", NULL, "good-root.pem"},
		{"ext-30k.chain.pem", NULL, "good-root.pem"},
		{"ext-40k.chain.pem", NULL, "good-root.pem"},
		{"good-leaf.chain.pem", "ext-40k.pem", "good-root.pem"},
		{"big.full.pem", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct anchors *anchors = cases[i].anchors ? anchors_of(cases[i].anchors) : NULL;

		for (enum library_kind library = LIBRARY_OPENSSL; library <= LIBRARY_GNUTLS; library++) {
			struct told told = told_of(cases[i].presented, cases[i].chain);
			struct capture *capture = capture_of(cases[i].presented, cases[i].chain, library);

			told.scenario.library = library;
			capture->verify.role = ROLE_CLIENT;
			capture->verify.verify_mode = 1;
			capture->verify.result = library == LIBRARY_OPENSSL;
			compare(&told, capture, anchors);
			told_clear(&told);
			capture_free(capture);
		}
		anchors_free(anchors);
	}
}

static void test_results_as_captured(void **state)
{
	static const struct {
		enum verify_result told;
		enum library_kind library;
		uint32_t mode;
		int32_t result, error;
	} cases[] = {
		{VERIFY_OK, LIBRARY_OPENSSL, 1, 1, 0},
		{VERIFY_FAILED, LIBRARY_OPENSSL, 1, 0, 1},
		{VERIFY_FAILED_IGNORED, LIBRARY_OPENSSL, 0, 0, 1},
		{VERIFY_OFF, LIBRARY_OPENSSL, 0, 1, 0},
		{VERIFY_OK, LIBRARY_GNUTLS, 0, 0, 0},
		{VERIFY_FAILED, LIBRARY_GNUTLS, 0, 0, 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct told told = told_of("good-leaf.chain.pem", NULL);
		struct capture *capture = capture_of("good-leaf.chain.pem", NULL, cases[i].library);

		told.scenario.verify = cases[i].told;
		told.scenario.library = cases[i].library;
		told.scenario.role = FACTS_ROLE_SERVER;
		capture->verify.role = ROLE_SERVER;
		capture->verify.verify_mode = cases[i].mode;
		capture->verify.result = cases[i].result;
		capture->verify.error = cases[i].error;
		compare(&told, capture, NULL);
		told_clear(&told);
		capture_free(capture);
	}
}

static void test_names_as_captured(void **state)
{
	char names[][301] = {"", "www.example.com", "odd\x01\"\\\xff\xe2\x80\xae", "1.1.1.1", "", "", "", ""};
	static const size_t lengths[] = {253, 254, 255, 300};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		memset(names[4 + i], 'a', lengths[i]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct told told = told_of("good-leaf.chain.pem", NULL);
		struct capture *capture = capture_of("good-leaf.chain.pem", NULL, LIBRARY_OPENSSL);

		told.scenario.server_name = told.scenario.host = names[i];
		capture->verify.role = ROLE_CLIENT;
		capture->verify.verify_mode = 1;
		capture->verify.result = 1;
		snprintf(capture->verify.server_name, NAME_MAX_BYTES, "%s", names[i]);
		snprintf(capture->verify.expected_host, NAME_MAX_BYTES, "%s", names[i]);
		compare(&told, capture, NULL);
		told_clear(&told);
		capture_free(capture);
	}
}

static void test_addresses_as_captured(void **state)
{
	struct told told = told_of("good-leaf.chain.pem", NULL);
	struct capture *capture = capture_of("good-leaf.chain.pem", NULL, LIBRARY_OPENSSL);
	struct record_verify *verify = &capture->verify;
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 1, 1, 1, 1}, v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};

	(void)state;
	verify->role = ROLE_CLIENT;
	verify->verify_mode = 1;
	verify->result = 1;
	verify->socket.how = SOCKET_FD;
	verify->socket.family = 10;
	verify->socket.peer_port = 853;
	memcpy(verify->socket.peer_ip, mapped, sizeof(mapped));
	memcpy(verify->host_ip, v6, sizeof(v6));
	verify->host_ip_len = sizeof(v6);
	assert_true(scenario_peer("1.1.1.1:853", &told.scenario.peer, &told.scenario.peer_port));
	told.scenario.host = "2001:0DB8:0:0:0::1"; /* set as an address, however it was written */
	compare(&told, capture, NULL);
	told_clear(&told);
	capture_free(capture);
}

/* --- the rest ------------------------------------------------------------------------------------------------------- */

static void test_process(void **state)
{
	struct told told = told_of("good-leaf.chain.pem", NULL);
	struct scenario_facts facts;
	char *why = NULL;

	(void)state;
	assert_int_equal(scenario_facts(&told.scenario, NULL, &facts, &why), 0);
	assert_null(facts.facts.exe);
	assert_null(facts.facts.user);
	assert_null(facts.facts.unit);
	assert_null(facts.facts.container);
	assert_int_equal(facts.facts.uid, UINT32_MAX); /* not root: it is not known */
	assert_int_equal(facts.facts.role, FACTS_ROLE_CLIENT);
	assert_int_equal(facts.facts.library, LIBRARY_OPENSSL);
	assert_int_equal(facts.facts.verify, VERIFY_OK);
	scenario_facts_clear(&facts);
	told.scenario.exe = "/opt/a\\b\x01";
	told.scenario.user = "alice";
	told.scenario.unit = "x\n.service";
	told.scenario.container = "c\\d";
	assert_int_equal(scenario_facts(&told.scenario, NULL, &facts, &why), 0);
	assert_string_equal(facts.facts.exe, "/opt/a\\b\x01"); /* as the kernel has it */
	assert_string_equal(facts.facts.user, "alice");
	assert_string_equal(facts.facts.unit, "x\\x0a.service");
	assert_string_equal(facts.facts.container, "c\\\\d");
	assert_int_equal(facts.facts.uid, UINT32_MAX);
	scenario_facts_clear(&facts);
	told.scenario.user = "root";
	assert_int_equal(scenario_facts(&told.scenario, NULL, &facts, &why), 0);
	assert_int_equal(facts.facts.uid, 0);
	scenario_facts_clear(&facts);
	told.scenario.user = NULL;
	assert_true(scenario_user("0", &told.scenario));
	assert_int_equal(scenario_facts(&told.scenario, NULL, &facts, &why), 0);
	assert_string_equal(facts.facts.user, "root");
	scenario_facts_clear(&facts);
	told_clear(&told);
}

/* The fixture's text so many times, each time another certificate would be; here it is the same one. */
static char *repeated(const char *file, size_t times, size_t *ret_len)
{
	size_t len = 0;
	CLEANUP_FREE char *one = fixture_text(file, &len);
	char *text = xcalloc(times, len);

	for (size_t i = 0; i < times; i++)
		memcpy(text + i * len, one, len);
	*ret_len = times * len;
	return text;
}

static void test_many_certificates(void **state)
{
	struct scenario scenario = {0};
	CLEANUP_FREE char *full = repeated("good-leaf.pem", 16, &scenario.chain_len), *more = NULL, *most = NULL,
			  *why = NULL;
	struct scenario_facts facts;

	(void)state;
	scenario.chain = full;
	assert_int_equal(scenario_facts(&scenario, NULL, &facts, &why), 0);
	assert_false(facts.facts.truncated);
	assert_int_equal(facts.facts.certs_count, 1);
	assert_int_equal(facts.facts.path_count, 1);
	scenario_facts_clear(&facts);
	/* The agent gets sixteen: what else was sent it does not know, so nothing is proven. */
	scenario.chain = more = repeated("good-leaf.pem", 17, &scenario.chain_len);
	assert_int_equal(scenario_facts(&scenario, NULL, &facts, &why), 0);
	assert_true(facts.facts.truncated);
	assert_false(facts.facts.lost);
	assert_int_equal(facts.facts.path_count, 0);
	scenario_facts_clear(&facts);
	scenario.chain = most = repeated("good-leaf.pem", FACTS_CERTS_MAX + 1, &scenario.chain_len);
	memset(&facts, 0x55, sizeof(facts));
	assert_int_equal(scenario_facts(&scenario, NULL, &facts, &why), -EINVAL);
	assert_string_equal(why, "the chain has 33 certificates, more than the 32 of any verification");
	assert_int_equal(((uint8_t *)&facts)[0], 0x55);
}

/* The whole of both lists, each certificate another. */
static void test_lists_that_are_full(void **state)
{
	struct told told = told_of("big.full.pem", "good-leaf.full.pem");
	struct scenario_facts facts;
	char *why = NULL;

	(void)state;
	assert_int_equal(scenario_facts(&told.scenario, NULL, &facts, &why), 0);
	assert_true(facts.facts.certs_count > 12);
	assert_false(facts.facts.truncated);
	scenario_facts_clear(&facts);
	told_clear(&told);
}

static void expect_refused(const char *chain, const char *application_chain, const char *expected)
{
	struct scenario scenario = {
		.chain = chain,
		.chain_len = strlen(chain),
		.application_chain = application_chain,
		.application_chain_len = application_chain ? strlen(application_chain) : 0,
	};
	CLEANUP_FREE char *why = NULL;
	struct scenario_facts facts;

	assert_int_equal(scenario_facts(&scenario, NULL, &facts, &why), -EINVAL);
	assert_string_equal(why, expected);
}

static void test_what_is_no_chain(void **state)
{
	size_t len = 0;
	CLEANUP_FREE char *good = fixture_text("good-leaf.pem", &len), *key = fixture_text("good-leaf.key", &len);
	CLEANUP_FREE char *large = xcalloc(300000, 1), *zeros = xcalloc(200001, 1);

	(void)state;
	expect_refused("", NULL, "no PEM certificate in the chain");
	expect_refused("hello\n", NULL, "no PEM certificate in the chain");
	expect_refused(key, NULL, "no PEM certificate in the chain");
	expect_refused("-----BEGIN CERTIFICATE-----\nAAAA\n", NULL,
		       "the chain has a PEM block that is broken, or has more than 73728 bytes");
	memset(zeros, 'A', 200000);
	sprintf(large, "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", zeros);
	expect_refused(large, NULL, "the chain has a PEM block that is broken, or has more than 73728 bytes");
	expect_refused(good, "", "no PEM certificate in the application's chain");
	expect_refused(good, large, "the application's chain has a PEM block that is broken, or has more than 73728 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_chains_as_captured),
		cmocka_unit_test(test_results_as_captured),
		cmocka_unit_test(test_names_as_captured),
		cmocka_unit_test(test_addresses_as_captured),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_many_certificates),
		cmocka_unit_test(test_lists_that_are_full),
		cmocka_unit_test(test_what_is_no_chain),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
