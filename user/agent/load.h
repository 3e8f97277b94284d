/* Policies from disk, as the warden takes them up: texts, what is in the files that they name, and the policies, parsed but not
 * bound. */
#ifndef LOAD_H
#define LOAD_H

#include "policy_files.h"

struct load {
	struct policy_texts texts;
	struct policy_contents contents;
	struct policies *policies;
};
void load_clear(struct load *load);

/* Each path a file or a directory. An exit code; what is wrong was said on standard error then, *ret_why, owned by the caller,
 * is the first of it, and *ret is untouched. A file named by a policy that cannot be read is not wrong yet: see policies_bind. */
int load_read(char *const *paths, size_t count, struct load *ret, char **ret_why);

/* The first of them as such a line, or `otherwise`; owned by the caller. */
char *problems_first(const struct problems *problems, const char *otherwise);

#endif
