/* Groups what was learned (learned_internal.h): peers that the very same keys vouched for share one set and one rule.
 *
 * Owns the labels. They are made of what certificates and peers are called, so of an attacker's text, of which only letters,
 * digits and single hyphens are left: nothing in them is a sign to YAML or to a policy, and no two are the same. */
#include <string.h>

#include "learned_internal.h"

enum { SLUG_MAX = 40 }; /* what is longer is cut: labels need only be told apart */

/* A peer with its keys in one order, for comparing. */
struct signed_peer {
	const struct learned_peer *peer;
	struct learned_use *uses;
	size_t index;
};

static int use_order(const void *a, const void *b)
{
	const struct learned_use *x = a, *y = b;

	return memcmp(x->key->spki_sha256, y->key->spki_sha256, SHA256_BYTES);
}

static int reading_order(const void *a, const void *b)
{
	const struct learned_use *x = a, *y = b;
	int order = x->depth < y->depth ? -1 : x->depth > y->depth;

	if (!order)
		order = strcmp(x->key->name, y->key->name);
	return order ? order : use_order(a, b);
}

void learned_uses_sort(struct learned_use *uses, size_t count)
{
	if (count)
		qsort(uses, count, sizeof(*uses), reading_order);
}

/* 0: one group. Ports are the same or nothing: what is one rule's list of addresses and ports would match each with each. */
static int keys_order(const struct signed_peer *x, const struct signed_peer *y)
{
	int order = (int)x->peer->port - (int)y->peer->port;

	if (!order && x->peer->uses_count != y->peer->uses_count)
		order = x->peer->uses_count < y->peer->uses_count ? -1 : 1;
	for (size_t i = 0; !order && i < x->peer->uses_count; i++) {
		const struct learned_use *a = &x->uses[i], *b = &y->uses[i];

		order = use_order(a, b);
		if (!order)
			order = (a->as_leaf * 2 + a->as_issuer) - (b->as_leaf * 2 + b->as_issuer);
	}
	return order;
}

static int peers_order(const void *a, const void *b)
{
	const struct signed_peer *x = a, *y = b;
	int order = keys_order(x, y);

	return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* Where the peers of a group begin, and how many they are. */
struct run {
	size_t start, count, first; /* first: index of the peer that comes first by name */
};

static int run_order(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* --- labels ----------------------------------------------------------------------------------------------------------- */

static void slug(const char *text, char out[SLUG_MAX + 1])
{
	size_t len = 0;

	for (; *text && len < SLUG_MAX; text++) {
		char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = c;
		else if (len > 0 && out[len - 1] != '-')
			out[len++] = '-';
	}
	while (len > 0 && out[len - 1] == '-')
		len--;
	out[len] = '\0';
}

/* False for what YAML takes for a number, a truth value or nothing, and for what the file has already. */
static bool is_own_word(const char *slug_text)
{
	static const char *const words[] = {"true", "false",           "null",        "yes", "no", "on", "off", "y",
					    "n",    "everything-else", "issuers-seen"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(slug_text, words[i]) == 0)
			return false;
	return slug_text[0] >= 'a';
}

/* "r11", "r11-853" for addresses, "pinned-printer-lan" where nobody vouched. */
static char *label_base(const struct learned_group *group)
{
	const struct learned_peer *first = group->peers[0];
	const char *prefix = group->as_issuer ? "" : "pinned-";
	char text[ADDRESS_TEXT_MAX], part[SLUG_MAX + 1] = "";

	if (!first->name && !first->address.len)
		return xstrdup("client-certificates");
	address_format(&first->address, text);
	for (size_t i = 0; i < group->uses_count && !*part; i++)
		if (group->uses[i].as_issuer)
			slug(group->uses[i].key->name, part);
	if (!group->as_issuer)
		slug(first->name ? first->name : text, part);
	if (group->as_issuer && !is_own_word(part))
		prefix = "ca-";
	if (first->name)
		return xasprintf("%s%s", prefix, *part ? part : "issuer");
	return xasprintf("%s%s-%u", prefix, *part ? part : "issuer", (unsigned)first->port);
}

static int text_order(const void *a, const void *b)
{
	const struct learned_group *x = *(struct learned_group *const *)a, *y = *(struct learned_group *const *)b;
	int order = strcmp(x->label, y->label);

	return order ? order : x < y ? -1 : x > y;
}

/* The second of a name gets ".2": no slug has a full stop. */
static void labels_tell_apart(struct learned_groups *groups)
{
	CLEANUP_FREE struct learned_group **sorted = xcalloc(groups->count + 1, sizeof(struct learned_group *));
	CLEANUP_FREE char *base = NULL;

	for (size_t i = 0; i < groups->count; i++)
		sorted[i] = &groups->items[i];
	if (groups->count)
		qsort(sorted, groups->count, sizeof(struct learned_group *), text_order);
	for (size_t i = 0, same = 0; i < groups->count; i++) {
		char *label = sorted[i]->label;

		if (base && strcmp(base, label) == 0) {
			sorted[i]->label = xasprintf("%s.%zu", label, ++same + 1);
			free(label);
			continue;
		}
		same = 0;
		free(base);
		base = xstrdup(label);
	}
}

/* --- groups ----------------------------------------------------------------------------------------------------------- */

static void group_make(const struct signed_peer *peers, size_t count, struct learned_group *ret)
{
	const struct learned_peer *first = peers[0].peer;

	*ret = (struct learned_group){.count = count, .uses_count = first->uses_count};
	ret->peers = xcalloc(count, sizeof(*ret->peers));
	ret->uses = xcalloc(first->uses_count + 1, sizeof(*ret->uses));
	for (size_t i = 0; i < first->uses_count; i++)
		ret->uses[i] = peers[0].uses[i];
	for (size_t i = 0; i < count; i++) {
		ret->peers[i] = peers[i].peer;
		for (size_t k = 0; k < first->uses_count; k++)
			if (peers[i].uses[k].depth < ret->uses[k].depth)
				ret->uses[k].depth = peers[i].uses[k].depth;
	}
	for (size_t k = 0; k < ret->uses_count; k++) {
		ret->as_leaf |= ret->uses[k].as_leaf;
		ret->as_issuer |= ret->uses[k].as_issuer;
	}
	learned_uses_sort(ret->uses, ret->uses_count);
	ret->label = label_base(ret);
}

/* Appends the groups of these peers, which are in the order of the file and all to be written. */
static void groups_add(struct learned_groups *groups, void *const *peers, size_t count, bool nameless_only)
{
	CLEANUP_FREE struct signed_peer *sorted = xcalloc(count + 1, sizeof(*sorted));
	CLEANUP_FREE struct run *runs = xcalloc(count + 1, sizeof(*runs));
	size_t kept = 0, runs_count = 0;

	for (size_t i = 0; i < count; i++) {
		const struct learned_peer *peer = peers[i];

		if (nameless_only && !peer->nameless)
			continue;
		sorted[kept] = (struct signed_peer){.peer = peer, .index = i};
		sorted[kept].uses = xcalloc(peer->uses_count + 1, sizeof(*peer->uses));
		memcpy(sorted[kept].uses, peer->uses, peer->uses_count * sizeof(*peer->uses));
		qsort(sorted[kept].uses, peer->uses_count, sizeof(*peer->uses), use_order);
		kept++;
	}
	qsort(sorted, kept, sizeof(*sorted), peers_order);
	for (size_t i = 0; i < kept; i++) {
		if (i == 0 || keys_order(&sorted[i - 1], &sorted[i]) != 0)
			runs[runs_count++] = (struct run){.start = i, .first = sorted[i].index};
		runs[runs_count - 1].count++;
	}
	qsort(runs, runs_count, sizeof(*runs), run_order);
	groups->items = xrealloc(groups->items, groups->count + runs_count + 1, sizeof(*groups->items));
	for (size_t i = 0; i < runs_count; i++)
		group_make(&sorted[runs[i].start], runs[i].count, &groups->items[groups->count++]);
	for (size_t i = 0; i < kept; i++)
		free(sorted[i].uses);
}

struct learned_groups learned_group(const struct learned *learned)
{
	struct learned_groups groups = {};
	void *clients = learned->clients;

	groups_add(&groups, learned->names.items, learned->names.count, false);
	groups_add(&groups, learned->addresses.items, learned->addresses.count, true);
	groups_add(&groups, &clients, learned->clients ? 1 : 0, false);
	labels_tell_apart(&groups);
	return groups;
}

void learned_groups_clear(struct learned_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++) {
		free(groups->items[i].label);
		free(groups->items[i].peers);
		free(groups->items[i].uses);
	}
	free(groups->items);
	*groups = (struct learned_groups){};
}
