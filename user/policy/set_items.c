/* What stands in a set: a key, a name, a network, a port, a text, a serial number, a file. Each function takes one value of the
 * file, or complains at its place. */
#include <ctype.h>
#include <string.h>

#include "policy_internal.h"
#include "set_items.h"

enum { SERIAL_DIGITS_MAX = 128 };

/* An entry of a key set before it is known whether it goes by key or by name. */
struct key_entry {
	struct key key;
	struct issuer_name names;
	bool by_key;
};

static void parse_key_name(struct parser *parser, const struct node *value, void *out)
{
	((struct key_entry *)out)->key.name = text_value(parser, value, "the name of a key", TEXT_LABEL_MAX);
}

static void pin_value(struct parser *parser, const struct node *value, uint8_t ret[SHA256_BYTES])
{
	if (value->kind != NODE_SCALAR)
		complain(parser, value, "%s must be text, not %s", value->key->text, node_describe(value));
	else if (value->len != PIN_CHARS)
		complain(parser, value, "a pin is %d characters, the base64 of a SHA-256; this has %zu bytes", PIN_CHARS,
			 value->len);
	else if (!pin_decode(value->text, value->len, ret))
		complain(parser, value, "a pin is the base64 of a SHA-256; this is not (canonical) base64");
}

static void parse_key_pin(struct parser *parser, const struct node *value, void *out)
{
	struct key_entry *entry = out;

	entry->by_key = true;
	pin_value(parser, value, entry->key.pin);
}

/* As certificates' texts are: escaped. */
static const char *name_value(struct parser *parser, const struct node *value)
{
	const char *text = text_value(parser, value, value->key->text, TEXT_DESCRIPTION_MAX);
	CLEANUP_FREE char *escaped = text ? text_escape(text, strlen(text)) : NULL;

	return escaped ? arena_strndup(parser->policy->arena, escaped, strlen(escaped)) : NULL;
}

static void parse_organization(struct parser *parser, const struct node *value, void *out)
{
	((struct key_entry *)out)->names.organization = name_value(parser, value);
}

static void parse_common_name(struct parser *parser, const struct node *value, void *out)
{
	((struct key_entry *)out)->names.common_name = name_value(parser, value);
}

static void add_key(struct parser *parser, struct set *set, const struct node *item)
{
	static const struct field fields[] = {
		{"name", parse_key_name, false},
		{"spki_sha256", parse_key_pin, false},
		{"organization", parse_organization, false},
		{"common_name", parse_common_name, false},
	};
	struct key_entry entry = {.by_key = false};
	bool by_name;

	if (item->kind != NODE_MAP) {
		complain(parser, item, "a key is written {name: \"…\", spki_sha256: \"…\"}, not as %s", node_describe(item));
		return;
	}
	fields_parse(parser, item, "a key", fields, ARRAY_SIZE(fields), &entry);
	by_name = node_get(item, "organization") || node_get(item, "common_name");
	if (by_name && entry.by_key) {
		complain(parser, item,
			 "a key goes by its spki_sha256 or by its issuer's name, not by both: make it two entries");
	} else if (by_name) {
		entry.names.name = entry.key.name;
		if (!set->issuer_names)
			set->issuer_names = arena_alloc(parser->policy->arena, set->room, sizeof(*set->issuer_names));
		set->issuer_names[set->issuer_names_count++] = entry.names;
	} else if (entry.by_key) {
		set->keys[set->count++] = entry.key;
	} else {
		complain(parser, item, "\"spki_sha256\" is missing in a key");
	}
}

static void add_network(struct parser *parser, struct set *set, const struct node *item)
{
	const char *text = text_value(parser, item, "a network", TEXT_VALUE_MAX), *why;

	if (!text)
		return;
	if (network_parse(text, &set->networks[set->count], &why))
		set->count++;
	else
		complain(parser, item, "\"%.64s\" is not a network: %s", text, why);
}

static void add_port(struct parser *parser, struct set *set, const struct node *item)
{
	unsigned port = 0;

	if (item->kind != NODE_SCALAR || !item->plain) {
		complain(parser, item, "a port must be a number, not %s%s", node_describe(item),
			 item->kind == NODE_SCALAR ? " in quotes" : "");
		return;
	}
	for (const char *c = item->text; *c && port <= UINT16_MAX; c++)
		port = *c >= '0' && *c <= '9' ? 10 * port + (unsigned)(*c - '0') : UINT16_MAX + 1U;
	if (port == 0 || port > UINT16_MAX || item->text[0] == '0')
		complain(parser, item, "a port must be a number from 1 to 65535, not \"%.64s\"", item->text);
	else
		set->ports[set->count++] = (uint16_t)port;
}

static void add_string(struct parser *parser, struct set *set, const struct node *item)
{
	struct node as_text = *item;
	const char *text;

	/* A number is fine here: a user id, or a digest without a letter in it. */
	if (item->kind == NODE_SCALAR && strcmp(node_describe(item), "a number") == 0)
		as_text.plain = false;
	text = text_value(parser, &as_text, "a value", TEXT_VALUE_MAX);
	if (text)
		set->strings[set->count++] = (struct string){.text = text, .line = item->line, .column = item->column};
}

/* --- serial numbers --------------------------------------------------------------------------------------------------- */

static void parse_serial_name(struct parser *parser, const struct node *value, void *out)
{
	((struct serial *)out)->name = text_value(parser, value, "the name of a serial number", TEXT_LABEL_MAX);
}

static void parse_serial_issuer(struct parser *parser, const struct node *value, void *out)
{
	pin_value(parser, value, ((struct serial *)out)->issuer);
}

/* Hex as certificates' serials are shown: upper case, whole bytes, no leading zero bytes. Colons between and a leading minus are
 * allowed. False: it is none. */
static bool serial_normalize(const char *text, char out[SERIAL_DIGITS_MAX + 3])
{
	char digits[SERIAL_DIGITS_MAX + 1];
	size_t count = 0, from = 0, len = 0;
	bool negative = *text == '-';

	for (text += negative; *text; text++) {
		if (*text == ':')
			continue;
		if (!isxdigit((unsigned char)*text) || count == SERIAL_DIGITS_MAX)
			return false;
		digits[count++] = (char)toupper((unsigned char)*text);
	}
	while (from + 1 < count && digits[from] == '0')
		from++;
	if (negative)
		out[len++] = '-';
	if ((count - from) % 2 && strncmp(digits + from, "0", count - from) != 0)
		out[len++] = '0';
	memcpy(out + len, digits + from, count - from);
	out[len + count - from] = '\0';
	return count > 0;
}

static void parse_serial_text(struct parser *parser, const struct node *value, void *out)
{
	char text[SERIAL_DIGITS_MAX + 3];

	if (value->kind != NODE_SCALAR)
		complain(parser, value, "a serial must be text, not %s", node_describe(value));
	else if (value->plain)
		complain(parser, value, "a serial must be in quotes, as it is hex even if it looks like a number");
	else if (!serial_normalize(value->text, text))
		complain(parser, value, "\"%.64s\" is not a serial: at most %d hex digits, colons between are allowed",
			 value->text, SERIAL_DIGITS_MAX);
	else
		((struct serial *)out)->text = arena_strndup(parser->policy->arena, text, strlen(text));
}

static void add_serial(struct parser *parser, struct set *set, const struct node *item)
{
	static const struct field fields[] = {
		{"name", parse_serial_name, false},
		{"issuer_spki_sha256", parse_serial_issuer, true},
		{"serial", parse_serial_text, true},
	};
	struct serial serial = {.text = NULL};

	if (item->kind != NODE_MAP)
		complain(parser, item, "a serial is written {issuer_spki_sha256: \"…\", serial: \"0A1B\"}, not as %s",
			 node_describe(item));
	else if (fields_parse(parser, item, "a serial", fields, ARRAY_SIZE(fields), &serial) && serial.text)
		set->serials[set->count++] = serial;
}

static void add_file(struct parser *parser, struct set *set, const struct node *item)
{
	if (set->count > 0) {
		complain(parser, item, "a trust store is one file, or a directory: put the certificates into one");
		return;
	}
	set->file = need_value(parser, POLICY_TRUST_STORE, item);
	set->count = set->file != NULL;
}

const struct set_kind_items set_items[SET_KINDS] = {
	[SET_KEYS] = {sizeof(struct key), add_key},          [SET_NETWORKS] = {sizeof(struct network), add_network},
	[SET_PORTS] = {sizeof(uint16_t), add_port},          [SET_STRINGS] = {sizeof(struct string), add_string},
	[SET_SERIALS] = {sizeof(struct serial), add_serial}, [SET_TRUST_STORES] = {0, add_file},
};

/* Names are compiled all together, so they are collected first. */
void set_add_names(struct parser *parser, struct set *set, const struct node *value)
{
	CLEANUP_FREE const char **patterns = xcalloc(value->count + 1, sizeof(char *));

	for (const struct node *item = node_first(value); item; item = node_next(value, item)) {
		const char *text = text_value(parser, item, "a name", TEXT_VALUE_MAX);
		const char *why = text ? name_check(text) : NULL;

		if (why)
			complain(parser, item, "\"%.64s\" is not a name: %s", text, why);
		else if (text)
			patterns[set->count++] = text;
	}
	set->names = names_new(parser->policy->arena, patterns, set->count);
}
