/* What policy.h promises of every complaint about a file: a place in it, and one line of text; files in their order. */
#include <string.h>

#include "fuzz.h"
#include "policy.h"

enum { PROBLEMS_MAX = 101 /* of one file */ };

/* YAML 1.1 breaks lines at more than \n: NEL, LS, PS and \r count, too. */
static size_t lines_of(const struct policy_source *source)
{
	const unsigned char *p = (const unsigned char *)source->text;
	size_t lines = 1;

	for (size_t i = 0; i < source->len; i++)
		lines += p[i] == '\n' || p[i] == '\r' || p[i] == 0x85 || p[i] == 0xa8 || p[i] == 0xa9;
	return lines;
}

void problems_check(const struct problems *problems, const struct policy_source *sources, size_t count)
{
	size_t file = 0, of_file = 0;

	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->items[i];

		while (file < count && strcmp(problem->file, sources[file].file) != 0) {
			file++;
			of_file = 0;
		}
		HOLDS(file < count && ++of_file <= PROBLEMS_MAX);
		HOLDS(problem->line >= 1 && problem->column >= 1);
		HOLDS(problem->line <= lines_of(&sources[file]) + 1);
		HOLDS(problem->column <= sources[file].len + 1);
		HOLDS(problem->text[0] && is_line(problem->text));
	}
}
