/* Lines out of a file, a pipe or a terminal (lines.h). Owns a room for one line and what was read beyond it; a line that does not
 * fit is passed over to its newline. */
#include "lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

enum { READ_BYTES = 1 << 18 };

/* Reads once more, behind what is there. 0 or -errno. */
static int fill(struct lines *lines)
{
	ssize_t n;

	if (lines->start > 0) {
		memmove(lines->room, lines->room + lines->start, lines->end - lines->start);
		lines->end -= lines->start;
		lines->start = 0;
	}
	do
		n = read(lines->fd, lines->room + lines->end, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	lines->ended = n == 0;
	lines->end += (size_t)n;
	lines->bytes_read += (size_t)n;
	return 0;
}

/* Up to and over the next newline, keeping nothing. */
static int pass_over(struct lines *lines)
{
	for (;;) {
		char *newline = memchr(lines->room + lines->start, '\n', lines->end - lines->start);
		int r;

		lines->start = newline ? (size_t)(newline - lines->room) + 1 : lines->end;
		if (newline || lines->ended)
			return 0;
		r = fill(lines);
		if (r < 0)
			return r;
	}
}

int lines_next(struct lines *lines, struct line_read *ret)
{
	size_t searched = 0;

	if (!lines->room)
		lines->room = xcalloc(lines->max + 1 + READ_BYTES, 1);
	for (;;) {
		const char *from = lines->room + lines->start;
		size_t have = lines->end - lines->start;
		const char *newline = have > searched ? memchr(from + searched, '\n', have - searched) : NULL;
		size_t len = newline ? (size_t)(newline - from) : have;
		int r;

		if (newline || lines->ended) {
			if (!newline && have == 0)
				return 0;
			lines->number++;
			lines->start += len + (newline != NULL);
			*ret = (struct line_read){from, len, len > lines->max, newline == NULL};
			return 1;
		}
		if (have > lines->max) {
			lines->number++;
			r = pass_over(lines);
			*ret = (struct line_read){lines->room, 0, true, false};
			return r < 0 ? r : 1;
		}
		searched = have;
		r = fill(lines);
		if (r < 0)
			return r;
	}
}

void lines_clear(struct lines *lines)
{
	free(lines->room);
	lines->room = NULL;
}
