/* Lines that are no event of ours, or a forged one: named, never believed. */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

#include "event_read.h"
#include "event_sample.h"
#include "fixture.h"
#include "random_case.h"

static enum event_kind kind_of(const char *line, size_t len, char **ret_why)
{
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(NULL);
	CLEANUP(event_read_clear) struct event_read event = {0};
	/* Of just that size, so that a byte read too far is found. */
	CLEANUP_FREE char *copy = xcalloc(len, 1);

	*ret_why = NULL;
	return event_read(reader, memcpy(copy, line, len), len, &event, ret_why);
}

static void expect(const char *line, size_t len, enum event_kind kind, const char *why)
{
	CLEANUP_FREE char *told = NULL;

	if (kind_of(line, len, &told) != kind)
		fail_msg("another kind (%s) for %.*s", told ? told : "fine", (int)len, line);
	if (!why)
		assert_null(told);
	else if (!told || !strstr(told, why))
		fail_msg("\"%s\", expected \"%s\", for %.*s", told ? told : "", why, (int)len, line);
}

/* Two certificates of the fixtures and an anchor, with their bytes or without. */
static char *genuine(bool certificates)
{
	struct fixture_chain chain = fixture_chain("good-leaf.full.pem");
	struct anchors *anchors = anchors_with(NULL, chain.certs + 2, 1);
	struct sample s;
	char *line;

	sample_init(&s);
	for (size_t i = 0; i < 2; i++)
		s.facts.certs[i] = (struct fact_cert){chain.certs[i], true, true, false};
	path_prove(&s.facts, anchors);
	assert_int_equal(s.facts.path_count, 3);
	s.v.certificates = certificates;
	line = event_verification_json(&s.head, &s.v);
	anchors_free(anchors);
	fixture_chain_clear(&chain);
	return line;
}

static void lines_that_are_no_json_are_torn(void **state)
{
	static const char *const texts[] = {"",         "\n",  "hello", "{",    "}",          "[",        "\"x",
					    "{\"a\":}", "nul", "{}{}",  "{} x", "{\"a\":1,}", "\xff\xfe", "{\"a\":\"\xff\"}",
					    "0x1"};
	CLEANUP_FREE char *line = genuine(false);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect(texts[i], strlen(texts[i]), EVENT_TORN, "no JSON");
	expect("{\"a\":1\0}", 8, EVENT_TORN, "no JSON");
	for (size_t len = 0; len + 2 < strlen(line); len++)
		expect(line, len, EVENT_TORN, "no JSON");
	for (size_t from = 1; from + 2 < strlen(line); from++) {
		CLEANUP_FREE char *why = NULL;

		/* An object within the object may be whole, and is none of ours. */
		assert_true(kind_of(line + from, strlen(line + from), &why) >= EVENT_TORN);
	}
	expect(line, strlen(line), EVENT_VERIFICATION, NULL);
	expect(line, strlen(line) - 1, EVENT_VERIFICATION, NULL);
}

static void json_of_others_is_foreign(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"true",
		"12",
		"\"text\"",
		"{'a':1}",
		"{\"message\":\"hello\"}",
		"{\"ecs\":{\"version\":\"8.17.0\"},\"event\":{\"action\":\"user-login\"}}",
		"{\"ecs\":{\"version\":\"8.17.0\"},\"event\":{\"action\":\"peer-verified\"}}",
		"{\"event\":{\"action\":\"peer-verified\"},\"tlswarden\":{}}",
		"{\"ecs\":[],\"event\":{\"action\":\"peer-verified\"},\"tlswarden\":{}}",
		"{\"ecs\":{\"version\":8},\"event\":{\"action\":\"peer-verified\"},\"tlswarden\":{}}",
		"{\"ecs\":{\"version\":\"8.17.0\"},\"event\":{\"action\":\"peer-verified\"},\"tlswarden\":{}}",
		"{\"ecs\":{\"version\":\"8.17.0\"},\"event\":{\"action\":\"peer-verified\"},\"tlswarden\":7}",
	};
	enum { DEEP = 5000 };
	CLEANUP_FREE char *deep = xcalloc(DEEP + 1, 1), *large = xcalloc(EVENT_LINE_MAX + 2, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect(texts[i], strlen(texts[i]), EVENT_FOREIGN, "");
	memset(deep, '[', DEEP);
	expect(deep, DEEP, EVENT_FOREIGN, "deeper");
	memset(large, ' ', EVENT_LINE_MAX + 1);
	expect(large, EVENT_LINE_MAX + 1, EVENT_FOREIGN, "longer");
}

static void events_of_the_agent_are_other(void **state)
{
	const struct event_head head = {.time_us = 0, .sequence = 1, .host = "web1"};
	const struct event_detail detail = {.key = "reason", .text = "x"};
	static const char *const actions[] = {"agent-started", "policy-rejected", "events-lost"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		CLEANUP_FREE char *line = event_agent_json(&head, actions[i], "success", &detail, 1);

		expect(line, strlen(line), EVENT_OTHER, NULL);
	}
}

/* --- a genuine line with one thing changed ---------------------------------------------------------------------------- */

/* Puts value (JSON text; NULL: takes it away) at a dotted path. */
static char *changed(const char *line, const char *path, const char *value)
{
	struct json_object *object = json_tokener_parse(line), *at = object, *next = NULL;
	CLEANUP_FREE char *copy = xstrdup(path);
	char *rest = copy, *name = strsep(&rest, "."), *text;

	for (; rest; name = strsep(&rest, ".")) {
		if (json_object_is_type(at, json_type_array))
			next = json_object_array_get_idx(at, strtoul(name, NULL, 10));
		else
			assert_true(json_object_object_get_ex(at, name, &next));
		at = next;
	}
	if (json_object_is_type(at, json_type_array) && value)
		json_object_array_put_idx(at, strtoul(name, NULL, 10), json_tokener_parse(value));
	else if (json_object_is_type(at, json_type_array))
		json_object_array_del_idx(at, strtoul(name, NULL, 10), 1);
	else if (value)
		json_object_object_add(at, name, json_tokener_parse(value));
	else
		json_object_object_del(at, name);
	text = xstrdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
	return text;
}

#define SHA_0 "\"0000000000000000000000000000000000000000000000000000000000000000\""
#define PIN_0 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""

static void forged_fields_are_named(void **state)
{
	static const struct {
		const char *path, *value, *why;
		bool certificates;
	} cases[] = {
		{"@timestamp", NULL, "@timestamp: it is missing", false},
		{"@timestamp", "\"yesterday\"", "not a time", false},
		{"@timestamp", "\"2026-02-30T00:00:00Z\"", "not a time", false},
		{"@timestamp", "\"2026-01-01T24:00:00.000000Z\"", "not a time", false},
		{"@timestamp", "\"2026-01-01T00:00:00.5Z\"", "not a time", false},
		{"@timestamp", "\"2026-01-01T00:00:00.000000+01:00\"", "not a time", false},
		{"@timestamp", "1795309323", "not a text", false},
		{"process", "[]", "process", false},
		{"process.executable", "\"/tmp/\\u001b[31m\"", "control character", false},
		{"process.executable", "\"/tmp/\\u0000\"", "control character", false},
		{"process.name", "\"a\\nb\"", "control character", false},
		{"process.user.id", "\"-1\"", "not a number of a user", false},
		{"process.user.id", "\"4294967295\"", "not a number of a user", false},
		{"process.user.id", "\"99999999999999999999999\"", "not a number of a user", false},
		{"process.user.id", "1000", "not a text", false},
		{"destination.ip", "\"example.com\"", "ip is not an address", false},
		{"destination.port", "65536", "never written", false},
		{"destination.port", "1e9", "not a whole number", false},
		{"destination", "\"x\"", "not an object", false},
		{"tls.client.server_name", "\"\\u202eevil\"", "control character", false},
		{"tls.server.x509.alternative_names", "\"x\"", "not a list", false},
		{"tls.server.x509.alternative_names", "[1]", "not a text", false},
		{"tlswarden.role", "\"boss\"", "never written", false},
		{"tlswarden.library.name", "\"nss\"", "never written", false},
		{"tlswarden.verify.result", "\"fine\"", "never written", false},
		{"tlswarden.verify", NULL, "it is missing", false},
		{"tlswarden.verify.code", "99999999999999999999", "never written", false},
		{"tlswarden.violations.0", "7", "does not lie in an object", false},
		{"tlswarden.violations.0.rule", NULL, "is missing", false},
		{"tlswarden.violations.1.action", "\"explode\"", "never written", false},
		{"tlswarden.truncated", "1", "neither true nor false", false},
		{"tlswarden.chain", "{}", "not a list", false},
		{"tlswarden.chain.0", "null", "not an object", false},
		{"tlswarden.chain.1.sha256", "\"abc\"", "tlswarden.chain[1]: sha256: not a digest", false},
		{"tlswarden.chain.1.spki_sha256", "\"abc\"", "not a pin", false},
		{"tlswarden.chain.1.spki_sha256", NULL, "it is missing", false},
		{"tlswarden.chain.1.subject", "[]", "not a text", false},
		{"tlswarden.chain.1.public_key_size", "-1", "never written", false},
		{"tlswarden.chain.1.path", "31", "a gap", false},
		{"tlswarden.chain.1.path", "32", "never written", false},
		{"tlswarden.chain.1.path", "0", "contradicts", false},
		{"tlswarden.chain.0.path", "1", "contradicts", false},
		{"tlswarden.chain.0.path", NULL, "a gap", false},
		{"tlswarden.chain.1.proven", "false", "contradicts", false},
		{"tlswarden.chain.1.subject", NULL, "contradicts", false},
		{"tlswarden.alternative_name_kinds", "[\"dns\"]", "not as many", false},
		{"tlswarden.alternative_name_kinds", "[\"dns\",\"dns\",\"fax\"]", "never written", false},
		{"tlswarden.chain.1.sha256", SHA_0, "not the one of the certificate", true},
		{"tlswarden.chain.1.sha256", NULL, "does not fit", true},
		{"tls.server.certificate_chain.0", "\"\"", "does not fit", true},
		{"tls.server.certificate_chain.0", "\"AAA\"", "not a certificate in base64", true},
		{"tls.server.certificate_chain.0", "\"AAAA\"", "not the one of the certificate", true},
		{"tls.server.certificate_chain.0", "7", "not a text", true},
		{"tls.server.certificate_chain.2", NULL, "not as many", true},
	};
	CLEANUP_FREE char *plain = genuine(false), *whole = genuine(true);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *line = changed(cases[i].certificates ? whole : plain, cases[i].path, cases[i].value);

		expect(line, strlen(line), EVENT_FOREIGN, cases[i].why);
	}
}

/* With the bytes in the line, what it says of them does not matter. */
static void what_is_said_of_whole_certificates_is_not_believed(void **state)
{
	CLEANUP(event_read_clear) struct event_read event = {0};
	CLEANUP_FREE char *whole = genuine(true), *why = NULL;
	CLEANUP_FREE char *pin = changed(whole, "tlswarden.chain.1.spki_sha256", PIN_0);
	CLEANUP_FREE char *name = changed(pin, "tlswarden.chain.1.subject", "\"CN=Another\"");
	CLEANUP_FREE char *line = changed(name, "tlswarden.chain.1.proven", "false");
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(NULL);
	const struct certificate *issuer;

	(void)state;
	assert_int_equal(event_read(reader, line, strlen(line), &event, &why), EVENT_VERIFICATION);
	issuer = event.facts.certs[1].certificate;
	assert_string_equal(issuer->common_name, "Good Intermediate");
	assert_int_not_equal(issuer->spki_sha256[0] | issuer->spki_sha256[1] | issuer->spki_sha256[2], 0);
	assert_int_equal(event.facts.path_count, 3);
	assert_true(event.facts.certs[1].proven);
}

static void too_long_lists_are_foreign(void **state)
{
	CLEANUP_FREE char *plain = genuine(false), *entries = xcalloc(100 * 200, 1), *line = NULL;

	(void)state;
	strcat(entries, "[");
	for (size_t i = 0; i < 100; i++)
		strcat(entries, i ? ",{\"error\":\"x\"}" : "{\"error\":\"x\"}");
	strcat(entries, "]");
	line = changed(plain, "tlswarden.chain", entries);
	expect(line, strlen(line), EVENT_FOREIGN, "longer list");
	free(line);
	strcpy(strrchr(entries, '{') - 1 - 40 * strlen(",{\"error\":\"x\"}"), "]");
	line = changed(plain, "tlswarden.chain", entries);
	expect(line, strlen(line), EVENT_FOREIGN, "more certificates than are ever captured");
}

/* --- at random -------------------------------------------------------------------------------------------------------- */

/* Whatever comes in, the answer is one of the kinds, with a reason or without; ASan sees to the rest. */
static void random_damage_does_no_harm(void **state)
{
	CLEANUP_FREE char *plain = genuine(false), *whole = genuine(true);
	const char *const lines[] = {plain, whole};
	size_t read = 0;

	(void)state;
	random_start();
	for (size_t round = 0; round < 20000; round++) {
		CLEANUP_FREE char *line = xstrdup(lines[round % 2]), *why = NULL;
		static const char digits[] = "0123456789\"{}[],:ntfae\\ux";
		size_t len = strlen(line), hits = 1 + random_below(3);
		enum event_kind kind;

		for (size_t i = 0; i < hits; i++)
			line[random_below(len)] = random_below(2) ? digits[random_below(sizeof(digits) - 1)] :
								    (char)random_bits();
		kind = kind_of(line, len, &why);
		read += kind == EVENT_VERIFICATION;
		assert_int_equal(why != NULL, kind >= EVENT_TORN);
	}
	assert_true(read > 100);
}

/* A value of another type in each place of the tree. */
static void other_types_do_no_harm(void **state)
{
	static const char *const values[] = {"null", "true", "-1",     "1.5", "\"\"", "\"x\"",
					     "[]",   "[[]]", "[null]", "{}",  "1e99", "9223372036854775807"};
	static const char *const paths[] = {"ecs",
					    "ecs.version",
					    "event",
					    "event.action",
					    "event.dataset",
					    "process",
					    "process.pid",
					    "process.user",
					    "process.user.name",
					    "container",
					    "container.id",
					    "service.name",
					    "source",
					    "source.ip",
					    "source.port",
					    "destination",
					    "destination.port",
					    "tls",
					    "tls.client",
					    "tls.client.server_name",
					    "tls.server",
					    "tls.server.x509",
					    "tls.server.x509.alternative_names",
					    "tls.server.x509.alternative_names.0",
					    "tls.server.certificate_chain",
					    "tls.server.certificate_chain.1",
					    "tlswarden",
					    "tlswarden.role",
					    "tlswarden.library",
					    "tlswarden.library.name",
					    "tlswarden.verify",
					    "tlswarden.verify.mode",
					    "tlswarden.verify.expected_host",
					    "tlswarden.chain",
					    "tlswarden.chain.0",
					    "tlswarden.chain.0.subject",
					    "tlswarden.chain.0.error",
					    "tlswarden.chain.0.path",
					    "tlswarden.chain.0.presented",
					    "tlswarden.chain.0.application",
					    "tlswarden.chain.2",
					    "tlswarden.chain.2.anchor",
					    "tlswarden.chain.0.not_before",
					    "tlswarden.chain.0.public_key_size",
					    "tlswarden.chain.0.twin_sha256",
					    "tlswarden.violations",
					    "tlswarden.violations.0",
					    "tlswarden.violations_left_out",
					    "tlswarden.truncated",
					    "tlswarden.certificates_lost",
					    "tlswarden.path_cut",
					    "tlswarden.alternative_names_left_out"};
	CLEANUP_FREE char *whole = genuine(true), *plain = genuine(false);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		bool certificates = strstr(paths[i], "certificate_chain");

		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			CLEANUP_FREE char *line = changed(certificates || k % 2 ? whole : plain, paths[i], values[k]);
			CLEANUP_FREE char *why = NULL;
			enum event_kind kind = kind_of(line, strlen(line), &why);

			assert_true(kind != EVENT_TORN);
			assert_int_equal(why != NULL, kind >= EVENT_TORN);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_are_no_json_are_torn),
		cmocka_unit_test(json_of_others_is_foreign),
		cmocka_unit_test(events_of_the_agent_are_other),
		cmocka_unit_test(forged_fields_are_named),
		cmocka_unit_test(what_is_said_of_whole_certificates_is_not_believed),
		cmocka_unit_test(too_long_lists_are_foreign),
		cmocka_unit_test(random_damage_does_no_harm),
		cmocka_unit_test(other_types_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
