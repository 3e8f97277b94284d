/* Complaints about files, collected to be shown together.
 *
 * Owns the texts. They quote files that may be somebody else's, so each is made one line of harmless UTF-8 here
 * (text_escape), whoever wrote the message. Bound: PROBLEMS_PER_FILE_MAX of one file, after which one line says that more
 * are not shown. */
#include <stdarg.h>
#include <string.h>

#include "policy_internal.h"

void problems_clear(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->items[i].file);
		free(problems->items[i].text);
	}
	free(problems->items);
	*problems = (struct problems){0};
}

/* Those of the file at the end of the list: files are read one after the other. Counts no further than it matters. */
static size_t problems_of_file(const struct problems *problems, const char *file)
{
	size_t count = 0;

	while (count < problems->count && count <= PROBLEMS_PER_FILE_MAX &&
	       strcmp(problems->items[problems->count - 1 - count].file, file) == 0)
		count++;
	return count;
}

void problems_add(struct problems *problems, const char *file, unsigned line, unsigned column, const char *format, ...)
{
	size_t known = problems_of_file(problems, file);
	CLEANUP_FREE char *text = NULL;
	struct problem *problem;
	va_list args;

	if (known > PROBLEMS_PER_FILE_MAX)
		return;
	if (known == PROBLEMS_PER_FILE_MAX) {
		text = xstrdup("more problems in this file are not shown");
	} else {
		va_start(args, format);
		if (vasprintf(&text, format, args) < 0)
			text = xstrdup("a problem whose text could not be made");
		va_end(args);
	}
	/* Room grows by doubling: whenever the count is a power of two, it is used up. */
	if ((problems->count & (problems->count - 1)) == 0)
		problems->items = xrealloc(problems->items, problems->count ? 2 * problems->count : 1,
					   sizeof(*problems->items));
	problem = &problems->items[problems->count++];
	problem->file = xstrdup(file);
	problem->line = line;
	problem->column = column;
	problem->text = text_escape(text, strlen(text));
}
