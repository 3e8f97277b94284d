/* `require` and `forbid`: is a rule broken by these facts, and why? Pure.
 *
 * `require` looks at the proven path alone: the keys whose signatures were checked, from the leaf upwards. What was not
 * proven (certificates missing, a leaf that is not X.509) breaks a requirement. `forbid` looks at everything: presented,
 * the application's chain, the proven path with the roots that were found for it, and the anchors that signed anything
 * beside it; and it knows a key in whatever encoding it comes (certificate.key_sha256). A reason names at most FOUND_MAX
 * certificates, and how many more there were. */
#include <string.h>

#include "policy_internal.h"

enum { FOUND_MAX = 8 };

static const char *const verify_names[] = {
	[VERIFY_OK] = "ok",   [VERIFY_FAILED] = "failed",   [VERIFY_FAILED_IGNORED] = "failed, ignored",
	[VERIFY_OFF] = "off", [VERIFY_PENDING] = "pending",
};

static void add_found(struct reason *reason, const struct facts *facts, size_t from, size_t to)
{
	const char *separator = " (found: ";

	for (size_t i = from; i < to && i < from + FOUND_MAX; i++) {
		char pin[PIN_CHARS + 1];

		pin_encode(facts->path[i]->spki_sha256, pin);
		reason_add(reason, "%s", separator);
		reason_add_subject(reason, facts->path[i]);
		reason_add(reason, " %s", pin);
		separator = ", ";
	}
	if (to - from > FOUND_MAX)
		reason_add(reason, ", and %zu more", to - from - FOUND_MAX);
	reason_add(reason, ")");
}

/* Certificates of the proven path; 0 if nothing is proven. */
static size_t proven_count(const struct facts *facts)
{
	return facts->truncated ? 0 : facts->path_count;
}

static void add_unproven(struct reason *reason, const struct facts *facts)
{
	if (facts->truncated)
		reason_add(reason, " (nothing is proven: certificates are missing)");
	else if (facts->certs_count == 0)
		reason_add(reason, " (nothing is proven: there is no certificate)");
	else if (!facts->certs[0].certificate->parsed)
		reason_add(reason, " (nothing is proven: the leaf is not X.509)");
	else
		reason_add(reason, " (nothing is proven)");
}

static bool path_has(const struct facts *facts, const struct set *set, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (keys_find(set, facts->path[i]->spki_sha256))
			return true;
	}
	return false;
}

static void next_reason(struct reason *reason)
{
	if (reason->len > 0)
		reason_add(reason, "; ");
}

static void check_key_in(const struct rule *rule, const struct facts *facts, struct reason *reason)
{
	size_t count = proven_count(facts), to = rule->require.at_leaf && count > 1 ? 1 : count;

	if (path_has(facts, rule->require.key_in, 0, to))
		return;
	next_reason(reason);
	reason_add(reason, rule->require.at_leaf ? "the leaf's key is no key of %s" : "no key of %s on the proven path",
		   rule->require.key_in->label);
	if (to == 0)
		add_unproven(reason, facts);
	else
		add_found(reason, facts, 0, to);
}

static void check_issuer_in(const struct rule *rule, const struct facts *facts, struct reason *reason)
{
	size_t count = proven_count(facts);

	if (path_has(facts, rule->require.issuer_in, 1, count))
		return;
	next_reason(reason);
	reason_add(reason, "no key of %s on the proven path above the leaf", rule->require.issuer_in->label);
	if (count == 0) {
		add_unproven(reason, facts);
	} else if (count == 1) {
		reason_add(reason, " (no issuer of ");
		reason_add_subject(reason, facts->path[0]);
		reason_add(reason, " is proven)");
	} else {
		add_found(reason, facts, 1, count);
	}
}

/* The role does not matter. Pending: the application may still verify, and its answer is judged when it comes. */
static void check_verified(const struct facts *facts, struct reason *reason)
{
	const char *mode = facts->verify_mode ? facts->verify_mode : "unknown";

	if (facts->verify == VERIFY_PENDING || (facts->verify == VERIFY_OK && strcmp(mode, "peer") == 0))
		return;
	next_reason(reason);
	reason_add(reason, "not verified by the application (result: %s, code: %d, mode: %s)",
		   facts->verify < ARRAY_SIZE(verify_names) ? verify_names[facts->verify] : "unknown", facts->verify_code,
		   mode);
}

/* One certificate of the facts, wherever it was found. */
struct place {
	const struct certificate *certificate;
	const char *where;
};

static bool in_certs(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].certificate == certificate)
			return true;
	return false;
}

/* The next one: first those of the verification, then those of the proven path that are not among them, then the anchors
 * beside it. */
static bool next_place(const struct facts *facts, size_t *at, struct place *ret)
{
	size_t path_end = facts->certs_count + facts->path_count, end = path_end + facts->beside_count;

	while (*at < end) {
		size_t i = (*at)++;

		if (i < facts->certs_count) {
			const struct fact_cert *cert = &facts->certs[i];

			*ret = (struct place){cert->certificate, cert->presented ? "presented" : "application's chain"};
			return true;
		}
		if (i >= path_end) {
			*ret = (struct place){facts->beside[i - path_end], "signed one that was presented"};
			return true;
		}
		if (!in_certs(facts, facts->path[i - facts->certs_count])) {
			*ret = (struct place){facts->path[i - facts->certs_count], "proven issuer"};
			return true;
		}
	}
	return false;
}

static void add_forbidden_key(struct reason *reason, const struct set *set, const struct key *key, const struct place *place)
{
	char pin[PIN_CHARS + 1];

	next_reason(reason);
	pin_encode(key->pin, pin);
	if (key->name)
		reason_add(reason, "key of %s: \"%s\" is the key of ", set->label, key->name);
	else
		reason_add(reason, "key of %s: %s is the key of ", set->label, pin);
	reason_add_subject(reason, place->certificate);
	reason_add(reason, " (%s)", place->where);
}

/* The hash of the certificate that the set has, or NULL. */
static const uint8_t *forbidden_digest(const struct set *digests, const struct certificate *certificate)
{
	if (digests_have(digests, certificate->sha256))
		return certificate->sha256;
	return certificate->has_twin && digests_have(digests, certificate->twin_sha256) ? certificate->twin_sha256 : NULL;
}

static void check_forbid(const struct rule *rule, const struct facts *facts, struct reason *reason)
{
	const struct set *keys = rule->forbid.key_in, *digests = rule->forbid.cert_sha256_in;
	size_t at = 0, found = 0;
	struct place place;

	while (found < FOUND_MAX && next_place(facts, &at, &place)) {
		const struct certificate *certificate = place.certificate;
		const struct key *key = keys && certificate->parsed ? keys_find(keys, certificate->spki_sha256) : NULL;
		const uint8_t *digest = digests ? forbidden_digest(digests, certificate) : NULL;

		if (!key && keys && certificate->parsed)
			key = keys_find(keys, certificate->key_sha256);
		if (key) {
			add_forbidden_key(reason, keys, key, &place);
			found++;
		}
		if (digest) {
			char hex[2 * SHA256_BYTES + 1];

			hex_encode(digest, SHA256_BYTES, false, hex);
			next_reason(reason);
			reason_add(reason, "certificate of %s: %s is ", digests->label, hex);
			reason_add_subject(reason, certificate);
			reason_add(reason, " (%s)", place.where);
			found++;
		}
	}
}

char *rule_broken(const struct rule *rule, const struct facts *facts)
{
	struct reason reason = {.len = 0};

	if (rule->require.key_in)
		check_key_in(rule, facts, &reason);
	if (rule->require.issuer_in)
		check_issuer_in(rule, facts, &reason);
	if (rule->require.verified)
		check_verified(facts, &reason);
	if (rule->forbid.key_in || rule->forbid.cert_sha256_in)
		check_forbid(rule, facts, &reason);
	return reason.len > 0 ? xstrdup(reason.text) : NULL;
}
