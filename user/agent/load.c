/* See load.h. The only place where the agent opens policies and what they name; it takes nothing apart but the policies. */
#include "load.h"

#include <string.h>

#include "exit_codes.h"
#include "util.h"

char *problems_first(const struct problems *problems, const char *otherwise)
{
	const struct problem *first = problems->items;

	if (!problems->count)
		return xstrdup(otherwise);
	return xasprintf("%s:%u:%u: %s", first->file, first->line, first->column, first->text);
}

void load_clear(struct load *load)
{
	policies_free(load->policies);
	policy_contents_clear(&load->contents);
	policy_texts_clear(&load->texts);
	*load = (struct load){};
}

static int load_fill(char *const *paths, size_t count, struct load *load, char **ret_why)
{
	CLEANUP(problems_clear) struct problems problems = {};

	load->texts.files_only = true;
	if (policy_texts_read(paths, count, &load->texts, ret_why) < 0) {
		CLEANUP_FREE char *safe = text_escape(*ret_why, strlen(*ret_why));

		fprintf(stderr, "tlswarden: %s\n", safe);
		return EXIT_USAGE;
	}
	if (policies_parse(load->texts.sources, load->texts.count, &load->policies, &problems) < 0) {
		problems_print(&problems);
		*ret_why = problems_first(&problems, "it does not parse");
		return EXIT_NO;
	}
	policy_contents_read(load->policies, &load->contents);
	return EXIT_FINE;
}

int load_read(char *const *paths, size_t count, struct load *ret, char **ret_why)
{
	struct load load = {};
	int code = load_fill(paths, count, &load, ret_why);

	if (code == EXIT_FINE)
		*ret = load;
	else
		load_clear(&load);
	return code;
}
