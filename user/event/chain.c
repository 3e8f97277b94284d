/* The certificates of a verification (chain.h): all of the facts, then the anchors that the proven path goes on to, then
 * those beside it, at most CHAIN_SHOWN.
 *
 * Pure. Certificates are known by their SHA-256, for the path may hold another copy of one that was sent. What an entry
 * tells is enough to judge most rules without the certificate (read_chain.c): what a rule might ask is either here, or
 * cannot be judged from a log that leaves the certificates out. */
#include "chain.h"

#include <string.h>

#include <openssl/evp.h>

#include "util.h"
#include "words.h"

struct shown {
	const struct certificate *certificate;
	bool presented, chain, proven, anchor;
};

struct shown_list {
	struct shown items[CHAIN_SHOWN];
	size_t count;
};

static bool same(const struct certificate *a, const struct certificate *b)
{
	return memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
}

static bool in_certs(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].certificate && same(facts->certs[i].certificate, certificate))
			return true;
	return false;
}

static void list(const struct facts *facts, struct shown_list *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < facts->certs_count; i++) {
		const struct fact_cert *cert = &facts->certs[i];

		ret->items[ret->count++] = (struct shown){cert->certificate, cert->presented, cert->chain, cert->proven,
							  false};
	}
	for (size_t i = 0; i < facts->path_count; i++)
		if (!in_certs(facts, facts->path[i]))
			ret->items[ret->count++] = (struct shown){facts->path[i], false, false, true, true};
	for (size_t i = 0; i < facts->beside_count; i++)
		ret->items[ret->count++] = (struct shown){facts->beside[i], false, false, false, true};
}

static bool is_known(const uint8_t sha256[SHA256_BYTES])
{
	static const uint8_t zero[SHA256_BYTES];

	return memcmp(sha256, zero, SHA256_BYTES) != 0;
}

static void put_pin(struct json *entry, const char *key, const uint8_t sha256[SHA256_BYTES])
{
	char pin[PIN_CHARS + 1];

	pin_encode(sha256, pin);
	object_text(entry, key, pin, ID_TEXT_MAX);
}

static void put_key(struct json *entry, const struct certificate *certificate)
{
	put_pin(entry, "spki_sha256", certificate->spki_sha256);
	/* Most keys are written as they usually are. */
	if (is_known(certificate->key_sha256) &&
	    memcmp(certificate->key_sha256, certificate->spki_sha256, SHA256_BYTES) != 0)
		put_pin(entry, "usual_spki_sha256", certificate->key_sha256);
	object_text(entry, "public_key_algorithm", certificate->key_algorithm, ID_TEXT_MAX);
	if (certificate->key_bits)
		object_count(entry, "public_key_size", certificate->key_bits);
	object_text(entry, "signature_algorithm", certificate->signature_algorithm, ID_TEXT_MAX);
	object_text(entry, "signature_digest", certificate->signature_digest, ID_TEXT_MAX);
}

static void put_position(struct json *entry, const struct facts *facts, const struct shown *shown)
{
	for (size_t i = 0; shown->proven && i < facts->path_count; i++) {
		if (same(facts->path[i], shown->certificate)) {
			object_count(entry, "path", i);
			return;
		}
	}
}

static struct json *entry_json(const struct facts *facts, const struct shown *shown)
{
	const struct certificate *certificate = shown->certificate;
	const char *error = certificate->error;
	struct json *entry = object_begin();

	if (certificate->parsed) {
		object_text(entry, "subject", certificate->subject, TEXT_MAX);
		object_text(entry, "issuer", certificate->issuer, TEXT_MAX);
		object_text(entry, "serial", certificate->serial, TEXT_MAX);
	} else if (!error) {
		error = "not an X.509 certificate";
	}
	if (is_known(certificate->sha256))
		object_hex(entry, "sha256", certificate->sha256, SHA256_BYTES, true);
	if (certificate->has_twin)
		object_hex(entry, "twin_sha256", certificate->twin_sha256, SHA256_BYTES, true);
	if (certificate->parsed) {
		put_key(entry, certificate);
		object_time(entry, "not_before", certificate->not_before);
		object_time(entry, "not_after", certificate->not_after);
	}
	object_text(entry, "error", error, TEXT_MAX);
	object_flag(entry, "presented", shown->presented);
	if (shown->chain)
		object_flag(entry, "application", true);
	object_flag(entry, "proven", shown->proven);
	put_position(entry, facts, shown);
	if (shown->anchor)
		object_flag(entry, "anchor", true);
	return entry;
}

struct json *chain_json(const struct facts *facts)
{
	struct json *chain = array_begin();
	struct shown_list shown;

	list(facts, &shown);
	for (size_t i = 0; i < shown.count; i++)
		array_child(chain, entry_json(facts, &shown.items[i]));
	return chain;
}

static size_t base64_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

struct json *certificates_json(const struct facts *facts)
{
	struct json *array;
	struct shown_list shown;
	size_t total = 0;
	bool any = false;

	list(facts, &shown);
	for (size_t i = 0; i < shown.count; i++) {
		total += base64_len(shown.items[i].certificate->der_len);
		any |= shown.items[i].certificate->der_len > 0;
	}
	if (!any || total > EVENT_LINE_MAX)
		return NULL;
	array = array_begin();
	for (size_t i = 0; i < shown.count; i++) {
		const struct certificate *certificate = shown.items[i].certificate;
		size_t len = base64_len(certificate->der_len);
		CLEANUP_FREE char *text = xcalloc(len + 1, 1);

		/* Of nothing OpenSSL makes nothing. */
		EVP_EncodeBlock((unsigned char *)text, certificate->der, (int)certificate->der_len);
		array_text(array, text, len);
	}
	return array;
}
