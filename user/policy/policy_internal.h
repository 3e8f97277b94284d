/* What a policy is made of, between parsing (parse*.c) and judging (match.c, judge.c). All of one policy lives in its
 * arena. */
#ifndef POLICY_INTERNAL_H
#define POLICY_INTERNAL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "arena.h"
#include "name_set.h"
#include "node.h"
#include "policy.h"
#include "util.h"

/* Of one file; then one more says that more are not shown. */
enum { PROBLEMS_PER_FILE_MAX = 100 };

/* Texts longer than these are an error: they are printed with each violation. */
enum { TEXT_LABEL_MAX = 128, TEXT_DESCRIPTION_MAX = 1024, TEXT_VALUE_MAX = 4096 };

/* --- sets ----------------------------------------------------------------------------------------------------------- */

enum set_kind {
	SET_KEYS,  /* pins: SHA-256 of SubjectPublicKeyInfo */
	SET_NAMES, /* DNS name patterns */
	SET_NETWORKS,
	SET_PORTS,
	SET_STRINGS, /* for exe, user, role, library, cert_sha256_in; what may stand in it depends on the use */
	SET_KINDS,
};

struct key {
	uint8_t pin[SHA256_BYTES];
	const char *name; /* or NULL */
};

struct digest {
	uint8_t bytes[SHA256_BYTES];
};

struct string {
	const char *text;
	unsigned line, column;
};

struct set {
	enum set_kind kind;
	const char *label; /* "@fina", or "the set in line 12" */
	const char *name;  /* NULL if it was written in place */
	unsigned line, column;
	bool single;    /* SET_KEYS: one key is enough for enforce */
	bool broken;    /* complained about; do not complain about what follows from it */
	bool weak_told; /* complained that it has too few keys */
	size_t count;
	union {
		struct key *keys; /* sorted by pin, each pin once */
		struct names *names;
		struct network *networks; /* sorted: see networks.c */
		uint16_t *ports;          /* sorted */
		struct string *strings;
	};
	struct digest *digests; /* SET_STRINGS that cert_sha256_in uses: the same, decoded and sorted; else NULL */
};

/* The key of the set with that pin, or NULL. */
const struct key *keys_find(const struct set *set, const uint8_t pin[SHA256_BYTES]);
bool digests_have(const struct set *set, const uint8_t sha256[SHA256_BYTES]);
bool ports_have(const struct set *set, uint16_t port);
void networks_sort(struct network *networks, size_t count);
bool networks_have(const struct network *networks, size_t count, const struct address *address);

/* --- rules ---------------------------------------------------------------------------------------------------------- */

enum criterion_kind {
	MATCH_ANY,
	MATCH_SERVER_NAME,
	MATCH_SAN_DNS,
	MATCH_SAN_IP,
	MATCH_PEER_IP,
	MATCH_PEER_PORT,
	MATCH_EXE,
	MATCH_USER,
	MATCH_ROLE,
	MATCH_LIBRARY,
	MATCH_ISSUER_IN,
};

struct criterion {
	enum criterion_kind kind;
	const struct set *set; /* NULL with MATCH_ANY */
};

/* All criteria must hold. */
struct entry {
	struct criterion *criteria;
	size_t count;
};

/* Any entry suffices. */
struct entries {
	struct entry *items;
	size_t count;
};

struct rule {
	const char *id, *description; /* description may be NULL */
	unsigned line, column;        /* of the id */
	struct entries match, except;
	struct {
		const struct set *key_in, *issuer_in;
		bool at_leaf, verified;
	} require;
	struct {
		const struct set *key_in, *cert_sha256_in;
	} forbid;
	enum action action;
	enum severity severity;
};

struct policy {
	struct arena *arena;
	const char *file, *name; /* name NULL: it has none, which was complained about */
	unsigned name_line, name_column;
	bool enforce, has_enforce_until, has_expires;
	int64_t enforce_until, expires;
	uint8_t sha256[SHA256_BYTES];
	struct set **sets[SET_KINDS]; /* named ones, sorted by name */
	size_t sets_count[SET_KINDS];
	struct rule *rules; /* in the order of the file */
	size_t rules_count;
	struct rule **by_id; /* the same, sorted by id */
};

void policy_free(struct policy *policy);

/* --- parsing -------------------------------------------------------------------------------------------------------- */

struct parser {
	const char *file;
	struct problems *problems;
	struct policy *policy;
	const struct node *sets, *rules; /* of the file, kept until the rest of its top level is read */
};

/* Parses one file. Gives NULL only if it is no YAML map at all; otherwise a policy that may be incomplete, if there were
 * complaints. */
struct policy *policy_parse(const struct policy_source *source, struct problems *problems);
void parse_rules(struct parser *parser, const struct node *value);
void parse_sets(struct parser *parser, const struct node *value);
void parse_entries(struct parser *parser, const struct node *value, struct entries *ret);

/* One key of a map. parse NULL: a key of the language that this version does not support. */
struct field {
	const char *key;
	void (*parse)(struct parser *parser, const struct node *value, void *out);
	bool required;
};
/* Reads a map by its fields; what: "a rule". Complains about unknown, unsupported and missing keys. False if the value is
 * no map. */
bool fields_parse(struct parser *parser, const struct node *map, const char *what, const struct field *fields, size_t count,
		  void *out);

/* Complains at the node's place; not if the node itself is NODE_BROKEN. */
void complain(struct parser *parser, const struct node *node, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A text of 1 to max bytes on one line, in the policy's arena; NULL after a complaint. what: "the name of a policy". */
const char *text_value(struct parser *parser, const struct node *node, const char *what, size_t max);
/* The index of a word among words, or -1 after a complaint. what: "mode". */
int word_value(struct parser *parser, const struct node *node, const char *what, const char *const *words, size_t count);
/* 1, 0, or -1 after a complaint. */
int truth_value(struct parser *parser, const struct node *node, const char *what);

/* The set that a value names ("@name"), or is. NULL after a complaint. */
struct set *set_value(struct parser *parser, enum set_kind kind, const struct node *value);
/* cert_sha256_in: decodes the strings, once. */
void set_decode_digests(struct parser *parser, const struct node *value, struct set *set);

/* "; did you mean \"x\"?", or "" if no word is like the text. */
struct suggestion {
	char text[64];
};
struct suggestion suggest(const char *text, const char *const *words, size_t count);

/* "2027-01-31T00:00:00Z" (RFC 3339, UTC; a fraction of a second is allowed, and dropped) as seconds since 1970. */
bool timestamp_parse(const char *text, int64_t *ret);

/* --- judging -------------------------------------------------------------------------------------------------------- */

/* doubt: what to say of a criterion that cannot be decided (match.c). */
bool entries_match(const struct entries *entries, const struct facts *facts, bool doubt);
/* The reason for which the rule is broken (new memory), or NULL if it is not. */
char *rule_broken(const struct rule *rule, const struct facts *facts);

/* Text of bounded length, put together piece by piece. Beyond REASON_MAX_BYTES it ends with "…". */
enum { REASON_MAX_BYTES = 1024 };
struct reason {
	char text[REASON_MAX_BYTES + 1];
	size_t len;
	bool full;
};
void reason_add(struct reason *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "CN=1.1.1.1", or the subject, or what there is; bounded. */
void reason_add_subject(struct reason *reason, const struct certificate *certificate);

#endif
