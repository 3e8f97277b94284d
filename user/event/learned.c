/* Collects what was verified (learned.h).
 *
 * Owns the choice: what is learned, under which name or address, and what is refused and why. Trusts nothing: names come from
 * whoever connects, certificates from the peer, programs are any user's. A name is kept only if a policy could say it; one with
 * a wildcard is none, as it would be a pattern there.
 *
 * Rules overlap: one that is about an address also sees connections there that had a name, one that is about a name also those
 * that asked for another and expect this one. So a verification is learned for all that it could be matched by, or for none.
 *
 * Bounds are the constants below and those of learned_keep.c. What is beyond one is not learned, and is counted as such. */
#include <string.h>

#include "learned_internal.h"

enum {
	NAMES_MAX = 4096,
	ADDRESSES_MAX = 4096, /* beyond it those with a name go on to be learned */
	REFUSALS_MAX = 1024,  /* beyond it they are counted, not listed */
};

static int name_order(const void *a, const void *b)
{
	return strcmp(((const struct learned_peer *)a)->name, ((const struct learned_peer *)b)->name);
}

static int address_order(const void *a, const void *b)
{
	const struct learned_peer *x = a, *y = b;
	int order = (int)x->address.len - (int)y->address.len;

	if (!order)
		order = memcmp(x->address.bytes, y->address.bytes, x->address.len);
	return order ? order : (int)x->port - (int)y->port;
}

static int refusal_order(const void *a, const void *b)
{
	const struct learned_refusal *x = a, *y = b;
	int order = strcmp(x->who, y->who);

	if (!order)
		order = strcmp(x->program, y->program);
	return order ? order : (int)x->why - (int)y->why;
}

/* As a policy says it, or NULL if none can. */
static char *name_usable(const char *text)
{
	char *name;
	size_t len;

	if (!text || strchr(text, '*') || name_check(text))
		return NULL;
	name = xstrdup(text);
	len = strlen(name);
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return name;
}

/* --- learning --------------------------------------------------------------------------------------------------------- */

/* A rule that would match the verification. */
struct target {
	struct learned_table *table; /* NULL: that of clients */
	learned_order *order;
	size_t max;
	struct learned_peer wanted; /* the name is owned here until it is kept */
	bool naming;                /* it is what this verification goes by */
};

struct targets {
	struct target items[LEARNED_TARGETS_MAX];
	size_t count;
	bool naming; /* some of them is */
};

static void targets_clear(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++)
		free(targets->items[i].wanted.name);
}

static void target_name(struct learned *learned, struct targets *targets, const char *text)
{
	char *name = name_usable(text);

	if (!name)
		return;
	if (targets->count && strcmp(targets->items[0].wanted.name, name) == 0) {
		free(name);
		return;
	}
	targets->items[targets->count++] = (struct target){
		.table = &learned->names, .order = name_order, .max = NAMES_MAX, .wanted = {.name = name}, .naming = true};
	targets->naming = true;
}

static void targets_find(struct learned *learned, const struct facts *facts, struct targets *targets)
{
	if (facts->role == FACTS_ROLE_SERVER) {
		targets->items[targets->count++] = (struct target){.naming = true};
		targets->naming = true;
		return;
	}
	target_name(learned, targets, facts->server_name);
	target_name(learned, targets, facts->expected_host);
	if (!facts->peer.len || !facts->peer_port)
		return;
	targets->items[targets->count++] = (struct target){.table = &learned->addresses,
							   .order = address_order,
							   .max = ADDRESSES_MAX,
							   .wanted = {.address = facts->peer, .port = facts->peer_port},
							   .naming = !targets->naming};
	targets->naming = true;
}

static struct learned_peer *target_peer(const struct learned *learned, const struct target *target, size_t *ret_at)
{
	if (!target->table)
		return learned->clients;
	return learned_find(target->table, target->order, &target->wanted, ret_at);
}

static struct learned_peer *target_make(struct learned *learned, struct target *target, size_t at)
{
	struct learned_peer *peer = xcalloc(1, sizeof(*peer));

	*peer = target->wanted;
	target->wanted.name = NULL;
	if (target->table)
		learned_insert(target->table, at, peer);
	else
		learned->clients = peer;
	return peer;
}

/* What is there already must be able to take it; for one of those that it goes by there must be room. */
static bool targets_can_take(const struct learned *learned, const struct targets *targets,
			     const struct learned_sighting *sighting)
{
	static const struct learned_peer fresh;
	bool any = false;

	for (size_t i = 0; i < targets->count; i++) {
		const struct target *target = &targets->items[i];
		size_t at = 0;
		const struct learned_peer *peer = target_peer(learned, target, &at);

		if (peer && !learned_peer_can_take(learned, peer, sighting))
			return false;
		if (target->naming && (peer || ((!target->table || target->table->count < target->max) &&
						learned_peer_can_take(learned, &fresh, sighting))))
			any = true;
	}
	return any;
}

static void targets_take(struct learned *learned, struct targets *targets, const struct learned_sighting *sighting)
{
	for (size_t i = 0; i < targets->count; i++) {
		struct target *target = &targets->items[i];
		size_t at = 0;
		struct learned_peer *peer = target_peer(learned, target, &at);

		/* With no rule about it, it need not be known. */
		if (!peer && target->table && target->table->count == target->max)
			continue;
		if (!peer && !learned_uses_fit(learned, &target->wanted))
			continue;
		if (!peer)
			peer = target_make(learned, target, at);
		learned_peer_take(learned, peer, sighting);
		if (!target->naming)
			continue;
		if (target->table == &learned->addresses && !peer->nameless) {
			peer->nameless = true;
			learned->nameless++;
		}
		learned_peer_time(peer, sighting);
	}
}

/* REFUSALS: it can be learned. */
static enum refusal refusal_of(const struct facts *facts)
{
	static const enum refusal results[] = {
		[VERIFY_OK] = REFUSALS,
		[VERIFY_FAILED] = REFUSAL_FAILED,
		[VERIFY_FAILED_IGNORED] = REFUSAL_IGNORED,
		[VERIFY_OFF] = REFUSAL_OFF,
		[VERIFY_BY_CALLBACK] = REFUSAL_CUSTOM,
		[VERIFY_NO_CERTIFICATE] = REFUSAL_BARE,
		[VERIFY_PENDING] = REFUSAL_PENDING,
	};
	enum refusal why = facts->verify < ARRAY_SIZE(results) ? results[facts->verify] : REFUSAL_PENDING;

	if (why != REFUSALS)
		return why;
	if (facts->truncated || facts->certs_count == 0)
		return REFUSAL_MISSING;
	if (facts->path_count == 0 || facts->path_count > FACTS_CERTS_MAX)
		return REFUSAL_UNREADABLE;
	return facts->role == FACTS_ROLE_CLIENT || facts->role == FACTS_ROLE_SERVER ? REFUSALS : REFUSAL_ROLE;
}

static enum refusal take(struct learned *learned, struct learned_sighting *sighting)
{
	CLEANUP(targets_clear) struct targets targets = {};
	enum refusal why = refusal_of(sighting->facts);

	if (why != REFUSALS)
		return why;
	targets_find(learned, sighting->facts, &targets);
	if (!targets.naming)
		return REFUSAL_NOBODY;
	learned_sighting_keys(learned, sighting);
	if (!targets_can_take(learned, &targets, sighting))
		return REFUSAL_FULL;
	targets_take(learned, &targets, sighting);
	return REFUSALS;
}

/* --- what is not learned ---------------------------------------------------------------------------------------------- */

static char *who_text(const struct facts *facts)
{
	const char *name = facts->server_name ? facts->server_name : facts->expected_host;
	char address[ADDRESS_TEXT_MAX];

	address_format(&facts->peer, address);
	if (facts->role == FACTS_ROLE_SERVER)
		return xasprintf("a client at %s", *address ? address : "an unknown address");
	if (name && *name)
		return learned_cut(name);
	if (!*address)
		return xstrdup("an unknown peer");
	return xasprintf(facts->peer.len == 4 ? "%s:%u" : "[%s]:%u", address, (unsigned)facts->peer_port);
}

static void refuse(struct learned *learned, const struct learned_sighting *sighting, enum refusal why)
{
	const struct facts *facts = sighting->facts;
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;
	CLEANUP_FREE char *who = who_text(facts);
	struct learned_refusal wanted = {.who = who, .program = (char *)sighting->program_text, .why = why}, *refusal;
	size_t at = 0;

	learned->refused[why]++;
	refusal = learned_find(&learned->refusals, refusal_order, &wanted, &at);
	if (!refusal && learned->refusals.count == REFUSALS_MAX) {
		learned->refusals_unlisted++;
		return;
	}
	if (!refusal) {
		refusal = xcalloc(1, sizeof(*refusal));
		*refusal = (struct learned_refusal){.who = TAKE_PTR(who),
						    .program = xstrdup(sighting->program_text),
						    .why = why,
						    .first = sighting->now,
						    .last = sighting->now};
		if (leaf && leaf->parsed) {
			refusal->subject = learned_cut(leaf->subject ? leaf->subject : "");
			refusal->issuer = learned_cut(leaf->issuer ? leaf->issuer : "");
		}
		learned_insert(&learned->refusals, at, refusal);
	}
	refusal->count++;
	refusal->first = sighting->now < refusal->first ? sighting->now : refusal->first;
	refusal->last = sighting->now > refusal->last ? sighting->now : refusal->last;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

bool learned_add(struct learned *learned, const struct facts *facts, const char *program, int64_t now)
{
	CLEANUP_FREE char *text = learned_program_text(program);
	struct learned_sighting sighting = {.facts = facts, .program_text = text, .now = now};
	enum refusal why;

	sighting.program = learned_program_intern(learned, text);
	learned->verifications++;
	why = take(learned, &sighting);
	if (why != REFUSALS) {
		refuse(learned, &sighting, why);
		return false;
	}
	learned->taken++;
	return true;
}

struct learned_counts learned_counts(const struct learned *learned)
{
	return (struct learned_counts){
		.verifications = learned->verifications,
		.learned = learned->taken,
		.names = learned->names.count,
		.addresses = learned->nameless,
		.clients = learned->clients != NULL,
	};
}
