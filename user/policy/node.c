/* Policy files as trees: a strict reader over libyaml's events.
 *
 * YAML has features that let two readers see different policies, or make a small file a huge tree: anchors and aliases,
 * tags, merge keys, keys that repeat, several documents. None is accepted. It goes on after each complaint, as far as the
 * syntax lets it, so that one run of `check` shows everything.
 *
 * Trusts libyaml for the syntax, and for refusing what is not UTF-8; nothing else. Bounds: POLICY_FILE_MAX (of the file,
 * by who reads it), DEPTH_MAX, NODES_MAX. Beyond one the file is refused. Places are libyaml's marks, counted from 1. */
#include "node.h"

#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "policy.h"
#include "util.h"

enum {
	DEPTH_MAX = 16,      /* the language needs 8 */
	NODES_MAX = 4 << 20, /* keys count too: a rule takes some thirty */
	SORT_ON_STACK = 32,
	PAIRS_MAX = 16,  /* up to so many keys are compared each with each; more are sorted */
	WORDS_KEPT = 64, /* a power of two */
	NODES_AT_ONCE = 64,
};

/* A map or list whose end has not come yet. */
struct frame {
	struct node *node, *key;
	struct node **tail;
};

/* A key's text that was read before: the same few keys stand in every rule, and share one copy. */
struct word {
	const char *text;
	size_t len;
};

struct reader {
	yaml_parser_t parser;
	struct policy_source source;
	struct arena *arena;
	struct problems *problems;
	struct frame stack[DEPTH_MAX];
	unsigned depth;
	unsigned documents;
	size_t nodes;
	struct node *spare; /* NODES_AT_ONCE from the arena, which would round up each; spare_count are left */
	size_t spare_count;
	struct word words[WORDS_KEPT]; /* by word_slot(); the latest that fell on it */
	struct node *root;
};

static void reader_clear(struct reader *reader)
{
	yaml_parser_delete(&reader->parser);
}

static void complain_at(struct reader *reader, const yaml_mark_t *mark, const char *text)
{
	problems_add(reader->problems, reader->source.file, (unsigned)mark->line + 1, (unsigned)mark->column + 1, "%s",
		     text);
}

/* The character at line and column (from 0) of the text, or NUL. */
static char char_at(const struct policy_source *source, size_t line, size_t column)
{
	const char *p = source->text, *end = source->text + source->len;

	for (; line > 0 && p < end; p++)
		line -= *p == '\n';
	for (; p < end && *p != '\n'; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue;
		if (column-- == 0)
			return *p;
	}
	return '\0';
}

static void complain_encoding(struct reader *reader)
{
	const char *text = reader->source.text, *what = reader->parser.problem;
	size_t offset = reader->parser.problem_offset;
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < offset && i < reader->source.len; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	problems_add(reader->problems, reader->source.file, line, column,
		     strstr(what, "control") ? "a control character (%s)" : "not UTF-8 (%s)", what);
}

/* What somebody probably meant who gets such an error from libyaml. */
static const char *syntax_hint(const struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	char c = char_at(&reader->source, parser->problem_mark.line, parser->problem_mark.column);

	if (c == '\t')
		return "; YAML is indented with spaces, not with tabs";
	if (c == '@')
		return "; write a set in quotes: \"@name\"";
	if (parser->context && strstr(parser->context, "alias"))
		return "; write a name with a wildcard in quotes: \"*.example.com\"";
	return "";
}

static void complain_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;

	if (parser->error == YAML_READER_ERROR) {
		complain_encoding(reader);
		return;
	}
	problems_add(reader->problems, reader->source.file, (unsigned)parser->problem_mark.line + 1,
		     (unsigned)parser->problem_mark.column + 1, "not YAML: %s%s%s%s", parser->context ? parser->context : "",
		     parser->context ? ": " : "", parser->problem ? parser->problem : "unknown error", syntax_hint(reader));
}

static struct node *node_new(struct reader *reader, enum node_kind kind, const yaml_mark_t *mark)
{
	struct node *node;

	if (reader->spare_count == 0) {
		reader->spare = arena_alloc(reader->arena, NODES_AT_ONCE, sizeof(*node));
		reader->spare_count = NODES_AT_ONCE;
	}
	node = reader->spare++;
	reader->spare_count--;
	node->kind = kind;
	node->line = (unsigned)mark->line + 1;
	node->column = (unsigned)mark->column + 1;
	reader->nodes++;
	return node;
}

/* Makes the node the key of the map that is open. A key that can be none is marked, and its value dropped later. */
static void take_key(struct reader *reader, struct frame *frame, struct node *node, const yaml_mark_t *mark)
{
	frame->key = node;
	if (node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "<<") == 0) {
		complain_at(reader, mark, "merge keys (<<) are not supported: write the keys out");
		node->kind = NODE_BROKEN;
	} else if (node->kind == NODE_LIST || node->kind == NODE_MAP) {
		complain_at(reader, mark, "a key must be text, not a list or a map");
	}
}

/* Puts a node where it belongs: at the root, as a key, as a value, or at the end of a list. */
static void attach(struct reader *reader, struct node *node, const yaml_mark_t *mark)
{
	struct frame *frame;

	if (reader->depth == 0) {
		if (!reader->root)
			reader->root = node;
		return;
	}
	frame = &reader->stack[reader->depth - 1];
	if (frame->node->kind == NODE_MAP) {
		if (!frame->key) {
			take_key(reader, frame, node, mark);
			return;
		}
		node->key = TAKE_PTR(frame->key);
		if (node->key->kind != NODE_SCALAR)
			return;
	}
	*frame->tail = node;
	frame->tail = &node->next;
	frame->node->count++;
}

static void check_properties(struct reader *reader, const yaml_char_t *anchor, const yaml_char_t *tag,
			     const yaml_mark_t *mark)
{
	if (anchor)
		complain_at(reader, mark, "anchors (&) are not supported");
	if (tag)
		complain_at(reader, mark, "tags (!) are not supported");
}

static int open_node(struct reader *reader, enum node_kind kind, const yaml_mark_t *mark)
{
	struct node *node = node_new(reader, kind, mark);
	struct frame *frame;

	attach(reader, node, mark);
	if (reader->depth == DEPTH_MAX) {
		complain_at(reader, mark, "nested too deep");
		return -EINVAL;
	}
	frame = &reader->stack[reader->depth++];
	*frame = (struct frame){.node = node, .tail = &node->first};
	return 0;
}

static size_t word_slot(const char *text, size_t len)
{
	size_t hash = len;

	for (size_t i = 0; i < len && i < 8; i++)
		hash = 31 * hash + (unsigned char)text[i];
	return hash % WORDS_KEPT;
}

static const char *key_text(struct reader *reader, const char *text, size_t len)
{
	struct word *word = &reader->words[word_slot(text, len)];

	if (!word->text || word->len != len || memcmp(word->text, text, len) != 0)
		*word = (struct word){arena_strndup(reader->arena, text, len), len};
	return word->text;
}

/* True if the next node is a key. */
static bool key_is_next(const struct reader *reader)
{
	const struct frame *frame = reader->depth ? &reader->stack[reader->depth - 1] : NULL;

	return frame && frame->node->kind == NODE_MAP && !frame->key;
}

static void add_scalar(struct reader *reader, const yaml_event_t *event)
{
	struct node *node = node_new(reader, NODE_SCALAR, &event->start_mark);
	const char *text = (const char *)event->data.scalar.value;

	check_properties(reader, event->data.scalar.anchor, event->data.scalar.tag, &event->start_mark);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->len = event->data.scalar.length;
	node->text = key_is_next(reader) ? key_text(reader, text, node->len) : arena_strndup(reader->arena, text, node->len);
	if (memchr(text, '\0', node->len)) {
		complain_at(reader, &event->start_mark, "a NUL in a text");
		node->kind = NODE_BROKEN;
	}
	attach(reader, node, &event->start_mark);
}

static int place_compare(const struct node *a, const struct node *b)
{
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->column == b->column ? 0 : a->column < b->column ? -1 : 1;
}

static int key_compare(const void *a, const void *b)
{
	const struct node *x = (*(struct node *const *)a)->key, *y = (*(struct node *const *)b)->key;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : place_compare(x, y);
}

/* False if no key of the map repeats; true if one does, or perhaps does. */
static bool may_repeat(const struct node *map)
{
	if (map->count > PAIRS_MAX)
		return true;
	for (const struct node *a = map->first; a; a = a->next) {
		for (const struct node *b = a->next; b; b = b->next) {
			if (a->key->len == b->key->len && memcmp(a->key->text, b->key->text, a->key->len) == 0)
				return true;
		}
	}
	return false;
}

/* Complains about keys that repeat in a map that is complete, and takes the later ones out. */
static void check_duplicates(struct reader *reader, struct node *map)
{
	CLEANUP_FREE struct node **large = map->count > SORT_ON_STACK ? xcalloc(map->count, sizeof(struct node *)) : NULL;
	struct node *small[SORT_ON_STACK], **sorted = large ? large : small, **link = &map->first;
	const struct node *original = NULL;
	size_t count = 0;

	for (struct node *child = map->first; child; child = child->next)
		sorted[count++] = child;
	qsort(sorted, count, sizeof(struct node *), key_compare);
	for (size_t i = 0; i < count; i++) {
		struct node *key = sorted[i]->key;

		if (!original || strcmp(original->text, key->text) != 0) {
			original = key;
			continue;
		}
		problems_add(reader->problems, reader->source.file, key->line, key->column,
			     "\"%.64s\" stands here twice (the first is at %u:%u)", key->text, original->line,
			     original->column);
		key->kind = NODE_BROKEN;
	}
	while (*link) {
		if ((*link)->key->kind == NODE_BROKEN) {
			*link = (*link)->next;
			map->count--;
		} else {
			link = &(*link)->next;
		}
	}
}

static void close_node(struct reader *reader)
{
	struct node *node = reader->stack[--reader->depth].node;

	if (node->kind == NODE_MAP && node->count > 1 && may_repeat(node))
		check_duplicates(reader, node);
}

/* 1 at the end of the stream, 0 to go on, -EINVAL to give up. */
static int take_event(struct reader *reader, const yaml_event_t *event)
{
	if (reader->nodes >= NODES_MAX) {
		complain_at(reader, &event->start_mark, "too many values in one file");
		return -EINVAL;
	}
	switch (event->type) {
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		if (++reader->documents < 2)
			return 0;
		complain_at(reader, &event->start_mark, "a second document: one file holds one policy");
		return -EINVAL;
	case YAML_ALIAS_EVENT:
		complain_at(reader, &event->start_mark, "aliases (*) are not supported: write the value out, or name a set");
		attach(reader, node_new(reader, NODE_BROKEN, &event->start_mark), &event->start_mark);
		return 0;
	case YAML_SCALAR_EVENT:
		add_scalar(reader, event);
		return 0;
	case YAML_SEQUENCE_START_EVENT:
		check_properties(reader, event->data.sequence_start.anchor, event->data.sequence_start.tag,
				 &event->start_mark);
		return open_node(reader, NODE_LIST, &event->start_mark);
	case YAML_MAPPING_START_EVENT:
		check_properties(reader, event->data.mapping_start.anchor, event->data.mapping_start.tag,
				 &event->start_mark);
		return open_node(reader, NODE_MAP, &event->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_node(reader);
		return 0;
	default:
		return 0;
	}
}

int node_read(const struct policy_source *source, struct arena *arena, struct problems *problems, struct node **ret)
{
	CLEANUP(reader_clear) struct reader reader = {.source = *source, .arena = arena, .problems = problems};
	int r = 0;

	/* libyaml takes a byte order mark for a character when it is told the encoding; and is told it, to refuse others. */
	if (source->len >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0) {
		reader.source.text += 3;
		reader.source.len -= 3;
	}
	if (!yaml_parser_initialize(&reader.parser)) {
		problems_add(problems, source->file, 1, 1, "cannot be read: no memory");
		return -ENOMEM;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)reader.source.text, reader.source.len);
	while (r == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&reader.parser, &event)) {
			complain_syntax(&reader);
			return -EINVAL;
		}
		r = take_event(&reader, &event);
		yaml_event_delete(&event);
	}
	if (r < 0)
		return r;
	if (!reader.root) {
		problems_add(problems, source->file, 1, 1, "the file is empty: a policy begins with \"version: 1\"");
		return -EINVAL;
	}
	*ret = reader.root;
	return 0;
}

const struct node *node_get(const struct node *map, const char *key)
{
	if (map->kind != NODE_MAP)
		return NULL;
	for (const struct node *child = map->first; child; child = child->next) {
		if (strcmp(child->key->text, key) == 0)
			return child;
	}
	return NULL;
}

const struct node *node_first(const struct node *value)
{
	return value->kind == NODE_LIST ? value->first : value;
}

const struct node *node_next(const struct node *value, const struct node *item)
{
	return value->kind == NODE_LIST ? item->next : NULL;
}

static bool is_nothing(const struct node *node)
{
	return node->plain && (node->len == 0 || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

static bool is_truth(const struct node *node)
{
	return node->plain && (strcasecmp(node->text, "true") == 0 || strcasecmp(node->text, "false") == 0);
}

/* An integer or a decimal fraction of YAML's core schema; also with an exponent, or hexadecimal. */
static bool is_number(const struct node *node)
{
	const char *p = node->text + strspn(node->text, "+-");
	char *end;

	if (!node->plain || node->len == 0 || !strchr(".0123456789", *p) || *p == '\0')
		return false;
	strtod(node->text, &end);
	return *end == '\0';
}

const char *node_describe(const struct node *node)
{
	switch (node->kind) {
	case NODE_LIST:
		return "a list";
	case NODE_MAP:
		return "a map";
	case NODE_SCALAR:
		if (is_nothing(node))
			return "nothing";
		return is_truth(node) ? "a truth value" : is_number(node) ? "a number" : "text";
	default:
		return "something broken";
	}
}

bool node_is_text(const struct node *node)
{
	return node->kind == NODE_SCALAR && !is_nothing(node) && !is_truth(node) && !is_number(node);
}
