/* Sets of DNS name patterns of a policy, compiled for lookup. Pure.
 *
 * `example.com` is that name; `*.example.com` is exactly one label more; `**.example.com` is one or more labels more.
 * ASCII case and one final dot do not matter. */
#ifndef NAME_SET_H
#define NAME_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

/* The longest DNS name in text (RFC 1035 2.3.4). A longer pattern is refused; a longer name matches nothing. */
enum { DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63 };

struct names;

/* NULL if the text is a pattern, otherwise a static string that says why it is none and what was meant. */
const char *name_check(const char *pattern);

/* From patterns that name_check() accepts. Lives in the arena. */
struct names *names_new(struct arena *arena, const char *const *patterns, size_t count);

/* True if text, a name that somebody asked for, is one of the set. A '*' in it is a character like any other. */
bool names_match(const struct names *names, const char *text);

/* True if a certificate that bears text as a dNSName (or as a common name) claims a name of the set: as names_match, and
 * where the left-most label has a '*' the certificate claims every name that it stands for (RFC 9525 6.3). */
bool names_claimed(const struct names *names, const char *text);

/* For people: the texts that the patterns are about, and one of the patterns of each (a text may have several). */
size_t names_count(const struct names *names);
void names_pattern(const struct names *names, size_t index, char out[DNS_NAME_MAX + 4]);

#endif
