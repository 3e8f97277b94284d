/* The lines of a file of any size, one after the other, in constant memory. Private to user/cmd. */
#ifndef CMD_LINES_H
#define CMD_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
	int fd;     /* borrowed */
	size_t max; /* of a line, without its newline; of a longer one there is only that it was there */
	char *room; /* the rest is its own */
	size_t start, end;
	bool ended;
	uint64_t number;     /* of the last line, from 1 */
	uint64_t bytes_read; /* of the file so far */
};

struct line_read {
	const char *text; /* until the next call; no NUL behind it */
	size_t len;       /* without the newline */
	bool too_long;    /* text has only its beginning */
	bool unended;     /* the file ends in it, without a newline */
};

/* 1, 0 at the end, or -errno. */
int lines_next(struct lines *lines, struct line_read *ret);
void lines_clear(struct lines *lines);

#endif
