/* What a peer, or whoever gives a list of pins, may try to get around rules: odd encodings, chosen hashes, and answers that
 * come too early. Each case let something pass, or condemned somebody innocent, before it was here. */
#include "policy_world.h"

#include <errno.h>

#include "../../user/policy/index_table.h"
#include "channel.h"
#include "made.h"
#include "path.h"

/* --- one certificate written in another way ------------------------------------------------------------------------------- */

/* Header and content; extra: so many bytes of the length too many; SIZE_MAX: an indefinite length. */
static size_t put(uint8_t *out, uint8_t tag, const uint8_t *content, size_t len, size_t extra)
{
	size_t at = 0, count = 0;

	out[at++] = tag;
	if (extra == SIZE_MAX) {
		out[at++] = 0x80;
		memcpy(out + at, content, len);
		memset(out + at + len, 0, 2);
		return at + len + 2;
	}
	for (size_t rest = len; rest && (len >= 0x80 || extra); rest >>= 8)
		count++;
	if (count) {
		out[at++] = (uint8_t)(0x80 | (count + extra));
		memset(out + at, 0, extra);
		at += extra;
		for (size_t i = count; i-- > 0;)
			out[at++] = (uint8_t)(len >> (8 * i));
	} else {
		out[at++] = (uint8_t)len;
	}
	memcpy(out + at, content, len);
	return at + len;
}

struct parts {
	uint8_t tbs[4096], algorithm[64], signature[512];
	size_t tbs_len, algorithm_len, signature_len; /* the last two: contents */
	size_t outer, header, bits, list, number;     /* extra bytes of lengths */
	size_t zeros;                                 /* in front of each number */
	bool bare;                                    /* numbers without the zero they need */
	bool null;                                    /* the algorithm has a NULL */
};

static void parts_of(const struct certificate *certificate, struct parts *ret)
{
	const ASN1_BIT_STRING *bits;
	const X509_ALGOR *algorithm;
	uint8_t *p = ret->tbs, *object = NULL;
	int len;

	*ret = (struct parts){0};
	ret->tbs_len = (size_t)i2d_re_X509_tbs(certificate->x509, &p);
	X509_get0_signature(&bits, &algorithm, certificate->x509);
	ret->signature_len = (size_t)ASN1_STRING_length(bits);
	memcpy(ret->signature, ASN1_STRING_get0_data(bits), ret->signature_len);
	len = i2d_ASN1_OBJECT(algorithm->algorithm, &object);
	ret->algorithm_len = (size_t)len;
	memcpy(ret->algorithm, object, (size_t)len);
	OPENSSL_free(object);
}

/* The signature's two numbers as the parts say. */
static size_t put_pair(const struct parts *parts, uint8_t *out)
{
	const uint8_t *p = parts->signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &p, (long)parts->signature_len);
	const BIGNUM *numbers[] = {ECDSA_SIG_get0_r(pair), ECDSA_SIG_get0_s(pair)};
	uint8_t list[512], number[128] = {0};
	size_t len = 0;

	for (size_t i = 0; i < 2; i++) {
		size_t zeros = parts->zeros + (!parts->bare && BN_num_bits(numbers[i]) % 8 == 0);
		size_t count = zeros + (size_t)BN_num_bytes(numbers[i]);

		memset(number, 0, zeros);
		BN_bn2bin(numbers[i], number + zeros);
		len += put(list + len, 0x02, number, count, parts->number);
	}
	ECDSA_SIG_free(pair);
	return put(out, 0x30, list, len, parts->list);
}

static struct certificate *rewritten(const struct parts *parts)
{
	uint8_t inner[8192], bits[1024] = {0}, algorithm[80], out[8300];
	size_t len = parts->tbs_len, algorithm_len = parts->algorithm_len;
	struct certificate *certificate = NULL;

	memcpy(inner, parts->tbs, len);
	memcpy(algorithm, parts->algorithm, algorithm_len);
	if (parts->null)
		algorithm_len += put(algorithm + algorithm_len, 0x05, algorithm, 0, 0);
	len += put(inner + len, 0x30, algorithm, algorithm_len, parts->header);
	len += put(inner + len, 0x03, bits, 1 + put_pair(parts, bits + 1), parts->bits);
	len = put(out, 0x30, inner, len, parts->outer);
	assert_int_equal(certificate_new(out, len, &certificate), 0);
	assert_true(certificate->parsed);
	return certificate;
}

/* GnuTLS takes all of these. Forbidden by its hash it must be found, and its issuer must still be proven. */
static void other_wrappings_are_the_same_certificate(void **state)
{
	static const struct parts ways[] = {
		{.outer = 1},
		{.header = 2},
		{.bits = 1},
		{.list = 1},
		{.list = SIZE_MAX},
		{.number = 1},
		{.zeros = 1},
		{.zeros = 9},
		{.bare = 1},
		{.null = 1},
		{.outer = 1, .bits = 1, .zeros = 2},
	};
	EVP_PKEY *ca_key = made_key(), *key = made_key();
	struct certificate *ca = made((struct made_order){"CA", .key = ca_key, .basic = MADE_CA});
	struct certificate *leaf = made((struct made_order){"leaf", "CA", .key = key, .issuer_key = ca_key});
	struct parts parts;

	(void)state;
	parts_of(leaf, &parts);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct certificate *other;
		struct parts way = parts;

		way.outer = ways[i].outer;
		way.header = ways[i].header;
		way.bits = ways[i].bits;
		way.list = ways[i].list;
		way.number = ways[i].number;
		way.zeros = ways[i].zeros;
		way.bare = ways[i].bare;
		way.null = ways[i].null;
		other = rewritten(&way);
		assert_memory_equal(other->sha256, leaf->sha256, SHA256_BYTES);
		assert_memory_equal(other->twin_sha256, leaf->twin_sha256, SHA256_BYTES);
		assert_true(certificate_issued_by(other, ca));
		certificate_free(other);
	}
	certificate_free(leaf);
	certificate_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
}

/* The same with another algorithm than the one that was signed is another certificate, and a bad one. */
static void another_algorithm_is_not_repaired(void **state)
{
	EVP_PKEY *key = made_key();
	struct certificate *ca = made((struct made_order){"CA", .key = key, .basic = MADE_CA}), *other;
	struct parts parts;

	(void)state;
	parts_of(ca, &parts);
	parts.algorithm[parts.algorithm_len - 1] ^= 1; /* ecdsa-with-SHA384 */
	other = rewritten(&parts);
	assert_false(certificate_issued_by(other, ca));
	assert_memory_not_equal(other->sha256, ca->sha256, SHA256_BYTES);
	certificate_free(other);
	certificate_free(ca);
	EVP_PKEY_free(key);
}

static bool is_broken(const struct world *w, const char *body)
{
	CLEANUP_FREE char *reason = reason_of(w, body);

	return reason != NULL;
}

/* --- an issuer's key in another encoding ------------------------------------------------------------------------------------ */

static void a_rule_about_an_issuer_knows_its_key(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	assert_true(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
	memset(w.issuer.spki_sha256, 0x77, SHA256_BYTES);
	memset(w.issuer.key_sha256, 2, SHA256_BYTES);
	assert_true(in_doubt(&w, "{issuer_in: " KEY(PIN_2) "}"));
	memset(w.issuer.key_sha256, 0x77, SHA256_BYTES);
	assert_false(entry_matches(&w, "{issuer_in: " KEY(PIN_2) "}"));
}

/* --- more paths than one ------------------------------------------------------------------------------------------------------- */

/* Who has a leaf below J below I gives J a certificate of his own, for J's name and key are no secret: a longer path, which leads
 * away from I. With GnuTLS and a root that is not known here, nothing tells which one the application took. */
static void a_way_round_an_issuer_is_seen(void **state)
{
	EVP_PKEY *i_key = made_key(), *j_key = made_key(), *x_key = made_key(), *y_key = made_key(), *key = made_key();
	struct certificate *certificates[] = {
		made((struct made_order){"leaf", "J", .key = key, .issuer_key = j_key}),
		made((struct made_order){"J", "I", .key = j_key, .issuer_key = i_key, .basic = MADE_CA}),
		made((struct made_order){"I", "D", .key = i_key, .issuer_key = y_key, .basic = MADE_CA}),
		made((struct made_order){"J", "X", .key = j_key, .issuer_key = x_key, .basic = MADE_CA}),
		made((struct made_order){"X", "Y", .key = x_key, .issuer_key = y_key, .basic = MADE_CA}),
		made((struct made_order){"Y", .key = y_key, .basic = MADE_CA}),
	};
	CLEANUP_FREE char *entry = NULL, *stranger = NULL;
	char pin[PIN_CHARS + 1], other[PIN_CHARS + 1];
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.certs_count = ARRAY_SIZE(certificates);
	for (size_t i = 0; i < ARRAY_SIZE(certificates); i++)
		w.facts.certs[i] = (struct fact_cert){.certificate = certificates[i], .presented = true};
	assert_true(path_prove(&w.facts, NULL));
	assert_int_equal(w.facts.path_count, 4); /* leaf, J, X, Y */
	assert_false(w.facts.certs[2].proven);
	assert_true(w.facts.certs[2].tried);
	assert_false(w.facts.certs[0].tried);
	pin_encode(certificates[2]->spki_sha256, pin);
	entry = xasprintf("match: [{issuer_in: [{spki_sha256: \"%s\"}]}], require: {max_lifetime: 1s}", pin);
	assert_true(is_broken(&w, entry));
	/* That is for `match` alone: it proves nothing, and excuses nobody. What signed nothing here is not meant. */
	free(entry);
	entry = xasprintf("match: [{any: true}], except: {issuer_in: [{spki_sha256: \"%s\"}]}, require: {max_lifetime: 1s}",
			  pin);
	assert_true(is_broken(&w, entry));
	pin_encode(certificates[0]->spki_sha256, other);
	stranger = xasprintf("match: [{issuer_in: [{spki_sha256: \"%s\"}]}], require: {max_lifetime: 1s}", other);
	assert_false(is_broken(&w, stranger));
	for (size_t i = 0; i < ARRAY_SIZE(certificates); i++)
		certificate_free(certificates[i]);
	EVP_PKEY_free(i_key);
	EVP_PKEY_free(j_key);
	EVP_PKEY_free(x_key);
	EVP_PKEY_free(y_key);
	EVP_PKEY_free(key);
}

/* Issuers of other roots that were thrown in use up no room for the one that matters. */
static void a_crowd_of_issuers_hides_no_anchor(void **state)
{
	enum { CROWD = 13 };
	struct certificate *roots[CROWD], *issuers[CROWD];
	struct anchors *anchors;
	EVP_PKEY *key = made_key();
	struct facts facts = {0};

	(void)state;
	for (size_t i = 0; i < CROWD; i++) {
		EVP_PKEY *root_key = made_key();
		char root[16], name[16];

		snprintf(root, sizeof(root), "root %zu", i);
		snprintf(name, sizeof(name), "issuer %zu", i);
		roots[i] = made((struct made_order){root, .key = root_key, .basic = MADE_CA});
		issuers[i] = made((struct made_order){name, root, .key = key, .issuer_key = root_key, .basic = MADE_CA});
		facts.certs[facts.certs_count++] = (struct fact_cert){.certificate = issuers[i], .presented = true};
		EVP_PKEY_free(root_key);
	}
	anchors = anchors_with(NULL, roots, CROWD);
	path_prove(&facts, anchors);
	/* The first one's root is on its path. */
	assert_int_equal(facts.path_count, 2);
	assert_int_equal(facts.beside_count, CROWD - 1);
	anchors_free(anchors);
	for (size_t i = 0; i < CROWD; i++) {
		certificate_free(roots[i]);
		certificate_free(issuers[i]);
	}
	EVP_PKEY_free(key);
}

/* --- pins that were chosen ---------------------------------------------------------------------------------------------------- */

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

/* The pin's first bytes that have this hash: the index's hash has no secret. */
static uint64_t unhash(uint64_t hash)
{
	const uint64_t factor = inverse(UINT64_C(0xd6e8feb86659fd93));

	hash ^= hash >> 32;
	hash *= factor;
	hash ^= hash >> 29 ^ hash >> 58;
	hash *= factor;
	hash ^= hash >> 32;
	return hash - ((uint64_t)USE_FORBIDDEN_KEY << 16) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Who adds a pin to a list must not hide another one of another rule. */
static void a_chosen_pin_hides_no_other(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	for (unsigned bit = 8; bit < 32; bit++) {
		uint64_t hash = digest_hash(USE_FORBIDDEN_KEY, w.leaf.spki_sha256), what;
		uint8_t decoy[SHA256_BYTES] = {0};
		char pin[PIN_CHARS + 1];
		CLEANUP_FREE char *text = NULL;
		struct policies *policies;
		struct verdict verdict;

		what = unhash(hash ^ UINT64_C(1) << bit);
		memcpy(decoy, &what, sizeof(what));
		assert_int_equal(digest_hash(USE_FORBIDDEN_KEY, decoy), hash ^ UINT64_C(1) << bit);
		pin_encode(decoy, pin);
		text = xasprintf("version: 1\nname: p\nrules:\n"
				 "  - {id: decoy, match: [{any: true}], forbid: {key_in: [{spki_sha256: \"%s\"}]}}\n"
				 "  - {id: r, match: [{any: true}], " FORBID_LEAF "}\n",
				 pin);
		policies = parse(text);
		policies_judge(policies, &w.facts, NOW, false, &verdict);
		assert_int_equal(verdict.count, 1);
		assert_string_equal(verdict.violations[0].rule, "r");
		verdict_clear(&verdict);
		policies_free(policies);
	}
}

/* --- more certificates than are looked at ------------------------------------------------------------------------------------------ */

/* A rogue CA makes a chain so long that the root which is forbidden is not copied. */
static void a_long_chain_hides_nothing(void **state)
{
	static const char *const rules[] = {
		"match: [{any: true}], forbid: {key_in: " KEY(PIN_9) "}",
		"match: [{any: true}], forbid: {cert_sha256_in: [\"" HEX_2 "\"]}",
		"match: [{any: true}], forbid: {serial_in: [{issuer_spki_sha256: \"" PIN_9 "\", serial: \"0A\"}]}",
		"match: [{any: true}], forbid: {signature: [md5]}",
	};
	struct certificate lost = {.error = "not captured"};
	struct world w;

	(void)state;
	world_set(&w);
	memset(w.issuer.sha256, 0x77, SHA256_BYTES); /* none of these is forbidden */
	w.leaf.serial = w.issuer.serial = w.root.serial = (char *)"0B";
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		w.facts.truncated = w.facts.lost = false;
		expect(&w, rules[i], NULL);
		/* The application's own chain is whole: what was thrown in beside it does not matter. */
		w.facts.truncated = true;
		expect(&w, rules[i], NULL);
		/* There is none, as with GnuTLS; or a certificate of it is missing. */
		w.facts.certs[1].chain = false;
		assert_true(is_broken(&w, rules[i]));
		w.facts.certs[1].chain = true;
		w.facts.certs[w.facts.certs_count++] = (struct fact_cert){&lost, false, true, false};
		assert_true(is_broken(&w, rules[i]));
		/* The agent's own fault. */
		w.facts.lost = true;
		expect(&w, rules[i], NULL);
		w.facts.certs_count--;
	}
}

/* --- before GnuTLS has verified ------------------------------------------------------------------------------------------------- */

static void nobody_is_condemned_too_early(void **state)
{
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.library = LIBRARY_GNUTLS;
	w.facts.verify = VERIFY_PENDING;
	w.facts.verify_mode = "none";
	/* The exception may still hold. */
	expect(&w, "match: [{any: true}], except: {verify: ok}, " FORBID_LEAF, NULL);
	expect(&w, "match: [{any: true}], except: {server_name: other.test}, " FORBID_LEAF, NULL);
	expect(&w, "match: [{verify: [ok, failed, failed-ignored, off]}], " FORBID_LEAF, NULL);
	/* So may the name that the application will ask for. */
	expect(&w, "match: [{any: true}], require: {name_matches: true}", NULL);
	/* What does not depend on it need not wait. */
	assert_true(is_broken(&w, "match: [{any: true}], except: {user: bob}, " FORBID_LEAF));
	w.facts.verify = VERIFY_OFF;
	assert_true(is_broken(&w, "match: [{any: true}], except: {verify: ok}, " FORBID_LEAF));
	assert_true(is_broken(&w, "match: [{any: true}], except: {server_name: other.test}, " FORBID_LEAF));
	assert_true(is_broken(&w, "match: [{any: true}], require: {name_matches: true}"));
	w.facts.verify = VERIFY_OK;
	expect(&w, "match: [{any: true}], except: {verify: ok}, " FORBID_LEAF, NULL);
}

/* --- rules that ask less than they say ---------------------------------------------------------------------------------------- */

static void a_unit_has_a_suffix(void **state)
{
	static const char text[] = "version: 1\nname: p\nrules:\n  - {id: r, match: [{unit: nginx}], " FORBID_LEAF "}\n";
	const struct policy_source source = {"f", text, sizeof(text) - 1};
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies = NULL;

	(void)state;
	assert_int_equal(policies_parse(&source, 1, &policies, &problems), -EINVAL);
	assert_int_equal(problems.count, 1);
	assert_string_equal(problems.items[0].text,
			    "\"nginx\" is not a unit: it ends in .service, .scope, .socket, .mount or .swap");
	assert_int_equal(problems.items[0].column, 28);
}

/* The longest label of a policy reaches the half that kills: one that was cut would be that of no rule, and nothing killed. */
static void labels_fit_into_messages(void **state)
{
	(void)state;
	assert_true(sizeof(((struct message *)0)->kill.rule) > TEXT_LABEL_MAX);
	assert_true(sizeof(((struct message *)0)->kill.ruleset) > TEXT_LABEL_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_wrappings_are_the_same_certificate),
		cmocka_unit_test(another_algorithm_is_not_repaired),
		cmocka_unit_test(a_rule_about_an_issuer_knows_its_key),
		cmocka_unit_test(a_way_round_an_issuer_is_seen),
		cmocka_unit_test(a_crowd_of_issuers_hides_no_anchor),
		cmocka_unit_test(a_chosen_pin_hides_no_other),
		cmocka_unit_test(a_long_chain_hides_nothing),
		cmocka_unit_test(nobody_is_condemned_too_early),
		cmocka_unit_test(a_unit_has_a_suffix),
		cmocka_unit_test(labels_fit_into_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
