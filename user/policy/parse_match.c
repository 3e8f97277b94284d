/* `match` and `except`: lists of entries, each a map of criteria. What each key takes is in one table here; what it means
 * is in match.c. */
#include <string.h>

#include "path_glob.h"
#include "policy_internal.h"

static void check_string(struct parser *parser, const struct string *string, const char *what, const char *why)
{
	problems_add(parser->problems, parser->file, string->line, string->column, "\"%.64s\" is not %s: %s", string->text,
		     what, why);
}

static void check_exe(struct parser *parser, const struct string *string)
{
	const char *why = glob_check(string->text);

	if (why)
		check_string(parser, string, "a pattern for exe", why);
}

static void check_role(struct parser *parser, const struct string *string)
{
	if (strcmp(string->text, "client") != 0 && strcmp(string->text, "server") != 0)
		check_string(parser, string, "a role", "client (we verify a server) or server (we verify a client)");
}

static void check_library(struct parser *parser, const struct string *string)
{
	if (strcmp(string->text, "openssl") != 0 && strcmp(string->text, "gnutls") != 0)
		check_string(parser, string, "a library", "openssl or gnutls");
}

static void check_verify(struct parser *parser, const struct string *string)
{
	static const char *const words[] = {"ok", "failed", "failed-ignored", "off", "custom", "none"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(string->text, words[i]) == 0)
			return;
	check_string(
		parser, string, "a result of a verification",
		"ok, failed, failed-ignored (and the process went on), off (nobody verified), custom or none (no certificate)");
}

/* Containers and units are globs, too: nginx@*.service. */
static void check_glob(struct parser *parser, const struct string *string)
{
	const char *why = glob_closed(string->text);

	if (why)
		check_string(parser, string, "a pattern", why);
}

/* A unit without its suffix, as one types it for systemctl, would be none ever. */
static void check_unit(struct parser *parser, const struct string *string)
{
	static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};
	size_t len = strlen(string->text);

	check_glob(parser, string);
	if (strpbrk(string->text, "*?["))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (len > strlen(suffixes[i]) && strcmp(string->text + len - strlen(suffixes[i]), suffixes[i]) == 0)
			return;
	check_string(parser, string, "a unit", "it ends in .service, .scope, .socket, .mount or .swap");
}

static const struct {
	const char *key;
	enum criterion_kind kind;
	enum set_kind set;
	void (*check)(struct parser *parser, const struct string *string); /* SET_STRINGS: of each value */
} criteria[] = {
	{"server_name", MATCH_SERVER_NAME, SET_NAMES, NULL},
	{"san_dns", MATCH_SAN_DNS, SET_NAMES, NULL},
	{"san_ip", MATCH_SAN_IP, SET_NETWORKS, NULL},
	{"peer_ip", MATCH_PEER_IP, SET_NETWORKS, NULL},
	{"peer_port", MATCH_PEER_PORT, SET_PORTS, NULL},
	{"exe", MATCH_EXE, SET_STRINGS, check_exe},
	{"user", MATCH_USER, SET_STRINGS, NULL},
	{"unit", MATCH_UNIT, SET_STRINGS, check_unit},
	{"container", MATCH_CONTAINER, SET_STRINGS, check_glob},
	{"role", MATCH_ROLE, SET_STRINGS, check_role},
	{"library", MATCH_LIBRARY, SET_STRINGS, check_library},
	{"issuer_in", MATCH_ISSUER_IN, SET_KEYS, NULL},
	{"verify", MATCH_VERIFY, SET_STRINGS, check_verify},
};

static void parse_any(struct parser *parser, const struct node *value, void *out)
{
	struct entry *entry = out;
	int truth = truth_value(parser, value, "any");

	if (truth == 0)
		complain(parser, value, "any: false would match nothing: leave the entry out");
	entry->criteria[entry->count++] = (struct criterion){.kind = MATCH_ANY};
}

static void parse_criterion(struct parser *parser, const struct node *value, void *out)
{
	struct entry *entry = out;
	struct set *set;
	size_t i = 0;

	while (strcmp(criteria[i].key, value->key->text) != 0)
		i++;
	set = set_value(parser, criteria[i].set, value);
	if (!set)
		return;
	for (size_t s = 0; criteria[i].check && s < set->count; s++)
		criteria[i].check(parser, &set->strings[s]);
	if (set->issuer_names_count > 0)
		complain(parser, value, "%s has entries that go by organization or common_name: here only keys count",
			 set->label);
	entry->criteria[entry->count++] = (struct criterion){.kind = criteria[i].kind, .set = set};
}

static void parse_entry(struct parser *parser, const struct node *value, struct entry *entry)
{
	static const struct field fields[] = {
		{"any", parse_any, false},
		{"server_name", parse_criterion, false},
		{"san_dns", parse_criterion, false},
		{"san_ip", parse_criterion, false},
		{"peer_ip", parse_criterion, false},
		{"peer_port", parse_criterion, false},
		{"exe", parse_criterion, false},
		{"user", parse_criterion, false},
		{"role", parse_criterion, false},
		{"library", parse_criterion, false},
		{"issuer_in", parse_criterion, false},
		{"unit", parse_criterion, false},
		{"container", parse_criterion, false},
		{"verify", parse_criterion, false},
	};
	_Static_assert(ARRAY_SIZE(fields) == ARRAY_SIZE(criteria) + 1, "the two tables of match keys differ");

	entry->criteria = arena_alloc(parser->policy->arena, value->count + 1, sizeof(*entry->criteria));
	if (value->kind == NODE_MAP && value->count == 0)
		complain(parser, value, "an empty entry: write {any: true} for every verification");
	else
		fields_parse(parser, value, "an entry of match or except", fields, ARRAY_SIZE(fields), entry);
}

void parse_entries(struct parser *parser, const struct node *value, struct entries *ret)
{
	size_t room = value->kind == NODE_LIST ? value->count : 1;

	ret->items = arena_alloc(parser->policy->arena, room, sizeof(*ret->items));
	if (room == 0)
		complain(parser, value, "an empty list matches nothing: write [{any: true}] for every verification");
	for (const struct node *item = node_first(value); item; item = node_next(value, item))
		parse_entry(parser, item, &ret->items[ret->count++]);
}

const char *criterion_key(enum criterion_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(criteria); i++)
		if (criteria[i].kind == kind)
			return criteria[i].key;
	return "any";
}
