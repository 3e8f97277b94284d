/* Policy files from disk: the texts of what --policy and `check` name, and what is in the files that those name.
 *
 * Owns the texts and their names. A directory gives its *.yaml and *.yml in order of name, hidden files left out (editors
 * leave such behind), links followed; it is not descended into. Bounds: POLICY_FILE_MAX bytes a file, POLICY_FILES_MAX
 * files together; beyond them nothing more is read, and the message says so. Of the contents POLICY_CONTENT_MAX bytes are
 * kept. A pipe or a device is read only as a policy that is named itself, and not with files_only: nothing else is waited for. A
 * directory is a trust store: its *.pem and *.crt, one after the other; what is in it that cannot be read makes the whole of it
 * unreadable. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static int content_open(const char *path, struct stat *ret)
{
	/* Opening a pipe would wait for who writes into it. */
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	return S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode) ? TAKE_FD(fd) : -EINVAL;
}

static int text_read(const char *path, bool files_only, char **ret, size_t *ret_len)
{
	struct stat status = {0};
	CLEANUP_CLOSE int fd = -1;

	if (!files_only)
		return file_read(path, POLICY_FILE_MAX, ret, ret_len);
	fd = content_open(path, &status);
	return fd < 0 ? fd : fd_read_all(fd, POLICY_FILE_MAX, ret, ret_len);
}

static int read_file(const char *path, bool files_only, struct policy_texts *texts, char **ret_error)
{
	char *text;
	size_t len;
	int r;

	if (texts->count == POLICY_FILES_MAX) {
		*ret_error = xasprintf("%s: more than %d policy files", path, POLICY_FILES_MAX);
		return -E2BIG;
	}
	r = text_read(path, files_only, &text, &len);
	if (r == -EFBIG)
		*ret_error = xasprintf("%s: larger than %d MiB", path, POLICY_FILE_MAX >> 20);
	else if (r == -EINVAL)
		*ret_error = xasprintf("%s: a pipe or a device, and no file", path);
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
			r = read_file(file, true, texts, ret_error);
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
			r = read_file(paths[i], texts->files_only, texts, ret_error);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int is_certificate(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && (ends_with(entry->d_name, ".pem") || ends_with(entry->d_name, ".crt"));
}

/* Puts one file of a directory behind what is in *text, and a newline, for its last line may have none. */
static int append_file(const char *path, size_t max, char **text, size_t *len)
{
	CLEANUP_FREE char *more = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct stat status = {0};
	size_t more_len;
	int r;

	fd = content_open(path, &status);
	if (fd < 0)
		return fd;
	r = S_ISDIR(status.st_mode) ? -EISDIR : fd_read_all(fd, max - *len, &more, &more_len);
	if (r < 0)
		return r;
	if (more_len + 1 > max - *len)
		return -EFBIG;
	*text = xrealloc(*text, *len + more_len + 2, 1);
	memcpy(*text + *len, more, more_len);
	*len += more_len;
	(*text)[(*len)++] = '\n';
	(*text)[*len] = '\0';
	return 0;
}

static int directory_content(const char *path, size_t max, char **ret, size_t *ret_len)
{
	CLEANUP_FREE char *text = xstrdup("");
	struct dirent **entries;
	int count = scandir(path, &entries, is_certificate, by_name), r = 0;
	size_t len = 0;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		CLEANUP_FREE char *file = xasprintf("%s/%s", path, entries[i]->d_name);

		if (r == 0)
			r = append_file(file, max, &text, &len);
		free(entries[i]);
	}
	free(entries);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* At most max bytes. -errno. */
static int content_read(const struct policy_need *need, size_t max, char **ret, size_t *ret_len)
{
	struct stat status = {0};
	CLEANUP_CLOSE int fd = content_open(need->path, &status);

	if (fd < 0)
		return fd;
	if (need->kind == POLICY_TRUST_STORE && max > POLICY_STORE_MAX)
		max = POLICY_STORE_MAX;
	if (!S_ISDIR(status.st_mode))
		return fd_read_all(fd, max, ret, ret_len);
	return need->kind == POLICY_TRUST_STORE ? directory_content(need->path, max, ret, ret_len) : -EISDIR;
}

void policy_contents_read(const struct policies *policies, struct policy_contents *ret)
{
	const struct policy_need *needs;
	size_t count = policies_needs(policies, &needs), left = POLICY_CONTENT_MAX;

	*ret = (struct policy_contents){.items = xcalloc(count ? count : 1, sizeof(*ret->items)), .count = count};
	for (size_t i = 0; i < count; i++) {
		struct policy_content *content = &ret->items[i];
		char *data = NULL;
		int r = content_read(&needs[i], left, &data, &content->len);

		if (r < 0) {
			content->error = -r;
			continue;
		}
		content->data = data;
		left -= content->len;
	}
}

void policy_contents_clear(struct policy_contents *contents)
{
	for (size_t i = 0; i < contents->count; i++)
		free((char *)contents->items[i].data);
	free(contents->items);
	*contents = (struct policy_contents){0};
}

void problems_print(const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->items[i];
		CLEANUP_FREE char *file = text_escape(problem->file, strlen(problem->file));

		fprintf(stderr, "%s:%u:%u: %s\n", file, problem->line, problem->column, problem->text);
	}
}
