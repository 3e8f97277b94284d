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
#include "ct.h"
#include "policy.h"
#include "revocation.h"
#include "timestamp.h"
#include "trust.h"
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
	SET_STRINGS, /* for exe, user, unit, container, role, library, verify, cert_sha256_in; what may stand in it depends on the use */
	SET_SERIALS,      /* pairs of issuer key and serial number */
	SET_TRUST_STORES, /* a file: needs.c */
	SET_KINDS,
};

struct key {
	uint8_t pin[SHA256_BYTES];
	const char *name; /* or NULL */
};

/* An entry of a key set that goes by the issuer's name, which counts only with trusted_by. What is NULL is not asked. */
struct issuer_name {
	const char *organization, *common_name; /* escaped as a certificate's */
	const char *name;                       /* or NULL */
};

struct serial {
	uint8_t issuer[SHA256_BYTES]; /* pin of the key that signed */
	const char *text;             /* upper-case hex, as certificate.serial */
	const char *name;             /* or NULL */
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
	size_t count, room;
	union {
		struct key *keys; /* sorted by pin, each pin once */
		struct names *names;
		struct network *networks; /* sorted: see networks.c */
		uint16_t *ports;          /* sorted */
		struct string *strings;
		struct serial *serials;  /* sorted by text */
		const struct need *file; /* SET_TRUST_STORES; count is 1 */
	};
	struct issuer_name *issuer_names; /* SET_KEYS: beside the keys */
	size_t issuer_names_count;
	struct digest *digests; /* SET_STRINGS that cert_sha256_in uses: the same, decoded and sorted; else NULL */
};

/* The key of the set with that pin, or NULL. */
const struct key *keys_find(const struct set *set, const uint8_t pin[SHA256_BYTES]);
bool digests_have(const struct set *set, const uint8_t sha256[SHA256_BYTES]);
bool ports_have(const struct set *set, uint16_t port);
void networks_sort(struct network *networks, size_t count);
bool networks_have(const struct network *networks, size_t count, const struct address *address);

/* --- files that a policy names (needs.c) ------------------------------------------------------------------------------ */

struct need {
	struct policy_need as;
	union { /* NULL until bound; owned by struct policies */
		struct trust_store *store;
		struct ct_logs *logs;
	};
};

struct crl_list {
	struct need **files;
	size_t count;
	struct crls *crls; /* of all of them; NULL until bound; owned by struct policies */
};

struct trusted_by {
	const struct set *store;
	const struct crl_list *crl; /* or NULL */
};

struct transparency {
	unsigned scts, operators;
	const struct need *logs;
};

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
	MATCH_UNIT,
	MATCH_CONTAINER,
	MATCH_ROLE,
	MATCH_LIBRARY,
	MATCH_ISSUER_IN,
	MATCH_VERIFY,
};

enum signature_word { SIGNATURE_MD5 = 1, SIGNATURE_SHA1 = 2 };

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
		bool at_leaf, verified, name_matches;
		const struct trusted_by *trusted_by;
		const struct transparency *ct;
		int64_t max_lifetime, min_remaining; /* seconds; 0: not asked */
		unsigned min_rsa_bits, min_ec_bits;  /* 0: not asked */
		bool has_not_before_until;
		int64_t not_before_until;
	} require;
	struct {
		const struct set *key_in, *cert_sha256_in, *serial_in;
		unsigned signatures; /* bits of enum signature_word */
		const struct crl_list *crl;
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
	struct need **needs; /* in the order of the file, each path once for each kind */
	size_t needs_count;
	struct crl_list **crl_lists;
	size_t crl_lists_count;
};

void policy_free(struct policy *policy);

struct policies {
	struct policy **items;
	size_t count;
	bool ask_process, ask_place;
	struct policy_need *needs; /* of all of them, as policies_needs gives them */
	size_t needs_count;
	struct policy_moment *moments; /* in the order of the policies */
	size_t moments_count;
	struct bound *bound; /* what the files became: needs.c */
	struct rule_index *index;
};

bool policy_has_expired(const struct policy *policy, int64_t now);
bool policy_enforces(const struct policy *policy, bool audit_only, int64_t now);

/* Collects what all policies need; moments that need no file. */
void needs_collect(struct policies *policies);
void moments_collect(struct policies *policies);
void bound_free(struct bound *bound);

/* --- parsing -------------------------------------------------------------------------------------------------------- */

struct parser {
	const char *file;
	struct problems *problems;
	struct policy *policy;
	const struct node *sets, *rules; /* of the file, kept until the rest of its top level is read */
};

/* Parses one file. Gives NULL only if it is no YAML map at all, or is a test file; otherwise a policy that may be incomplete, if there were
 * complaints. */
struct policy *policy_parse(const struct policy_source *source, struct problems *problems);
void parse_version(struct parser *parser, const struct node *value, void *out);
void parse_rules(struct parser *parser, const struct node *value);
void parse_sets(struct parser *parser, const struct node *value);
void parse_entries(struct parser *parser, const struct node *value, struct entries *ret);
/* Of a rule, which is out. */
void parse_require(struct parser *parser, const struct node *value, void *out);
void parse_forbid(struct parser *parser, const struct node *value, void *out);
/* The path, if relative from the directory of the file that is parsed. In the policy's arena, or path itself. */
const char *path_resolve(struct parser *parser, const char *path);
/* A path as the policy names it, in the policy's arena; NULL after a complaint. */
struct need *need_value(struct parser *parser, enum policy_file_kind kind, const struct node *value);
/* One path, or a list of them. NULL after a complaint. */
struct crl_list *crl_list_value(struct parser *parser, const struct node *value);
/* "2027-01-31T00:00:00Z", or false after a complaint. */
bool time_value(struct parser *parser, const struct node *value, int64_t *ret);
/* "90d", "12h", "30m", "45s", "2w" as seconds, 1 or more; false after a complaint. */
bool duration_value(struct parser *parser, const struct node *value, int64_t *ret);
/* A plain number from 1 to max; 0 after a complaint. */
unsigned number_value(struct parser *parser, const struct node *value, const char *what, unsigned max);

/* One key of a map. */
struct field {
	const char *key;
	void (*parse)(struct parser *parser, const struct node *value, void *out);
	bool required;
};
/* Reads a map by its fields; what: "a rule". Complains about unknown and missing keys. False if the value is
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
/* A trust store: "name" or "@name" of a set, or a path, which has a slash in it. NULL after a complaint. */
const struct set *store_value(struct parser *parser, const struct node *value);
/* cert_sha256_in: decodes the strings, once. */
void set_decode_digests(struct parser *parser, const struct node *value, struct set *set);

/* "; did you mean \"x\"?", or "" if no word is like the text. */
struct suggestion {
	char text[64];
};
struct suggestion suggest(const char *text, const char *const *words, size_t count);

/* --- judging -------------------------------------------------------------------------------------------------------- */

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
/* "2027-01-31T00:00:00Z" */
void reason_add_time(struct reason *reason, int64_t seconds);
/* "30d", or "2d 3h": the two largest units. */
void reason_add_duration(struct reason *reason, int64_t seconds);
/* The key's name in the set, or its pin. */
void reason_add_key(struct reason *reason, const struct key *key);

/* doubt: what to say of a criterion that cannot be decided (match.c). */
bool entries_match(const struct entries *entries, const struct facts *facts, bool doubt);
bool criterion_holds(const struct criterion *criterion, const struct facts *facts, bool doubt);
/* For people: the key of a criterion (static), and what of the facts it looks at. */
const char *criterion_key(enum criterion_kind kind);
void criterion_found(const struct criterion *criterion, const struct facts *facts, struct reason *reason);

/* One verification on its way through the rules. What is dear to find out and the same for several rules is kept. */
enum { INQUIRY_KEPT_MAX = 8 };
struct inquiry {
	const struct facts *facts;
	int64_t now;
	bool tell; /* say what was found even if all is well */
	struct {
		const struct trust_store *store;
		const struct crls *crls;
		struct trust_result *result; /* owned */
	} trusts[INQUIRY_KEPT_MAX];
	size_t trusts_count;
	struct {
		const struct ct_logs *logs;
		struct ct_count count;
	} cts[INQUIRY_KEPT_MAX];
	size_t cts_count;
};
void inquiry_clear(struct inquiry *inquiry);
const struct trust_result *inquiry_trust(struct inquiry *inquiry, const struct trusted_by *by);
struct ct_count inquiry_ct(struct inquiry *inquiry, const struct ct_logs *logs);

/* One key of require or forbid. */
struct ask {
	const char *part, *key;
	bool (*is_asked)(const struct rule *rule);
	void (*asked)(const struct rule *rule, struct reason *reason); /* its value, for people */
	/* True if it is as it should be. found: what was found, if not, or if inquiry->tell. */
	bool (*holds)(struct inquiry *inquiry, const struct rule *rule, struct reason *found);
	bool needs_der, needs_keys; /* cannot be judged with facts.without_der, facts.without_keys */
};
extern const struct ask asks[];
extern const size_t asks_count;
bool ask_decidable(const struct ask *ask, const struct rule *rule, const struct facts *facts);
bool path_proven(const struct facts *facts);
void add_unproven(struct reason *reason, const struct facts *facts);

enum rule_answer { RULE_FINE, RULE_BROKEN, RULE_UNDECIDED };
/* Of a rule that matches. *ret_reason: new memory, if it is broken. */
enum rule_answer rule_judge(struct inquiry *inquiry, const struct rule *rule, char **ret_reason);

#endif
