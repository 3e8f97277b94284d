/* See exes.h. Owns the paths. */
#include "exes.h"

#include <stdlib.h>

#include "util.h"

const char *exes_find(const struct exes *exes, const struct siphash_value *digest)
{
	for (size_t i = 0; i < EXES_MAX && exes->items[i].path; i++)
		if (siphash_same(&exes->items[i].digest, digest))
			return exes->items[i].path;
	return NULL;
}

void exes_add(struct exes *exes, const struct siphash_value *digest, const char *path)
{
	if (exes_find(exes, digest))
		return;
	free(exes->items[exes->next].path);
	exes->items[exes->next].digest = *digest;
	exes->items[exes->next].path = xstrdup(path);
	exes->next = (exes->next + 1) % EXES_MAX;
}

void exes_clear(struct exes *exes)
{
	for (size_t i = 0; i < EXES_MAX; i++)
		free(exes->items[i].path);
	*exes = (struct exes){0};
}
