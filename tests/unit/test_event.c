/* Events as JSON lines: what a reader gets, parsed back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

#include "event_sample.h"
#include "util.h"

/* One line, and one JSON object in it and nothing behind it. */
static struct json_object *parse_line(const char *line)
{
	size_t len = strlen(line);
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;

	assert_true(len > 1 && len <= EVENT_LINE_MAX);
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
	for (size_t i = 0; i + 1 < len; i++)
		assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, line, (int)len - 1);
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		object = json_tokener_parse_ex(tokener, "", 1);
	assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
	json_tokener_free(tokener);
	assert_true(json_object_is_type(object, json_type_object));
	return object;
}

static struct json_object *write_and_parse(const struct sample *s)
{
	CLEANUP_FREE char *line = event_verification_json(&s->head, &s->v);

	return parse_line(line);
}

static void put_cleanup(struct json_object **object)
{
	json_object_put(*object);
}
#define CLEANUP_PUT CLEANUP(put_cleanup)

/* The value at "a.b.3.c", or NULL. "@timestamp" has no dot. */
static struct json_object *at(struct json_object *object, const char *path)
{
	CLEANUP_FREE char *copy = xstrdup(path);
	char *rest = copy, *name;

	while (object && (name = strsep(&rest, "."))) {
		struct json_object *next = NULL;

		if (json_object_is_type(object, json_type_array))
			next = json_object_array_get_idx(object, strtoul(name, NULL, 10));
		else
			json_object_object_get_ex(object, name, &next);
		object = next;
	}
	return object;
}

static void assert_text(struct json_object *object, const char *path, const char *want)
{
	struct json_object *value = at(object, path);

	assert_true(json_object_is_type(value, json_type_string));
	assert_string_equal(json_object_get_string(value), want);
}

static void assert_number(struct json_object *object, const char *path, int64_t want)
{
	struct json_object *value = at(object, path);

	assert_true(json_object_is_type(value, json_type_int));
	assert_int_equal(json_object_get_int64(value), want);
}

/* keys: in their order, with blanks between them. path "" is the object itself. */
static void assert_keys(struct json_object *object, const char *path, const char *keys)
{
	struct json_object *value = *path ? at(object, path) : object;
	char have[1024] = "";

	assert_true(json_object_is_type(value, json_type_object));
	json_object_object_foreach(value, key, unused)
	{
		(void)unused;
		snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%s", *have ? " " : "", key);
	}
	assert_string_equal(have, keys);
}

#define X8(digits) digits digits digits digits digits digits digits digits
#define SHA(digits) X8(digits) X8(digits) X8(digits) X8(digits)

#define KEY_FIELDS                                                   \
	"\"public_key_algorithm\":\"RSA\",\"public_key_size\":2048," \
	"\"signature_algorithm\":\"sha256WithRSAEncryption\","

/* The documented example, whole: names, order, forms. */
static void killed_violation_is_the_documented_event(void **state)
{
	static const char want[] =
		"{\"@timestamp\":\"2026-11-22T01:02:03.123456Z\",\"ecs\":{\"version\":\"8.17.0\"},"
		"\"event\":{\"kind\":\"alert\",\"category\":[\"network\"],\"type\":[\"denied\"],"
		"\"action\":\"policy-violation\",\"outcome\":\"failure\",\"sequence\":42,\"severity\":4},"
		"\"host\":{\"name\":\"web1\"},"
		"\"process\":{\"pid\":812,\"executable\":\"/usr/bin/curl\",\"name\":\"curl\",\"entity_id\":\"812-48213377\","
		"\"user\":{\"id\":\"1000\",\"name\":\"alice\"}},"
		"\"container\":{\"id\":\"c0ffee\"},\"service\":{\"name\":\"unbound.service\"},"
		"\"source\":{\"ip\":\"192.0.2.9\",\"port\":40112},"
		"\"destination\":{\"ip\":\"1.1.1.1\",\"port\":853,\"domain\":\"one.one.one.one\"},"
		"\"network\":{\"transport\":\"tcp\",\"type\":\"ipv4\"},"
		"\"tls\":{\"client\":{\"server_name\":\"one.one.one.one\"},"
		"\"server\":{\"subject\":\"CN=1.1.1.1\",\"issuer\":\"CN=Fina RDC 2020,O=Financijska agencija,C=HR\","
		"\"not_before\":\"2024-02-18T12:00:00Z\",\"not_after\":\"2025-02-18T12:00:00Z\","
		"\"hash\":{\"sha256\":\"" SHA(
			"41") "\"},"
			      "\"x509\":{\"serial_number\":\"0A0B\",\"alternative_names\":[\"1.1.1.1\",\"test.example\"],"
			      "\"public_key_algorithm\":\"RSA\",\"public_key_size\":2048,"
			      "\"signature_algorithm\":\"sha256WithRSAEncryption\"}}},"
			      "\"rule\":{\"id\":\"resolver-issuer\",\"name\":\"only these CAs\",\"ruleset\":\"public-resolvers\"},"
			      "\"tlswarden\":{\"role\":\"client\",\"library\":{\"name\":\"openssl\",\"version\":\"3.0.22\","
			      "\"path\":\"/usr/lib/libssl.so.3\",\"build_id\":\"deadbeef\"},"
			      "\"verify\":{\"result\":\"ok\",\"code\":0,\"mode\":\"peer\",\"expected_host\":\"one.one.one.one\"},"
			      "\"chain\":[{\"subject\":\"CN=1.1.1.1\",\"issuer\":\"CN=Fina RDC 2020,O=Financijska agencija,C=HR\","
			      "\"serial\":\"0A0B\",\"sha256\":\"" SHA(
				      "41") "\","
					    "\"spki_sha256\":\"QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\"," KEY_FIELDS
					    "\"not_before\":\"2024-02-18T12:00:00Z\","
					    "\"not_after\":\"2025-02-18T12:00:00Z\",\"presented\":true,\"application\":true,\"proven\":true,\"path\":0},"
					    "{\"subject\":\"CN=Fina RDC 2020,O=Financijska agencija,C=HR\",\"issuer\":\"CN=Fina Root CA,C=HR\","
					    "\"serial\":\"02\",\"sha256\":\"" SHA(
						    "51") "\","
							  "\"spki_sha256\":\"UlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlI=\"," KEY_FIELDS
							  "\"not_before\":\"2024-02-18T12:00:00Z\","
							  "\"not_after\":\"2025-02-18T12:00:00Z\",\"presented\":true,\"application\":true,\"proven\":true,\"path\":1},"
							  "{\"subject\":\"CN=Fina Root CA,C=HR\",\"issuer\":\"CN=Fina Root CA,C=HR\",\"serial\":\"01\","
							  "\"sha256\":\"" SHA(
								  "61") "\",\"spki_sha256\":\"YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\","
									"" KEY_FIELDS
									"\"not_before\":\"2024-02-18T12:00:00Z\",\"not_after\":\"2025-02-18T12:00:00Z\",\"presented\":false,"
									"\"proven\":true,\"path\":2,\"anchor\":true}],"
									"\"socket\":{\"cookie\":\"4711\",\"how\":\"fd\"},"
									"\"violations\":[{\"rule\":\"old-key\",\"ruleset\":\"lab\",\"reason\":\"2048 bits\",\"action\":\"log\"},"
									"{\"rule\":\"resolver-issuer\",\"ruleset\":\"public-resolvers\",\"reason\":\"no key of @resolver-cas\","
									"\"action\":\"kill\"}],"
									"\"policy\":{\"name\":\"public-resolvers\",\"mode\":\"enforce\",\"sha256\":\"abcd" X8(
										"00") X8("00")
										X8("00") "000000000000\"},"
											 "\"action\":{\"requested\":\"kill\",\"result\":\"killed\"},"
											 "\"latency_us\":{\"verdict\":143,\"action\":201},\"lost_before\":0}}\n";
	CLEANUP_FREE char *line = NULL;
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	line = event_verification_json(&s.head, &s.v);
	assert_string_equal(line, want);
	object = parse_line(line);
	assert_int_equal(json_object_array_length(at(object, "tlswarden.chain")), 3);
}

static void would_kill_is_allowed_in_audit(void **state)
{
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.violations[1].enforced = false;
	s.violations[1].description = NULL;
	s.verdict.action = ACTION_LOG;
	s.v.result = RESULT_WOULD_KILL;
	s.v.latency_action_us = 0;
	object = write_and_parse(&s);
	assert_text(object, "event.kind", "alert");
	assert_text(object, "event.type.0", "allowed");
	assert_text(object, "event.outcome", "failure");
	assert_text(object, "tlswarden.policy.mode", "audit");
	assert_text(object, "tlswarden.action.requested", "kill");
	assert_text(object, "tlswarden.action.result", "would-kill");
	assert_keys(object, "rule", "id ruleset");
	assert_keys(object, "tlswarden.latency_us", "verdict");
}

static void failed_action_tells_why(void **state)
{
	static const struct {
		enum action_result result;
		const char *name, *type;
	} cases[] = {
		{RESULT_NONE, "none", "allowed"},
		{RESULT_KILLED, "killed", "denied"},
		{RESULT_PROCESS_KILLED, "process-killed", "denied"},
		{RESULT_REJECTED, "rejected", "denied"},
		{RESULT_FAILED, "failed", "allowed"},
	};
	struct sample s;

	(void)state;
	sample_init(&s);
	s.v.result_reason = "no such\nsocket";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_PUT struct json_object *object = NULL;

		s.v.result = cases[i].result;
		object = write_and_parse(&s);
		assert_text(object, "tlswarden.action.result", cases[i].name);
		assert_text(object, "event.type.0", cases[i].type);
		if (s.v.result == RESULT_FAILED)
			assert_text(object, "tlswarden.action.reason", "no such\\x0asocket");
		else
			assert_null(at(object, "tlswarden.action.reason"));
	}
}

static void peer_verified_has_no_rule(void **state)
{
	static const struct {
		enum verify_result verify;
		const char *name, *outcome;
	} cases[] = {
		{VERIFY_OK, "ok", "success"},
		{VERIFY_FAILED, "failed", "failure"},
		{VERIFY_FAILED_IGNORED, "failed-ignored", "failure"},
		{VERIFY_OFF, "off", "unknown"},
		{VERIFY_BY_CALLBACK, "custom", "unknown"},
		{VERIFY_NO_CERTIFICATE, "none", "unknown"},
		{VERIFY_PENDING, "off", "unknown"},
	};
	struct sample s;

	(void)state;
	sample_init(&s);
	s.verdict = (struct verdict){0};
	s.v.result = RESULT_NONE;
	s.v.lost_before = 7;
	s.facts.library = LIBRARY_GNUTLS;
	s.facts.verify_code = 20;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_PUT struct json_object *object = NULL;

		s.facts.verify = cases[i].verify;
		object = write_and_parse(&s);
		assert_keys(object, "",
			    "@timestamp ecs event host process container service source destination network tls tlswarden");
		assert_keys(object, "event", "kind category type action outcome sequence");
		assert_text(object, "event.kind", "event");
		assert_text(object, "event.type.0", "info");
		assert_text(object, "event.action", "peer-verified");
		assert_text(object, "event.outcome", cases[i].outcome);
		assert_text(object, "tlswarden.verify.result", cases[i].name);
		assert_number(object, "tlswarden.verify.code", 20);
		assert_keys(object, "tlswarden", "role library verify chain socket action latency_us lost_before");
		assert_keys(object, "tlswarden.action", "result");
		assert_text(object, "tlswarden.action.result", "none");
		assert_text(object, "tlswarden.library.name", "gnutls");
		assert_number(object, "tlswarden.lost_before", 7);
	}
}

static void server_role_turns_the_ends_round(void **state)
{
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.facts.role = FACTS_ROLE_SERVER;
	s.facts.peer = (struct address){16, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	s.facts.server_name = "mtls.example";
	object = write_and_parse(&s);
	assert_text(object, "source.ip", "2001:db8::1");
	assert_number(object, "source.port", 853);
	assert_keys(object, "source", "ip port");
	assert_text(object, "destination.ip", "192.0.2.9");
	assert_number(object, "destination.port", 40112);
	assert_text(object, "destination.domain", "mtls.example");
	assert_text(object, "network.type", "ipv6");
	assert_keys(object, "tls", "client");
	assert_keys(object, "tls.client", "server_name subject issuer not_before not_after hash x509");
	assert_text(object, "tls.client.server_name", "mtls.example");
	assert_text(object, "tls.client.hash.sha256", SHA("41"));
	assert_text(object, "tlswarden.role", "server");
}

static void what_a_socket_is_of(void **state)
{
	CLEANUP_PUT struct json_object *tcp = NULL, *udp = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	tcp = write_and_parse(&s);
	assert_text(tcp, "network.transport", "tcp");
	s.v.context.udp = true;
	udp = write_and_parse(&s);
	assert_text(udp, "network.transport", "udp");
}

static void what_was_verified_earlier_says_so(void **state)
{
	CLEANUP_PUT struct json_object *usual = NULL, *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	usual = write_and_parse(&s);
	assert_null(at(usual, "tlswarden.retroactive"));
	assert_null(at(usual, "tlswarden.process_gone"));
	s.v.retroactive = s.v.process_gone = true;
	object = write_and_parse(&s);
	assert_true(json_object_get_boolean(at(object, "tlswarden.retroactive")));
	assert_true(json_object_get_boolean(at(object, "tlswarden.process_gone")));
	assert_keys(
		object, "tlswarden",
		"role library verify chain socket violations policy action retroactive process_gone latency_us lost_before");
}

static void unparsed_leaf_is_known_by_its_hash(void **state)
{
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.leaf = (struct certificate){.error = "not DER", .der_len = 7};
	memset(s.leaf.sha256, 0xf0, sizeof(s.leaf.sha256));
	s.facts.certs[0].proven = s.facts.certs[1].proven = false;
	s.facts.path_count = 0;
	s.facts.truncated = true;
	object = write_and_parse(&s);
	assert_keys(object, "tls.server", "hash");
	assert_text(object, "tls.server.hash.sha256", SHA("F0"));
	assert_int_equal(json_object_array_length(at(object, "tlswarden.chain")), 2);
	assert_keys(object, "tlswarden.chain.0", "sha256 error presented application proven");
	assert_text(object, "tlswarden.chain.0.error", "not DER");
	assert_false(json_object_get_boolean(at(object, "tlswarden.chain.0.proven")));
	assert_true(json_object_get_boolean(at(object, "tlswarden.chain.0.presented")));
	assert_true(json_object_get_boolean(at(object, "tlswarden.truncated")));
}

static void unreadable_dates_are_left_out(void **state)
{
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.leaf.not_before = INT64_MIN;
	s.leaf.not_after = INT64_MAX;
	s.issuer.not_after = 253402300799;
	s.facts.certs[1].presented = false;
	object = write_and_parse(&s);
	assert_keys(object, "tls.server", "subject issuer hash x509");
	assert_keys(
		object, "tlswarden.chain.0",
		"subject issuer serial sha256 spki_sha256 public_key_algorithm public_key_size signature_algorithm presented "
		"application proven path");
	assert_text(object, "tlswarden.chain.1.not_after", "9999-12-31T23:59:59Z");
	assert_false(json_object_get_boolean(at(object, "tlswarden.chain.1.presented")));
	assert_null(at(object, "tlswarden.chain.1.anchor"));
}

static void unknown_things_are_left_out(void **state)
{
	struct event_context nothing = {.socket_how = "unknown"};
	CLEANUP_PUT struct json_object *object = NULL;
	struct json_object *name = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.verdict = (struct verdict){0};
	s.facts = (struct facts){.verify = VERIFY_OFF, .uid = UINT32_MAX};
	s.v = (struct event_verification){.facts = &s.facts, .verdict = &s.verdict, .context = nothing};
	object = write_and_parse(&s);
	assert_keys(object, "", "@timestamp ecs event host tls tlswarden");
	assert_keys(object, "tls", "client");
	assert_true(json_object_object_get_ex(at(object, "tls.client"), "server_name", &name));
	assert_null(name);
	assert_keys(object, "tlswarden", "role verify socket action latency_us lost_before");
	assert_keys(object, "tlswarden.verify", "result code");
	assert_keys(object, "tlswarden.socket", "how");
	assert_text(object, "tlswarden.socket.how", "unknown");
	assert_text(object, "tlswarden.role", "unknown");
}

static void hostile_text_stays_on_one_line(void **state)
{
	static const char exe[] = "/tmp/a\n{\"x\":1}\t\x1b[31m\xff\xc3(\"\xe2\x80\xa8\\end";
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.v.context.exe = exe;
	s.facts.user = "bad\xf5user";
	s.v.context.unit = "u\r.service";
	s.head.host = "web\n1";
	s.leaf.subject = "CN=\\\\\"quoted\\x00\", O=caf\xc3\xa9";
	object = write_and_parse(&s);
	assert_text(object, "process.executable", "/tmp/a\\x0a{\"x\":1}\\x09\\x1b[31m\\xff\\xc3(\"\\xe2\\x80\\xa8\\\\end");
	assert_text(object, "process.user.name", "bad\\xf5user");
	assert_text(object, "service.name", "u\\x0d.service");
	assert_text(object, "host.name", "web\\x0a1");
	assert_text(object, "tls.server.subject", s.leaf.subject);
}

/* The largest of everything, each character one that JSON makes longer. */
static void an_event_has_a_largest_size(void **state)
{
	enum { SANS = 600, LONG = 70000, VIOLATIONS = 200 };
	CLEANUP_FREE char *huge = xcalloc(LONG + 1, 1), *path = xcalloc(LONG + 1, 1), *odd = xcalloc(LONG + 1, 1);
	CLEANUP_FREE char *line = NULL;
	CLEANUP_FREE struct san *sans = xcalloc(SANS, sizeof(*sans));
	CLEANUP_FREE struct violation *violations = xcalloc(VIOLATIONS, sizeof(*violations));
	CLEANUP_FREE struct certificate *certs = xcalloc(2 * FACTS_CERTS_MAX, sizeof(*certs));
	CLEANUP_PUT struct json_object *object = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	memset(huge, '"', LONG);
	memset(path, '\\', LONG);
	memset(odd, '\1', LONG);
	for (size_t i = 0; i < SANS; i++)
		sans[i] = (struct san){.kind = SAN_DNS, .text = huge};
	for (size_t i = 0; i < VIOLATIONS; i++) {
		violations[i] = s.violations[1];
		violations[i].rule = violations[i].ruleset = violations[i].description = violations[i].reason = odd;
	}
	for (size_t i = 0; i < 2 * FACTS_CERTS_MAX; i++) {
		certs[i] = sample_certificate((uint8_t)i, huge, huge, huge);
		if (i < FACTS_CERTS_MAX)
			s.facts.certs[i] = (struct fact_cert){&certs[i], true, true, true};
		else
			s.facts.path[i - FACTS_CERTS_MAX] = &certs[i];
	}
	s.facts.certs_count = s.facts.path_count = FACTS_CERTS_MAX;
	certs[0].sans = sans;
	certs[0].sans_count = SANS;
	certs[0].sans_total = 20000;
	s.verdict.violations = violations;
	s.verdict.count = VIOLATIONS;
	s.facts.server_name = s.facts.expected_host = s.facts.user = huge;
	s.v.context.exe = s.v.context.library_path = s.v.context.library_version = s.v.context.unit = path;
	s.v.result_reason = path;
	line = event_verification_json(&s.head, &s.v);
	object = parse_line(line);
	assert_true(strlen(line) > EVENT_LINE_MAX / 2);
	assert_int_equal(json_object_array_length(at(object, "tlswarden.chain")), 2 * FACTS_CERTS_MAX);
	assert_int_equal(json_object_array_length(at(object, "tls.server.x509.alternative_names")), 256);
	assert_number(object, "tlswarden.alternative_names_left_out", 20000 - 256);
	assert_int_equal(json_object_array_length(at(object, "tlswarden.violations")), 32);
	assert_number(object, "tlswarden.violations_left_out", VIOLATIONS - 32);
	assert_int_equal(json_object_get_string_len(at(object, "tls.server.subject")), 1024 + strlen("…"));
}

/* A cut tears neither a character nor an escape. */
static void a_cut_falls_between_characters(void **state)
{
	static const struct {
		const char *unit;
		size_t whole; /* bytes of the 1024 that stay, after one byte in front */
	} cases[] = {
		{"\xc3\xa9", 1023}, {"\xe2\x82\xac", 1024}, {"\xf0\x9f\x98\x80", 1021}, {"\\x0a", 1021}, {"\\\\", 1023}};
	struct sample s;

	(void)state;
	sample_init(&s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *text = xcalloc(3000, 1);
		CLEANUP_PUT struct json_object *object = NULL;
		const char *cut;

		strcat(text, "a");
		while (strlen(text) < 2000)
			strcat(text, cases[i].unit);
		s.leaf.subject = text;
		object = write_and_parse(&s);
		cut = json_object_get_string(at(object, "tls.server.subject"));
		assert_int_equal(strlen(cut), cases[i].whole + strlen("…"));
		assert_memory_equal(cut, text, cases[i].whole);
		assert_string_equal(cut + cases[i].whole, "…");
	}
}

static void agent_events_nest_their_details(void **state)
{
	static const struct {
		const char *action, *category, *type;
	} cases[] = {
		{"agent-started", "process", "start"},   {"agent-stopped", "process", "end"},
		{"policy-loaded", "host", "change"},     {"policy-rejected", "host", "info"},
		{"policy-expired", "host", "change"},    {"library-attached", "host", "info"},
		{"library-unsupported", "host", "info"}, {"events-lost", "host", "info"},
		{"sink-failed", "host", "info"},
	};
	static const struct event_detail details[] = {
		{"library.path", "/lib/\n/libssl.so", 0},
		{"count", NULL, -3},
		{"library.version", "3.0.22", 0},
		{"count.more", "kept", 0},
		{"a.b.c", NULL, INT64_MAX},
	};
	struct event_head head = {.time_us = 0, .sequence = 1, .host = "web1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *line = event_agent_json(&head, cases[i].action, "failure", details, ARRAY_SIZE(details));
		CLEANUP_PUT struct json_object *object = parse_line(line);
		struct json_object *more = NULL;

		assert_keys(object, "", "@timestamp ecs event host tlswarden");
		assert_text(object, "@timestamp", "1970-01-01T00:00:00.000000Z");
		assert_keys(object, "event", "kind category type action outcome sequence dataset");
		assert_text(object, "event.kind", "event");
		assert_text(object, "event.action", cases[i].action);
		assert_text(object, "event.category.0", cases[i].category);
		assert_text(object, "event.type.0", cases[i].type);
		assert_text(object, "event.outcome", "failure");
		assert_text(object, "event.dataset", "tlswarden.agent");
		assert_keys(object, "tlswarden", "library count count.more a");
		assert_keys(object, "tlswarden.library", "path version");
		assert_text(object, "tlswarden.library.path", "/lib/\\x0a/libssl.so");
		assert_number(object, "tlswarden.count", -3);
		assert_true(json_object_object_get_ex(at(object, "tlswarden"), "count.more", &more));
		assert_number(object, "tlswarden.a.b.c", INT64_MAX);
	}
}

static void agent_event_without_details(void **state)
{
	struct event_head head = {.time_us = -1, .sequence = UINT64_MAX, .host = NULL};
	CLEANUP_FREE char *line = event_agent_json(&head, "agent-stopped", "success", NULL, 0);

	(void)state;
	assert_string_equal(line, "{\"@timestamp\":\"1969-12-31T23:59:59.999999Z\",\"ecs\":{\"version\":\"8.17.0\"},"
				  "\"event\":{\"kind\":\"event\",\"category\":[\"process\"],\"type\":[\"end\"],"
				  "\"action\":\"agent-stopped\",\"outcome\":\"success\",\"sequence\":18446744073709551615,"
				  "\"dataset\":\"tlswarden.agent\"}}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_violation_is_the_documented_event),
		cmocka_unit_test(would_kill_is_allowed_in_audit),
		cmocka_unit_test(failed_action_tells_why),
		cmocka_unit_test(peer_verified_has_no_rule),
		cmocka_unit_test(server_role_turns_the_ends_round),
		cmocka_unit_test(what_a_socket_is_of),
		cmocka_unit_test(what_was_verified_earlier_says_so),
		cmocka_unit_test(unparsed_leaf_is_known_by_its_hash),
		cmocka_unit_test(unreadable_dates_are_left_out),
		cmocka_unit_test(unknown_things_are_left_out),
		cmocka_unit_test(hostile_text_stays_on_one_line),
		cmocka_unit_test(an_event_has_a_largest_size),
		cmocka_unit_test(a_cut_falls_between_characters),
		cmocka_unit_test(agent_events_nest_their_details),
		cmocka_unit_test(agent_event_without_details),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
