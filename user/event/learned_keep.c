/* What `learned` holds (learned_internal.h): tables of pointers, the texts and keys in them, and what each peer was seen with.
 *
 * Owns copies of all it keeps. Texts of certificates are escaped already; those of programs are escaped here; all are cut.
 * Bounds are the constants below. Beyond PROGRAMS_MAX programs are "others". Beyond the others a key is not kept, and whether
 * the verification can be learned all the same, as another of its keys is known, learned_peer_can_take() says. */
#include <string.h>

#include "learned_internal.h"

enum {
	KEYS_MAX = 8192,
	PEER_USES_MAX = 512, /* keys of one name, address, or of all clients */
	USES_MAX = 131072,   /* of all peers together */
	PROGRAMS_MAX = 512,
};

/* --- tables ----------------------------------------------------------------------------------------------------------- */

void *learned_find(const struct learned_table *table, learned_order *order, const void *wanted, size_t *ret_at)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int found = order(table->items[middle], wanted);

		if (found == 0)
			return table->items[middle];
		if (found < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_at = low;
	return NULL;
}

void learned_insert(struct learned_table *table, size_t at, void *item)
{
	/* Twice the room whenever it is full, which is at powers of two. */
	if ((table->count & (table->count - 1)) == 0)
		table->items = xrealloc(table->items, table->count ? 2 * table->count : 1, sizeof(*table->items));
	memmove(table->items + at + 1, table->items + at, (table->count - at) * sizeof(*table->items));
	table->items[at] = item;
	table->count++;
}

static int key_order(const void *a, const void *b)
{
	const struct learned_key *x = a, *y = b;

	return memcmp(x->spki_sha256, y->spki_sha256, SHA256_BYTES);
}

static int program_order(const void *a, const void *b)
{
	return strcmp(((const struct learned_program *)a)->text, ((const struct learned_program *)b)->text);
}

/* --- texts ------------------------------------------------------------------------------------------------------------ */

char *learned_cut(const char *escaped)
{
	size_t len = strnlen(escaped, LEARNED_TEXT_MAX + 1);

	if (len <= LEARNED_TEXT_MAX)
		return xstrdup(escaped);
	for (len = LEARNED_TEXT_MAX; len > 0 && ((unsigned char)escaped[len] & 0xc0) == 0x80; len--)
		;
	return xasprintf("%.*s…", (int)len, escaped);
}

/* The kernel's mark of a program that was replaced while it runs is no part of its path. */
char *learned_program_text(const char *program)
{
	static const char mark[] = " (deleted)";
	size_t len = program ? strlen(program) : 0;
	CLEANUP_FREE char *escaped = NULL;

	if (!len)
		return xstrdup("an unknown program");
	if (len >= sizeof(mark) && strcmp(program + len - (sizeof(mark) - 1), mark) == 0)
		len -= sizeof(mark) - 1;
	escaped = text_escape(program, len);
	return learned_cut(escaped);
}

static const char *label_of(const struct certificate *certificate)
{
	if (certificate->common_name && *certificate->common_name)
		return certificate->common_name;
	return certificate->subject ? certificate->subject : "";
}

/* --- what is kept ----------------------------------------------------------------------------------------------------- */

const struct learned_program *learned_program_intern(struct learned *learned, const char *text)
{
	struct learned_program wanted = {.text = (char *)text}, *program;
	size_t at = 0;

	program = learned_find(&learned->programs, program_order, &wanted, &at);
	if (program || learned->programs.count == PROGRAMS_MAX)
		return program;
	program = xcalloc(1, sizeof(*program));
	program->text = xstrdup(text);
	learned_insert(&learned->programs, at, program);
	return program;
}

/* NULL: there are too many. */
static struct learned_key *key_intern(struct learned *learned, const struct certificate *certificate)
{
	struct learned_key wanted, *key;
	size_t at = 0;

	memcpy(wanted.spki_sha256, certificate->spki_sha256, SHA256_BYTES);
	key = learned_find(&learned->keys, key_order, &wanted, &at);
	if (!key && learned->keys.count == KEYS_MAX)
		return NULL;
	if (!key) {
		key = xcalloc(1, sizeof(*key));
		memcpy(key->spki_sha256, certificate->spki_sha256, SHA256_BYTES);
		key->name = learned_cut(label_of(certificate));
		key->not_after = certificate->not_after;
		learned_insert(&learned->keys, at, key);
	}
	if (certificate->not_after > key->not_after)
		key->not_after = certificate->not_after;
	return key;
}

void learned_sighting_keys(struct learned *learned, struct learned_sighting *sighting)
{
	const struct facts *facts = sighting->facts;
	bool alone = facts->path_count == 1;

	for (size_t i = alone ? 0 : 1; i < facts->path_count; i++) {
		const struct learned_key *key = key_intern(learned, facts->path[i]);

		if (key)
			sighting->uses[sighting->uses_count++] = (struct learned_use){
				.key = key, .depth = (unsigned)i, .as_leaf = alone, .as_issuer = !alone};
	}
}

static struct learned_use *use_find(const struct learned_peer *peer, const struct learned_key *key)
{
	for (size_t i = 0; i < peer->uses_count; i++)
		if (peer->uses[i].key == key)
			return &peer->uses[i];
	return NULL;
}

bool learned_uses_fit(const struct learned *learned, const struct learned_peer *peer)
{
	return peer->uses_count + FACTS_CERTS_MAX <= PEER_USES_MAX &&
	       learned->uses + LEARNED_TARGETS_MAX * FACTS_CERTS_MAX <= USES_MAX;
}

bool learned_peer_can_take(const struct learned *learned, const struct learned_peer *peer,
			   const struct learned_sighting *sighting)
{
	bool any = false;

	for (size_t i = 0; i < sighting->uses_count; i++)
		any |= use_find(peer, sighting->uses[i].key) != NULL;
	return sighting->uses_count && (any || learned_uses_fit(learned, peer));
}

static void times_add(struct learned_times *times, const struct learned_sighting *sighting)
{
	size_t at = 0;

	times->first = !times->count || sighting->now < times->first ? sighting->now : times->first;
	times->last = !times->count || sighting->now > times->last ? sighting->now : times->last;
	times->count++;
	times->openssl |= sighting->facts->library == LIBRARY_OPENSSL;
	times->gnutls |= sighting->facts->library == LIBRARY_GNUTLS;
	while (at < times->runs_count && times->runs[at].program != sighting->program)
		at++;
	if (!sighting->program || at == LEARNED_RUNS_MAX) {
		times->other_runs++;
		return;
	}
	if (at == times->runs_count)
		times->runs[times->runs_count++] = (struct learned_runs){.program = sighting->program};
	times->runs[at].count++;
}

static void leaves_add(struct learned_peer *peer, const struct certificate *certificate)
{
	struct learned_leaf leaf = {
		.algorithm = certificate->key_algorithm, .bits = certificate->key_bits, .not_after = certificate->not_after};
	size_t at = 0;

	memcpy(leaf.spki_sha256, certificate->spki_sha256, SHA256_BYTES);
	while (at < peer->leaves_count && memcmp(peer->leaves[at].spki_sha256, leaf.spki_sha256, SHA256_BYTES) != 0)
		at++;
	if (at == peer->leaves_count && peer->leaves_count < LEARNED_LEAVES_MAX)
		peer->leaves_count++;
	if (at == LEARNED_LEAVES_MAX)
		at--; /* the one seen longest ago goes */
	memmove(peer->leaves + 1, peer->leaves, at * sizeof(*peer->leaves));
	peer->leaves[0] = leaf;
}

void learned_peer_time(struct learned_peer *peer, const struct learned_sighting *sighting)
{
	times_add(&peer->times, sighting);
	leaves_add(peer, sighting->facts->path[0]);
}

void learned_peer_take(struct learned *learned, struct learned_peer *peer, const struct learned_sighting *sighting)
{
	bool room = learned_uses_fit(learned, peer);

	for (size_t i = 0; i < sighting->uses_count; i++) {
		const struct learned_use *seen = &sighting->uses[i];
		struct learned_use *use = use_find(peer, seen->key);

		if (!use && !room)
			continue;
		if (!use) {
			peer->uses = xrealloc(peer->uses, peer->uses_count + 1, sizeof(*peer->uses));
			peer->uses[peer->uses_count++] = *seen;
			learned->uses++;
			continue;
		}
		use->depth = seen->depth < use->depth ? seen->depth : use->depth;
		use->as_leaf |= seen->as_leaf;
		use->as_issuer |= seen->as_issuer;
	}
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

struct learned *learned_new(void)
{
	return xcalloc(1, sizeof(struct learned));
}

static void peer_free(struct learned_peer *peer)
{
	if (!peer)
		return;
	free(peer->name);
	free(peer->uses);
	free(peer);
}

void learned_free(struct learned *learned)
{
	if (!learned)
		return;
	for (size_t i = 0; i < learned->names.count; i++)
		peer_free(learned->names.items[i]);
	for (size_t i = 0; i < learned->addresses.count; i++)
		peer_free(learned->addresses.items[i]);
	peer_free(learned->clients);
	for (size_t i = 0; i < learned->keys.count; i++) {
		struct learned_key *key = learned->keys.items[i];

		free(key->name);
		free(key);
	}
	for (size_t i = 0; i < learned->programs.count; i++) {
		struct learned_program *program = learned->programs.items[i];

		free(program->text);
		free(program);
	}
	for (size_t i = 0; i < learned->refusals.count; i++) {
		struct learned_refusal *refusal = learned->refusals.items[i];

		free(refusal->who);
		free(refusal->program);
		free(refusal->subject);
		free(refusal->issuer);
		free(refusal);
	}
	free(learned->names.items);
	free(learned->addresses.items);
	free(learned->keys.items);
	free(learned->programs.items);
	free(learned->refusals.items);
	free(learned);
}

void learned_freep(struct learned **learned)
{
	learned_free(*learned);
}
