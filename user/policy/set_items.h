/* Single values of sets: see set_items.c. */
#ifndef SET_ITEMS_H
#define SET_ITEMS_H

#include "policy_internal.h"

/* For each kind of set but SET_NAMES: the size of a value (0: none is kept in an array), and what adds one. */
struct set_kind_items {
	size_t size;
	void (*add)(struct parser *parser, struct set *set, const struct node *item);
};
extern const struct set_kind_items set_items[SET_KINDS];

/* All names of a value or a list, compiled together. */
void set_add_names(struct parser *parser, struct set *set, const struct node *value);

#endif
