/* From a file that was met to probes on it.
 *
 *   met → examined (askers) ─┬→ GnuTLS, or both halves of an OpenSSL → attached
 *                            ├→ one half → open, until the other is met → attached
 *                            ├→ did not answer, 32-bit, without symbols → told as unsupported
 *                            └→ nothing of ours → settled
 *
 * Owns the catalog, the askers and the attachments. The catalog has an entry for each file of code that was ever mapped;
 * beyond forget_at entries those that nothing maps are forgotten, and if that is less than half of them, the bound doubles: what
 * is mapped at once is what it takes. */
#include "libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "companion.h"
#include "search.h"
#include "traces.h"
#include "util.h"

enum { FORGET_AT = 16384 };

int libraries_new(struct probes *probes, int channel, int wake, struct libraries **ret)
{
	struct libraries *libraries = xcalloc(1, sizeof(*libraries));
	int err = askers_new(probes, wake, &libraries->askers);

	if (err) {
		free(libraries);
		return err;
	}
	libraries->channel = channel;
	libraries->forget_at = FORGET_AT;
	catalog_new(&libraries->catalog);
	attachments_init(&libraries->attachments, probes, libraries->askers, channel, libraries->catalog);
	*ret = libraries;
	return 0;
}

void libraries_free(struct libraries *libraries)
{
	if (!libraries)
		return;
	askers_free(libraries->askers);
	attachments_clear(&libraries->attachments);
	catalog_free(libraries->catalog);
	free(libraries);
}

/* --- settling ------------------------------------------------------------------------------------------------------ */

static void settled(struct catalog_file *file, const char *why)
{
	file->stage = FILE_SETTLED;
	free(file->reason);
	file->reason = why ? xstrdup(why) : NULL;
	if (file->fd >= 0)
		close(TAKE_FD(file->fd));
}

static void unsupported(struct libraries *libraries, struct catalog_file *file, const char *why)
{
	struct message message = {.tag = MESSAGE_UNSUPPORTED};

	settled(file, why);
	snprintf(message.text, sizeof(message.text), "%s", file->reason);
	snprintf(message.library.path, sizeof(message.library.path), "%s", file->path);
	memcpy(message.library.version, file->answer.version, sizeof(message.library.version));
	memcpy(message.library.build_id, file->answer.build_id, sizeof(message.library.build_id));
	message.library.build_id_len = file->answer.build_id_len;
	message.library.kind = file->answer.wanted & PART_GNUTLS ? LIBRARY_GNUTLS : LIBRARY_OPENSSL;
	message_send(libraries->channel, &message, -1);
}

static void put(struct libraries *libraries, const struct library_layout *layout, struct catalog_file *const *files,
		const int *fds, size_t count)
{
	int err = attachments_put(&libraries->attachments, layout, files, fds, count);

	if (err == -ENOSPC)
		unsupported(libraries, files[0], "too many libraries are attached");
	else if (err) {
		char *why CLEANUP_FREE = xasprintf("its probes could not be attached: %s", strerror(-err));
		unsupported(libraries, files[0], why);
	}
	for (size_t i = 1; err && i < count; i++)
		settled(files[i], files[0]->reason);
}

/* With nothing to probe but what has probes already. */
static bool needs_probes(const struct catalog_file *file)
{
	for (size_t i = 0; i < SITE_COUNT; i++)
		if (file->answer.site[i])
			return !file->attachment;
	return false;
}

/* Whichever of them has no probes yet gets them, in one slot. A libssl that came second, with a libcrypto that has its own, gets a
 * slot of its own. */
static void put_pair(struct libraries *libraries, struct catalog_file *crypto, struct catalog_file *ssl, int crypto_fd,
		     int ssl_fd)
{
	struct library_layout layout = library_pair_layout(&crypto->answer, &ssl->answer);
	struct catalog_file *files[2];
	int fds[2];
	size_t count = 0;

	if (needs_probes(crypto) && crypto_fd >= 0 && companion_trusts(crypto, ssl)) {
		files[count] = crypto;
		fds[count++] = crypto_fd;
	}
	if (needs_probes(ssl) && ssl_fd >= 0 && companion_trusts(ssl, crypto)) {
		files[count] = ssl;
		fds[count++] = ssl_fd;
	}
	if (count)
		put(libraries, &layout, files, fds, count);
	if (!ssl->attachment && crypto->attachment)
		attachments_member(crypto->attachment, ssl);
}

static void settle_half(struct libraries *libraries, struct catalog_file *file, int fd)
{
	struct catalog_file *other = companion_find(libraries, file);
	int other_fd CLEANUP_CLOSE = -1;

	/* A libssl that is mapped later finds its libcrypto; its process may have gone by then, so the file is kept open a while. */
	if (!other) {
		if (file->fd < 0)
			file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return;
	}
	if (!other->attachment) {
		other_fd = file_open(other);
		if (other_fd >= 0)
			attachments_join(&libraries->attachments, other, other_fd);
	}
	if (file->answer.parts & PART_CRYPTO)
		put_pair(libraries, file, other, fd, other_fd);
	else
		put_pair(libraries, other, file, other_fd, fd);
}

static void settle_attachable(struct libraries *libraries, struct catalog_file *file, int fd)
{
	const struct library_answer *answer = &file->answer;
	const uint32_t both = PART_CRYPTO | PART_SSL;
	struct library_layout layout;

	if (attachments_join(&libraries->attachments, file, fd))
		return;
	if (answer->parts & PART_GNUTLS)
		layout = (struct library_layout){.kind = LIBRARY_GNUTLS, .gnutls = answer->gnutls};
	else if ((answer->parts & both) == both)
		layout = library_pair_layout(answer, answer);
	else {
		settle_half(libraries, file, fd);
		return;
	}
	put(libraries, &layout, &file, &fd, 1);
}

/* The file, open at fd, has been examined, and its other half may have come. */
static void settle(struct libraries *libraries, struct catalog_file *file, int fd)
{
	const struct library_answer *answer = &file->answer;
	uint32_t texts = file->traces & (TRACE_OPENSSL_TEXT | TRACE_GNUTLS_TEXT);

	if (file->stage != FILE_OPEN || libraries->settling)
		return;
	libraries->settling = true;
	if (answer->wanted & ~answer->parts ||
	    (!answer->wanted && answer->reason[0] && strcmp(answer->reason, LIBRARY_NOT_CONCERNED) != 0))
		unsupported(libraries, file, answer->reason);
	else if (answer->parts)
		settle_attachable(libraries, file, fd);
	else if (texts)
		unsupported(libraries, file, traces_why(texts));
	else
		settled(file, traces_why(file->traces));
	libraries->settling = false;
}

/* --- looking ------------------------------------------------------------------------------------------------------- */

/* False: there is no descriptor for it. */
static bool examine(struct libraries *libraries, struct catalog_file *file, const struct sighting *sighting)
{
	struct inquiry *inquiry = inquiry_new(INQUIRY_EXAMINE);

	inquiry->fd[0] = fcntl(sighting->fd, F_DUPFD_CLOEXEC, 3);
	inquiry->path = xstrdup(sighting->path);
	inquiry->device = file->device;
	inquiry->owner = file->owner;
	inquiry->file = file;
	if (inquiry->fd[0] >= 0 && askers_add(libraries->askers, inquiry) == 0)
		return true;
	inquiry_free(inquiry);
	return false;
}

struct catalog_file *libraries_look(struct libraries *libraries, const struct sighting *sighting)
{
	struct catalog_file *file;
	struct stat stat;

	if (fstat(sighting->fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		return NULL;
	file = catalog_find(libraries->catalog, &stat);
	if (!file) {
		file = catalog_add(libraries->catalog, &stat, sighting->path);
		file->mapped_ns = sighting->time_ns;
		if (!examine(libraries, file, sighting)) {
			catalog_remove(libraries->catalog, file);
			libraries->missed = true;
			return NULL;
		}
	}
	if (sighting->number.inode)
		file->number = sighting->number;
	if (sighting->installed && !file->installed)
		file->installed = xstrdup(sighting->path);
	if (sighting->at.pid)
		witness_add(file, &sighting->at);
	settle(libraries, file, sighting->fd);
	return file;
}

/* What is asked and checked is mapped by children of ours, which use no library. */
static bool is_child(uint32_t pid)
{
	char path[64], *text CLEANUP_FREE = NULL;
	const char *end;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (file_read(path, 4096, &text, &len) < 0)
		return false;
	end = strrchr(text, ')'); /* of its name, which is any text */
	return end && strtol(end + strlen(") S "), NULL, 10) == getpid();
}

struct catalog_file *libraries_look_mapped(struct libraries *libraries, const struct mapped *mapped, int64_t time_ns)
{
	struct sighting sighting = {.path = mapped->path, .time_ns = time_ns};
	int fd CLEANUP_CLOSE = -1;

	if (is_child(mapped->at.pid))
		return NULL;
	fd = mapped_open(&mapped->at);
	if (fd >= 0) {
		sighting.at = mapped->at;
		sighting.number = mapped->number;
	} else {
		/* The process has gone, and with it a mount namespace of its own. */
		fd = path_open(0, mapped->path);
	}
	sighting.fd = fd;
	return fd >= 0 ? libraries_look(libraries, &sighting) : NULL;
}

static void examined(struct libraries *libraries, const struct inquiry *inquiry)
{
	struct catalog_file *file = inquiry->file;

	if (inquiry->result < 0) { /* not readable, or no room: the next mapping is another chance */
		libraries->missed |= inquiry->result == -ECANCELED;
		catalog_remove(libraries->catalog, file);
		return;
	}
	libraries->examined++;
	file->stage = FILE_OPEN;
	file->traces = inquiry->found.traces;
	file->bits32 = inquiry->found.bits32;
	file->answer = inquiry->found.answer;
	settle(libraries, file, inquiry->fd[0]);
}

void libraries_answers(struct libraries *libraries)
{
	struct inquiry *inquiry;

	while ((inquiry = askers_take(libraries->askers))) {
		if (inquiry->kind == INQUIRY_EXAMINE)
			examined(libraries, inquiry);
		else
			attachments_checked(&libraries->attachments, inquiry);
		inquiry_free(inquiry);
	}
}

/* --- leaving ------------------------------------------------------------------------------------------------------- */

/* Removes those of the files that nothing maps. */
static void remove_unmapped(struct libraries *libraries, struct catalog_file **files, size_t count)
{
	files_search(files, count);
	for (size_t i = 0; i < count; i++)
		if (!files[i]->met)
			catalog_remove(libraries->catalog, files[i]);
}

static void forget(struct libraries *libraries)
{
	size_t count = 0;
	struct catalog_file **files CLEANUP_FREE = xcalloc(catalog_count(libraries->catalog), sizeof(struct catalog_file *));

	for (struct catalog_file *file = catalog_first(libraries->catalog); file; file = file->next)
		if (!file->attachment && file->stage != FILE_PENDING)
			files[count++] = file;
	remove_unmapped(libraries, files, count);
	if (catalog_count(libraries->catalog) > libraries->forget_at / 2)
		libraries->forget_at *= 2;
}

/* Halves that waited for the other in vain. What they keep open would hold their mount. */
static void leave_halves(struct libraries *libraries)
{
	struct catalog_file **files CLEANUP_FREE = NULL;
	size_t count = 0;

	for (struct catalog_file *file = catalog_first(libraries->catalog); file; file = file->next) {
		if (file->fd >= 0)
			close(TAKE_FD(file->fd));
		if (file->stage != FILE_OPEN || file->installed || file_witnessed(file))
			continue;
		files = xrealloc(files, count + 1, sizeof(struct catalog_file *));
		files[count++] = file;
	}
	remove_unmapped(libraries, files, count);
}

bool libraries_missed(struct libraries *libraries)
{
	if (!libraries->missed || askers_examining(libraries->askers) > WAITING_MAX / 2)
		return false;
	libraries->missed = false;
	return true;
}

bool libraries_tidy(struct libraries *libraries, bool *ret_again)
{
	bool left = attachments_tidy(&libraries->attachments, ret_again);

	leave_halves(libraries);
	*ret_again |= libraries_missed(libraries);
	if (catalog_count(libraries->catalog) <= libraries->forget_at)
		return left;
	forget(libraries);
	return true;
}
