/* Single values of a policy file: texts, words of a fixed choice, truth values, and maps of known keys. Everything here
 * either gives a value or complains at its place. */
#include <stdarg.h>
#include <string.h>

#include "policy_internal.h"

enum { WORDS_MAX = 64 };

void complain(struct parser *parser, const struct node *node, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;

	if (node->kind == NODE_BROKEN)
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	problems_add(parser->problems, parser->file, node->line, node->column, "%s", text ? text : "a problem");
}

const char *text_value(struct parser *parser, const struct node *node, const char *what, size_t max)
{
	size_t len = node->len;

	if (!node_is_text(node)) {
		complain(parser, node, "%s must be text, not %s%s", what, node_describe(node),
			 node->kind == NODE_SCALAR && node->len > 0 ? ": write it in quotes" : "");
		return NULL;
	}
	/* A folded or literal block ends with a newline that nobody means. */
	while (len > 0 && node->text[len - 1] == '\n')
		len--;
	if (len == 0) {
		complain(parser, node, "%s is empty", what);
		return NULL;
	}
	if (len > max) {
		complain(parser, node, "%s is too long: at most %zu bytes", what, max);
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)node->text[i] < ' ' || node->text[i] == 0x7f) {
			complain(parser, node, "%s must be one line without control characters", what);
			return NULL;
		}
	}
	return arena_strndup(parser->policy->arena, node->text, len);
}

/* "a, b or c" */
static char *words_list(const char *const *words, size_t count)
{
	char *list = xstrdup("");

	for (size_t i = 0; i < count; i++) {
		char *longer = xasprintf("%s%s%s", list, i == 0 ? "" : i + 1 < count ? ", " : " or ", words[i]);

		free(list);
		list = longer;
	}
	return list;
}

int word_value(struct parser *parser, const struct node *node, const char *what, const char *const *words, size_t count)
{
	CLEANUP_FREE char *list = NULL;

	for (size_t i = 0; node->kind == NODE_SCALAR && i < count; i++) {
		if (strcmp(node->text, words[i]) == 0)
			return (int)i;
	}
	list = words_list(words, count);
	if (node_is_text(node))
		complain(parser, node, "%s must be %s, not \"%.64s\"%s", what, list, node->text,
			 suggest(node->text, words, count).text);
	else
		complain(parser, node, "%s must be %s, not %s", what, list, node_describe(node));
	return -1;
}

int truth_value(struct parser *parser, const struct node *node, const char *what)
{
	if (node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "true") == 0)
		return 1;
	if (node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "false") == 0)
		return 0;
	complain(parser, node, "%s must be true or false, not %s%s", what, node_describe(node),
		 node->kind == NODE_SCALAR && !node->plain ? " in quotes" : "");
	return -1;
}

static const struct field *field_find(const struct field *fields, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (fields[i].key[0] == key[0] && strcmp(fields[i].key, key) == 0)
			return &fields[i];
	}
	return NULL;
}

static void complain_unknown(struct parser *parser, const struct node *key, const char *what, const struct field *fields,
			     size_t count)
{
	const char *words[WORDS_MAX];
	CLEANUP_FREE char *list = NULL;
	struct suggestion meant;
	size_t known = 0;

	for (; known < count && known < WORDS_MAX; known++)
		words[known] = fields[known].key;
	meant = suggest(key->text, words, known);
	list = words_list(words, known);
	complain(parser, key, "unknown key \"%.64s\" in %s%s%s", key->text, what, meant.text[0] ? meant.text : "; it takes ",
		 meant.text[0] ? "" : list);
}

bool fields_parse(struct parser *parser, const struct node *map, const char *what, const struct field *fields, size_t count,
		  void *out)
{
	uint64_t seen = 0;

	if (map->kind != NODE_MAP) {
		complain(parser, map, "%s must be a map of keys and values, not %s", what, node_describe(map));
		return false;
	}
	for (const struct node *value = map->first; value; value = value->next) {
		const struct field *field = field_find(fields, count, value->key->text);

		if (field)
			seen |= UINT64_C(1) << (field - fields);
		if (!field)
			complain_unknown(parser, value->key, what, fields, count);
		else
			field->parse(parser, value, out);
	}
	for (size_t i = 0; i < count; i++) {
		if (fields[i].required && !(seen & UINT64_C(1) << i))
			complain(parser, map, "\"%s\" is missing in %s", fields[i].key, what);
	}
	return true;
}
