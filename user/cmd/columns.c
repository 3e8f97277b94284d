/* See columns.h. Lines are broken at spaces; a word that is longer than its column is broken where the column ends, but not within a
 * character or within an escape (\xNN). */
#include "columns.h"

#include <string.h>

/* Bytes of what must not be torn. */
static size_t unit_len(const char *text)
{
	size_t len = 1;

	if (text[0] == '\\' && text[1] == '\\')
		return 2;
	if (text[0] == '\\' && text[1] == 'x' && text[2] && text[3])
		return 4;
	while (((unsigned char)text[len] & 0xc0) == 0x80)
		len++;
	return len;
}

static size_t width_of(const char *text, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

size_t text_width(const char *text)
{
	return width_of(text, strlen(text));
}

/* Bytes of the next line, without the space at which it ends; at least one character. */
static size_t line_len(const char *text, size_t width)
{
	size_t len = 0, used = 0, at_space = 0;

	while (text[len]) {
		size_t unit = unit_len(text + len), wide = width_of(text + len, unit);

		if (text[len] == ' ' && len > 0)
			at_space = len;
		if (used + wide > width && len > 0)
			return at_space ? at_space : len;
		used += wide;
		len += unit;
	}
	return len;
}

/* Without spaces at its end. */
static size_t shown_len(const char *text, size_t len)
{
	while (len && text[len - 1] == ' ')
		len--;
	return len;
}

static void spaces(FILE *out, size_t count)
{
	fprintf(out, "%*s", (int)count, "");
}

void columns_print(FILE *out, const struct column *columns, size_t count, const char *const texts[])
{
	const char *left[COLUMNS_MAX];
	bool more = true, first = true;

	for (size_t i = 0; i < count; i++)
		left[i] = texts[i];
	for (; more; first = false) {
		size_t owed = 0; /* spaces that are not printed unless something comes after them */

		more = false;
		for (size_t i = 0; i < count; i++) {
			const struct column *column = &columns[i];
			size_t hang = first || column->hang >= column->width ? 0 : column->hang;
			size_t whole = line_len(left[i], column->width - hang), len = shown_len(left[i], whole);
			size_t width = width_of(left[i], len);
			size_t before = column->right ? column->width - (width < column->width ? width : column->width) :
							hang;

			owed += column->gap;
			if (len) {
				spaces(out, owed + before);
				fwrite(left[i], 1, len, out);
				owed = column->width > before + width ? column->width - before - width : 0;
			} else {
				owed += column->width;
			}
			left[i] += whole;
			left[i] += strspn(left[i], " ");
			more |= *left[i] != '\0';
		}
		fputc('\n', out);
	}
}

void paragraph_print(FILE *out, size_t indent, size_t hang, const char *text)
{
	const struct column column = {.gap = indent, .width = PAGE_WIDTH - indent, .hang = hang};

	columns_print(out, &column, 1, &text);
}
