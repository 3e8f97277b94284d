/* Asking the index: from facts to candidates.
 *
 * Every question that match.c and forbid.c can answer with yes is asked of the table as well, in a coarser form; where they
 * hold a criterion in doubt, all rules that are found by it are candidates. Judging candidates then costs what they cost, and
 * finding them a few looks at a small filter for each name, address and key of the facts, however many rules there are.
 *
 * Certificates are an attacker's. The work for one is bounded by its names (SANS_MAX) and the rules that they claim, and the
 * memory by the number of rules. */
#include "index.h"

#include "index_table.h"
#include "name_keys.h"

enum { SORT_BY_HAND = 24, LIST_SHORT = 8 };

/* --- collecting ----------------------------------------------------------------------------------------------------------- */

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts what was found, and leaves each rule once. */
static void settle(struct candidates *candidates)
{
	uint32_t *found = candidates->found;
	size_t kept = 0;

	if (candidates->count > SORT_BY_HAND) {
		qsort(found, candidates->count, sizeof(*found), number_compare);
	} else {
		for (size_t i = 1; i < candidates->count; i++) {
			uint32_t rule = found[i];
			size_t k = i;

			for (; k > 0 && found[k - 1] > rule; k--)
				found[k] = found[k - 1];
			found[k] = rule;
		}
	}
	for (size_t i = 0; i < candidates->count; i++) {
		if (kept == 0 || found[kept - 1] != found[i])
			found[kept++] = found[i];
	}
	candidates->count = kept;
}

/* Repeated rules are taken out before more room is taken, so that there is never much more than one for each rule. */
static void make_room(struct candidates *candidates)
{
	settle(candidates);
	if (candidates->count <= candidates->room / 2)
		return;
	candidates->room *= 2;
	if (candidates->found == candidates->near) {
		candidates->found = xcalloc(candidates->room, sizeof(uint32_t));
		memcpy(candidates->found, candidates->near, sizeof(candidates->near));
	} else {
		candidates->found = xrealloc(candidates->found, candidates->room, sizeof(uint32_t));
	}
}

static void add_rule(struct candidates *candidates, uint32_t rule)
{
	if (candidates->count == candidates->room)
		make_room(candidates);
	candidates->found[candidates->count++] = rule;
}

/* A long list is only pointed to: the rules of one set may be many. */
static void add_rules(struct candidates *candidates, const uint32_t *rules, size_t count)
{
	for (size_t i = 0; i < candidates->lists_count; i++) {
		if (candidates->lists[i].end == rules + count)
			return;
	}
	if (count > LIST_SHORT && candidates->lists_count < CANDIDATES_LISTS) {
		candidates->lists[candidates->lists_count].at = rules;
		candidates->lists[candidates->lists_count++].end = rules + count;
		return;
	}
	for (size_t i = 0; i < count; i++)
		add_rule(candidates, rules[i]);
}

static void add_single(struct candidates *candidates, uint32_t value)
{
	const uint32_t *list = candidates->index->lists + (value & VALUE_NUMBER);

	if (value >> VALUE_SHIFT == VALUE_RULE)
		add_rule(candidates, value);
	else
		add_rules(candidates, list + 1, *list);
}

static void add_value(struct candidates *candidates, uint32_t value)
{
	const uint32_t *list = candidates->index->lists + (value & VALUE_NUMBER);

	if (value >> VALUE_SHIFT != VALUE_MANY) {
		add_single(candidates, value);
		return;
	}
	for (uint32_t i = 1; i <= *list; i++)
		add_single(candidates, list[i]);
}

static void ask(struct candidates *candidates, uint64_t hash)
{
	const struct rule_index *index = candidates->index;
	uint64_t bits = filter_bits(hash);

	if ((index->filter[hash & index->filter_mask] & bits) != bits)
		return;
	for (size_t i = hash & index->slots_mask; index->slots[i].value != VALUE_NONE; i = (i + 1) & index->slots_mask) {
		uint32_t *recent = &candidates->slots[i % CANDIDATES_SLOTS];

		if (index->slots[i].tag != hash >> 32)
			continue;
		if (*recent != i)
			add_value(candidates, index->slots[i].value);
		*recent = (uint32_t)i;
		/* On, for another key with this tag may be meant. */
	}
}

/* In doubt: all that are found by this use. */
static void ask_all(struct candidates *candidates, enum use use)
{
	add_rules(candidates, candidates->index->by_use[use].rules, candidates->index->by_use[use].count);
}

static bool is_used(const struct candidates *candidates, enum use use)
{
	return candidates->index->by_use[use].count > 0;
}

/* --- names and addresses -------------------------------------------------------------------------------------------------- */

static void ask_server_name(void *context, enum name_key key, uint64_t hash)
{
	ask(context, key_hash(USE_SERVER_NAME, key, hash));
}

static void ask_san_dns(void *context, enum name_key key, uint64_t hash)
{
	ask(context, key_hash(USE_SAN_DNS, key, hash));
}

static void ask_address(struct candidates *candidates, enum use use, const struct address *address)
{
	const struct prefixes *prefixes = &candidates->index->prefixes[use == USE_PEER_IP][address->len == 16];

	for (size_t i = 0; address->len > 0 && i < prefixes->count; i++)
		ask(candidates, network_hash(use, address, prefixes->lengths[i]));
}

/* A name that may be taken for an address. One with a wildcard may stand for so many that all rules are asked. */
static void ask_literal(struct candidates *candidates, const char *text)
{
	struct address address;

	if (text[strspn(text, "*.0123456789")] == '\0' && strchr(text, '*'))
		ask_all(candidates, USE_SAN_IP);
	else if (text[strspn(text, ".:0123456789abcdefABCDEF")] == '\0' && address_parse(text, &address))
		ask_address(candidates, USE_SAN_IP, &address);
}

static void ask_claim(struct candidates *candidates, const char *text)
{
	if (is_used(candidates, USE_SAN_DNS))
		names_questions(text, true, ask_san_dns, candidates);
	if (is_used(candidates, USE_SAN_IP))
		ask_literal(candidates, text);
}

/* As match.c takes them out of the subject. */
static void ask_common_names(struct candidates *candidates, const struct certificate *leaf)
{
	if (leaf->common_name)
		ask_claim(candidates, leaf->common_name);
	for (const char *p = leaf->subject; p && *p;) {
		size_t len = strcspn(p, ",+");
		char name[DNS_NAME_MAX + 2];

		if (len > 3 && len - 3 < sizeof(name) && strncmp(p, "CN=", 3) == 0) {
			memcpy(name, p + 3, len - 3);
			name[len - 3] = '\0';
			/* The one that is the common name has been asked for. */
			if (!leaf->common_name || strcmp(leaf->common_name, name) != 0)
				ask_claim(candidates, name);
		}
		p += len + (p[len] != '\0');
	}
}

static void ask_leaf(struct candidates *candidates, const struct facts *facts)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;

	if (!leaf || (!is_used(candidates, USE_SAN_DNS) && !is_used(candidates, USE_SAN_IP)))
		return;
	if (!leaf->parsed || leaf->sans_total > leaf->sans_count || leaf->error) {
		ask_all(candidates, USE_SAN_DNS);
		ask_all(candidates, USE_SAN_IP);
		return;
	}
	for (size_t i = 0; i < leaf->sans_count; i++) {
		const struct san *san = &leaf->sans[i];

		if (san->kind == SAN_IP)
			ask_address(candidates, USE_SAN_IP, &san->address);
		else if (san->kind == SAN_DNS && !san->odd)
			ask_claim(candidates, san->text);
	}
	ask_common_names(candidates, leaf);
}

/* --- the rest ------------------------------------------------------------------------------------------------------------- */

static void ask_issuer(struct candidates *candidates, const struct certificate *issuer)
{
	ask(candidates, digest_hash(USE_ISSUER, issuer->spki_sha256));
	if (memcmp(issuer->spki_sha256, issuer->key_sha256, SHA256_BYTES) != 0)
		ask(candidates, digest_hash(USE_ISSUER, issuer->key_sha256));
}

static void ask_issuers(struct candidates *candidates, const struct facts *facts)
{
	if (!is_used(candidates, USE_ISSUER))
		return;
	if (facts->truncated || facts->path_cut)
		ask_all(candidates, USE_ISSUER);
	for (size_t i = 1; i < facts->path_count; i++)
		ask_issuer(candidates, facts->path[i]);
	for (size_t i = 0; i < facts->certs_count; i++) {
		if (facts->certs[i].tried && !facts->certs[i].proven)
			ask_issuer(candidates, facts->certs[i].certificate);
	}
}

static void ask_certificate(struct candidates *candidates, const struct certificate *certificate)
{
	if (is_used(candidates, USE_FORBIDDEN_KEY) && certificate->parsed) {
		ask(candidates, digest_hash(USE_FORBIDDEN_KEY, certificate->spki_sha256));
		if (memcmp(certificate->spki_sha256, certificate->key_sha256, SHA256_BYTES) != 0)
			ask(candidates, digest_hash(USE_FORBIDDEN_KEY, certificate->key_sha256));
	}
	if (is_used(candidates, USE_FORBIDDEN_DIGEST)) {
		ask(candidates, digest_hash(USE_FORBIDDEN_DIGEST, certificate->sha256));
		if (certificate->has_twin)
			ask(candidates, digest_hash(USE_FORBIDDEN_DIGEST, certificate->twin_sha256));
	}
	if (is_used(candidates, USE_FORBIDDEN_SERIAL) && certificate->parsed && certificate->serial)
		ask(candidates, text_hash(USE_FORBIDDEN_SERIAL, certificate->serial, strlen(certificate->serial)));
}

static void ask_forbidden(struct candidates *candidates, const struct facts *facts)
{
	if (facts->truncated && !facts->lost) {
		ask_all(candidates, USE_FORBIDDEN_KEY);
		ask_all(candidates, USE_FORBIDDEN_DIGEST);
		ask_all(candidates, USE_FORBIDDEN_SERIAL);
	}
	for (size_t i = 0; i < facts->certs_count; i++)
		ask_certificate(candidates, facts->certs[i].certificate);
	/* Most of the path was presented, in that order, and has been asked for. */
	for (size_t i = 0; i < facts->path_count; i++) {
		if (i >= facts->certs_count || facts->certs[i].certificate != facts->path[i])
			ask_certificate(candidates, facts->path[i]);
	}
	for (size_t i = 0; i < facts->beside_count; i++)
		ask_certificate(candidates, facts->beside[i]);
}

static void ask_process(struct candidates *candidates, const struct facts *facts)
{
	static const char suffix[] = " (deleted)";
	size_t len = facts->exe ? strlen(facts->exe) : 0;
	char uid[16];

	if (facts->process_unasked) {
		if (is_used(candidates, USE_EXE))
			ask_all(candidates, USE_EXE);
		if (is_used(candidates, USE_USER))
			ask_all(candidates, USE_USER);
		return;
	}
	if (is_used(candidates, USE_EXE) && facts->exe) {
		ask(candidates, text_hash(USE_EXE, facts->exe, len));
		if (len >= sizeof(suffix) && strcmp(facts->exe + len - (sizeof(suffix) - 1), suffix) == 0)
			ask(candidates, text_hash(USE_EXE, facts->exe, len - (sizeof(suffix) - 1)));
	}
	if (is_used(candidates, USE_USER)) {
		snprintf(uid, sizeof(uid), "%u", (unsigned)facts->uid);
		ask(candidates, text_hash(USE_USER, uid, strlen(uid)));
		if (facts->user)
			ask(candidates, text_hash(USE_USER, facts->user, strlen(facts->user)));
	}
}

void candidates_find(const struct rule_index *index, const struct facts *facts, struct candidates *ret)
{
	struct candidates *c = ret;

	c->index = index;
	c->lists_count = c->count = c->at = c->policy = 0;
	c->found = c->near;
	c->room = CANDIDATES_NEAR;
	memset(c->slots, 0xff, sizeof(c->slots));
	add_rules(c, index->always.rules, index->always.count);
	if (facts->server_name && is_used(c, USE_SERVER_NAME))
		names_questions(facts->server_name, false, ask_server_name, c);
	if (facts->expected_host && is_used(c, USE_SERVER_NAME))
		names_questions(facts->expected_host, false, ask_server_name, c);
	ask_leaf(c, facts);
	ask_address(c, USE_PEER_IP, &facts->peer);
	if (is_used(c, USE_PEER_PORT))
		ask(c, key_hash(USE_PEER_PORT, 0, facts->peer_port));
	ask_process(c, facts);
	ask_issuers(c, facts);
	ask_forbidden(c, facts);
	settle(c);
}

bool candidates_next(struct candidates *candidates, const struct policy **ret_policy, const struct rule **ret_rule)
{
	const struct rule_index *index = candidates->index;
	uint32_t least = VALUE_NONE;

	if (candidates->at < candidates->count)
		least = candidates->found[candidates->at];
	for (size_t i = 0; i < candidates->lists_count; i++) {
		if (candidates->lists[i].at < candidates->lists[i].end && *candidates->lists[i].at < least)
			least = *candidates->lists[i].at;
	}
	if (least == VALUE_NONE)
		return false;
	for (size_t i = 0; i < candidates->lists_count; i++)
		candidates->lists[i].at += candidates->lists[i].at < candidates->lists[i].end &&
					   *candidates->lists[i].at == least;
	candidates->at += candidates->at < candidates->count && candidates->found[candidates->at] == least;
	while (least >= index->starts[candidates->policy + 1])
		candidates->policy++;
	*ret_policy = index->policies->items[candidates->policy];
	*ret_rule = &(*ret_policy)->rules[least - index->starts[candidates->policy]];
	return true;
}

void candidates_clear(struct candidates *candidates)
{
	if (candidates->found != candidates->near)
		free(candidates->found);
	candidates->found = candidates->near;
	candidates->count = candidates->at = candidates->lists_count = 0;
}
