/* Logged events read back: the same facts give the same verdict, and a stranger's line does no harm. */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

#include "event_read.h"
#include "event_same.h"
#include "event_sample.h"
#include "fixture.h"
#include "policy.h"
#include "random_case.h"

#define CLEANUP_EVENT CLEANUP(event_read_clear)

/* --- policies that look at everything --------------------------------------------------------------------------------- */

static struct policies *parse(char **texts, size_t count)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = NULL;
	struct policy_source sources[2];

	for (size_t i = 0; i < count; i++)
		sources[i] = (struct policy_source){"f", texts[i], strlen(texts[i])};
	if (policies_parse(sources, count, &policies, &problems) < 0)
		fail_msg("%u:%u %s", problems.items[0].line, problems.items[0].column, problems.items[0].text);
	return policies;
}

/* Each criterion, and each thing asked, with keys and names of which some facts have some. key: a certificate's, so that the
 * pins are real. */
static struct policies *policies_of(const struct certificate *key, const struct certificate *other)
{
	char pin[PIN_CHARS + 1], other_pin[PIN_CHARS + 1], hex[2 * SHA256_BYTES + 1];
	CLEANUP_FREE char *text = NULL;

	pin_encode(key->spki_sha256, pin);
	pin_encode(other->spki_sha256, other_pin);
	hex_encode(key->sha256, SHA256_BYTES, false, hex);
	text = xasprintf(
		"version: 1\nname: all\n"
		"sets: {keys: {some: [{name: a, spki_sha256: \"%s\"}, {name: b, spki_sha256: \"%s\"}]}}\n"
		"rules:\n"
		"  - {id: key, match: [{any: true}], require: {key_in: \"@some\"}}\n"
		"  - {id: leaf, match: [{any: true}], require: {key_in: \"@some\", at: leaf}}\n"
		"  - {id: issuer, match: [{any: true}], require: {issuer_in: \"@some\"}}\n"
		"  - {id: verified, match: [{any: true}], require: {verified: true}}\n"
		"  - {id: lifetime, match: [{any: true}], require: {max_lifetime: 90d}}\n"
		"  - {id: remaining, match: [{any: true}], require: {min_remaining: 400d}}\n"
		"  - {id: rsa, match: [{any: true}], require: {min_rsa_bits: 3072}}\n"
		"  - {id: ec, match: [{any: true}], require: {min_ec_bits: 300}}\n"
		"  - {id: names, match: [{any: true}], require: {name_matches: true}}\n"
		"  - {id: no-key, match: [{any: true}], forbid: {key_in: \"@some\"}}\n"
		"  - {id: no-cert, match: [{any: true}], forbid: {cert_sha256_in: [\"%s\"]}}\n"
		"  - {id: no-sha1, match: [{any: true}], forbid: {signature: [sha1]}}\n"
		"  - {id: m-name, match: [{server_name: \"www.example.com\"}], forbid: {key_in: \"@some\"}}\n"
		"  - {id: m-san, match: [{san_dns: \"**.example.com\"}, {san_dns: localhost}], require: {verified: true}}\n"
		"  - {id: m-ip, match: [{san_ip: \"192.0.2.0/24\"}, {san_ip: \"127.0.0.0/8\"}], require: {verified: true}}\n"
		"  - {id: m-peer, match: [{peer_ip: \"192.0.2.0/24\", peer_port: [853]}], require: {verified: true}}\n"
		"  - {id: m-exe, match: [{exe: \"/opt/*/curl\"}], require: {verified: true}}\n"
		"  - {id: m-user, match: [{user: alice}, {user: 1000}], require: {verified: true}}\n"
		"  - {id: m-unit, match: [{unit: \"a*.service\"}], require: {verified: true}}\n"
		"  - {id: m-container, match: [{container: \"*\"}], require: {verified: true}}\n"
		"  - {id: m-role, match: [{role: server}], require: {verified: true}}\n"
		"  - {id: m-library, match: [{library: gnutls}], require: {verified: true}}\n"
		"  - {id: m-issuer, match: [{issuer_in: \"@some\"}], require: {verified: true}}\n"
		"  - {id: x-san, match: [{any: true}], except: {san_dns: \"**.example.com\"}, require: {verified: true}}\n",
		pin, other_pin, hex);
	return parse(&text, 1);
}

/* --- facts at random -------------------------------------------------------------------------------------------------- */

#define ONE_OF(table) (table)[random_below(ARRAY_SIZE(table))]

static const char *const some_names[] = {NULL,        "www.example.com",      "a.b.example.com",
					 "localhost", "odd\\x00.example.com", ""};
static const char *const some_exes[] = {NULL, "/usr/bin/curl", "/opt/x\\y/curl", "/opt/\xff\n/curl", "/opt/\\x41/curl"};

static void facts_random(struct facts *facts)
{
	static const char *const modes[] = {"peer", "none", "unknown"};
	static const char *const users[] = {NULL, "alice", "bob\\x"};
	static const uint8_t addresses[][4] = {{192, 0, 2, 1}, {198, 51, 100, 7}, {127, 0, 0, 1}};

	facts->role = (enum facts_role)random_below(3);
	facts->library = (enum library_kind)random_below(3);
	facts->verify = (enum verify_result)random_below(VERIFY_PENDING);
	if (facts->verify == VERIFY_NO_CERTIFICATE)
		facts->proof = (enum peer_proof)(PROOF_UNKNOWN + random_below(4));
	facts->resumed = random_below(4) == 0;
	facts->early_data = random_below(4) == 0;
	facts->verify_code = (int)random_below(100);
	facts->verify_mode = ONE_OF(modes);
	facts->server_name = ONE_OF(some_names);
	facts->expected_host = ONE_OF(some_names);
	if (random_below(4)) {
		facts->peer = address_from_bytes(ONE_OF(addresses), 4);
		facts->peer_port = random_below(2) ? 853 : 443;
		facts->local = (struct address){16, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
		facts->local_port = 40000;
	}
	facts->exe = ONE_OF(some_exes);
	facts->user = ONE_OF(users);
	facts->uid = random_below(2) ? 1000 : UINT32_MAX;
	facts->unit = ONE_OF(some_units);
	facts->container = random_below(4) ? NULL : "c0ffee";
}

/* Some of the certificates, presented or not, in any order and each once; the first is the leaf. */
static void certs_random(struct facts *facts, struct certificate *const *pool, size_t count)
{
	size_t wanted = random_below(count < 6 ? count + 1 : 7);
	bool used[64] = {false};

	assert_true(count <= ARRAY_SIZE(used));
	while (facts->certs_count < wanted) {
		size_t at = random_below(count);
		bool presented = random_below(4) > 0;

		if (used[at])
			continue;
		used[at] = true;
		facts->certs[facts->certs_count++] = (struct fact_cert){pool[at], presented, !presented || random_below(2),
									false};
	}
}

enum { MADE = 12, SANS = 6 };

/* Certificates that only a test could make: no bytes, every text and number at will. */
struct made {
	struct certificate items[MADE], *pointers[MADE];
	struct san sans[MADE][SANS];
};

static struct san san_random(void)
{
	static const struct san choices[] = {
		{.kind = SAN_DNS, .text = "www.example.com"},
		{.kind = SAN_DNS, .text = "*.example.com"},
		{.kind = SAN_DNS, .text = "192.0.2.7"},
		{.kind = SAN_DNS, .text = "www.example.com\\x00", .odd = true},
		{.kind = SAN_DNS, .text = "caf\xc3\xa9.example.com", .odd = true},
		{.kind = SAN_DNS, .text = "back\\\\slash"},
		{.kind = SAN_DNS, .text = "a@b.example.com"},
		{.kind = SAN_IP, .text = "192.0.2.9", .address = {4, {192, 0, 2, 9}}},
		{.kind = SAN_IP, .text = "0102030405", .odd = true},
		{.kind = SAN_EMAIL, .text = "ops@example.com"},
		{.kind = SAN_URI, .text = "https://example.com/"},
		{.kind = SAN_DIRECTORY, .text = "CN=x,O=y"},
		{.kind = SAN_OTHER, .text = "otherName:0102"},
	};

	return ONE_OF(choices);
}

static void made_random(struct made *made)
{
	static const struct {
		const char *subject, *common_name, *organization;
	} names[] = {
		{"CN=www.example.com,O=Example", "www.example.com", "Example"},
		{"CN=a\\,b\\\"c,OU=x+O=y\\\\z", "a,b\"c", "y\\\\z"},
		{"CN=first,CN=second,O=\\#o", "first", "#o"},
		{"CN=\\x00\\\\\\,\\ ,C=HR", "\\x00\\\\, ", NULL},
		{"", NULL, NULL},
		{"L=x\\,CN=no", NULL, NULL},
	};
	static const char *const keys[][3] = {{"RSA", "sha256WithRSAEncryption", "SHA256"},
					      {"EC", "ecdsa-with-SHA1", "SHA1"},
					      {"ED25519", "ED25519", "none"},
					      {"RSA-PSS", "rsassaPss", "SHA1"}};

	for (size_t i = 0; i < MADE; i++) {
		struct certificate *c = made->pointers[i] = &made->items[i];
		size_t name = random_below(ARRAY_SIZE(names)), key = random_below(ARRAY_SIZE(keys));

		*c = (struct certificate){.parsed = random_below(10) > 0, .refs = 1, .path_len = -1};
		memset(c->sha256, 0x10 + (int)i, SHA256_BYTES);
		if (!c->parsed) {
			c->error = "not an X.509 certificate";
			continue;
		}
		memset(c->spki_sha256, 0x40 + (int)i, SHA256_BYTES);
		memset(c->key_sha256, (random_below(4) ? 0x40 : 0x41) + (int)i, SHA256_BYTES);
		c->has_twin = random_below(2);
		if (c->has_twin)
			memset(c->twin_sha256, 0x11 + (int)i, SHA256_BYTES);
		c->subject = (char *)names[name].subject;
		c->common_name = (char *)names[name].common_name;
		c->organization = (char *)names[name].organization;
		c->issuer = (char *)names[random_below(ARRAY_SIZE(names))].subject;
		c->self_issued = strcmp(c->subject, c->issuer) == 0;
		c->serial = "0A";
		c->key_algorithm = keys[key][0];
		c->signature_algorithm = keys[key][1];
		c->signature_digest = keys[key][2];
		c->key_bits = (unsigned)(256 << random_below(5));
		c->error = random_below(8) ? NULL : "subjectAltName is broken";
		c->not_before = random_below(8) ? 1795309323 - (int64_t)random_below(100 * 86400) : INT64_MIN;
		c->not_after = random_below(8) ? 1795309323 + (int64_t)random_below(800 * 86400) : INT64_MAX;
		c->sans = made->sans[i];
		c->sans_count = random_below(SANS);
		c->sans_total = c->sans_count + (random_below(8) ? 0 : 300);
		for (size_t k = 0; k < c->sans_count; k++)
			c->sans[k] = san_random();
	}
}

/* A path through certificates of the facts, with an anchor or two at its end, and some beside it. */
static void path_random(struct facts *facts, struct certificate *const *anchors, size_t count)
{
	size_t at = 0;

	if (!facts->certs_count || !facts->certs[0].certificate->parsed || facts->truncated)
		return;
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].certificate->parsed && (i == 0 || random_below(2))) {
			facts->certs[i].proven = true;
			facts->path[facts->path_count++] = facts->certs[i].certificate;
		}
	/* Not in the order of the list. */
	if (facts->path_count > 2 && random_below(2)) {
		const struct certificate *second = facts->path[1];

		facts->path[1] = facts->path[2];
		facts->path[2] = second;
	}
	for (; at < count && random_below(2); at++)
		if (anchors[at]->parsed)
			facts->path[facts->path_count++] = anchors[at];
	for (; at < count && random_below(2); at++)
		facts->beside[facts->beside_count++] = anchors[at];
}

static void random_facts_without_bytes_are_judged_the_same(void **state)
{
	struct made made;
	struct policies *policies;

	(void)state;
	random_start();
	for (size_t round = 0; round < 3000; round++) {
		CLEANUP_EVENT struct event_read event = {0};
		CLEANUP_FREE char *line = NULL, *again = NULL;
		struct facts facts = {.uid = UINT32_MAX};

		made_random(&made);
		policies = policies_of(&made.items[0], &made.items[1]);
		facts_random(&facts);
		facts.truncated = random_below(6) == 0;
		facts.lost = facts.truncated && random_below(2);
		certs_random(&facts, made.pointers, 8);
		facts.path_cut = facts.certs_count && random_below(6) == 0;
		path_random(&facts, made.pointers + 8, MADE - 8);
		facts.without_der = facts.certs_count > 0;
		line = line_of(&facts, false);
		event = read_back(line, NULL);
		same_facts(&facts, &event.facts);
		assert_int_equal(event.facts.without_der, facts.without_der);
		assert_false(event.facts.without_keys);
		same_verdict(policies, &facts, &event.facts);
		event.facts.unit = facts.unit; /* the same, where raw_unit() knows it */
		again = line_of(&event.facts, false);
		assert_string_equal(again, line);
		policies_free(policies);
	}
}

/* --- with the certificates -------------------------------------------------------------------------------------------- */

static const char *const chains[] = {"good-leaf.full.pem",     "forged-leaf.full.pem", "cross-leaf.full.pem",
				     "lookalike-int.full.pem", "self-signed.full.pem", "rsapss-leaf.full.pem",
				     "ed25519-leaf.full.pem"};

static size_t pool_fill(struct fixture_chain *files, struct certificate **ret)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		files[i] = fixture_chain(chains[i]);
		for (size_t k = 0; k < files[i].count; k++) {
			bool there = false;

			for (size_t j = 0; j < count; j++)
				there |= memcmp(ret[j]->sha256, files[i].certs[k]->sha256, SHA256_BYTES) == 0;
			if (!there)
				ret[count++] = files[i].certs[k];
		}
	}
	return count;
}

static void random_chains_with_bytes_are_proven_the_same(void **state)
{
	struct fixture_chain files[ARRAY_SIZE(chains)];
	struct certificate *pool[64];
	size_t count = pool_fill(files, pool), proven = 0, beside = 0;
	struct policies *policies = policies_of(pool[1], pool[2]);

	(void)state;
	random_start();
	for (size_t round = 0; round < 1000; round++) {
		CLEANUP_EVENT struct event_read whole = {0}, partial = {0};
		CLEANUP(anchors_freep) struct anchors *anchors = NULL;
		CLEANUP_FREE char *line = NULL, *short_line = NULL;
		struct certificate *known[8];
		size_t from;
		struct facts facts = {.uid = UINT32_MAX};

		facts_random(&facts);
		/* Not far from each other in the pool: then they are often of one chain. */
		from = random_below(count - 4);
		certs_random(&facts, pool + from, 4);
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			known[i] = pool[random_below(count)];
		anchors = anchors_with(NULL, known, random_below(ARRAY_SIZE(known) + 1));
		path_prove(&facts, anchors);
		proven += facts.path_count > 2;
		beside += facts.beside_count > 0;
		line = line_of(&facts, true);
		whole = read_back(line, NULL);
		same_facts(&facts, &whole.facts);
		assert_false(whole.facts.without_der);
		same_verdict(policies, &facts, &whole.facts);
		for (size_t i = 0; i < facts.certs_count; i++)
			assert_memory_equal(facts.certs[i].certificate->der, whole.facts.certs[i].certificate->der,
					    facts.certs[i].certificate->der_len);

		short_line = line_of(&facts, false);
		partial = read_back(short_line, NULL);
		same_facts(&facts, &partial.facts);
		assert_int_equal(partial.facts.without_der, facts.certs_count > 0);
		facts.without_der = facts.certs_count > 0;
		same_verdict(policies, &facts, &partial.facts);
	}
	assert_true(proven > 20 && beside > 5);
	policies_free(policies);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		fixture_chain_clear(&files[i]);
}

/* Roots that replay was told of, and the line does not have. */
static void anchors_of_the_caller_are_known(void **state)
{
	struct fixture_chain sent = fixture_chain("good-leaf.chain.pem"), root = fixture_chain("good-root.pem");
	struct anchors *anchors = anchors_with(NULL, root.certs, 1);
	CLEANUP_EVENT struct event_read event = {0};
	CLEANUP_FREE char *line = NULL;
	struct facts facts = {.uid = UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sent.count; i++)
		facts.certs[facts.certs_count++] = (struct fact_cert){sent.certs[i], true, false, false};
	path_prove(&facts, NULL);
	assert_int_equal(facts.path_count, 2);
	line = line_of(&facts, true);
	event = read_back(line, anchors);
	assert_int_equal(event.facts.path_count, 3);
	same_certificate(event.facts.path[2], root.certs[0]);
	fixture_chain_clear(&sent);
	fixture_chain_clear(&root);
	anchors_free(anchors);
}

/* One that was lost has no bytes, and needs none. */
static void certificates_that_were_lost_are_no_gap(void **state)
{
	static const struct certificate lost = {.error = "it was not captured"};
	struct fixture_chain sent = fixture_chain("good-leaf.chain.pem");
	CLEANUP_EVENT struct event_read event = {0};
	CLEANUP_FREE char *line = NULL;
	struct facts facts = {.uid = UINT32_MAX, .truncated = true, .lost = true};

	(void)state;
	facts.certs[facts.certs_count++] = (struct fact_cert){&lost, true, true, false};
	facts.certs[facts.certs_count++] = (struct fact_cert){sent.certs[1], true, true, false};
	path_prove(&facts, NULL);
	line = line_of(&facts, true);
	assert_non_null(strstr(line, "\"certificate_chain\":[\"\",\"MII"));
	event = read_back(line, NULL);
	same_facts(&facts, &event.facts);
	assert_false(event.facts.without_der);
	fixture_chain_clear(&sent);
}

static void too_many_bytes_are_left_out(void **state)
{
	CLEANUP_EVENT struct event_read event = {0};
	CLEANUP_FREE uint8_t *bytes = xcalloc(CERTIFICATE_DER_MAX, 1);
	struct certificate *large[20];
	CLEANUP_FREE char *line = NULL, *fits = NULL;
	struct facts facts = {.uid = UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		memcpy(bytes, &i, sizeof(i));
		assert_int_equal(certificate_new(bytes, 60000, &large[i]), 0);
		facts.certs[facts.certs_count++] = (struct fact_cert){large[i], true, true, false};
	}
	line = line_of(&facts, true);
	assert_true(strlen(line) <= EVENT_LINE_MAX);
	assert_non_null(strstr(line, "\"certificates_left_out\":true"));
	assert_null(strstr(line, "certificate_chain"));
	event = read_back(line, NULL);
	assert_true(event.facts.without_der);
	/* As many as there is room for. */
	facts.certs_count = 13;
	fits = line_of(&facts, true);
	assert_true(strlen(fits) <= EVENT_LINE_MAX && strlen(fits) > EVENT_LINE_MAX * 9 / 10);
	assert_null(strstr(fits, "left_out"));
	for (size_t i = 0; i < ARRAY_SIZE(large); i++)
		certificate_free(large[i]);
}

/* --- what was logged -------------------------------------------------------------------------------------------------- */

static void verdict_and_process_are_read(void **state)
{
	CLEANUP_EVENT struct event_read event = {0};
	CLEANUP_FREE char *line = NULL;
	struct sample s;

	(void)state;
	sample_init(&s);
	s.facts.exe = s.v.context.exe = "/opt/new\nline";
	s.v.context.udp = s.v.retroactive = true;
	s.v.result = RESULT_REJECTED;
	line = event_verification_json(&s.head, &s.v);
	event = read_back(line, NULL);
	assert_int_equal(event.time_us, s.head.time_us);
	assert_string_equal(event.process, "curl");
	assert_string_equal(event.exe, "/opt/new\\x0aline");
	assert_string_equal(event.facts.exe, "/opt/new\nline");
	assert_string_equal(event.facts.unit, "unbound.service");
	assert_string_equal(event.facts.container, "c0ffee");
	assert_int_equal(event.violations_count, 2);
	assert_string_equal(event.violations[0].rule, "old-key");
	assert_string_equal(event.violations[1].ruleset, "public-resolvers");
	assert_int_equal(event.violations[1].action, ACTION_KILL);
	assert_int_equal(event.violations_left_out, 0);
}

/* The line as an agent before this one would have written it. */
static char *older(const char *line)
{
	static const char *const unknown[] = {
		"path",        "application",         "public_key_algorithm", "public_key_size",
		"twin_sha256", "signature_algorithm", "signature_digest"};
	struct json_object *object = json_tokener_parse(line), *own, *chain;
	char *text;

	assert_true(json_object_object_get_ex(object, "tlswarden", &own) && json_object_object_get_ex(own, "chain", &chain));
	for (size_t i = 0; i < json_object_array_length(chain); i++)
		for (size_t k = 0; k < ARRAY_SIZE(unknown); k++)
			json_object_object_del(json_object_array_get_idx(chain, i), unknown[k]);
	text = xstrdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
	return text;
}

static void older_lines_are_put_in_order(void **state)
{
	struct fixture_chain sent = fixture_chain("good-leaf.full.pem"), junk = fixture_chain("forged-leaf.full.pem");
	CLEANUP_EVENT struct event_read event = {0};
	CLEANUP_FREE char *line = NULL, *old = NULL;
	struct facts facts = {.uid = UINT32_MAX};

	(void)state;
	/* Out of order, with others between. */
	facts.certs[0] = (struct fact_cert){sent.certs[0], true, false, false};
	facts.certs[1] = (struct fact_cert){junk.certs[1], true, false, false};
	facts.certs[2] = (struct fact_cert){sent.certs[2], true, false, false};
	facts.certs[3] = (struct fact_cert){sent.certs[1], true, false, false};
	facts.certs_count = 4;
	path_prove(&facts, NULL);
	assert_int_equal(facts.path_count, 3);
	line = line_of(&facts, false);
	old = older(line);
	event = read_back(old, NULL);
	assert_true(event.facts.without_der && event.facts.without_keys);
	assert_int_equal(event.facts.path_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(event.facts.path[i]->sha256, facts.path[i]->sha256, SHA256_BYTES);
	/* The leaf's key stands elsewhere, too. */
	assert_string_equal(event.facts.certs[0].certificate->key_algorithm, "EC");
	assert_string_equal(event.facts.certs[0].certificate->signature_digest, "SHA256");
	assert_null(event.facts.certs[1].certificate->key_algorithm);
	fixture_chain_clear(&sent);
	fixture_chain_clear(&junk);
}

/* A certificate of which only a log told, given to everything that takes one. */
static void certificates_without_bytes_do_no_harm(void **state)
{
	struct fixture_chain sent = fixture_chain("good-leaf.full.pem");
	struct anchors *anchors = anchors_with(NULL, sent.certs, sent.count);
	CLEANUP_EVENT struct event_read event = {0};
	const struct certificate *leaf, *issuer;
	CLEANUP_FREE char *line = NULL;
	struct facts facts = {.uid = UINT32_MAX};
	size_t found = 1;

	(void)state;
	for (size_t i = 0; i < sent.count; i++)
		facts.certs[facts.certs_count++] = (struct fact_cert){sent.certs[i], true, false, false};
	path_prove(&facts, NULL);
	line = line_of(&facts, false);
	event = read_back(line, NULL);
	leaf = event.facts.certs[0].certificate;
	issuer = event.facts.certs[1].certificate;
	assert_null(leaf->x509);
	assert_int_equal(leaf->der_len, 0);
	assert_false(certificate_names_chain(leaf, issuer));
	assert_false(certificate_issued_by(leaf, issuer));
	assert_false(certificate_issued_by(leaf, sent.certs[1]));
	assert_false(certificate_issued_by(sent.certs[0], issuer));
	assert_true(certificate_permits(issuer, leaf, true));
	assert_int_equal(certificate_permits_cost(sent.certs[1], leaf), 0);
	anchors_find(anchors, leaf, &found);
	assert_int_equal(found, 0);
	path_prove(&event.facts, anchors);
	assert_int_equal(event.facts.path_count, 1);
	fixture_chain_clear(&sent);
	anchors_free(anchors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_facts_without_bytes_are_judged_the_same),
		cmocka_unit_test(random_chains_with_bytes_are_proven_the_same),
		cmocka_unit_test(anchors_of_the_caller_are_known),
		cmocka_unit_test(certificates_that_were_lost_are_no_gap),
		cmocka_unit_test(too_many_bytes_are_left_out),
		cmocka_unit_test(verdict_and_process_are_read),
		cmocka_unit_test(older_lines_are_put_in_order),
		cmocka_unit_test(certificates_without_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
