/* Sets of a policy: keys, names, networks, ports, strings, serials and trust stores, named under `sets` or written in place, compiled into the
 * sorted form in which they are looked up.
 *
 *   sets:
 *     keys:
 *       two-keys:  [{name: "a", spki_sha256: "…"}, {name: "b", spki_sha256: "…"}]
 *       one-key:   {single: true, keys: [{name: "a", spki_sha256: "…"}]}     (for enforce: no backup key, on purpose)
 *     names:       {resolvers: ["example.com", "*.example.com"]}
 *     networks:    {resolvers: ["1.1.1.0/24", "2606:4700:4700::/48"]}
 *     ports:       {tls: [443, 853]}
 *     strings:     {lab: ["/opt/lab/…"]}              (exe, user, unit, container, role, library, cert_sha256_in)
 *     serials:     {bad: [{issuer_spki_sha256: "…", serial: "0A1B"}]}
 *     trust_stores: {mozilla: /etc/ssl/certs/ca-certificates.crt}                     (a PEM file: needs.c)
 *
 * Sets of different kinds may share a name: the key that refers to one says which kind it means. Everything lives in the
 * policy's arena. A set with a complaint is marked broken, so that nothing more is said of what follows from it. */
#include <string.h>

#include "policy_internal.h"
#include "set_items.h"

enum { SUGGESTIONS_MAX = 1000 };

static const char *const kind_names[] = {
	[SET_KEYS] = "keys",       [SET_NAMES] = "names",     [SET_NETWORKS] = "networks",         [SET_PORTS] = "ports",
	[SET_STRINGS] = "strings", [SET_SERIALS] = "serials", [SET_TRUST_STORES] = "trust_stores",
};
_Static_assert(ARRAY_SIZE(kind_names) == SET_KINDS, "a kind of set without a name");

/* --- whole sets ----------------------------------------------------------------------------------------------------- */

static int key_compare(const void *a, const void *b)
{
	return memcmp(((const struct key *)a)->pin, ((const struct key *)b)->pin, SHA256_BYTES);
}

static int serial_compare(const void *a, const void *b)
{
	return strcmp(((const struct serial *)a)->text, ((const struct serial *)b)->text);
}

static int port_compare(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static void keys_finish(struct set *set)
{
	size_t kept = 0;

	qsort(set->keys, set->count, sizeof(*set->keys), key_compare);
	for (size_t i = 0; i < set->count; i++) {
		if (kept == 0 || key_compare(&set->keys[kept - 1], &set->keys[i]) != 0)
			set->keys[kept++] = set->keys[i];
	}
	set->count = kept;
}

static void fill(struct parser *parser, struct set *set, const struct node *value)
{
	size_t known = parser->problems->count;

	if (value->kind == NODE_LIST && value->count == 0)
		complain(parser, value, "an empty list: nothing could ever be in it");
	for (const struct node *item = node_first(value); item; item = node_next(value, item)) {
		if (value->kind == NODE_LIST && item->kind == NODE_SCALAR && item->text[0] == '@') {
			complain(parser, item, "\"%.64s\": a set stands alone, not inside a list or another set",
				 item->text);
			set->broken = true;
		}
	}
	if (set->broken || value->kind == NODE_BROKEN) {
		set->broken = true;
		if (set->kind == SET_NAMES)
			set->names = names_new(parser->policy->arena, NULL, 0);
		return;
	}
	if (set->kind == SET_NAMES) {
		set_add_names(parser, set, value);
	} else {
		set->room = value->kind == NODE_LIST ? value->count : 1;
		if (set_items[set->kind].size)
			set->keys = arena_alloc(parser->policy->arena, set->room, set_items[set->kind].size);
		for (const struct node *item = node_first(value); item; item = node_next(value, item))
			set_items[set->kind].add(parser, set, item);
	}
	set->broken = parser->problems->count != known;
}

static void parse_single(struct parser *parser, const struct node *value, void *out)
{
	((struct set *)out)->single = truth_value(parser, value, "single") == 1;
}

static void parse_single_keys(struct parser *parser, const struct node *value, void *out)
{
	fill(parser, out, value);
}

static struct set *set_new(struct parser *parser, enum set_kind kind, const struct node *value, const char *name)
{
	static const struct field fields[] = {
		{"single", parse_single, false},
		{"keys", parse_single_keys, true},
	};
	struct arena *arena = parser->policy->arena;
	struct set *set = arena_alloc(arena, 1, sizeof(*set));
	CLEANUP_FREE char *label = name ? xasprintf("@%s", name) : xasprintf("the set in line %u", value->line);

	set->kind = kind;
	set->name = name;
	set->label = arena_strndup(arena, label, strlen(label));
	set->line = value->line;
	set->column = value->column;
	if (kind == SET_KEYS && value->kind == NODE_MAP && (node_get(value, "keys") || node_get(value, "single")))
		fields_parse(parser, value, "a set of keys", fields, ARRAY_SIZE(fields), set);
	else
		fill(parser, set, value);
	if (set->count < 2)
		return set;
	if (kind == SET_KEYS)
		keys_finish(set);
	else if (kind == SET_NETWORKS)
		networks_sort(set->networks, set->count);
	else if (kind == SET_PORTS)
		qsort(set->ports, set->count, sizeof(*set->ports), port_compare);
	else if (kind == SET_SERIALS)
		qsort(set->serials, set->count, sizeof(*set->serials), serial_compare);
	return set;
}

static int set_compare(const void *a, const void *b)
{
	return strcmp((*(struct set *const *)a)->name, (*(struct set *const *)b)->name);
}

static enum set_kind kind_of(const char *word)
{
	enum set_kind kind = 0;

	while (kind < SET_KINDS && strcmp(kind_names[kind], word) != 0)
		kind++;
	return kind;
}

static void parse_sets_of_kind(struct parser *parser, const struct node *value, void *out)
{
	struct policy *policy = out;
	enum set_kind kind = kind_of(value->key->text);

	if (value->kind != NODE_MAP) {
		complain(parser, value, "sets of %s must be a map of names and their values, not %s", kind_names[kind],
			 node_describe(value));
		return;
	}
	policy->sets[kind] = arena_alloc(policy->arena, value->count, sizeof(struct set *));
	for (const struct node *item = value->first; item; item = item->next) {
		const char *name = text_value(parser, item->key, "the name of a set", TEXT_LABEL_MAX);

		if (name)
			policy->sets[kind][policy->sets_count[kind]++] = set_new(parser, kind, item, name);
	}
	qsort(policy->sets[kind], policy->sets_count[kind], sizeof(struct set *), set_compare);
}

void parse_sets(struct parser *parser, const struct node *value)
{
	static const struct field fields[] = {
		{"keys", parse_sets_of_kind, false},         {"names", parse_sets_of_kind, false},
		{"networks", parse_sets_of_kind, false},     {"ports", parse_sets_of_kind, false},
		{"strings", parse_sets_of_kind, false},      {"serials", parse_sets_of_kind, false},
		{"trust_stores", parse_sets_of_kind, false},
	};

	fields_parse(parser, value, "sets", fields, ARRAY_SIZE(fields), parser->policy);
}

static struct set *set_find(const struct policy *policy, enum set_kind kind, const char *name)
{
	const struct set key = {.name = name}, *pointer = &key;
	struct set **found;

	if (policy->sets_count[kind] == 0)
		return NULL;
	found = bsearch(&pointer, policy->sets[kind], policy->sets_count[kind], sizeof(struct set *), set_compare);
	return found ? *found : NULL;
}

static void complain_missing(struct parser *parser, enum set_kind kind, const struct node *value, const char *name)
{
	const struct policy *policy = parser->policy;
	const char *words[SUGGESTIONS_MAX];
	size_t count = 0;

	for (enum set_kind other = 0; other < SET_KINDS; other++) {
		if (other != kind && set_find(policy, other, name)) {
			complain(parser, value, "there is no set \"%.64s\" among the sets of %s, only one of %s", name,
				 kind_names[kind], kind_names[other]);
			return;
		}
	}
	for (; count < policy->sets_count[kind] && count < SUGGESTIONS_MAX; count++)
		words[count] = policy->sets[kind][count]->name;
	complain(parser, value, "there is no set \"%.64s\" among the sets of %s%s", name, kind_names[kind],
		 suggest(name, words, count).text);
}

struct set *set_value(struct parser *parser, enum set_kind kind, const struct node *value)
{
	struct set *set;

	if (value->kind != NODE_SCALAR || value->text[0] != '@')
		return set_new(parser, kind, value, NULL);
	set = set_find(parser->policy, kind, value->text + 1);
	if (!set)
		complain_missing(parser, kind, value, value->text + 1);
	return set;
}

const struct set *store_value(struct parser *parser, const struct node *value)
{
	const char *name = value->text;
	const struct set *set;

	if (!node_is_text(value)) {
		complain(parser, value, "a trust store must be the name of one, or a path, not %s", node_describe(value));
		return NULL;
	}
	if (strchr(name, '/'))
		return set_new(parser, SET_TRUST_STORES, value, NULL);
	name += name[0] == '@';
	set = set_find(parser->policy, SET_TRUST_STORES, name);
	if (!set && strchr(name, '.'))
		complain(parser, value,
			 "there is no set \"%.64s\" among the sets of trust_stores; for a file write \"./%.64s\"", name,
			 name);
	else if (!set)
		complain_missing(parser, SET_TRUST_STORES, value, name);
	return set;
}
