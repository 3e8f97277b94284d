/* Files that policies name: trust stores, CT log lists, CRLs.
 *
 * This file reads none: it collects the paths, and takes what somebody else has read. Relative paths begin at the directory
 * of the policy file. A path that is named several times is taken apart once, and so is a list of CRLs that is. Owns what the
 * files became; it lives as long as the policies. */
#include <errno.h>
#include <string.h>

#include "path.h"
#include "policy_internal.h"

struct bound {
	struct trust_store **stores;
	size_t stores_count;
	struct ct_logs **logs;
	size_t logs_count;
	struct crls **crls;
	size_t crls_count;
};

/* --- while parsing -------------------------------------------------------------------------------------------------- */

const char *path_resolve(struct parser *parser, const char *path)
{
	const char *slash = strrchr(parser->file, '/');
	CLEANUP_FREE char *whole = NULL;

	if (path[0] == '/' || !slash)
		return path;
	whole = xasprintf("%.*s/%s", (int)(slash - parser->file), parser->file, path);
	return arena_strndup(parser->policy->arena, whole, strlen(whole));
}

/* Room grows by doubling: whenever the count is a power of two, it is used up. What it was before stays in the arena. */
static void *list_room(struct arena *arena, void *items, size_t count)
{
	void **larger;

	if (count & (count - 1))
		return items;
	larger = arena_alloc(arena, count ? 2 * count : 1, sizeof(void *));
	if (count)
		memcpy(larger, items, count * sizeof(void *));
	return larger;
}

struct need *need_value(struct parser *parser, enum policy_file_kind kind, const struct node *value)
{
	const char *path = text_value(parser, value, "the path of a file", TEXT_VALUE_MAX);
	struct policy *policy = parser->policy;
	struct need *need;

	if (!path)
		return NULL;
	path = path_resolve(parser, path);
	for (size_t i = 0; i < policy->needs_count; i++)
		if (policy->needs[i]->as.kind == kind && strcmp(policy->needs[i]->as.path, path) == 0)
			return policy->needs[i];
	need = arena_alloc(policy->arena, 1, sizeof(*need));
	need->as = (struct policy_need){
		.kind = kind, .path = path, .file = policy->file, .line = value->line, .column = value->column};
	policy->needs = list_room(policy->arena, policy->needs, policy->needs_count);
	policy->needs[policy->needs_count++] = need;
	return need;
}

static bool same_files(const struct crl_list *a, const struct crl_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->files[i]->as.path, b->files[i]->as.path) != 0)
			return false;
	return true;
}

struct crl_list *crl_list_value(struct parser *parser, const struct node *value)
{
	size_t room = value->kind == NODE_LIST ? value->count : 1;
	struct policy *policy = parser->policy;
	struct crl_list *list = arena_alloc(policy->arena, 1, sizeof(*list));

	if (room == 0)
		complain(parser, value, "an empty list: no CRL is named");
	list->files = arena_alloc(policy->arena, room, sizeof(*list->files));
	for (const struct node *item = node_first(value); item; item = node_next(value, item)) {
		struct need *need = need_value(parser, POLICY_CRL, item);

		if (!need)
			return NULL;
		list->files[list->count++] = need;
	}
	for (size_t i = 0; i < policy->crl_lists_count; i++)
		if (same_files(policy->crl_lists[i], list))
			return policy->crl_lists[i];
	policy->crl_lists = list_room(policy->arena, policy->crl_lists, policy->crl_lists_count);
	policy->crl_lists[policy->crl_lists_count++] = list;
	return list;
}

/* --- of all policies ------------------------------------------------------------------------------------------------ */

/* The index among all needs of the policies, or their count. */
static size_t needs_index(const struct policies *policies, const struct need *need)
{
	size_t i = 0;

	while (i < policies->needs_count &&
	       (policies->needs[i].kind != need->as.kind || strcmp(policies->needs[i].path, need->as.path) != 0))
		i++;
	return i;
}

void needs_collect(struct policies *policies)
{
	for (size_t p = 0; p < policies->count; p++) {
		const struct policy *policy = policies->items[p];

		for (size_t i = 0; i < policy->needs_count; i++) {
			if (needs_index(policies, policy->needs[i]) < policies->needs_count)
				continue;
			policies->needs = xrealloc(policies->needs, policies->needs_count + 1, sizeof(*policies->needs));
			policies->needs[policies->needs_count++] = policy->needs[i]->as;
		}
	}
}

size_t policies_needs(const struct policies *policies, const struct policy_need **ret)
{
	*ret = policies->needs;
	return policies->needs_count;
}

static void moment_add(struct policies *policies, size_t policy, int64_t at, const char *text)
{
	policies->moments = xrealloc(policies->moments, policies->moments_count + 1, sizeof(*policies->moments));
	policies->moments[policies->moments_count++] = (struct policy_moment){.at = at, .policy = policy, .text = text};
}

void moments_collect(struct policies *policies)
{
	for (size_t i = 0; i < policies->count; i++) {
		const struct policy *policy = policies->items[i];

		if (policy->has_expires)
			moment_add(policies, i, policy->expires, "expires has passed: the policy no longer applies");
		if (policy->has_enforce_until)
			moment_add(policies, i, policy->enforce_until, "enforce_until has passed: audit from now on");
	}
}

size_t policies_moments(const struct policies *policies, const struct policy_moment **ret)
{
	*ret = policies->moments;
	return policies->moments_count;
}

/* --- binding -------------------------------------------------------------------------------------------------------- */

static void complain_need(struct problems *problems, const struct policy_need *need, const char *what, const char *why)
{
	problems_add(problems, need->file, need->line, need->column, "%s %s: %s", what, need->path, why);
}

static const char *kind_text(enum policy_file_kind kind)
{
	static const char *const texts[] = {
		[POLICY_TRUST_STORE] = "the trust store",
		[POLICY_CT_LOGS] = "the CT log list",
		[POLICY_CRL] = "the CRL",
	};

	return texts[kind];
}

static struct trust_store *bind_store(struct bound *bound, const struct policy_need *need,
				      const struct policy_content *content, struct problems *problems)
{
	struct trust_store *store = NULL;
	size_t skipped = 0;

	if (trust_store_new(content->data, content->len, &store, &skipped) < 0) {
		complain_need(problems, need, kind_text(need->kind), "no certificate in it (a PEM file is wanted)");
		return NULL;
	}
	bound->stores = xrealloc(bound->stores, bound->stores_count + 1, sizeof(*bound->stores));
	bound->stores[bound->stores_count++] = store;
	return store;
}

static struct ct_logs *bind_logs(struct bound *bound, const struct policy_need *need, const struct policy_content *content,
				 struct problems *problems)
{
	CLEANUP_FREE char *why = NULL;
	struct ct_logs *logs = NULL;

	if (ct_logs_new(content->data, content->len, &logs, &why) < 0) {
		complain_need(problems, need, kind_text(need->kind), why ? why : "it cannot be read");
		return NULL;
	}
	bound->logs = xrealloc(bound->logs, bound->logs_count + 1, sizeof(*bound->logs));
	bound->logs[bound->logs_count++] = logs;
	return logs;
}

/* Gives each need of that file what it became. */
static void hand_out(struct policies *policies, const struct policy_need *as, struct trust_store *store,
		     struct ct_logs *logs)
{
	for (size_t p = 0; p < policies->count; p++) {
		for (size_t i = 0; i < policies->items[p]->needs_count; i++) {
			struct need *need = policies->items[p]->needs[i];

			if (need->as.kind != as->kind || strcmp(need->as.path, as->path) != 0)
				continue;
			if (store)
				need->store = store;
			if (!logs)
				continue;
			need->logs = logs;
			moment_add(policies, p, ct_logs_stale_at(logs),
				   "its CT log list is too old: ct is not checked until there is a newer one");
		}
	}
}

/* The CRLs of a list that is bound already and names the same files, or NULL. */
static struct crls *bound_before(const struct policies *policies, const struct crl_list *list)
{
	for (size_t p = 0; p < policies->count; p++)
		for (size_t i = 0; i < policies->items[p]->crl_lists_count; i++)
			if (policies->items[p]->crl_lists[i]->crls && same_files(policies->items[p]->crl_lists[i], list))
				return policies->items[p]->crl_lists[i]->crls;
	return NULL;
}

static struct crls *bind_crls(struct policies *policies, const struct crl_list *list, const struct policy_content *contents,
			      struct problems *problems)
{
	struct bound *bound = policies->bound;
	struct crls *crls = crls_new();

	bound->crls = xrealloc(bound->crls, bound->crls_count + 1, sizeof(*bound->crls));
	bound->crls[bound->crls_count++] = crls;
	for (size_t i = 0; i < list->count; i++) {
		const struct policy_content *content = &contents[needs_index(policies, list->files[i])];
		const char *why = "";

		if (content->data && crls_add(crls, content->data, content->len, &why) < 0)
			complain_need(problems, &list->files[i]->as, kind_text(POLICY_CRL), why);
	}
	return crls;
}

static void bind_crl_lists(struct policies *policies, const struct policy_content *contents, struct problems *problems)
{
	for (size_t p = 0; p < policies->count; p++) {
		for (size_t i = 0; i < policies->items[p]->crl_lists_count; i++) {
			struct crl_list *list = policies->items[p]->crl_lists[i];
			struct crls *crls = bound_before(policies, list);
			int64_t next;

			list->crls = crls ? crls : bind_crls(policies, list, contents, problems);
			next = crls_next_update(list->crls);
			if (next != INT64_MAX)
				moment_add(policies, p, next, "the nextUpdate of a CRL of it has passed: fetch a newer one");
		}
	}
}

int policies_bind(struct policies *policies, const struct policy_content *contents, struct problems *problems)
{
	size_t before = problems->count;

	if (!policies->bound)
		policies->bound = xcalloc(1, sizeof(*policies->bound));
	for (size_t i = 0; i < policies->needs_count; i++) {
		const struct policy_need *need = &policies->needs[i];

		if (!contents[i].data)
			complain_need(problems, need, kind_text(need->kind),
				      contents[i].error == EINVAL ? "a pipe or a device, and no file" :
								    strerror(contents[i].error));
		else if (need->kind == POLICY_TRUST_STORE)
			hand_out(policies, need, bind_store(policies->bound, need, &contents[i], problems), NULL);
		else if (need->kind == POLICY_CT_LOGS)
			hand_out(policies, need, NULL, bind_logs(policies->bound, need, &contents[i], problems));
	}
	bind_crl_lists(policies, contents, problems);
	return problems->count == before ? 0 : -EINVAL;
}

struct anchors *policies_anchors(const struct policies *policies, const struct anchors *base)
{
	const struct bound *bound = policies->bound;
	struct anchors *all = base ? anchors_with(base, NULL, 0) : NULL;

	for (size_t i = 0; bound && i < bound->stores_count; i++) {
		size_t count;
		struct certificate *const *certificates = trust_store_certificates(bound->stores[i], &count);
		struct anchors *more = anchors_with(all, certificates, count);

		anchors_free(all);
		all = more;
	}
	return all;
}

void bound_free(struct bound *bound)
{
	if (!bound)
		return;
	for (size_t i = 0; i < bound->stores_count; i++)
		trust_store_free(bound->stores[i]);
	for (size_t i = 0; i < bound->logs_count; i++)
		ct_logs_free(bound->logs[i]);
	for (size_t i = 0; i < bound->crls_count; i++)
		crls_free(bound->crls[i]);
	free(bound->stores);
	free(bound->logs);
	free(bound->crls);
	free(bound);
}
