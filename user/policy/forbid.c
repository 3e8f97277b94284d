/* `forbid`: does what a rule forbids appear anywhere? Pure.
 *
 * Looks at everything: presented, the application's chain, the proven path with the roots that were found for it, and the
 * anchors that signed anything beside it. Where the peer sent more than that, what is forbidden may be there: who decides how much
 * is sent must not get by with it. And it knows a key in whatever encoding it comes (certificate.key_sha256), and a
 * certificate with the other form of its signature. A finding names at most FOUND_MAX certificates. */
#include <string.h>

#include "asks.h"
#include "policy_internal.h"
#include "records.h"

enum { FOUND_MAX = 8 };

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

static void next_found(struct reason *found, size_t *count)
{
	if ((*count)++ > 0)
		reason_add(found, "; ");
}

static void add_place(struct reason *found, const struct place *place)
{
	reason_add_subject(found, place->certificate);
	reason_add(found, " (%s)", place->where);
}

/* Whether the peer sent so much that something may have been passed over on which the application relies: a CA without a limit
 * puts as many others below itself as it takes. What an application's own chain does not have it does not rely on, if that chain is
 * whole. What the agent itself has lost is no such doubt (match.c). */
static bool may_hide(const struct facts *facts)
{
	size_t chain = 0;

	if (!facts->truncated || facts->lost)
		return false;
	for (size_t i = 0; i < facts->certs_count; i++) {
		const struct fact_cert *cert = &facts->certs[i];

		if (cert->chain && !cert->certificate->parsed && cert->certificate->der_len == 0)
			return true;
		chain += cert->chain;
	}
	return chain == 0 || chain >= CHAIN_MAX;
}

/* The answer, and what is said where all is well. */
static bool nothing_found(const struct inquiry *inquiry, size_t count, struct reason *found, const char *what)
{
	if (count == 0 && may_hide(inquiry->facts)) {
		reason_add(found, "%s among %zu certificates, but the peer sent more than are looked at", what,
			   inquiry->facts->certs_count);
		return false;
	}
	if (count == 0 && inquiry->tell)
		reason_add(found, "%s among %zu certificates", what, inquiry->facts->certs_count);
	return count == 0;
}

/* --- keys and certificates ---------------------------------------------------------------------------------------------- */

bool forbid_key_in(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct set *keys = rule->forbid.key_in;
	size_t at = 0, count = 0;
	struct place place;

	while (count < FOUND_MAX && next_place(inquiry->facts, &at, &place)) {
		const struct key *key;

		if (!place.certificate->parsed)
			continue;
		key = keys_find(keys, place.certificate->spki_sha256);
		if (!key)
			key = keys_find(keys, place.certificate->key_sha256);
		if (!key)
			continue;
		next_found(found, &count);
		reason_add(found, "key of %s: ", keys->label);
		reason_add_key(found, key);
		reason_add(found, " is the key of ");
		add_place(found, &place);
	}
	return nothing_found(inquiry, count, found, "no such key");
}

/* The hash of the certificate that the set has, or NULL. */
static const uint8_t *forbidden_digest(const struct set *digests, const struct certificate *certificate)
{
	if (digests_have(digests, certificate->sha256))
		return certificate->sha256;
	return certificate->has_twin && digests_have(digests, certificate->twin_sha256) ? certificate->twin_sha256 : NULL;
}

bool forbid_cert_sha256_in(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct set *digests = rule->forbid.cert_sha256_in;
	size_t at = 0, count = 0;
	struct place place;

	while (count < FOUND_MAX && next_place(inquiry->facts, &at, &place)) {
		const uint8_t *digest = forbidden_digest(digests, place.certificate);
		char hex[2 * SHA256_BYTES + 1];

		if (!digest)
			continue;
		hex_encode(digest, SHA256_BYTES, false, hex);
		next_found(found, &count);
		reason_add(found, "certificate of %s: %s is ", digests->label, hex);
		add_place(found, &place);
	}
	return nothing_found(inquiry, count, found, "no such certificate");
}

/* --- serial numbers ------------------------------------------------------------------------------------------------------ */

static bool key_is(const struct certificate *certificate, const uint8_t pin[SHA256_BYTES])
{
	return certificate->parsed && (memcmp(certificate->spki_sha256, pin, SHA256_BYTES) == 0 ||
				       memcmp(certificate->key_sha256, pin, SHA256_BYTES) == 0);
}

/* Whether the key with that pin signed the certificate: the link is checked, or proven already. */
static bool signed_by(const struct facts *facts, const struct certificate *certificate, const uint8_t pin[SHA256_BYTES])
{
	size_t at = 0;
	struct place issuer;

	for (size_t i = 0; !facts->truncated && i + 1 < facts->path_count; i++)
		if (facts->path[i] == certificate)
			return key_is(facts->path[i + 1], pin);
	while (next_place(facts, &at, &issuer))
		if (key_is(issuer.certificate, pin) && certificate_issued_by(certificate, issuer.certificate))
			return true;
	return false;
}

static const struct serial *serial_first(const struct set *set, const char *text)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(set->serials[middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return set->serials + low;
}

static const struct serial *forbidden_serial(const struct set *set, const struct facts *facts,
					     const struct certificate *certificate)
{
	const struct serial *end = set->serials + set->count;

	for (const struct serial *serial = serial_first(set, certificate->serial);
	     serial < end && strcmp(serial->text, certificate->serial) == 0; serial++)
		if (signed_by(facts, certificate, serial->issuer))
			return serial;
	return NULL;
}

bool forbid_serial_in(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct set *set = rule->forbid.serial_in;
	size_t at = 0, count = 0;
	struct place place;

	while (count < FOUND_MAX && next_place(inquiry->facts, &at, &place)) {
		const struct serial *serial = place.certificate->parsed ?
						      forbidden_serial(set, inquiry->facts, place.certificate) :
						      NULL;

		if (!serial)
			continue;
		next_found(found, &count);
		reason_add(found, "serial of %s: %s", set->label, serial->text);
		if (serial->name)
			reason_add(found, " (\"%s\")", serial->name);
		reason_add(found, " is that of ");
		add_place(found, &place);
	}
	return nothing_found(inquiry, count, found, "no such serial");
}

/* --- signatures ------------------------------------------------------------------------------------------------------------ */

static unsigned signature_word_of(const struct certificate *certificate)
{
	const char *digest = certificate->signature_digest;

	if (!certificate->parsed || !digest)
		return 0;
	if (strncmp(digest, "MD", 2) == 0) /* MD2 and MD4 are no better than MD5, nor is MD5-SHA1 */
		return SIGNATURE_MD5;
	return strcmp(digest, "SHA1") == 0 ? SIGNATURE_SHA1 : 0;
}

/* A root vouches for itself: nobody relies on that signature. That of a leaf which signs itself is all there is. */
static bool is_root(const struct facts *facts, const struct certificate *certificate)
{
	if (!certificate->self_issued || certificate == facts->certs[0].certificate)
		return false;
	return facts->without_der || certificate_issued_by(certificate, certificate);
}

bool forbid_signature(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	const struct facts *facts = inquiry->facts;
	size_t at = 0, count = 0;
	struct place place;

	while (count < FOUND_MAX && next_place(facts, &at, &place)) {
		const struct certificate *certificate = place.certificate;

		if (!(signature_word_of(certificate) & rule->forbid.signatures) || is_root(facts, certificate))
			continue;
		next_found(found, &count);
		reason_add(found, "signed with %s: ", certificate->signature_algorithm);
		add_place(found, &place);
	}
	return nothing_found(inquiry, count, found, "no such signature");
}

/* --- revocation ------------------------------------------------------------------------------------------------------------ */

bool forbid_crl(struct inquiry *inquiry, const struct rule *rule, struct reason *found)
{
	size_t at = 0, count = 0;
	struct place place;

	while (count < FOUND_MAX && next_place(inquiry->facts, &at, &place)) {
		struct revocation revocation;

		if (!place.certificate->parsed ||
		    !crls_revoked(rule->forbid.crl->crls, inquiry->facts, place.certificate, &revocation))
			continue;
		next_found(found, &count);
		reason_add(found, "revoked (%s", revocation.reason);
		if (revocation.date != INT64_MIN) {
			reason_add(found, ", ");
			reason_add_time(found, revocation.date);
		}
		reason_add(found, "): ");
		add_place(found, &place);
	}
	return nothing_found(inquiry, count, found, "nothing revoked");
}
