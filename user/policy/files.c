/* Policy files from disk: the texts of what --policy and `check` name.
 *
 * Owns the texts and their names. A directory gives its *.yaml and *.yml in order of name, hidden files left out (editors
 * leave such behind), links followed; it is not descended into. Bounds: POLICY_FILE_MAX bytes a file, POLICY_FILES_MAX
 * files together; beyond them nothing more is read, and the message says so. */
#include <dirent.h>
#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <sys/stat.h>

#include "policy_files.h"
#include "util.h"

void policy_texts_clear(struct policy_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		free((char *)texts->sources[i].file);
		free((char *)texts->sources[i].text);
	}
	free(texts->sources);
	*texts = (struct policy_texts){0};
}

static int read_file(const char *path, struct policy_texts *texts, char **ret_error)
{
	char *text;
	size_t len;
	int r;

	if (texts->count == POLICY_FILES_MAX) {
		*ret_error = xasprintf("%s: more than %d policy files", path, POLICY_FILES_MAX);
		return -E2BIG;
	}
	r = file_read(path, POLICY_FILE_MAX, &text, &len);
	if (r == -EFBIG)
		*ret_error = xasprintf("%s: larger than %d MiB", path, POLICY_FILE_MAX >> 20);
	else if (r < 0)
		*ret_error = xasprintf("%s: %s", path, strerror(-r));
	if (r < 0)
		return r;
	texts->sources = xrealloc(texts->sources, texts->count + 1, sizeof(*texts->sources));
	texts->sources[texts->count++] = (struct policy_source){.file = xstrdup(path), .text = text, .len = len};
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static int is_policy(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && (ends_with(entry->d_name, ".yaml") || ends_with(entry->d_name, ".yml"));
}

/* Byte order, whatever the locale: the order of the files is the order of the verdict. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_directory(const char *path, struct policy_texts *texts, char **ret_error)
{
	const char *slash = path[0] && path[strlen(path) - 1] == '/' ? "" : "/";
	struct dirent **entries;
	int count, r = 0;

	count = scandir(path, &entries, is_policy, by_name);
	if (count < 0) {
		r = -errno;
		*ret_error = xasprintf("%s: %s", path, strerror(-r));
		return r;
	}
	for (int i = 0; i < count; i++) {
		CLEANUP_FREE char *file = xasprintf("%s%s%s", path, slash, entries[i]->d_name);

		if (r == 0)
			r = read_file(file, texts, ret_error);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int policy_texts_read(char *const *paths, size_t count, struct policy_texts *texts, char **ret_error)
{
	for (size_t i = 0; i < count; i++) {
		struct stat status;
		int r;

		if (stat(paths[i], &status) < 0) {
			r = -errno;
			*ret_error = xasprintf("%s: %s", paths[i], strerror(-r));
		} else if (S_ISDIR(status.st_mode)) {
			r = read_directory(paths[i], texts, ret_error);
		} else {
			r = read_file(paths[i], texts, ret_error);
		}
		if (r < 0)
			return r;
	}
	return 0;
}
