/* The list of logs (ct.h): what is taken, and that each error is named with its place, whatever the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "ct_world.h"

/* The list that the cases change: log 0 in operators[0].logs[0], log 1 in operators[1].tiled_logs[0]. */
#define FULL                                                                                             \
	USABLE ",\"temporal_interval\":{\"start_inclusive\":\"2026-01-01T00:00:00Z\",\"end_exclusive\":" \
	       "\"2028-01-01T00:00:00Z\"},\"previous_operators\":[{\"name\":\"Old\",\"end_time\":"       \
	       "\"2024-01-01T00:00:00Z\"}]"

static char *base_text(void)
{
	const struct entry entries[] = {{"Operator A", LOG_A, FULL}, {"Operator R", RSA_LOG, FULL}};

	return world_list_text(entries, ARRAY_SIZE(entries));
}

/* The text with the first occurrence of what replaced. */
static char *replaced(const char *text, const char *what, const char *with)
{
	const char *at = strstr(text, what);

	if (!at)
		fail_msg("no %s in the list", what);
	return xasprintf("%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
}

static void expect_why(const char *text, size_t len, const char *want)
{
	struct ct_logs *logs = (struct ct_logs *)&logs;
	CLEANUP_FREE char *why = NULL;

	assert_int_equal(ct_logs_new(text, len, &logs, &why), -EBADMSG);
	assert_ptr_equal(logs, &logs);
	assert_non_null(why);
	assert_string_equal(why, want);
	assert_int_equal(ERR_peek_error(), 0);
}

static void expect_text(const char *text, const char *want)
{
	/* Memory that ends where the text does, for ASan. */
	size_t len = strlen(text);
	char *exact = memcpy(xcalloc(len, 1), text, len);

	expect_why(exact, len, want);
	free(exact);
}

static void a_list_that_is_fine(void **state)
{
	static const char *const additions[][2] = {
		{"\"version\"", "\"$schema\":\"x\",\"is_all_logs\":true,\"new\":[{\"a\":null}],\"version\""},
		{"\"name\"", "\"new\":{\"b\":[1,2.5e3,true]},\"name\""},
		{"\"log_id\"", "\"new\":null,\"log_id\""},
		{"\"timestamp\"", "\"version\":\"7\",\"final_tree_head\":{\"tree_size\":1},\"timestamp\""},
		{"\"mmd\":86400", "\"mmd\":60"},
		{"\"url\"", "\"submission_url\""},
		{"2020-01-01T00:00:00Z", "2020-02-29T23:59:59.123456789Z"},
		{"Operator A", "Operator R"},
		{"Operator A", "\\u00d6perator"},
		{"}\n", " } \r\n\t"},
	};
	CLEANUP_FREE char *base = base_text();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(additions); i++) {
		CLEANUP_FREE char *text = replaced(base, additions[i][0], additions[i][1]), *why = NULL;
		CLEANUP(ct_logs_freep) struct ct_logs *logs = NULL;

		if (ct_logs_new(text, strlen(text), &logs, &why))
			fail_msg("%s: %s", additions[i][1], why);
		assert_null(why);
		assert_int_equal(ct_logs_count(logs), 2);
		/* 70 days after 2026-05-30T12:00:00Z */
		assert_int_equal(ct_logs_stale_at(logs), 1780142400 + 70 * 86400);
	}
}

/* What a list says of itself counts in whole seconds. */
static void when_a_list_is_stale(void **state)
{
	static const struct {
		const char *time;
		int64_t seconds;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-05-30T12:00:00.999Z", 1780142400},
		{"2000-02-29T00:00:00Z", 951782400},
		{"9999-12-31T23:59:59Z", INT64_C(253402300799)},
	};
	CLEANUP_FREE char *base = base_text();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *text = replaced(base, "2026-05-30T12:00:00Z", cases[i].time), *why = NULL;
		CLEANUP(ct_logs_freep) struct ct_logs *logs = NULL;

		assert_int_equal(ct_logs_new(text, strlen(text), &logs, &why), 0);
		assert_int_equal(ct_logs_stale_at(logs), cases[i].seconds + CT_LIST_FRESH_DAYS * 86400);
	}
}

static void times_that_are_none(void **state)
{
	static const char *const times[] = {
		"2026-05-30",
		"2026-05-30T12:00:00",
		"2026-05-30T12:00:00z",
		"2026-05-30 12:00:00Z",
		"2026-05-30T12:00:00+00:00",
		"2026-02-29T12:00:00Z",
		"2026-13-01T12:00:00Z",
		"2026-00-01T12:00:00Z",
		"2026-01-00T12:00:00Z",
		"2026-05-30T24:00:00Z",
		"2026-05-30T12:60:00Z",
		"2026-05-30T12:00:60Z",
		"2026-05-30T12:00:00.Z",
		"2026-05-30T12:00:00.1xZ",
		"2026-05-30T12:00:00ZZ",
		" 2026-05-30T12:00:00Z",
		"+026-05-30T12:00:00Z",
		"2026- 5-30T12:00:00Z",
		"1969-12-31T23:59:59Z",
		"12026-05-30T12:00:00Z",
		"now",
	};
	CLEANUP_FREE char *base = base_text();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		CLEANUP_FREE char *text = replaced(base, "2026-05-30T12:00:00Z", times[i]);

		expect_text(text, "log_list_timestamp: is not a time as in \"2025-01-31T00:00:00Z\"");
	}
}

/* Each is the list with one thing changed. */
static const struct {
	const char *what, *with, *why;
} cases[] = {
	{"\"log_list_timestamp\"", "\"x\"", "log_list_timestamp: is missing"},
	{"\"2026-05-30T12:00:00Z\"", "7", "log_list_timestamp: must be a string"},
	{"\"2026-05-30T12:00:00Z\"", "null", "log_list_timestamp: must be a string"},
	{"\"2026-05-30T12:00:00Z\"", "\"\"", "log_list_timestamp: is empty"},
	{"2026-05-30T12:00:00Z", "2026-05-30T12:00:00.0000000000000000000000000000000000000000000000Z",
	 "log_list_timestamp: is longer than 64 bytes"},
	{"2026-05-30T12:00:00Z", "2026-05-30T12:00:00Z\\u0000", "log_list_timestamp: has a NUL in it"},
	{"\"operators\"", "\"x\"", "operators: is missing"},
	{"\"operators\":[", "\"operators\":{},\"x\":[", "operators: must be an array"},
	{"\"operators\":[", "\"operators\":[],\"x\":[", "operators: no log is in the list"},
	{"\"operators\":[", "\"operators\":[{\"name\":\"x\"}],\"x\":[", "operators: no log is in the list"},
	{"\"operators\":[", "\"operators\":[null,", "operators[0]: must be an object"},
	{"\"name\":\"Operator R\"", "\"x\":1", "operators[1].name: is missing"},
	{"\"name\":\"Operator R\"", "\"name\":[]", "operators[1].name: must be a string"},
	{"Operator R", "", "operators[1].name: is empty"},
	{"\"logs\":[", "\"logs\":7,\"x\":[", "operators[0].logs: must be an array"},
	{"\"logs\":[", "\"logs\":[[],", "operators[0].logs[0]: must be an object"},
	{"\"tiled_logs\":[", "\"tiled_logs\":null,\"x\":[", "operators[1].tiled_logs: must be an array"},
	{"\"log_id\"", "\"x\"", "operators[0].logs[0].log_id: is missing"},
	{"\"log_id\":\"", "\"log_id\":\"A", "operators[0].logs[0].log_id: not the base64 of a SHA-256: 44 characters"},
	{"\"log_id\":\"", "\"log_id\":\"jJjJjJjJjJjJjJjJjJjJjJjJjJjJjJjJjJjJjJjJjJg=\",\"x\":\"",
	 "operators[0].logs[0].log_id: is not the SHA-256 of the key"},
	{"\"key\":\"", "\"x\":\"", "operators[0].logs[0].key: is missing"},
	{"\"key\":\"", "\"key\":\"!", "operators[0].logs[0].key: not base64"},
	{"\"key\":\"", "\"key\":\"AAAA", "operators[0].logs[0].key: not a public key (DER SubjectPublicKeyInfo)"},
	{"\"key\":\"", "\"key\":\"AAAA\",\"x\":\"", "operators[0].logs[0].key: not a public key (DER SubjectPublicKeyInfo)"},
	{"\"state\":{", "\"state\":[],\"x\":{", "operators[0].logs[0].state: must be an object"},
	{"\"state\":{", "\"state\":{},\"x\":{",
	 "operators[0].logs[0].state: must be usable, qualified, readonly, retired, pending or rejected"},
	{"\"usable\"", "\"frozen\"",
	 "operators[0].logs[0].state: must be usable, qualified, readonly, retired, pending or rejected"},
	{"\"usable\"", "\"retired\":{},\"usable\"", "operators[0].logs[0].state: is both usable and retired"},
	{"\"usable\":{", "\"usable\":7,\"x\":{", "operators[0].logs[0].state.usable: must be an object"},
	{"\"timestamp\"", "\"x\"", "operators[0].logs[0].state.usable.timestamp: is missing"},
	{"2020-01-01T00:00:00Z", "then",
	 "operators[0].logs[0].state.usable.timestamp: is not a time as in \"2025-01-31T00:00:00Z\""},
	{"\"mmd\"", "\"log_type\":1,\"mmd\"", "operators[0].logs[0].log_type: must be a string"},
	{"\"temporal_interval\":{", "\"temporal_interval\":7,\"x\":{",
	 "operators[0].logs[0].temporal_interval: must be an object"},
	{"\"start_inclusive\"", "\"x\"", "operators[0].logs[0].temporal_interval.start_inclusive: is missing"},
	{"\"end_exclusive\"", "\"x\"", "operators[0].logs[0].temporal_interval.end_exclusive: is missing"},
	{"2028-01-01T00:00:00Z", "2026-01-01T00:00:00Z",
	 "operators[0].logs[0].temporal_interval.end_exclusive: is not after start_inclusive"},
	{"\"previous_operators\":[", "\"previous_operators\":{},\"x\":[",
	 "operators[0].logs[0].previous_operators: must be an array"},
	{"\"previous_operators\":[", "\"previous_operators\":[1,",
	 "operators[0].logs[0].previous_operators[0]: must be an object"},
	{"\"name\":\"Old\"", "\"x\":1", "operators[0].logs[0].previous_operators[0].name: is missing"},
	{"\"end_time\"", "\"x\"", "operators[0].logs[0].previous_operators[0].end_time: is missing"},
	{"\"previous_operators\":[", "\"previous_operators\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,",
	 "operators[0].logs[0].previous_operators: are more than 16"},
	/* Not JSON. The first line ends before operators[0]. */
	{"{\"version\"", "[\"version\"", "line 1, column 1: not a JSON object"},
	{"{\"name\"", "{name", "line 2, column 2: not JSON"},
	{"\"mmd\":86400,", "\"mmd\":86400,,", NULL},
	{"\"mmd\":86400,", "\"mmd\":TRUE,", NULL},
	{"\"mmd\":86400,", "\"mmd\":01,", NULL},
	{"\"mmd\":86400,", "/* */\"mmd\":86400,", NULL},
	{"\"description\":\"", "\"description\":\"\xff", NULL},
	{"\"email\":[", "\"email\":[[[[[[[[[[[[[[[[[", "line 2, column 43: nested too deeply"},
	{"}\n", "}]", NULL},
	{"}\n", "} {}", NULL},
	{"}\n", "", NULL},
};

static void each_error_has_its_place(void **state)
{
	CLEANUP_FREE char *base = base_text();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *text = replaced(base, cases[i].what, cases[i].with), *why = NULL;
		struct ct_logs *logs = NULL;

		if (cases[i].why) {
			expect_text(text, cases[i].why);
			continue;
		}
		if (ct_logs_new(text, strlen(text), &logs, &why) != -EBADMSG)
			fail_msg("taken: %s", cases[i].with);
		if (!strstr(why, "not JSON"))
			fail_msg("%s: %s", cases[i].with, why);
	}
}

static void not_a_list(void **state)
{
	(void)state;
	expect_text("", "line 1, column 1: not a JSON object");
	expect_text(" \n\n ", "line 1, column 1: not a JSON object");
	expect_text("\n []", "line 2, column 2: not a JSON object");
	expect_text("null", "line 1, column 1: not a JSON object");
	expect_text("<html>", "line 1, column 1: not a JSON object");
	expect_text("\xef\xbb\xbf{}", "line 1, column 1: not a JSON object");
	expect_text("{}", "log_list_timestamp: is missing");
	expect_text("{", "line 1, column 2: not JSON: it ends too early");
	expect_why("{\n\0}", 4, "line 2, column 1: not JSON: a NUL byte");
}

static void a_log_that_is_there_twice(void **state)
{
	const struct entry entries[] = {{"A", LOG_A, NULL}, {"B", LOG_B, NULL}, {"C", LOG_A, NULL}};
	CLEANUP_FREE char *text = world_list_text(entries, ARRAY_SIZE(entries));

	(void)state;
	expect_text(text, "operators[2].logs[0].log_id: is there twice: it is also that of log 1 of the list");
}

/* Keys of other kinds: a check with them may take long, or no log of RFC 6962 can have them. */
static void keys_that_no_log_has(void **state)
{
	EVP_PKEY *keys[] = {
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),     EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-224"), EVP_PKEY_Q_keygen(NULL, NULL, "EC", "sect571r1"),
		EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
	};
	const struct entry entry = {"A", LOG_A, NULL};
	CLEANUP_FREE char *base = world_list_text(&entry, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		CLEANUP_FREE char *encoded = NULL, *text = NULL;
		unsigned char *der = NULL;
		int len = i2d_PUBKEY(keys[i], &der);

		encoded = xcalloc((size_t)len * 2, 1);
		EVP_EncodeBlock((unsigned char *)encoded, der, len);
		text = replaced(base, world.spki[LOG_A], encoded);
		expect_text(text,
			    "operators[0].logs[0].key: must be an EC key on a named curve of 256 to 521 bits, or an RSA "
			    "key of 2048 to 8192");
		OPENSSL_free(der);
		EVP_PKEY_free(keys[i]);
	}
}

static void too_much(void **state)
{
	enum { MANY = 3 << 20 };
	CLEANUP_FREE char *big = xcalloc(MANY, 1), *items = xcalloc(100000, 1), *text = NULL, *name = xcalloc(258, 1);
	CLEANUP_FREE char *base = base_text(), *long_name = NULL, *crowd = NULL;
	size_t len = 0;

	(void)state;
	memset(big, ' ', MANY);
	expect_why(big, MANY, "larger than 2097152 bytes");
	memset(big, '[', 1 << 20);
	expect_why(big, 1 << 20, "line 1, column 32769: more objects and arrays than a list of logs has");
	memset(name, 'n', 257);
	long_name = replaced(base, "Operator A", name);
	expect_text(long_name, "operators[0].name: is longer than 256 bytes");
	for (int i = 0; i < 2049; i++)
		strcpy(items + 3 * i, "{},");
	strcpy(items + 3 * 2049, "7]}]}");
	text = xasprintf("{\"log_list_timestamp\":\"2026-01-01T00:00:00Z\",\"operators\":[{\"name\":\"A\",\"logs\":[%s",
			 items);
	expect_text(text, "operators[0].logs: the list has more than 2048 logs");
	for (int i = 0; i < 1025; i++)
		len += (size_t)sprintf(items + len, "%s{\"name\":\"n%d\"}", i ? "," : "", i);
	crowd = xasprintf("{\"log_list_timestamp\":\"2026-01-01T00:00:00Z\",\"operators\":[%s]}", items);
	expect_text(crowd, "operators[1024].name: the list has more than 1024 operators");
}

/* Cut anywhere it is none; changed anywhere it is taken or refused, with a place, and nothing else happens. */
static void any_bytes(void **state)
{
	static const char bytes[] = "\0\"{}[],:\\u0\xff";
	CLEANUP_FREE char *base = base_text();
	size_t len = strlen(base), refused = 0;

	(void)state;
	for (size_t cut = 0; cut + 1 < len; cut++) {
		CLEANUP_FREE char *exact = memcpy(xcalloc(cut, 1), base, cut), *why = NULL;
		struct ct_logs *logs = NULL;

		assert_int_equal(ct_logs_new(exact, cut, &logs, &why), -EBADMSG);
		assert_non_null(strstr(why, "column"));
	}
	for (size_t i = 0; i < len; i++) {
		CLEANUP(ct_logs_freep) struct ct_logs *logs = NULL;
		CLEANUP_FREE char *changed = xstrdup(base), *why = NULL;

		changed[i] = bytes[i % (sizeof(bytes) - 1)];
		refused += ct_logs_new(changed, len, &logs, &why) == -EBADMSG;
		assert_true(!logs == !!why);
		assert_int_equal(ERR_peek_error(), 0);
	}
	assert_true(refused > len / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_that_is_fine),
		cmocka_unit_test(when_a_list_is_stale),
		cmocka_unit_test(times_that_are_none),
		cmocka_unit_test(each_error_has_its_place),
		cmocka_unit_test(not_a_list),
		cmocka_unit_test(a_log_that_is_there_twice),
		cmocka_unit_test(keys_that_no_log_has),
		cmocka_unit_test(too_much),
		cmocka_unit_test(any_bytes),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, world_make, world_free);
}
