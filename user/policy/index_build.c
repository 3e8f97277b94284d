/* Making the index: for each rule what it is found by, and from that the table (index_table.h).
 *
 * A rule is broken only if an entry of its match holds, and an entry only if each of its criteria does: so it is enough to find
 * a rule by one criterion of each entry, the one that probably holds most rarely. A rule that only forbids keys, certificates
 * or serials can be found by these instead. What is left is asked always.
 *
 * Sets are filed once, however many rules use them: first come wishes (a rule to be found by a set), then the rules of each
 * set are put into a list, then each key of the set gets that list as its value. Time and memory grow with rules and keys, not
 * with their product. */
#include "index.h"

#include <limits.h>

#include "index_table.h"
#include "name_keys.h"

enum {
	FILED_MAX = VALUE_NUMBER / 8, /* of rules, wishes and keys; beyond it nothing is filed, and every rule is asked */
	TEXTS_MAX = 64,  /* an exe with more patterns is nothing to find a rule by: each is looked at, for each rule */
	WIDE_PREFIX = 8, /* networks with a prefix shorter than this hold too often */
	FILTER_KEYS_PER_WORD = 4,
};

/* How rarely something holds, most often first. */
enum rarity { RARITY_NONE, RARITY_COMMON, RARITY_PROCESS, RARITY_ISSUER, RARITY_NAME };

struct wish {
	enum use use;
	uint32_t rule;
	const struct set *set;
};

struct pair {
	uint64_t hash;
	uint32_t value;
};

struct builder {
	struct rule_index *index;
	struct wish *wishes;
	size_t wishes_count, wishes_room;
	struct pair *pairs;
	size_t pairs_count, pairs_room;
	uint32_t *lists;
	size_t lists_count, lists_room;
	bool full; /* FILED_MAX was met */
	/* While keys of a set are filed. */
	enum use use;
	uint32_t value;
};

static void builder_clear(struct builder *builder)
{
	free(builder->wishes);
	free(builder->pairs);
	free(builder->lists);
}

/* Room for one more. */
static void *grow(void *items, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return items;
	*room = *room ? 2 * *room : 64;
	return xrealloc(items, *room, size);
}

static uint32_t *list_add(struct builder *builder, uint32_t number)
{
	builder->lists = grow(builder->lists, builder->lists_count, &builder->lists_room, sizeof(*builder->lists));
	builder->lists[builder->lists_count] = number;
	return &builder->lists[builder->lists_count++];
}

/* --- what a rule is found by ------------------------------------------------------------------------------------------------ */

static bool is_wide(const struct set *set)
{
	return set->count > 0 && set->networks[0].prefix < WIDE_PREFIX; /* they are sorted by prefix */
}

static bool is_exact(const struct set *set)
{
	for (size_t i = 0; i < set->count && i < TEXTS_MAX; i++) {
		if (strpbrk(set->strings[i].text, "*?[\\"))
			return false;
	}
	return set->count <= TEXTS_MAX;
}

static enum rarity criterion_rarity(const struct criterion *criterion, enum use *ret_use)
{
	static const enum use uses[] = {
		[MATCH_SERVER_NAME] = USE_SERVER_NAME,
		[MATCH_SAN_DNS] = USE_SAN_DNS,
		[MATCH_SAN_IP] = USE_SAN_IP,
		[MATCH_PEER_IP] = USE_PEER_IP,
		[MATCH_PEER_PORT] = USE_PEER_PORT,
		[MATCH_EXE] = USE_EXE,
		[MATCH_USER] = USE_USER,
		[MATCH_ISSUER_IN] = USE_ISSUER,
	};

	*ret_use = criterion->kind < ARRAY_SIZE(uses) ? uses[criterion->kind] : 0;
	switch (criterion->kind) {
	case MATCH_SERVER_NAME:
	case MATCH_SAN_DNS:
		return RARITY_NAME;
	case MATCH_SAN_IP:
	case MATCH_PEER_IP:
		return is_wide(criterion->set) ? RARITY_COMMON : RARITY_NAME;
	case MATCH_EXE:
		return is_exact(criterion->set) ? RARITY_PROCESS : RARITY_NONE;
	case MATCH_USER:
		return RARITY_PROCESS;
	case MATCH_ISSUER_IN:
		return criterion->set->issuer_names_count ? RARITY_NONE : RARITY_ISSUER;
	case MATCH_PEER_PORT:
		return RARITY_COMMON;
	default:
		return RARITY_NONE;
	}
}

/* For comparison: of two things as rare, better the set that was written in place, for nothing else uses it. */
static unsigned score(enum rarity rarity, const struct set *set)
{
	return rarity == RARITY_NONE ? 0 : 2 * rarity + !set->name;
}

/* The criterion of the entry that holds most rarely, and its score: 0 if the entry cannot be found by any. */
static unsigned entry_wish(const struct entry *entry, struct wish *ret)
{
	unsigned best = 0;

	for (size_t i = 0; i < entry->count; i++) {
		const struct criterion *criterion = &entry->criteria[i];
		enum use use;
		unsigned this = score(criterion_rarity(criterion, &use), criterion->set);

		if (this <= best)
			continue;
		best = this;
		*ret = (struct wish){.use = use, .set = criterion->set};
	}
	return best;
}

/* False if some key of the rule asks for more than the presence of a key, a certificate or a serial, or may be undecided. */
static bool only_forbids(const struct rule *rule)
{
	static const char *const found[] = {"key_in", "cert_sha256_in", "serial_in"};

	for (size_t i = 0; i < asks_count; i++) {
		bool known = false;

		if (!asks[i].is_asked(rule))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(found); k++)
			known |= strcmp(asks[i].part, "forbid") == 0 && strcmp(asks[i].key, found[k]) == 0;
		if (!known || asks[i].needs_der || asks[i].needs_keys)
			return false;
	}
	return !rule->forbid.key_in || rule->forbid.key_in->issuer_names_count == 0;
}

static void wish_add(struct builder *builder, uint32_t rule, enum use use, const struct set *set)
{
	if (!set)
		return;
	if (builder->wishes_count == FILED_MAX) {
		builder->full = true;
		return;
	}
	builder->wishes = grow(builder->wishes, builder->wishes_count, &builder->wishes_room, sizeof(*builder->wishes));
	builder->wishes[builder->wishes_count++] = (struct wish){use, rule, set};
}

/* As of an entry: the worst of the sets, and 0 if the rule cannot be found by what it forbids. */
static unsigned forbidden_score(const struct rule *rule)
{
	const struct set *sets[] = {rule->forbid.key_in, rule->forbid.cert_sha256_in, rule->forbid.serial_in};
	unsigned worst = UINT_MAX;

	if (!only_forbids(rule))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		if (sets[i] && score(RARITY_NAME, sets[i]) < worst)
			worst = score(RARITY_NAME, sets[i]);
	}
	return worst;
}

/* False if it must always be asked. */
static bool rule_file(struct builder *builder, const struct rule *rule, uint32_t number)
{
	unsigned worst = UINT_MAX;
	struct wish wish;

	for (size_t i = 0; i < rule->match.count; i++) {
		unsigned this = entry_wish(&rule->match.items[i], &wish);

		worst = this < worst ? this : worst;
	}
	if (worst < forbidden_score(rule)) {
		wish_add(builder, number, USE_FORBIDDEN_KEY, rule->forbid.key_in);
		wish_add(builder, number, USE_FORBIDDEN_DIGEST, rule->forbid.cert_sha256_in);
		wish_add(builder, number, USE_FORBIDDEN_SERIAL, rule->forbid.serial_in);
		return true;
	}
	for (size_t i = 0; worst > 0 && i < rule->match.count; i++) {
		entry_wish(&rule->match.items[i], &wish);
		wish_add(builder, number, wish.use, wish.set);
	}
	return worst > 0;
}

/* --- keys of sets ----------------------------------------------------------------------------------------------------------- */

static void pair_add(struct builder *builder, uint64_t hash)
{
	if (builder->pairs_count == FILED_MAX) {
		builder->full = true;
		return;
	}
	builder->pairs = grow(builder->pairs, builder->pairs_count, &builder->pairs_room, sizeof(*builder->pairs));
	builder->pairs[builder->pairs_count++] = (struct pair){hash, builder->value};
}

static void file_name(void *context, enum name_key key, uint64_t hash)
{
	struct builder *builder = context;

	/* Only a certificate's name can stand for several. */
	if (key != NAME_KEY_BENEATH || builder->use == USE_SAN_DNS)
		pair_add(builder, key_hash(builder->use, key, hash));
}

static void file_network(struct builder *builder, const struct network *network)
{
	struct prefixes *prefixes = &builder->index->prefixes[builder->use == USE_PEER_IP][network->address.len == 16];

	pair_add(builder, network_hash(builder->use, &network->address, network->prefix));
	if (!memchr(prefixes->lengths, network->prefix, prefixes->count))
		prefixes->lengths[prefixes->count++] = network->prefix;
}

/* Files all keys of the set, with builder->value. */
static void file_set(struct builder *builder, const struct set *set)
{
	enum use use = builder->use;

	if (set->kind == SET_NAMES) {
		names_keys(set->names, file_name, builder);
		return;
	}
	for (size_t i = 0; i < set->count; i++) {
		if (set->kind == SET_NETWORKS)
			file_network(builder, &set->networks[i]);
		else if (set->kind == SET_PORTS)
			pair_add(builder, key_hash(use, 0, set->ports[i]));
		else if (set->kind == SET_KEYS)
			pair_add(builder, digest_hash(use, set->keys[i].pin));
		else if (set->kind == SET_SERIALS)
			pair_add(builder, text_hash(use, set->serials[i].text, strlen(set->serials[i].text)));
		else if (use == USE_FORBIDDEN_DIGEST)
			pair_add(builder, digest_hash(use, set->digests[i].bytes));
		else
			pair_add(builder, text_hash(use, set->strings[i].text, strlen(set->strings[i].text)));
	}
}

/* --- the table --------------------------------------------------------------------------------------------------------------- */

static int wish_compare(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	if (x->set != y->set)
		return (uintptr_t)x->set < (uintptr_t)y->set ? -1 : 1;
	if (x->use != y->use)
		return x->use < y->use ? -1 : 1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static int pair_compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

/* The rules of one set and use, which are wishes from first to end, as a value. */
static uint32_t rules_value(struct builder *builder, size_t first, size_t end)
{
	size_t head = builder->lists_count;

	list_add(builder, 0);
	for (size_t i = first; i < end; i++) {
		if (i == first || builder->wishes[i].rule != builder->wishes[i - 1].rule)
			list_add(builder, builder->wishes[i].rule);
	}
	builder->lists[head] = (uint32_t)(builder->lists_count - head - 1);
	if (builder->lists[head] > 1)
		return (uint32_t)head | VALUE_RULES << VALUE_SHIFT;
	builder->lists_count = head;
	return builder->wishes[first].rule;
}

static void file_wishes(struct builder *builder)
{
	if (builder->wishes_count > 1)
		qsort(builder->wishes, builder->wishes_count, sizeof(*builder->wishes), wish_compare);
	for (size_t first = 0, end; first < builder->wishes_count; first = end) {
		const struct wish *wish = &builder->wishes[first];

		for (end = first + 1; end < builder->wishes_count && builder->wishes[end].set == wish->set &&
				      builder->wishes[end].use == wish->use;)
			end++;
		builder->use = wish->use;
		builder->value = rules_value(builder, first, end);
		file_set(builder, wish->set);
	}
}

/* The values of the pairs of one key, from first to end, as one value. */
static uint32_t pairs_value(struct builder *builder, size_t first, size_t end)
{
	size_t head = builder->lists_count;
	bool plain = true;

	list_add(builder, 0);
	for (size_t i = first; i < end; i++) {
		uint32_t value = builder->pairs[i].value;

		if (i > first && value == builder->pairs[i - 1].value)
			continue;
		plain &= value >> VALUE_SHIFT == VALUE_RULE;
		list_add(builder, value);
	}
	builder->lists[head] = (uint32_t)(builder->lists_count - head - 1);
	if (builder->lists[head] > 1)
		return (uint32_t)head | (uint32_t)(plain ? VALUE_RULES : VALUE_MANY) << VALUE_SHIFT;
	builder->lists_count = head;
	return builder->pairs[first].value;
}

static size_t power_of_two(size_t least)
{
	size_t n = 1;

	while (n < least)
		n *= 2;
	return n;
}

static void file_pairs(struct builder *builder)
{
	struct rule_index *index = builder->index;

	if (builder->pairs_count > 1)
		qsort(builder->pairs, builder->pairs_count, sizeof(*builder->pairs), pair_compare);
	index->filter_mask = power_of_two(builder->pairs_count / FILTER_KEYS_PER_WORD) - 1;
	index->filter = arena_alloc(index->arena, index->filter_mask + 1, sizeof(*index->filter));
	index->slots_mask = power_of_two(2 * builder->pairs_count + 1) - 1;
	index->slots = arena_alloc(index->arena, index->slots_mask + 1, sizeof(*index->slots));
	memset(index->slots, 0xff, (index->slots_mask + 1) * sizeof(*index->slots));
	for (size_t first = 0, end; first < builder->pairs_count; first = end) {
		uint64_t hash = builder->pairs[first].hash;
		size_t i = hash & index->slots_mask;

		for (end = first + 1; end < builder->pairs_count && builder->pairs[end].hash == hash;)
			end++;
		while (index->slots[i].value != VALUE_NONE)
			i = (i + 1) & index->slots_mask;
		index->slots[i] = (struct slot){(uint32_t)(hash >> 32), pairs_value(builder, first, end)};
		index->filter[hash & index->filter_mask] |= filter_bits(hash);
	}
	index->lists = arena_alloc(index->arena, builder->lists_count, sizeof(*index->lists));
	if (builder->lists_count)
		memcpy(index->lists, builder->lists, builder->lists_count * sizeof(*index->lists));
}

/* Before the wishes are sorted by set, while they are in the order of the rules. */
static void file_by_use(struct builder *builder)
{
	size_t counts[USES] = {0};
	uint32_t *lists[USES];

	for (size_t i = 0; i < builder->wishes_count; i++)
		counts[builder->wishes[i].use]++;
	for (size_t use = 0; use < USES; use++) {
		lists[use] = arena_alloc(builder->index->arena, counts[use], sizeof(uint32_t));
		builder->index->by_use[use].rules = lists[use];
	}
	for (size_t i = 0; i < builder->wishes_count; i++) {
		const struct wish *wish = &builder->wishes[i];
		struct rule_list *list = &builder->index->by_use[wish->use];

		if (list->count == 0 || lists[wish->use][list->count - 1] != wish->rule)
			lists[wish->use][list->count++] = wish->rule;
	}
}

/* The number of all rules. */
static size_t number_rules(struct rule_index *index)
{
	const struct policies *policies = index->policies;
	size_t total = 0;

	index->starts = arena_alloc(index->arena, policies->count + 1, sizeof(*index->starts));
	for (size_t i = 0; i < policies->count; i++) {
		total += policies->items[i]->rules_count;
		index->starts[i + 1] = (uint32_t)total;
	}
	return total;
}

/* filed: or else every rule is one of those that are always asked. False if there is too much to file. */
static bool file_all(struct rule_index *index, bool filed)
{
	CLEANUP(builder_clear) struct builder builder = {.index = index};
	size_t total = number_rules(index);
	uint32_t *always = arena_alloc(index->arena, total, sizeof(*always)), number = 0;

	if (filed && total > FILED_MAX)
		return false;
	index->always = (struct rule_list){.rules = always};
	for (size_t i = 0; i < index->policies->count; i++) {
		const struct policy *policy = index->policies->items[i];

		for (size_t r = 0; r < policy->rules_count; r++, number++) {
			if (!filed || !rule_file(&builder, &policy->rules[r], number))
				always[index->always.count++] = number;
		}
	}
	file_by_use(&builder);
	file_wishes(&builder);
	if (builder.full)
		return false;
	file_pairs(&builder);
	return true;
}

static struct rule_index *index_try(const struct policies *policies, bool filed)
{
	struct arena *arena = arena_new();
	struct rule_index *index = arena_alloc(arena, 1, sizeof(*index));

	*index = (struct rule_index){.arena = arena, .policies = policies};
	if (file_all(index, filed))
		return index;
	index_free(index);
	return NULL;
}

struct rule_index *index_new(const struct policies *policies)
{
	struct rule_index *index = index_try(policies, true);

	return index ? index : index_try(policies, false);
}

void index_free(struct rule_index *index)
{
	if (index)
		arena_free(index->arena); /* the index is in it itself */
}
