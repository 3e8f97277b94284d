/* A certificate without its bytes (read_partial.h): x509 is NULL and der_len 0, the rest is what the log tells.
 *
 * What was taken from the bytes when it was captured is taken from the texts here: the common name from the subject, the
 * digest from the name of the algorithm, the kind of a name from its look unless the event says better. Where the log has
 * only the beginning of something, the certificate says so (error, sans_total), and rules are in doubt as they are with a
 * certificate that cannot be read. */
#include "read_partial.h"

#include <string.h>

#include <openssl/objects.h>

#include "object.h"
#include "util.h"

static const char cut[] = "the log has not all of its names";

static bool is_cut(const char *text, size_t max)
{
	return text && strlen(text) > max;
}

/* One value of an RFC 2253 text: its end, and the value without the escapes that name.c has put around it. A backslash
 * before another one or before an x is text_escape's, and stays. */
static const char *value_end(const char *at, char *out)
{
	while (*at && *at != ',' && *at != '+') {
		if (*at == '\\' && (at[1] == '\\' || at[1] == 'x'))
			*out++ = *at++;
		else if (*at == '\\' && at[1])
			at++;
		*out++ = *at++;
	}
	*out = '\0';
	return at;
}

/* The first attribute of that name in the text, which is the last in the certificate; NULL if there is none. prefix: "CN=". */
static char *attribute(const char *subject, const char *prefix)
{
	CLEANUP_FREE char *value = xcalloc(strlen(subject) + 1, 1);

	for (const char *at = subject; *at;) {
		bool found = strncmp(at, prefix, strlen(prefix)) == 0;
		const char *end = value_end(found ? at + strlen(prefix) : at, value);

		if (found)
			return xstrdup(value);
		at = end + (*end != '\0');
	}
	return NULL;
}

static const char *digest_of(const char *algorithm)
{
	int nid = OBJ_ln2nid(algorithm), digest = NID_undef;

	if (nid == NID_ED25519 || nid == NID_ED448)
		return "none";
	if (nid == NID_undef || OBJ_find_sigid_algs(nid, &digest, NULL) != 1 || digest == NID_undef)
		return "unknown"; /* RSA-PSS has it in its parameters */
	return OBJ_nid2sn(digest);
}

/* Leaves what is known already. */
static void read_key(struct reading *reading, struct json_object *object, struct certificate *certificate)
{
	int64_t bits = 0;

	if (!certificate->key_algorithm) {
		certificate->key_algorithm = reading_keep(reading, field_text(reading, object, "public_key_algorithm"));
		if (field_number(reading, object, "public_key_size", 0, UINT32_MAX, &bits))
			certificate->key_bits = (unsigned)bits;
	}
	if (!certificate->signature_algorithm)
		certificate->signature_algorithm = reading_keep(reading, field_text(reading, object, "signature_algorithm"));
	if (!certificate->signature_digest)
		certificate->signature_digest = reading_keep(reading, field_text(reading, object, "signature_digest"));
	if (!certificate->signature_digest && certificate->signature_algorithm)
		certificate->signature_digest = digest_of(certificate->signature_algorithm);
}

static char *copy(const char *text)
{
	return xstrdup(text ? text : "");
}

static void read_names(struct reading *reading, struct json_object *entry, struct certificate *certificate)
{
	certificate->subject = copy(field_text(reading, entry, "subject"));
	certificate->issuer = copy(field_text(reading, entry, "issuer"));
	certificate->serial = copy(field_text(reading, entry, "serial"));
	certificate->common_name = attribute(certificate->subject, "CN=");
	certificate->organization = attribute(certificate->subject, "O=");
	certificate->self_issued = strcmp(certificate->subject, certificate->issuer) == 0;
	if (!certificate->error && (is_cut(certificate->subject, TEXT_MAX) || is_cut(certificate->issuer, TEXT_MAX)))
		certificate->error = cut;
}

struct certificate *partial_read(struct reading *reading, struct json_object *entry)
{
	struct certificate *certificate = xcalloc(1, sizeof(*certificate));

	*certificate = (struct certificate){.refs = 1,
					    .not_before = INT64_MIN,
					    .not_after = INT64_MAX,
					    .path_len = -1,
					    .parsed = field_text(reading, entry, "subject") != NULL};
	field_hex(reading, entry, "sha256", certificate->sha256, SHA256_BYTES);
	certificate->has_twin = field_hex(reading, entry, "twin_sha256", certificate->twin_sha256, SHA256_BYTES);
	certificate->error = reading_keep(reading, field_text(reading, entry, "error"));
	if (!certificate->parsed) {
		if (!certificate->error)
			certificate->error = "not an X.509 certificate";
		return certificate;
	}
	read_names(reading, entry, certificate);
	if (!field_pin(reading, entry, "spki_sha256", certificate->spki_sha256))
		reading_fails(reading, "spki_sha256", "it is missing");
	if (!field_pin(reading, entry, "usual_spki_sha256", certificate->key_sha256))
		memcpy(certificate->key_sha256, certificate->spki_sha256, SHA256_BYTES);
	read_key(reading, entry, certificate);
	field_time(reading, entry, "not_before", &certificate->not_before, NULL);
	field_time(reading, entry, "not_after", &certificate->not_after, NULL);
	return certificate;
}

/* san.c: a byte that is no printable ASCII. In the text it is itself, or an escape. */
static bool is_odd(const char *text)
{
	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == '\\')
			text++;
		else if (text[0] == '\\' || (unsigned char)*text >= 0x7f)
			return true;
	}
	return false;
}

static struct san san_read(const char *text, enum san_kind kind)
{
	struct san san = {.kind = kind, .text = xstrdup(text)};

	switch (kind) {
	case SAN_IP:
		san.odd = !address_parse(text, &san.address);
		break;
	case SAN_DNS:
	case SAN_EMAIL:
	case SAN_URI:
		san.odd = is_odd(text) || is_cut(text, SAN_TEXT_MAX);
		break;
	case SAN_DIRECTORY:
	case SAN_OTHER:
		break;
	}
	return san;
}

void partial_read_leaf(struct reading *reading, struct json_object *side, struct json_object *own, struct certificate *leaf)
{
	struct json_object *x509 = field_object(reading, side, "x509");
	struct json_object *names = field_array(reading, x509, "alternative_names", SANS_SHOWN);
	struct json_object *kinds = field_array(reading, own, "alternative_name_kinds", SANS_SHOWN);
	size_t count = names ? json_object_array_length(names) : 0;
	int64_t left_out = 0;

	read_key(reading, x509, leaf);
	if (kinds && json_object_array_length(kinds) != count)
		reading_fails(reading, "tlswarden.alternative_name_kinds", "there are not as many as names");
	leaf->sans = xcalloc(count, sizeof(*leaf->sans));
	for (size_t i = 0; i < count; i++) {
		const char *text = item_text(reading, names, i, "alternative_names");
		const char *word = kinds ? item_text(reading, kinds, i, "tlswarden.alternative_name_kinds") : NULL;
		int kind = word ? word_find(&san_words, word) : text ? (int)san_guess(text) : -1;

		if (kind < 0)
			reading_fails(reading, "tlswarden.alternative_name_kinds", "a word that is never written");
		if (reading->why)
			return;
		leaf->sans[leaf->sans_count++] = san_read(text, (enum san_kind)kind);
	}
	field_number(reading, own, "alternative_names_left_out", 0, INT32_MAX, &left_out);
	leaf->sans_total = leaf->sans_count + (size_t)left_out;
}
