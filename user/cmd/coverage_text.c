/* Who speaks TLS, and who is covered, for people (status.h). Those that are not covered come first. */
#include "status.h"

#include <inttypes.h>
#include <string.h>

#include "agent_ask.h"
#include "columns.h"
#include "util.h"

struct line {
	uint64_t pid; /* the smallest of them */
	const char *name;
	char *uses, *verdict;
	bool covered;
	size_t count;
};

/* "a, b": new memory; in place of the text before. */
static char *text_join(char *before, const char *more)
{
	CLEANUP_FREE char *old = before;

	return *old ? xasprintf("%s, %s", old, more) : xstrdup(more);
}

static int text_compare(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* A libssl does not say its version: its libcrypto does. */
static bool is_said_by_another(struct json_object *uses, struct json_object *use)
{
	if (!*answer_text(use, "name") || *answer_text(use, "version"))
		return false;
	for (size_t i = 0; i < answer_length(uses); i++) {
		struct json_object *other = json_object_array_get_idx(uses, i);

		if (strcmp(answer_text(other, "name"), answer_text(use, "name")) == 0 && *answer_text(other, "version"))
			return true;
	}
	return false;
}

/* Each kind of library once, however many files of it a process maps, and in the same order for every process. */
static char *uses_text(struct json_object *uses)
{
	char **each CLEANUP_FREE = xcalloc(answer_length(uses) + 1, sizeof(*each)), *text = xstrdup("");
	size_t count = 0;

	for (size_t i = 0; i < answer_length(uses); i++) {
		struct json_object *use = json_object_array_get_idx(uses, i);

		if (!is_said_by_another(uses, use))
			each[count++] = library_text(use);
	}
	qsort(each, count, sizeof(*each), text_compare);
	for (size_t i = 0; i < count; i++)
		if (!i || strcmp(each[i], each[i - 1]) != 0)
			text = text_join(text, each[i]);
	for (size_t i = 0; i < count; i++)
		free(each[i]);
	return text;
}

static char *verdict_text(struct json_object *process, bool covered)
{
	struct json_object *reasons = answer_get(process, "reasons");
	char *text = xstrdup(""), *verdict;

	if (!covered)
		for (size_t i = 0; i < answer_length(reasons); i++)
			text = text_join(text, json_object_get_string(json_object_array_get_idx(reasons, i)));
	verdict = covered ? xstrdup("yes") : xasprintf("no%s%s", *text ? ": " : "", text);
	free(text);
	return verdict;
}

static struct line line_of(struct json_object *process)
{
	bool covered = json_object_get_boolean(answer_get(process, "covered"));

	return (struct line){.pid = answer_count(process, "pid"),
			     .name = answer_text(process, "name"),
			     .uses = uses_text(answer_get(process, "uses")),
			     .verdict = verdict_text(process, covered),
			     .covered = covered,
			     .count = 1};
}

/* What is said of them. */
static int said_compare(const struct line *a, const struct line *b)
{
	int order = (int)a->covered - (int)b->covered;

	if (!order)
		order = strcmp(a->name, b->name);
	if (!order)
		order = strcmp(a->uses, b->uses);
	return order ? order : strcmp(a->verdict, b->verdict);
}

static int line_compare(const void *left, const void *right)
{
	const struct line *a = left, *b = right;
	int order = said_compare(a, b);

	return order ? order : (a->pid > b->pid) - (a->pid < b->pid);
}

/* How many are left. */
static size_t lines_group(struct line *lines, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (kept && said_compare(&lines[kept - 1], &lines[i]) == 0) {
			lines[kept - 1].count++;
			free(lines[i].uses);
			free(lines[i].verdict);
		} else {
			lines[kept++] = lines[i];
		}
	}
	return kept;
}

static void print_lines(FILE *out, const struct line *lines, size_t count)
{
	static const struct column columns[] = {{.width = 10, .right = true},
						{.gap = 2, .width = 22},
						{.gap = 2, .width = 26},
						{.gap = 2, .width = 36, .hang = 2}};

	columns_print(out, columns, ARRAY_SIZE(columns), (const char *[]){"pid", "process", "uses", "covered"});
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *pid = xasprintf("%" PRIu64, lines[i].pid), *name = xstrdup(lines[i].name);
		const char *texts[] = {pid, NULL, lines[i].uses, lines[i].verdict};

		if (lines[i].count > 1) {
			free(name);
			name = xasprintf("%s ×%zu", lines[i].name, lines[i].count);
		}
		texts[1] = name;
		columns_print(out, columns, ARRAY_SIZE(columns), texts);
	}
}

static void print_sum(FILE *out, struct json_object *answer)
{
	uint64_t covered = answer_count(answer, "processes_count.covered");
	uint64_t others = answer_count(answer, "processes_count.not_covered"), all = covered + others;
	uint64_t unread = answer_count(answer, "processes_count.unread");
	CLEANUP_FREE char *first = others ?
					   xasprintf("%" PRIu64 " of %" PRIu64 " process%s that speak%s TLS %s not covered.",
						     others, all, all == 1 ? "" : "es", all == 1 ? "s" : "",
						     others == 1 ? "is" : "are") :
				   all ? xasprintf("All %" PRIu64 " processes that speak TLS are covered.", all) :
					 xstrdup("No process that runs now speaks TLS, as far as the agent can tell.");
	CLEANUP_FREE char *second = xasprintf("%" PRIu64 " could not be looked at: they had ended, or /proc refused.",
					      unread);

	paragraph_print(out, 0, 0, first);
	if (unread)
		paragraph_print(out, 0, 0, second);
}

void coverage_print(FILE *out, struct json_object *answer, bool all)
{
	struct json_object *list = answer_get(answer, "processes");
	size_t count = answer_length(list);
	CLEANUP_FREE struct line *lines = xcalloc(count + 1, sizeof(*lines));

	for (size_t i = 0; i < count; i++)
		lines[i] = line_of(json_object_array_get_idx(list, i));
	qsort(lines, count, sizeof(*lines), line_compare);
	if (!all)
		count = lines_group(lines, count);
	print_sum(out, answer);
	if (count) {
		fputc('\n', out);
		print_lines(out, lines, count);
	}
	for (size_t i = 0; i < count; i++) {
		free(lines[i].uses);
		free(lines[i].verdict);
	}
}
