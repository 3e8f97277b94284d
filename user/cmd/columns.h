/* Text in columns for people, each cell wrapped within its own, so that nothing is lost. Private to user/cmd. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { COLUMNS_MAX = 6, PAGE_WIDTH = 100 };

struct column {
	size_t gap;   /* spaces before it */
	size_t width; /* at least 1 */
	bool right;   /* its text stands at its right edge */
	size_t hang;  /* lines after the first begin that much further right */
};

/* One row: a text for each column, escaped already (text_escape). Characters count as one wide. */
void columns_print(FILE *out, const struct column *columns, size_t count, const char *const texts[]);

/* One column over the page, after indent spaces; lines after the first stand hang further right. */
void paragraph_print(FILE *out, size_t indent, size_t hang, const char *text);

/* Characters of an escaped text. */
size_t text_width(const char *text);

#endif
