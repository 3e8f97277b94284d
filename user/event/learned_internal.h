/* What was learned, between collecting (learned.c), grouping (learned_group.c) and writing (learned_write.c). */
#ifndef LEARNED_INTERNAL_H
#define LEARNED_INTERNAL_H

#include "address.h"
#include "learned.h"
#include "name_set.h"
#include "util.h"

/* Texts of certificates and programs are cut to this many bytes, with "…" behind: a policy takes 128 as a name. */
enum { LEARNED_TEXT_MAX = 120 };

/* For so many one verification can be learned: a name, another that is expected, and the address. */
enum { LEARNED_TARGETS_MAX = 3 };

/* A key that vouched for something, once. */
struct learned_key {
	uint8_t spki_sha256[SHA256_BYTES];
	char *name;        /* common name or subject, escaped, cut; of the certificate that was seen first. May be "" */
	int64_t not_after; /* the latest of its certificates */
};

/* depth: 0 the leaf itself, which nobody vouched for; 1 the key that signed the leaf; 2 the one above … the least seen. */
struct learned_use {
	const struct learned_key *key;
	unsigned depth;
	bool as_leaf, as_issuer;
};

struct learned_program {
	char *text; /* escaped, cut */
};

struct learned_runs {
	const struct learned_program *program;
	uint64_t count;
};

enum { LEARNED_LEAVES_MAX = 3, LEARNED_RUNS_MAX = 16 };

struct learned_leaf {
	uint8_t spki_sha256[SHA256_BYTES];
	const char *algorithm; /* static */
	unsigned bits;
	int64_t not_after;
};

/* How often, when, and by whom. */
struct learned_times {
	uint64_t count;
	int64_t first, last;
	struct learned_runs runs[LEARNED_RUNS_MAX];
	size_t runs_count;
	uint64_t other_runs; /* by programs beyond LEARNED_RUNS_MAX */
	bool openssl, gnutls;
};

/* Whom a rule can be about. */
struct learned_peer {
	char *name; /* lower case, without the final dot; NULL: the address; neither: all clients of servers here */
	struct address address;
	uint16_t port;
	bool nameless;            /* an address: it was reached without a usable name, so a rule is needed */
	struct learned_use *uses; /* sorted by the key's hash */
	size_t uses_count;
	struct learned_leaf leaves[LEARNED_LEAVES_MAX]; /* the ones seen last, the newest first */
	size_t leaves_count;
	struct learned_times times;
};

enum refusal {
	REFUSAL_FAILED,
	REFUSAL_IGNORED,
	REFUSAL_OFF,
	REFUSAL_CUSTOM,
	REFUSAL_BARE,
	REFUSAL_PENDING,
	REFUSAL_MISSING,
	REFUSAL_UNREADABLE,
	REFUSAL_ROLE,
	REFUSAL_NOBODY,
	REFUSAL_FULL,
	REFUSALS,
};

/* What was not learned. */
struct learned_refusal {
	char *who, *program;    /* escaped, cut */
	char *subject, *issuer; /* of the leaf seen first, escaped, cut; NULL: it could not be read */
	enum refusal why;
	uint64_t count;
	int64_t first, last;
};

/* Pointers, sorted by what the table's own comparison says. */
struct learned_table {
	void **items;
	size_t count;
};

struct learned {
	struct learned_table keys, programs, names, addresses, refusals;
	struct learned_peer *clients; /* or NULL */
	size_t uses;                  /* of all peers */
	size_t nameless;              /* addresses */
	uint64_t verifications, taken;
	uint64_t refused[REFUSALS];
	uint64_t refusals_unlisted;
};

/* --- keeping (learned_keep.c) ------------------------------------------------------------------------------------------- */

typedef int learned_order(const void *, const void *);

/* The item that compares equal, or NULL: *ret_at is where it belongs. */
void *learned_find(const struct learned_table *table, learned_order *order, const void *wanted, size_t *ret_at);
void learned_insert(struct learned_table *table, size_t at, void *item);

/* Text that is escaped already, cut between two characters. An escape that is cut through is still only text. */
char *learned_cut(const char *escaped);
/* Of a program, any bytes or NULL, what is kept of it. */
char *learned_program_text(const char *program);
/* NULL: there are too many. */
const struct learned_program *learned_program_intern(struct learned *learned, const char *text);

/* One verification on its way. */
struct learned_sighting {
	const struct facts *facts;
	const char *program_text;
	const struct learned_program *program;
	int64_t now;
	struct learned_use uses[FACTS_CERTS_MAX];
	size_t uses_count;
};

/* Fills uses: the keys that vouched for it; the leaf's own only if nobody above it is proven. */
void learned_sighting_keys(struct learned *learned, struct learned_sighting *sighting);

/* True if there is room for all keys of one verification, in the peer and in as many as it can be learned for. */
bool learned_uses_fit(const struct learned *learned, const struct learned_peer *peer);
/* True if a rule made of the peer will be content with this verification once it has taken it. */
bool learned_peer_can_take(const struct learned *learned, const struct learned_peer *peer,
			   const struct learned_sighting *sighting);
void learned_peer_take(struct learned *learned, struct learned_peer *peer, const struct learned_sighting *sighting);
/* Once more, now, by that program, with that leaf. */
void learned_peer_time(struct learned_peer *peer, const struct learned_sighting *sighting);

/* --- grouping (learned_group.c) --------------------------------------------------------------------------------------- */

/* Peers that the very same keys vouched for: one set, one rule. All of one kind; addresses of one port. */
struct learned_group {
	char *label; /* of the sets and the rule: unique, letters, digits and '-' */
	const struct learned_peer **peers;
	size_t count;
	struct learned_use *uses; /* as a person reads them: nearest first, then by name */
	size_t uses_count;
	bool as_leaf, as_issuer; /* some key is */
};

struct learned_groups {
	struct learned_group *items; /* names, then addresses, then the clients; each by its first peer */
	size_t count;
};

struct learned_groups learned_group(const struct learned *learned);
void learned_groups_clear(struct learned_groups *groups);

/* Sorts by depth, then by name and hash. */
void learned_uses_sort(struct learned_use *uses, size_t count);

#endif
