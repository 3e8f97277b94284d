/* `require`: is each key of it as the rule wants, and what was found? Pure.
 *
 * Looks at the proven path alone: the keys whose signatures were checked, from the leaf upwards. What was not proven
 * (certificates missing, a leaf that is not X.509) breaks a requirement: what is not known is not allowed. Only trusted_by looks
 * for a path of its own, as RFC 5280 has it. A finding names at most FOUND_MAX certificates, and how many more there were. */
#include <string.h>

#include "asks.h"
#include "peer_name.h"
#include "policy_internal.h"

enum { FOUND_MAX = 8 };

static const char *const verify_names[] = {
	[VERIFY_OK] = "ok",
	[VERIFY_FAILED] = "failed",
	[VERIFY_FAILED_IGNORED] = "failed, ignored",
	[VERIFY_OFF] = "off",
	[VERIFY_BY_CALLBACK] = "custom",
	[VERIFY_NO_CERTIFICATE] = "none, there is no certificate",
	[VERIFY_PENDING] = "pending",
};

bool path_proven(const struct facts *facts)
{
	return !facts->truncated && facts->path_count > 0;
}

/* Certificates of the proven path; 0 if nothing is proven. */
static size_t proven_count(const struct facts *facts)
{
	return path_proven(facts) ? facts->path_count : 0;
}

void add_unproven(struct reason *reason, const struct facts *facts)
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

/* --- key_in, issuer_in ------------------------------------------------------------------------------------------------ */

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

static bool path_has(const struct inquiry *inquiry, const struct set *set, size_t from, size_t to, struct reason *found)
{
	const struct facts *facts = inquiry->facts;

	for (size_t i = from; i < to; i++) {
		const struct key *key = keys_find(set, facts->path[i]->spki_sha256);

		if (!key)
			continue;
		if (inquiry->tell) {
			reason_add_key(found, key);
			reason_add(found, " of %s is the key of ", set->label);
			reason_add_subject(found, facts->path[i]);
		}
		return true;
	}
	return false;
}

bool require_key_in(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct facts *facts = inquiry->facts;
	size_t count = proven_count(facts), to = rule->require.at_leaf && count > 1 ? 1 : count;

	if (path_has(inquiry, rule->require.key_in, 0, to, found))
		return true;
	reason_add(found, rule->require.at_leaf ? "the leaf's key is no key of %s" : "no key of %s on the proven path",
		   rule->require.key_in->label);
	if (to == 0)
		add_unproven(found, facts);
	else
		add_found(found, facts, 0, to);
	return false;
}

static bool text_is(const char *wanted, const char *text)
{
	return !wanted || (text && strcmp(wanted, text) == 0);
}

/* An entry that goes by name: of a CA on a path that trusted_by has validated. */
static bool issuer_name_holds(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct set *set = rule->require.issuer_in;
	const struct trust_result *trust;

	if (!set->issuer_names_count || !rule->require.trusted_by)
		return false;
	trust = inquiry_trust(inquiry, rule->require.trusted_by);
	for (size_t i = 1; trust->trusted && i < trust->chain_count; i++) {
		for (size_t k = 0; k < set->issuer_names_count; k++) {
			const struct issuer_name *name = &set->issuer_names[k];

			if (!text_is(name->organization, trust->chain[i]->organization) ||
			    !text_is(name->common_name, trust->chain[i]->common_name))
				continue;
			if (inquiry->tell) {
				reason_add(found, "\"%s\" of %s is the name of ",
					   name->organization ? name->organization : name->common_name, set->label);
				reason_add_subject(found, trust->chain[i]);
			}
			return true;
		}
	}
	return false;
}

bool require_issuer_in(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct facts *facts = inquiry->facts;
	size_t count = proven_count(facts);

	if (path_has(inquiry, rule->require.issuer_in, 1, count, found) || issuer_name_holds(inquiry, rule, found))
		return true;
	reason_add(found, "no key of %s on the proven path above the leaf", rule->require.issuer_in->label);
	if (count == 0) {
		add_unproven(found, facts);
	} else if (count == 1) {
		reason_add(found, " (no issuer of ");
		reason_add_subject(found, facts->path[0]);
		reason_add(found, " is proven)");
	} else {
		add_found(found, facts, 1, count);
	}
	if (rule->require.issuer_in->issuer_names_count)
		reason_add(found, ", and no name of it on a path that trusted_by has validated");
	return false;
}

/* --- what the application did ------------------------------------------------------------------------------------------- */

/* The role does not matter. Pending: the application may still verify, and its answer is judged when it comes. */
bool require_verified(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct facts *facts = inquiry->facts;
	const char *mode = facts->verify_mode ? facts->verify_mode : "unknown";
	bool holds = facts->verify == VERIFY_PENDING || (facts->verify == VERIFY_OK && strcmp(mode, "peer") == 0);

	(void)rule;
	if (!holds || inquiry->tell)
		reason_add(found, "%s (result: %s, code: %d, mode: %s)",
			   holds ? "verified by the application" : "not verified by the application",
			   facts->verify < ARRAY_SIZE(verify_names) ? verify_names[facts->verify] : "unknown",
			   facts->verify_code, mode);
	return holds;
}

/* The leaf if there is one that can be read; else says so. */
static const struct certificate *leaf_read(const struct inquiry *inquiry, struct reason *found)
{
	const struct facts *facts = inquiry->facts;

	if (facts->certs_count && facts->certs[0].certificate->parsed)
		return facts->certs[0].certificate;
	reason_add(found, facts->certs_count ? "the leaf cannot be read" : "there is no certificate");
	return NULL;
}

/* What the client asked for: the name that the application has its library check, or else the SNI, or else the address it went
 * to. A server that verifies its client has asked for no name. Pending: GnuTLS is told the name when it verifies. */
bool require_name_matches(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct facts *facts = inquiry->facts;
	const char *name = facts->expected_host ? facts->expected_host : facts->server_name;
	const struct certificate *leaf;
	char address[ADDRESS_TEXT_MAX];
	bool holds;

	(void)rule;
	if (facts->role == FACTS_ROLE_SERVER) {
		reason_add(found, "this side is the server: no name was asked for");
		return true;
	}
	if (facts->verify == VERIFY_PENDING && !facts->expected_host) {
		reason_add(found, "the application may still say which name it expects");
		return true;
	}
	leaf = leaf_read(inquiry, found);
	if (!leaf)
		return false;
	if (!name && facts->peer.len) {
		address_format(&facts->peer, address);
		name = address;
	}
	if (!name) {
		reason_add(found, "neither the name that was asked for nor the peer's address is known");
		return false;
	}
	holds = peer_name_matches(leaf, name);
	if (!holds || inquiry->tell)
		reason_add(found, "\"%s\" is %samong the names of the certificate", name, holds ? "" : "not ");
	return holds;
}

/* --- trust and transparency ----------------------------------------------------------------------------------------------- */

bool require_trusted_by(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct trusted_by *by = rule->require.trusted_by;
	const struct trust_result *result = inquiry_trust(inquiry, by);

	if (!result->trusted) {
		reason_add(found, "not trusted by %s: %s, at depth %zu", by->store->label,
			   result->why ? result->why : "unknown", result->depth);
	} else if (inquiry->tell) {
		reason_add(found, "trusted by %s", by->store->label);
		if (result->chain_count) {
			reason_add(found, " through ");
			reason_add_subject(found, result->chain[result->chain_count - 1]);
		}
	}
	return result->trusted;
}

bool require_ct(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct transparency *ct = rule->require.ct;
	const struct ct_logs *logs = ct->logs->logs;
	struct ct_count count;
	bool holds;

	if (inquiry->now >= ct_logs_stale_at(logs)) {
		reason_add(found, "not checked: the log list was too old from ");
		reason_add_time(found, ct_logs_stale_at(logs));
		return true;
	}
	count = inquiry_ct(inquiry, logs);
	holds = count.valid >= ct->scts && count.logs >= ct->scts && count.operators >= ct->operators;
	if (!holds || inquiry->tell)
		reason_add(
			found,
			"good SCTs: %zu, logs: %zu, operators: %zu (embedded: %zu, of logs in the list: %zu); wanted: %u SCTs, operators: %u",
			count.valid, count.logs, count.operators, count.embedded, count.known, ct->scts, ct->operators);
	return holds;
}

/* --- times of the leaf ------------------------------------------------------------------------------------------------------ */

static bool dates_readable(const struct certificate *leaf, struct reason *found)
{
	if (leaf->not_before != INT64_MIN && leaf->not_after != INT64_MAX)
		return true;
	reason_add(found, "the leaf's dates cannot be read");
	return false;
}

/* Both ends belong to the lifetime (RFC 5280 4.1.2.5). */
bool require_max_lifetime(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct certificate *leaf = leaf_read(inquiry, found);
	int64_t lifetime;
	bool holds;

	if (!leaf || !dates_readable(leaf, found))
		return false;
	lifetime = leaf->not_after - leaf->not_before + 1;
	holds = lifetime <= rule->require.max_lifetime;
	if (!holds || inquiry->tell) {
		reason_add(found, "the leaf is good for ");
		reason_add_duration(found, lifetime);
		reason_add(found, ", at most ");
		reason_add_duration(found, rule->require.max_lifetime);
		reason_add(found, " is wanted");
	}
	return holds;
}

bool require_min_remaining(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct certificate *leaf = leaf_read(inquiry, found);
	int64_t remaining;
	bool holds;

	if (!leaf || !dates_readable(leaf, found))
		return false;
	remaining = leaf->not_after - inquiry->now;
	holds = remaining >= rule->require.min_remaining;
	if (!holds || inquiry->tell) {
		reason_add(found, "the leaf expires ");
		reason_add_time(found, leaf->not_after);
		reason_add(found, remaining < 0 ? ", which was " : ", in ");
		reason_add_duration(found, remaining < 0 ? -remaining : remaining);
		reason_add(found, remaining < 0 ? " ago; at least " : "; at least ");
		reason_add_duration(found, rule->require.min_remaining);
		reason_add(found, " is wanted");
	}
	return holds;
}

bool require_not_before_until(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct certificate *leaf = leaf_read(inquiry, found);
	bool holds;

	if (!leaf || !dates_readable(leaf, found))
		return false;
	holds = leaf->not_before <= rule->require.not_before_until;
	if (!holds || inquiry->tell) {
		reason_add(found, "the leaf's notBefore is ");
		reason_add_time(found, leaf->not_before);
		reason_add(found, holds ? ", not after " : ", after ");
		reason_add_time(found, rule->require.not_before_until);
	}
	return holds;
}

/* --- sizes of keys ------------------------------------------------------------------------------------------------------------ */

/* algorithm: what certificate.key_algorithm begins with. */
static bool bits_hold(const struct inquiry *inquiry, const char *algorithm, unsigned bits, struct reason *found)
{
	const struct facts *facts = inquiry->facts;
	const struct certificate *least = NULL;

	if (!path_proven(facts)) {
		reason_add(found, "the sizes of the keys are not known");
		add_unproven(found, facts);
		return false;
	}
	for (size_t i = 0; i < facts->path_count; i++) {
		const struct certificate *certificate = facts->path[i];

		if (strncmp(certificate->key_algorithm, algorithm, strlen(algorithm)) == 0 &&
		    (!least || certificate->key_bits < least->key_bits))
			least = certificate;
	}
	if (!least) {
		reason_add(found, "no %s key on the proven path", algorithm);
		return true;
	}
	if (least->key_bits < bits || inquiry->tell) {
		reason_add(found, "the %s key of ", algorithm);
		reason_add_subject(found, least);
		reason_add(found, " has %u bits, %u are wanted", least->key_bits, bits);
	}
	return least->key_bits >= bits;
}

bool require_min_rsa_bits(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	return bits_hold(inquiry, "RSA", rule->require.min_rsa_bits, found);
}

bool require_min_ec_bits(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	return bits_hold(inquiry, "EC", rule->require.min_ec_bits, found);
}
