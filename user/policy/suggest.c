/* The word that somebody probably meant: the nearest by edit distance (insert, delete, replace, swap neighbours; capital letters
 * count as small ones), if it is near enough. Texts longer than WORD_MAX get no suggestion, so the work is bounded. */
#include <ctype.h>
#include <string.h>

#include "policy_internal.h"

enum { WORD_MAX = 40 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment; both lengths are at most WORD_MAX. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= b_len; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
					d[i - 1][j - 1] + (tolower((unsigned char)a[i - 1]) != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[a_len][b_len];
}

struct suggestion suggest(const char *text, const char *const *words, size_t count)
{
	struct suggestion suggestion = {""};
	size_t len = strlen(text);
	unsigned best = len < 5 ? 1 : 2 + (unsigned)len / 8;
	const char *found = NULL;

	if (len == 0 || len > WORD_MAX)
		return suggestion;
	for (size_t i = 0; i < count; i++) {
		size_t word_len = strlen(words[i]);
		unsigned d;

		if (word_len > WORD_MAX)
			continue;
		d = distance(text, len, words[i], word_len);
		if (d < word_len && (d < best || (d == best && !found))) {
			best = d;
			found = words[i];
		}
	}
	if (found)
		snprintf(suggestion.text, sizeof(suggestion.text), "; did you mean \"%s\"?", found);
	return suggestion;
}
