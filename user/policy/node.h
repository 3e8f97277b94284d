/* A policy file's YAML as a tree of nodes, each with its place. Only plain YAML: maps, lists and text. */
#ifndef NODE_H
#define NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

struct policy_source;
struct problems;

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
	NODE_BROKEN, /* something that was complained about already: passed over in silence */
};

struct node {
	enum node_kind kind : 8; /* small, since a large policy has millions of nodes */
	bool plain;              /* NODE_SCALAR: without quotes, so true, 5 and null mean something */
	unsigned line, column;   /* from 1; columns count characters */
	unsigned count;          /* of children */
	const char *text;        /* NODE_SCALAR: valid UTF-8, NUL-terminated, without a NUL in it */
	size_t len;
	struct node *key;          /* in a map: the key that this is the value of */
	struct node *first, *next; /* children in their order; the next one of the same parent */
};

/* Reads the one document of the file. Complains about everything that is not plain YAML; 0 if a tree could be made (maybe
 * with complaints), or -EINVAL or -ENOMEM, after a complaint. The tree lives in the arena. */
int node_read(const struct policy_source *source, struct arena *arena, struct problems *problems, struct node **ret);

/* The value of that key, or NULL. */
const struct node *node_get(const struct node *map, const char *key);

/* A value or a list of them: for (item = node_first(v); item; item = node_next(v, item)). */
const struct node *node_first(const struct node *value);
const struct node *node_next(const struct node *value, const struct node *item);

/* "a list", "a number", … for messages. */
const char *node_describe(const struct node *node);
/* In quotes, or plain and neither a number, a truth value nor nothing. */
bool node_is_text(const struct node *node);

#endif
