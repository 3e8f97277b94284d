/* See coverage_json.h. Paths and names of processes are anybody's bytes, and are escaped here. */
#include "coverage_json.h"

#include <string.h>

#include "records.h"
#include "util.h"

static const struct {
	const char *word;
	const char *reason; /* where the finder gives none */
} states[] = {
	[COVERAGE_ATTACHED] = {"attached", NULL},
	[COVERAGE_SILENT] = {"silent", "its probes are there, but did not fire in the self-check"},
	[COVERAGE_INCOMPLETE] =
		{"incomplete", "only one half of OpenSSL has been seen, libcrypto or libssl; it is attached when the other "
			       "is mapped"},
	[COVERAGE_UNSUPPORTED] = {"unsupported", "it could not be asked where its fields are"},
	[COVERAGE_FOREIGN] = {"foreign", "another implementation of TLS, which has no probes"},
};
_Static_assert(ARRAY_SIZE(states) == COVERAGE_FOREIGN + 1, "a state without a word");

static const char bits32_reason[] = "it is a 32-bit process, whose libraries get no probes";

/* NULL: what it is was not found out. */
static const char *name_of(const struct coverage_file *file)
{
	if (file->parts & PART_GNUTLS)
		return "gnutls";
	return file->parts ? "openssl" : file->name;
}

static const char *reason_of(const struct coverage_file *file)
{
	if (file->state == COVERAGE_ATTACHED)
		return NULL;
	return file->reason ? file->reason : states[file->state].reason;
}

static struct json *what_it_is(const struct coverage_file *file)
{
	struct json *object = object_begin();

	object_raw(object, "name", name_of(file), ID_TEXT_MAX);
	object_raw(object, "version", file->version[0] ? file->version : NULL, ID_TEXT_MAX);
	object_raw(object, "path", file->path, PATH_TEXT_MAX);
	object_text(object, "state", states[file->state].word, ID_TEXT_MAX);
	return object;
}

struct json *coverage_libraries(const struct coverage *coverage)
{
	struct json *list = array_begin();

	for (size_t i = 0; i < coverage->files_count; i++) {
		const struct coverage_file *file = &coverage->files[i];
		struct json *object = what_it_is(file);

		object_raw(object, "reason", reason_of(file), TEXT_MAX);
		object_hex(object, "build_id", file->build_id, file->build_id_len, false);
		object_count(object, "device", file->device);
		object_count(object, "inode", file->inode);
		object_count(object, "processes", file->processes);
		if (file->state == COVERAGE_ATTACHED || file->state == COVERAGE_SILENT)
			object_count(object, "slot", file->slot);
		if (file->attach_us >= 0)
			object_number(object, "attach_us", file->attach_us);
		array_child(list, object);
	}
	return list;
}

/* Each reason once: a process may map several files of one kind. */
static void reasons_add(const char *reasons[], size_t *count, const char *reason)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(reasons[i], reason) == 0)
			return;
	reasons[(*count)++] = reason;
}

static void put_reasons(struct json *object, const struct coverage *coverage, const struct coverage_process *process)
{
	const char **reasons CLEANUP_FREE = xcalloc(process->files_count + 1, sizeof(*reasons));
	struct json *list = array_begin();
	size_t count = 0;

	if (process->bits32)
		reasons_add(reasons, &count, bits32_reason);
	for (size_t i = 0; i < process->files_count && !process->bits32; i++) {
		const char *reason = reason_of(&coverage->files[process->files[i]]);

		if (reason)
			reasons_add(reasons, &count, reason);
	}
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *safe = text_escape(reasons[i], strlen(reasons[i]));

		array_text(list, safe, TEXT_MAX);
	}
	object_child(object, "reasons", list);
}

struct json *coverage_processes(const struct coverage *coverage)
{
	struct json *list = array_begin();

	for (size_t i = 0; i < coverage->processes_count; i++) {
		const struct coverage_process *process = &coverage->processes[i];
		struct json *object = object_begin(), *uses = array_begin();

		object_count(object, "pid", process->pid);
		object_raw(object, "name", process->name, ID_TEXT_MAX);
		object_raw(object, "executable", process->exe, PATH_TEXT_MAX);
		object_flag(object, "covered", process->covered);
		for (size_t k = 0; k < process->files_count; k++)
			array_child(uses, what_it_is(&coverage->files[process->files[k]]));
		object_child(object, "uses", uses);
		if (!process->covered)
			put_reasons(object, coverage, process);
		array_child(list, object);
	}
	return list;
}

struct json *coverage_counts(const struct coverage *coverage)
{
	struct json *object = object_begin();
	size_t covered = 0;

	for (size_t i = 0; i < coverage->processes_count; i++)
		covered += coverage->processes[i].covered;
	object_count(object, "covered", covered);
	object_count(object, "not_covered", coverage->processes_count - covered);
	object_count(object, "unread", coverage->processes_unread);
	return object;
}

/* What is counted in steps is at most a quarter too large. */
static uint64_t at_most(uint64_t value, uint64_t most)
{
	return value < most ? value : most;
}

struct json *coverage_times(const struct coverage *coverage)
{
	struct json *object = object_begin();

	object_count(object, "count", coverage->attach_us.count);
	object_count(object, "p50", at_most(coverage->attach_us.p50, coverage->attach_us.most));
	object_count(object, "p99", at_most(coverage->attach_us.p99, coverage->attach_us.most));
	object_count(object, "most", coverage->attach_us.most);
	return object;
}

struct json *coverage_finding(const struct coverage *coverage)
{
	struct json *object = object_begin();

	object_count(object, "files_examined", coverage->files_examined);
	object_count(object, "attached", coverage->attached_ever);
	object_count(object, "detached", coverage->detached_ever);
	object_count(object, "lost_mappings", coverage->mappings_lost);
	return object;
}
