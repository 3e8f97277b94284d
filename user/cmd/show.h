/* What commands print for people: times, texts of any bytes, colour where it is seen. */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "2027-01-31T00:00:00Z", or "unreadable" for what no certificate's date can be (INT64_MIN, INT64_MAX). */
enum { TIME_TEXT_MAX = 64 };
void time_text(int64_t seconds, char out[TIME_TEXT_MAX]);

/* On standard output. Text that text_escape made already: at most max bytes of it, "…" behind if some are missing. */
void print_cut(const char *escaped, size_t max);
/* Any bytes, escaped here. */
void print_escaped(const char *text);

/* Colours are for a terminal (that is not "dumb"), and for nobody who has set NO_COLOR. */
enum colour { COLOUR_BAD, COLOUR_GOOD, COLOUR_DIM, COLOUR_BOLD };
bool colour_wanted(void);
/* The text, in that colour if on. */
void print_coloured(bool on, enum colour colour, const char *text);

#endif
