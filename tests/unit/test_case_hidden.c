/* Cases of what verification hides: resumed sessions and who signed their certificates, own verifications, peers without a
 * certificate. What is judged, what is remembered, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "case_world.h"

#define NAME "bad.test"

/* A rule that wants the issuer's key above the leaf. */
static struct case_world *signed_world(void)
{
	struct case_world *w = world_new();
	char pin[PIN_CHARS + 1];
	CLEANUP_FREE char *rules = NULL;

	pin_encode(w->issuer->spki_sha256, pin);
	rules = xasprintf(
		"version: 1\nname: lab\nmode: enforce\nsets:\n  keys:\n    i: {single: true, keys: [{name: i, spki_sha256: \"%s\"}]}\n"
		"rules:\n  - {id: signed, match: [{server_name: " NAME "}], require: {issuer_in: \"@i\"}, action: kill}\n",
		pin);
	world_policy(w, rules);
	w->bench.issuers = issuers_new();
	return w;
}

static void signed_free(struct case_world *w)
{
	issuers_free(w->bench.issuers);
	world_free(w);
}

/* A session that kept the leaf, and nothing of the library's making. */
static struct capture *leaf_alone(const struct case_world *w, uint32_t flags)
{
	struct capture *capture = world_capture(w, NAME, VERIFY_RESUMED | flags);

	capture->verify.presented = capture->verify.certs = 1;
	capture->verify.chain = 0;
	certificate_free(capture->certificates[1]);
	capture->count = 1;
	return capture;
}

static struct capture *bare(const struct case_world *w, uint8_t kind)
{
	struct capture *capture = leaf_alone(w, 0);

	capture->verify.flags = VERIFY_BARE;
	capture->verify.bare = kind;
	capture->verify.presented = capture->verify.certs = 0;
	certificate_free(capture->certificates[0]);
	capture->count = 0;
	capture->digested_bytes = 0;
	return capture;
}

/* Unknown at first; then from an earlier handshake, and from that alone. */
static void issuers_of_a_leaf(void **state)
{
	struct case_world *w = signed_world();
	struct case_ *c;

	(void)state;
	c = world_acted(w, leaf_alone(w, 0));
	assert_int_equal(c->verdict.count, 1);
	assert_int_equal(c->result, RESULT_KILLED);
	assert_int_equal(w->kills[0].cached.kind, CACHED_NONE);
	assert_int_equal(c->decoded.facts.certs_count, 1);
	case_free(c);

	c = world_acted(w, world_capture(w, NAME, 0));
	assert_int_equal(c->verdict.count, 0);
	case_free(c);

	c = world_acted(w, leaf_alone(w, 0));
	assert_int_equal(c->verdict.count, 0);
	assert_int_equal(c->decoded.facts.certs_count, 2);
	assert_false(c->decoded.facts.certs[1].presented || c->decoded.facts.certs[1].chain);
	assert_true(c->decoded.facts.certs[1].proven);
	assert_true(c->decoded.facts.resumed);
	assert_int_equal(c->decoded.facts.verify, VERIFY_OK);
	case_free(c);
	/* Whatever is allowed or not by what is remembered here must not be remembered by its key. */
	for (size_t i = 0; i < w->releases_count; i++)
		if (i != 0)
			assert_int_equal(w->releases[i].cached.kind, CACHED_NONE);
	signed_free(w);
}

/* A stranger's certificate with the issuer's name proves nothing, wherever it came from. */
static void a_namesake_is_no_issuer(void **state)
{
	struct case_world *w = signed_world();
	EVP_PKEY *key = made_key();
	struct certificate *namesake = made((struct made_order){.name = "Issuer", .key = key, .basic = MADE_CA});
	struct certificate *below = made((struct made_order){
		.name = "leaf.test", .issuer = "Issuer", .key = key, .issuer_key = key, .san = "DNS:leaf.test"});
	struct facts facts = {.certs = {{.certificate = below, .proven = true}, {.certificate = namesake, .proven = true}},
			      .certs_count = 2};
	struct case_ *c;

	(void)state;
	issuers_note(w->bench.issuers, &facts);
	c = world_acted(w, leaf_alone(w, 0));
	assert_int_equal(c->verdict.count, 1);
	assert_int_equal(c->decoded.facts.certs_count, 1);
	case_free(c);
	certificate_free(namesake);
	certificate_free(below);
	EVP_PKEY_free(key);
	signed_free(w);
}

static void without_a_certificate(void **state)
{
	static const struct {
		uint8_t kind;
		enum peer_proof proof;
	} kinds[] = {{BARE_UNKNOWN, PROOF_UNKNOWN},
		     {BARE_PSK, PROOF_PSK},
		     {BARE_RAW_KEY, PROOF_RAW_KEY},
		     {BARE_ANONYMOUS, PROOF_ANONYMOUS},
		     {200, PROOF_UNKNOWN}};
	struct case_world *w = signed_world();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct case_ *c = world_acted(w, bare(w, kinds[i].kind));

		assert_int_equal(c->decoded.facts.verify, VERIFY_NO_CERTIFICATE);
		assert_int_equal(c->decoded.facts.proof, kinds[i].proof);
		assert_int_equal(c->verdict.count, 1);
		assert_int_equal(c->result, RESULT_KILLED);
		assert_int_equal(w->kills[i].cached.kind, CACHED_DENY);
		case_free(c);
	}
	signed_free(w);
}

/* Nothing is missing of it: without a rule that it breaks it is told only where all is. */
static void without_a_certificate_and_fine(void **state)
{
	struct case_world *w = world_new();
	struct case_ *c;
	size_t lines;
	char *events;

	(void)state;
	c = world_acted(w, bare(w, BARE_PSK));
	assert_int_equal(c->verdict.count, 0);
	assert_true(case_tell(&w->bench, c));
	events = world_events(w, &lines);
	assert_int_equal(lines, 0);
	free(events);
	w->bench.all_events = true;
	assert_true(case_tell(&w->bench, c));
	events = world_events(w, &lines);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(events, "\"proof\":\"psk\""));
	assert_non_null(strstr(events, "\"result\":\"none\""));
	free(events);
	case_free(c);
	world_free(w);
}

static void own_verification(void **state)
{
	struct case_world *w = world_new();
	struct case_ *c;

	(void)state;
	world_policy(w, NULL);
	c = world_acted(w, world_capture(w, NAME, VERIFY_CUSTOM | VERIFY_EARLY));
	assert_int_equal(c->decoded.facts.verify, VERIFY_BY_CALLBACK);
	assert_true(c->decoded.facts.early_data);
	assert_false(c->decoded.facts.resumed);
	case_free(c);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(issuers_of_a_leaf),     cmocka_unit_test(a_namesake_is_no_issuer),
		cmocka_unit_test(without_a_certificate), cmocka_unit_test(without_a_certificate_and_fine),
		cmocka_unit_test(own_verification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
