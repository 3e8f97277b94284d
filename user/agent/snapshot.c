/* A coverage in the making.
 *
 * The catalog is the finder's, so the files are copied there, with their numbers; then /proc, which takes longer, is read by
 * whoever wants to know of processes. Files that have nothing to do with TLS are left out. */
#include "snapshot.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "mapped.h"
#include "traces.h"
#include "util.h"

struct numbered {
	struct file_number number;
	uint32_t file;
};

struct snapshot {
	struct coverage *coverage;
	struct numbered *numbers; /* of each file; sorted before processes are looked at */
	struct coverage_process *current;
};

/* False: it has nothing to do with TLS, as far as is known. */
static bool state_of(const struct catalog_file *file, enum coverage_state *ret)
{
	if (file->attachment)
		*ret = file->attachment->silent ? COVERAGE_SILENT : COVERAGE_ATTACHED;
	else if (file->stage == FILE_PENDING)
		return false;
	else if (file->stage == FILE_OPEN)
		*ret = COVERAGE_INCOMPLETE;
	else if (!file->reason)
		return false;
	else
		*ret = file->answer.wanted || file->bits32 || !traces_name(file->traces) ? COVERAGE_UNSUPPORTED :
											   COVERAGE_FOREIGN;
	return true;
}

static const char *reason_of(const struct catalog_file *file, enum coverage_state state)
{
	switch (state) {
	case COVERAGE_SILENT:
		return "a self-check did not see all of its probes fire";
	case COVERAGE_INCOMPLETE:
		return file->answer.parts & PART_CRYPTO ? "no libssl that works with it was met" :
							  "no libcrypto that works with it was met";
	default:
		return file->reason;
	}
}

static void file_add(struct snapshot *snapshot, const struct catalog_file *file, enum coverage_state state)
{
	struct coverage *coverage = snapshot->coverage;
	const char *reason = reason_of(file, state);
	uint32_t index = (uint32_t)coverage->files_count;
	struct coverage_file *to;

	if ((index & (index - 1)) == 0) { /* room for twice as many */
		coverage->files = xrealloc(coverage->files, index ? 2 * index : 1, sizeof(*coverage->files));
		snapshot->numbers = xrealloc(snapshot->numbers, index ? 2 * index : 1, sizeof(*snapshot->numbers));
	}
	coverage->files_count++;
	snapshot->numbers[index] = (struct numbered){.number = file->number, .file = index};
	to = &coverage->files[index];
	*to = (struct coverage_file){
		.path = xstrdup(file->path),
		.device = file->device,
		.inode = file->inode,
		.state = state,
		.parts = file->answer.parts,
		.slot = file->attachment ? file->attachment->slot : 0,
		.build_id_len = file->answer.build_id_len,
		.name = state == COVERAGE_FOREIGN ? traces_name(file->traces) : NULL,
		.reason = reason ? xstrdup(reason) : NULL,
		.attach_us = file->attach_us,
	};
	memcpy(to->version, file->answer.version, sizeof(to->version));
	memcpy(to->build_id, file->answer.build_id, sizeof(to->build_id));
}

void snapshot_new(const struct libraries *libraries, uint64_t mappings_lost, struct snapshot **ret)
{
	struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));
	const struct attachments *attachments = &libraries->attachments;
	struct coverage *coverage = snapshot->coverage = xcalloc(1, sizeof(*coverage));
	enum coverage_state state;

	for (const struct catalog_file *file = catalog_first(libraries->catalog); file; file = file->next)
		if (state_of(file, &state))
			file_add(snapshot, file, state);
	coverage->files_examined = libraries->examined;
	coverage->mappings_lost = mappings_lost;
	coverage->attached_ever = attachments->ever;
	coverage->detached_ever = attachments->detached;
	coverage->attach_us.count = spread_count(&attachments->attach_us);
	coverage->attach_us.p50 = spread_at(&attachments->attach_us, 500);
	coverage->attach_us.p99 = spread_at(&attachments->attach_us, 990);
	coverage->attach_us.most = attachments->attach_us_most;
	*ret = snapshot;
}

/* --- processes ----------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct file_number *one = a, *other = b; /* first in struct numbered */

	if (one->inode != other->inode)
		return one->inode < other->inode ? -1 : 1;
	return (one->device > other->device) - (one->device < other->device);
}

static void process_mapped(void *context, const struct mapped *mapped)
{
	struct snapshot *snapshot = context;
	struct coverage_process *process = snapshot->current;
	const struct numbered *found = bsearch(&mapped->number, snapshot->numbers, snapshot->coverage->files_count,
					       sizeof(*snapshot->numbers), compare);

	if (!found)
		return;
	for (size_t i = 0; i < process->files_count; i++)
		if (process->files[i] == found->file)
			return;
	process->files = xrealloc(process->files, process->files_count + 1, sizeof(*process->files));
	process->files[process->files_count++] = found->file;
	snapshot->coverage->files[found->file].processes++;
	process->covered &= snapshot->coverage->files[found->file].state == COVERAGE_ATTACHED;
}

static void process_describe(struct coverage_process *process)
{
	char path[64], exe[4096];
	unsigned char ident[EI_NIDENT] = {};
	char *name CLEANUP_FREE = NULL;
	int fd CLEANUP_CLOSE = -1;
	ssize_t exe_len;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%u/comm", process->pid);
	if (file_read(path, 64, &name, &len) == 0)
		snprintf(process->name, sizeof(process->name), "%.*s", (int)strcspn(name, "\n"), name);
	snprintf(path, sizeof(path), "/proc/%u/exe", process->pid);
	exe_len = readlink(path, exe, sizeof(exe));
	if (exe_len > 0)
		process->exe = xstrndup(exe, (size_t)exe_len);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	process->bits32 = fd >= 0 && pread(fd, ident, sizeof(ident), 0) == (ssize_t)sizeof(ident) &&
			  memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_CLASS] == ELFCLASS32;
}

static void process_look(void *context, uint32_t pid)
{
	struct snapshot *snapshot = context;
	struct coverage *coverage = snapshot->coverage;
	struct coverage_process process = {.pid = pid, .covered = true};

	snapshot->current = &process;
	if (mapped_each(pid, process_mapped, snapshot) < 0)
		coverage->processes_unread++;
	if (process.files_count == 0)
		return;
	process_describe(&process);
	if ((coverage->processes_count & (coverage->processes_count - 1)) == 0)
		coverage->processes = xrealloc(coverage->processes,
					       coverage->processes_count ? 2 * coverage->processes_count : 1,
					       sizeof(*coverage->processes));
	coverage->processes[coverage->processes_count++] = process;
}

void snapshot_processes(struct snapshot *snapshot)
{
	if (snapshot->coverage->files_count == 0)
		return;
	qsort(snapshot->numbers, snapshot->coverage->files_count, sizeof(*snapshot->numbers), compare);
	processes_each(process_look, snapshot);
}

struct coverage *snapshot_take(struct snapshot *snapshot)
{
	struct coverage *coverage = TAKE_PTR(snapshot->coverage);

	snapshot_free(snapshot);
	return coverage;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	coverage_free(snapshot->coverage);
	free(snapshot->numbers);
	free(snapshot);
}
