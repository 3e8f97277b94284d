/* The top level of a policy file: version, name, mode, dates; then its sets, then its rules, which refer to them.
 *
 * Owns the order: mode and sets are read before the rules wherever they stand in the file. The tree of nodes lives only
 * while the file is parsed; the policy, in an arena of its own, keeps none of it. */
#include <openssl/sha.h>
#include <string.h>

#include "policy_internal.h"

void parse_version(struct parser *parser, const struct node *value, void *out)
{
	(void)out;
	if (value->kind != NODE_SCALAR || !value->plain || strcmp(value->text, "1") != 0)
		complain(parser, value, "version must be 1, the only one that there is");
}

static void parse_name(struct parser *parser, const struct node *value, void *out)
{
	struct policy *policy = out;

	policy->name = text_value(parser, value, "the name of a policy", TEXT_LABEL_MAX);
	policy->name_line = value->line;
	policy->name_column = value->column;
}

static void parse_mode(struct parser *parser, const struct node *value, void *out)
{
	static const char *const words[] = {"audit", "enforce"};

	((struct policy *)out)->enforce = word_value(parser, value, "mode", words, ARRAY_SIZE(words)) == 1;
}

static void parse_enforce_until(struct parser *parser, const struct node *value, void *out)
{
	struct policy *policy = out;

	policy->has_enforce_until = time_value(parser, value, &policy->enforce_until);
}

static void parse_expires(struct parser *parser, const struct node *value, void *out)
{
	struct policy *policy = out;

	policy->has_expires = time_value(parser, value, &policy->expires);
}

static void keep_sets(struct parser *parser, const struct node *value, void *out)
{
	(void)out;
	parser->sets = value;
}

static void keep_rules(struct parser *parser, const struct node *value, void *out)
{
	(void)out;
	parser->rules = value;
}

void policy_free(struct policy *policy)
{
	if (policy)
		arena_free(policy->arena); /* the policy is in it itself */
}

static struct policy *policy_new(const struct policy_source *source)
{
	struct arena *arena = arena_new();
	struct policy *policy = arena_alloc(arena, 1, sizeof(*policy));

	policy->arena = arena;
	policy->file = arena_strndup(arena, source->file, strlen(source->file));
	SHA256((const unsigned char *)source->text, source->len, policy->sha256);
	return policy;
}

struct policy *policy_parse(const struct policy_source *source, struct problems *problems)
{
	static const struct field fields[] = {
		{"version", parse_version, true},  {"name", parse_name, true},
		{"mode", parse_mode, false},       {"enforce_until", parse_enforce_until, false},
		{"expires", parse_expires, false}, {"sets", keep_sets, false},
		{"rules", keep_rules, true},
	};
	CLEANUP(arena_freep) struct arena *nodes = arena_new();
	struct parser parser = {.file = source->file, .problems = problems};
	const struct node *tests;
	struct node *root;

	if (node_read(source, nodes, problems, &root) < 0)
		return NULL;
	tests = node_get(root, "tests");
	if (tests) {
		problems_add(
			problems, source->file, tests->key->line, tests->key->column,
			"this is a file of tests, not a policy: `tlswarden test` runs it, and it cannot lie among policies");
		return NULL;
	}
	parser.policy = policy_new(source);
	if (!fields_parse(&parser, root, "a policy", fields, ARRAY_SIZE(fields), parser.policy)) {
		policy_free(parser.policy);
		return NULL;
	}
	if (parser.sets)
		parse_sets(&parser, parser.sets);
	if (parser.rules)
		parse_rules(&parser, parser.rules);
	return parser.policy;
}
