/* Name patterns as keys of one hash table over many sets (index.c). A pattern is filed under keys, a name asks for keys; that
 * one of them is the same is necessary for a match, and not sufficient. Implemented beside the match itself, in name_set.c. */
#ifndef NAME_KEYS_H
#define NAME_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "name_set.h"

enum name_key {
	NAME_KEY_EXACT,   /* the name */
	NAME_KEY_ONE,     /* one label more than the name */
	NAME_KEY_MANY,    /* one or more labels more than the name */
	NAME_KEY_BENEATH, /* some exact name right beneath this one: what a certificate's wildcard asks for */
};

/* hash: of the name's text in lower case. Different names may have the same. */
typedef void name_key_fn(void *context, enum name_key key, uint64_t hash);

/* All keys of the set's patterns; some perhaps more than once. */
void names_keys(const struct names *names, name_key_fn *each, void *context);
/* All keys that text asks for: whenever names_match (or, if claimed, names_claimed) is true of text and a set, one of them is a
 * key of the set. */
void names_questions(const char *text, bool claimed, name_key_fn *each, void *context);

#endif
