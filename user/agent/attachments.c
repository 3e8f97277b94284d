/* Slots, and when they are left.
 *
 * Nothing tells of an unmapping. So each file has witnesses, processes that map it; when something has happened on the host,
 * they are looked at, one stat(2) each, and all of /proc only for files without one. The probes hold the file and its mount:
 * until they are off, a container's file system cannot be unmounted. */
#include "attachments.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "mapped.h"
#include "search.h"
#include "util.h"

void attachments_init(struct attachments *attachments, struct probes *probes, struct askers *askers, int channel,
		      struct catalog *catalog)
{
	*attachments = (struct attachments){.probes = probes, .askers = askers, .channel = channel, .catalog = catalog};
	for (uint32_t slot = 0; slot < LIBRARIES_MAX; slot++)
		attachments->free_slots[slot] = slot;
}

void attachments_clear(struct attachments *attachments)
{
	for (struct attachment *attachment = attachments->first, *next; attachment; attachment = next) {
		next = attachment->next;
		free(attachment);
	}
	attachments->first = NULL;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int opened_check(const struct catalog_file *file, int fd)
{
	struct stat stat;

	if (fd >= 0 && fstat(fd, &stat) == 0 && catalog_is(file, &stat) && !catalog_changed(file, &stat))
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENOENT;
}

int file_open(const struct catalog_file *file)
{
	int fd = file->fd >= 0 ? opened_check(file, fcntl(file->fd, F_DUPFD_CLOEXEC, 3)) : -ENOENT;

	for (size_t i = 0; fd < 0 && i < WITNESSES_MAX; i++)
		if (file->witnesses[i].pid)
			fd = opened_check(file, mapped_open(&file->witnesses[i]));
	for (size_t i = 0; fd < 0 && i < WITNESSES_MAX; i++)
		if (file->witnesses[i].pid)
			fd = opened_check(file, path_open(file->witnesses[i].pid, file->path));
	return fd >= 0 ? fd : opened_check(file, path_open(0, file->installed ? file->installed : file->path));
}

/* --- putting ------------------------------------------------------------------------------------------------------- */

/* What root has put on the host's own file system is as good as installed: a program that runs for a moment each hour must not be
 * a stranger each time. Other file systems may be unmounted, which a probe would prevent. */
static void file_reside(struct catalog_file *file)
{
	struct stat root, there;

	if (!file->installed && file->owner == 0 && stat("/", &root) == 0 && stat(file->path, &there) == 0 &&
	    there.st_dev == root.st_dev && catalog_is(file, &there))
		file->installed = xstrdup(file->path);
}

void attachments_member(struct attachment *attachment, struct catalog_file *file)
{
	file_reside(file);
	file->stage = FILE_SETTLED;
	file->attachment = attachment;
	file->member = attachment->members;
	attachment->members = file;
	if (file->fd >= 0)
		close(TAKE_FD(file->fd));
}

static void tell(const struct attachments *attachments, const struct attachment *attachment, enum message_tag tag,
		 const char *text)
{
	struct message message = {.tag = tag, .library = attachment->told};

	snprintf(message.text, sizeof(message.text), "%s", text ? text : "");
	message_send(attachments->channel, &message, -1);
}

static void check_ask(const struct attachments *attachments, struct attachment *attachment,
		      struct catalog_file *const *files, const int *fds, size_t count)
{
	struct inquiry *inquiry = inquiry_new(INQUIRY_CHECK);

	inquiry->attachment = attachment;
	inquiry->slot = attachment->slot;
	for (size_t i = 0; i < count; i++) {
		inquiry->fd[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		memcpy(inquiry->site[i], files[i]->answer.site, sizeof(inquiry->site[i]));
	}
	/* With a thousand libraries at once, not each is checked. */
	if (inquiry->fd[0] < 0 || (count > 1 && inquiry->fd[1] < 0) || askers_add(attachments->askers, inquiry) < 0)
		inquiry_free(inquiry);
}

/* A half could not have been attached before the other came. */
static void latency_take(struct attachments *attachments, struct catalog_file *const *files, size_t count)
{
	int64_t now = now_ns(), mapped = 0;
	uint64_t took;

	for (size_t i = 0; i < count; i++)
		if (files[i]->mapped_ns > mapped)
			mapped = files[i]->mapped_ns;
	if (!mapped || mapped > now)
		return;
	took = (uint64_t)(now - mapped) / 1000;
	for (size_t i = 0; i < count; i++)
		files[i]->attach_us = (int64_t)took;
	spread_add(&attachments->attach_us, took);
	if (took > attachments->attach_us_most)
		attachments->attach_us_most = took;
}

int attachments_put(struct attachments *attachments, const struct library_layout *layout, struct catalog_file *const *files,
		    const int *fds, size_t count)
{
	struct probes_file on[2];
	struct attachment *attachment;
	uint32_t slot;
	int err;

	if (attachments->count == LIBRARIES_MAX)
		return -ENOSPC;
	slot = attachments->free_slots[attachments->free_at % LIBRARIES_MAX];
	for (size_t i = 0; i < count; i++)
		on[i] = (struct probes_file){.fd = fds[i], .site = files[i]->answer.site};
	err = probes_attach(attachments->probes, slot, layout, on, count);
	if (err)
		return err;
	attachments->free_at++;
	attachments->count++;
	attachments->ever++;
	latency_take(attachments, files, count);
	attachment = xcalloc(1, sizeof(*attachment));
	attachment->slot = slot;
	attachment->layout = *layout;
	attachment->told = (struct message_library){
		.slot = slot, .kind = layout->kind, .build_id_len = files[0]->answer.build_id_len};
	snprintf(attachment->told.path, sizeof(attachment->told.path), "%s", files[0]->path);
	memcpy(attachment->told.version, files[0]->answer.version, sizeof(attachment->told.version));
	memcpy(attachment->told.build_id, files[0]->answer.build_id, sizeof(attachment->told.build_id));
	attachment->next = attachments->first;
	attachments->first = attachment;
	tell(attachments, attachment, MESSAGE_LIBRARY, NULL);
	check_ask(attachments, attachment, files, fds, count);
	for (size_t i = 0; i < count; i++)
		attachments_member(attachment, files[i]);
	return 0;
}

/* One real file has one size and one change time, by whatever way it is met; its pages settle it. */
static bool is_view(const struct catalog_file *file, int fd, const struct catalog_file *member)
{
	int other CLEANUP_CLOSE = -1;

	if (member->size != file->size || member->ctime_ns != file->ctime_ns || member->mtime_ns != file->mtime_ns)
		return false;
	other = file_open(member);
	return other >= 0 && same_pages(fd, other);
}

bool attachments_join(struct attachments *attachments, struct catalog_file *file, int fd)
{
	for (struct attachment *attachment = attachments->first; attachment; attachment = attachment->next)
		for (struct catalog_file *member = attachment->members; member; member = member->member)
			if (is_view(file, fd, member)) {
				file->view = true;
				attachments_member(attachment, file);
				return true;
			}
	return false;
}

void attachments_checked(struct attachments *attachments, const struct inquiry *inquiry)
{
	char text[MESSAGE_TEXT];

	/* A check that could not be made says nothing. */
	if (!inquiry->attachment || inquiry->result <= 0)
		return;
	inquiry->attachment->silent = true;
	snprintf(text, sizeof(text), "it is attached, but a self-check did not see %d of its probes fire", inquiry->result);
	tell(attachments, inquiry->attachment, MESSAGE_UNSUPPORTED, text);
}

/* --- leaving ------------------------------------------------------------------------------------------------------- */

static bool witness_stat(struct catalog_file *file, struct stat *ret)
{
	for (size_t i = 0; i < WITNESSES_MAX; i++) {
		struct witness *witness = &file->witnesses[i];
		if (witness->pid && mapped_stat(witness, ret) && catalog_is(file, ret))
			return true;
		witness->pid = 0;
	}
	return false;
}

bool file_witnessed(struct catalog_file *file)
{
	struct stat there;

	return witness_stat(file, &there);
}

enum life { LIFE_NONE, LIFE_FOUND, LIFE_CHANGED };

static enum life member_life(struct catalog_file *file, bool *ret_replaced)
{
	struct stat there;

	if (file->installed) {
		if (stat(file->installed, &there) == 0 && catalog_is(file, &there))
			return catalog_changed(file, &there) ? LIFE_CHANGED : LIFE_FOUND;
		free(TAKE_PTR(file->installed));
		*ret_replaced = true;
	}
	return !witness_stat(file, &there) ? LIFE_NONE : catalog_changed(file, &there) ? LIFE_CHANGED : LIFE_FOUND;
}

/* Views that are copies by now (overlayfs copies what is written to), and so other files. */
static void copies_leave(struct attachments *attachments, struct attachment *attachment, bool *ret_replaced)
{
	for (struct catalog_file **link = &attachment->members, *file; (file = *link);) {
		if (!file->view || member_life(file, ret_replaced) != LIFE_CHANGED) {
			link = &file->member;
			continue;
		}
		*link = file->member;
		catalog_remove(attachments->catalog, file);
		*ret_replaced = true;
	}
}

/* Each is looked at, so that what was written over is found. */
static enum life attachment_life(struct attachments *attachments, struct attachment *attachment, bool *ret_replaced)
{
	enum life own = LIFE_NONE, view = LIFE_NONE;

	for (struct catalog_file *member = attachment->members; member; member = member->member) {
		enum life its = member_life(member, ret_replaced), *whose = member->view ? &view : &own;
		member->met = its != LIFE_NONE;
		if (its > *whose)
			*whose = its;
	}
	if (own == LIFE_FOUND && view == LIFE_CHANGED) {
		copies_leave(attachments, attachment, ret_replaced);
		return own;
	}
	return own > view ? own : view;
}

static bool any_met(const struct attachment *attachment, bool views)
{
	for (const struct catalog_file *member = attachment->members; member; member = member->member)
		if (member->met && (views || !member->view))
			return true;
	return false;
}

static void detach(struct attachments *attachments, struct attachment *attachment)
{
	struct attachment **link = &attachments->first;

	while (*link != attachment)
		link = &(*link)->next;
	*link = attachment->next;
	askers_drop(attachments->askers, attachment);
	probes_detach(attachments->probes, attachment->slot);
	attachments->count--;
	attachments->detached++;
	attachments->free_slots[(attachments->free_at + LIBRARIES_MAX - attachments->count - 1) % LIBRARIES_MAX] =
		attachment->slot;
	tell(attachments, attachment, MESSAGE_DETACHED, NULL);
	for (struct catalog_file *member = attachment->members, *next; member; member = next) {
		next = member->member;
		catalog_remove(attachments->catalog, member);
	}
	free(attachment);
}

/* All processes once, for files of which nobody is known to map them: of attachments whose own files nobody does, and views. */
static void search_lost(struct attachments *attachments)
{
	struct catalog_file **files CLEANUP_FREE = NULL;
	size_t count = 0, room = 0;

	for (struct attachment *attachment = attachments->first; attachment; attachment = attachment->next) {
		bool own = any_met(attachment, false);
		for (struct catalog_file *member = attachment->members; member; member = member->member) {
			if (member->met || (own && !member->view))
				continue;
			if (count == room)
				files = xrealloc(files, room = room ? 2 * room : 64, sizeof(struct catalog_file *));
			files[count++] = member;
		}
	}
	files_search(files, count);
}

static void views_leave(struct attachments *attachments, struct attachment *attachment)
{
	for (struct catalog_file **link = &attachment->members, *file; (file = *link);) {
		if (file->met || !file->view) {
			link = &file->member;
			continue;
		}
		*link = file->member;
		catalog_remove(attachments->catalog, file);
	}
}

/* A member that is mapped and has one of those parts. */
static struct catalog_file *mapped_part(const struct attachment *attachment, uint32_t parts)
{
	struct catalog_file *member = attachment->members;

	while (member && !(member->met && member->answer.parts & parts))
		member = member->member;
	return member;
}

/* Its probes hold the mount by which its file was met first, and that is wanted no longer, while the file is still mapped by
 * another way: new probes go there, and only then the old ones off. What is verified in between is told of twice, not never. */
static void move(struct attachments *attachments, struct attachment *old)
{
	/* A libcrypto first: the library is told of by its name. */
	struct catalog_file *files[2] = {mapped_part(old, ~(uint32_t)PART_SSL), mapped_part(old, PART_SSL)}, *views = NULL;
	int first CLEANUP_CLOSE = files[0] ? file_open(files[0]) : -1;
	bool both = files[0] && files[0]->answer.parts & PART_SSL;
	int second CLEANUP_CLOSE = files[1] && !both ? file_open(files[1]) : -1;
	size_t count = 0;
	int err;

	count += first >= 0;
	count += second >= 0;
	if (second < 0)
		files[1] = NULL;
	if (first < 0) {
		files[0] = files[1];
		files[1] = NULL;
		first = TAKE_FD(second);
	}
	if (!count)
		return;
	for (struct catalog_file **link = &old->members, *file; (file = *link);) {
		if (!file->met) {
			link = &file->member;
			continue;
		}
		*link = file->member;
		file->attachment = NULL;
		file->mapped_ns = 0; /* that was timed */
		file->view = file != files[0] && file != files[1];
		if (file->view) {
			file->member = views;
			views = file;
		}
	}
	err = attachments_put(attachments, &old->layout, files, (const int[]){first, second}, count);
	for (size_t i = 0; err && i < count; i++)
		attachments_member(old, files[i]);
	for (struct catalog_file *file = views, *next; file; file = next) {
		next = file->member;
		attachments_member(err ? old : files[0]->attachment, file);
	}
	if (!err)
		detach(attachments, old);
}

bool attachments_tidy(struct attachments *attachments, bool *ret_changed)
{
	bool any;

	*ret_changed = false;
	for (struct attachment *attachment = attachments->first, *next; attachment; attachment = next) {
		next = attachment->next;
		if (attachment_life(attachments, attachment, ret_changed) != LIFE_CHANGED)
			continue;
		detach(attachments, attachment);
		*ret_changed = true;
	}
	any = *ret_changed;
	search_lost(attachments);
	for (struct attachment *attachment = attachments->first, *next; attachment; attachment = next) {
		next = attachment->next;
		if (any_met(attachment, false)) {
			views_leave(attachments, attachment);
			continue;
		}
		if (any_met(attachment, true))
			move(attachments, attachment);
		else
			detach(attachments, attachment);
		any = true;
	}
	return any;
}
