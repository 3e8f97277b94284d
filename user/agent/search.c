/* Looks for files in /proc, by their numbers there; what is found is compared with the file itself. */
#include "search.h"

#include <stdlib.h>

#include "mapped.h"
#include "util.h"

struct search {
	struct catalog_file **files; /* sorted by number */
	size_t count;
};

static int compare_numbers(const struct file_number *a, const struct file_number *b)
{
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return (a->device > b->device) - (a->device < b->device);
}

static int compare_files(const void *a, const void *b)
{
	return compare_numbers(&(*(struct catalog_file *const *)a)->number, &(*(struct catalog_file *const *)b)->number);
}

static int compare_to_file(const void *key, const void *file)
{
	return compare_numbers(key, &(*(struct catalog_file *const *)file)->number);
}

/* Numbers need not be unique (btrfs). */
static void search_mapped(void *context, const struct mapped *mapped)
{
	const struct search *search = context;
	struct catalog_file **end = search->files + search->count;
	struct catalog_file **found = bsearch(&mapped->number, search->files, search->count, sizeof(*search->files),
					      compare_to_file);
	struct stat there;

	if (!found || !mapped_stat(&mapped->at, &there))
		return;
	while (found > search->files && compare_to_file(&mapped->number, found - 1) == 0)
		found--;
	for (; found < end && compare_to_file(&mapped->number, found) == 0; found++)
		if (catalog_is(*found, &there)) {
			witness_add(*found, &mapped->at);
			(*found)->met = true;
		}
}

static void search_process(void *context, uint32_t pid)
{
	mapped_each(pid, search_mapped, context);
}

void files_search(struct catalog_file **files, size_t count)
{
	struct search search = {.files = files, .count = count};

	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		files[i]->met = false;
	qsort(files, count, sizeof(struct catalog_file *), compare_files);
	processes_each(search_process, &search);
}
