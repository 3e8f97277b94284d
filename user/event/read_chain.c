/* The chain of an event as facts (read_chain.h).
 *
 * If the line carries the bytes of every certificate that was captured, they are parsed, must have the digests that the
 * chain tells, and the path is found anew: nothing the line says of them is believed. Otherwise the chain is all there is,
 * and its word for the path is taken. Older logs tell only which certificates are proven: these are put in order by their
 * names. */
#include "read_chain.h"

#include <string.h>

#include <openssl/sha.h>

#include "read_partial.h"
#include "util.h"

/* Certificates remembered, each in the place that its hash gives it: a newer one takes it. Larger ones are parsed each time. */
enum { REMEMBERED_MAX = 1024, REMEMBERED_DER_MAX = 8192 };

struct event_reader {
	const struct anchors *anchors;
	struct certificate *certificates[REMEMBERED_MAX];
};

struct entry {
	struct certificate *certificate; /* owned by the event */
	bool presented, application, proven, anchor;
	int64_t path; /* -1: it does not say */
};

struct entries {
	struct entry items[CHAIN_SHOWN];
	size_t count;
};

struct event_reader *event_reader_new(const struct anchors *anchors)
{
	struct event_reader *reader = xcalloc(1, sizeof(*reader));

	reader->anchors = anchors;
	return reader;
}

void event_reader_free(struct event_reader *reader)
{
	if (!reader)
		return;
	for (size_t i = 0; i < REMEMBERED_MAX; i++)
		certificate_free(reader->certificates[i]);
	free(reader);
}

void event_reader_freep(struct event_reader **reader)
{
	event_reader_free(*reader);
}

static bool is_known(const struct certificate *certificate)
{
	static const uint8_t zero[SHA256_BYTES];

	return memcmp(certificate->sha256, zero, SHA256_BYTES) != 0;
}

/* NULL: there is no certificate of that length. */
static struct certificate *certificate_remembered(struct event_reader *reader, const uint8_t *der, size_t len)
{
	struct certificate *fresh, **slot;
	uint8_t sha256[SHA256_BYTES];

	SHA256(der, len, sha256);
	slot = &reader->certificates[(sha256[0] << 8 | sha256[1]) % REMEMBERED_MAX];
	if (*slot && memcmp((*slot)->sha256, sha256, SHA256_BYTES) == 0)
		return certificate_ref(*slot);
	if (certificate_new(der, len, &fresh) < 0)
		return NULL;
	if (len <= REMEMBERED_DER_MAX) {
		certificate_free(*slot);
		*slot = certificate_ref(fresh);
	}
	return fresh;
}

/* text: base64, "" for one whose bytes are not known. NULL if it is not what the entry tells of it. */
static struct certificate *whole_read(struct reading *reading, struct json_object *entry, const char *text)
{
	size_t text_len = strlen(text), len;
	CLEANUP_FREE uint8_t *der = xcalloc(text_len / 4 * 3 + 3, 1);
	struct certificate *certificate = NULL;
	uint8_t sha256[SHA256_BYTES];

	if (base64_decode(text, text_len, false, der, &len))
		certificate = certificate_remembered(reading->reader, der, len);
	if (!certificate) {
		reading_fails(reading, "certificate_chain", "not a certificate in base64");
		return NULL;
	}
	if (!field_hex(reading, entry, "sha256", sha256, SHA256_BYTES) ||
	    memcmp(sha256, certificate->sha256, SHA256_BYTES) != 0)
		reading_fails(reading, "sha256", "it is not the one of the certificate in the same line");
	return certificate;
}

static struct certificate *certificate_keep(struct reading *reading, struct certificate *certificate)
{
	struct event_read *event = reading->event;

	if (certificate) {
		event->certificates = xrealloc(event->certificates, event->certificates_count + 1,
					       sizeof(*event->certificates));
		event->certificates[event->certificates_count++] = certificate;
	}
	return certificate;
}

static struct entry entry_read(struct reading *reading, struct json_object *object, const char *der)
{
	struct entry entry = {.path = -1};
	bool captured = field_text(reading, object, "sha256") != NULL;

	if (der && captured != (*der != '\0'))
		reading_fails(reading, "certificate_chain", "it does not fit the chain");
	entry.presented = field_flag(reading, object, "presented");
	entry.proven = field_flag(reading, object, "proven");
	entry.anchor = field_flag(reading, object, "anchor");
	/* What was not presented is there because the application's library had it; older logs say no more. */
	entry.application = field_flag(reading, object, "application") || (!entry.presented && !entry.anchor);
	field_number(reading, object, "path", 0, FACTS_CERTS_MAX - 1, &entry.path);
	if (!reading->why)
		entry.certificate = certificate_keep(reading, der && *der ? whole_read(reading, object, der) :
									    partial_read(reading, object));
	return entry;
}

static void entries_read(struct reading *reading, struct json_object *chain, struct json_object *ders, struct entries *ret)
{
	size_t count = json_object_array_length(chain);

	if (ders && json_object_array_length(ders) != count)
		reading_fails(reading, "certificate_chain", "there are not as many as in tlswarden.chain");
	for (size_t i = 0; i < count && !reading->why; i++) {
		struct json_object *object = json_object_array_get_idx(chain, i);
		const char *der = ders ? item_text(reading, ders, i, "certificate_chain") : NULL;
		struct entry entry = {.certificate = NULL};

		if (!json_object_is_type(object, json_type_object))
			reading_fails(reading, "entry", "not an object");
		if (!reading->why)
			entry = entry_read(reading, object, der);
		if (!reading->why && entry.certificate) {
			ret->items[ret->count++] = entry;
		} else {
			CLEANUP_FREE char *why = reading->why;

			reading->why = xasprintf("tlswarden.chain[%zu]: %s", i, why);
		}
	}
}

static void certs_fill(struct reading *reading, const struct entries *entries)
{
	struct facts *facts = &reading->event->facts;

	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->items[i];

		if (entry->anchor)
			continue;
		if (facts->certs_count == FACTS_CERTS_MAX) {
			reading_fails(reading, "tlswarden.chain", "more certificates than are ever captured");
			return;
		}
		facts->certs[facts->certs_count++] = (struct fact_cert){entry->certificate, entry->presented,
									entry->application, entry->proven};
	}
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!is_known(facts->certs[i].certificate) && !facts->truncated)
			reading_fails(reading, "tlswarden.chain", "one was not captured, and truncated is not set");
}

/* The places on the path as the entries tell them: each once, without a gap, the leaf first. */
static void path_by_position(struct reading *reading, const struct entries *entries)
{
	struct facts *facts = &reading->event->facts;
	size_t end = 0;

	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->items[i];

		if (entry->path < 0)
			continue;
		if (!entry->proven || !entry->certificate->parsed || facts->path[entry->path] ||
		    (entry->path == 0) != (entry->certificate == facts->certs[0].certificate)) {
			reading_fails(reading, "tlswarden.chain", "what it says of the path contradicts itself");
			return;
		}
		facts->path[entry->path] = entry->certificate;
		if ((size_t)entry->path >= end)
			end = (size_t)entry->path + 1;
	}
	for (size_t i = 0; i < end; i++)
		if (!facts->path[i]) {
			reading_fails(reading, "tlswarden.chain", "what it says of the path has a gap");
			return;
		}
	facts->path_count = end;
}

static bool on_path(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->path_count; i++)
		if (facts->path[i] == certificate)
			return true;
	return false;
}

/* The proven one that is next: by name if there is one, else the first in the list. */
static const struct certificate *next_proven(const struct facts *facts, const struct entries *entries)
{
	const struct certificate *top = facts->path_count ? facts->path[facts->path_count - 1] : NULL, *first = NULL;

	for (size_t i = 0; i < entries->count; i++) {
		const struct certificate *certificate = entries->items[i].certificate;

		if (!entries->items[i].proven || !certificate->parsed || on_path(facts, certificate))
			continue;
		if (!first)
			first = certificate;
		if (!top || strcmp(top->issuer, certificate->subject) == 0)
			return certificate;
	}
	return first;
}

static void path_by_name(struct facts *facts, const struct entries *entries)
{
	const struct certificate *next;

	/* Without the leaf there is no path. */
	if (facts->certs_count == 0 || !facts->certs[0].proven)
		return;
	while (facts->path_count < FACTS_CERTS_MAX && (next = next_proven(facts, entries)))
		facts->path[facts->path_count++] = next;
}

static void path_believe(struct reading *reading, const struct entries *entries)
{
	struct facts *facts = &reading->event->facts;
	bool positions = false;

	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->items[i];

		positions |= entry->path >= 0;
		if (entry->anchor && !entry->proven && facts->beside_count < FACTS_BESIDE_MAX)
			facts->beside[facts->beside_count++] = entry->certificate;
	}
	if (positions)
		path_by_position(reading, entries);
	else
		path_by_name(facts, entries);
	/* What is proven is what stands on the path: one without the other would be judged two ways. */
	for (size_t i = 0; i < facts->certs_count; i++)
		facts->certs[i].proven = on_path(facts, facts->certs[i].certificate);
}

static void path_find(struct facts *facts, const struct entries *entries, const struct anchors *anchors)
{
	CLEANUP(anchors_freep) struct anchors *known = NULL;
	struct certificate *own[CHAIN_SHOWN];
	size_t count = 0;

	for (size_t i = 0; i < entries->count; i++)
		if (entries->items[i].anchor && entries->items[i].certificate->x509)
			own[count++] = entries->items[i].certificate;
	if (count)
		known = anchors_with(anchors, own, count);
	path_prove(facts, known ? known : anchors);
	/* The anchors may go before the facts do: each that is on the path is one of the entries', or the caller's. */
}

static bool is_whole(const struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		if (is_known(entries->items[i].certificate) && !entries->items[i].certificate->der_len)
			return false;
	return true;
}

static void facts_fill(struct reading *reading, const struct entries *entries)
{
	struct facts *facts = &reading->event->facts;

	certs_fill(reading, entries);
	if (reading->why)
		return;
	if (is_whole(entries)) {
		path_find(facts, entries, reading->reader->anchors);
		return;
	}
	facts->without_der = true;
	for (size_t i = 0; i < entries->count; i++)
		facts->without_keys |= entries->items[i].certificate->parsed &&
				       !entries->items[i].certificate->key_algorithm;
	path_believe(reading, entries);
}

void chain_read(struct reading *reading, struct json_object *root)
{
	struct facts *facts = &reading->event->facts;
	struct json_object *own = field_object(reading, root, "tlswarden");
	struct json_object *side = field_object(reading, root,
						facts->role == FACTS_ROLE_SERVER ? "tls.client" : "tls.server");
	struct json_object *chain = field_array(reading, own, "chain", CHAIN_SHOWN);
	struct json_object *ders = field_array(reading, side, "certificate_chain", CHAIN_SHOWN);
	struct entries entries = {.count = 0};

	facts->truncated = field_flag(reading, own, "truncated");
	facts->lost = field_flag(reading, own, "certificates_lost");
	facts->path_cut = field_flag(reading, own, "path_cut");
	if (chain)
		entries_read(reading, chain, ders, &entries);
	if (reading->why)
		return;
	if (entries.count && !entries.items[0].anchor && entries.items[0].certificate->parsed &&
	    !entries.items[0].certificate->x509)
		partial_read_leaf(reading, side, own, entries.items[0].certificate);
	facts_fill(reading, &entries);
}
