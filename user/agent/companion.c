/* Finding the other half of an OpenSSL.
 *
 * By its name beside this one, or else in the process that maps both. Whose file it is matters: with a libssl of his own a user
 * could have a genuine libcrypto read by a layout of his choice, in everybody's processes. */
#include "companion.h"

#include <string.h>

#include "util.h"

bool companion_trusts(const struct catalog_file *file, const struct catalog_file *other)
{
	return other->owner == 0 || other->owner == file->owner;
}

struct want {
	struct libraries *libraries;
	const char *path; /* that very one; or NULL: any */
	uint32_t part;
	struct catalog_file *found;
	bool pending; /* one that may be it is being examined: it will look for this one */
};

/* False: it cannot be it. */
static bool take(struct want *want, struct catalog_file *file)
{
	if (!file)
		return false;
	if (file->stage == FILE_PENDING)
		want->pending = true;
	else if (file->answer.parts & want->part)
		want->found = file;
	return want->pending || want->found;
}

static void want_mapped(void *context, const struct mapped *mapped)
{
	struct want *want = context;

	if (want->found || (want->path ? strcmp(mapped->path, want->path) != 0 :
					 !strstr(mapped->path, "ssl") && !strstr(mapped->path, "crypto")))
		return;
	take(want, libraries_look_mapped(want->libraries, mapped, 0));
}

static bool find_mapped(struct want *want, const struct catalog_file *file)
{
	for (size_t i = 0; !want->found && i < WITNESSES_MAX; i++)
		if (file->witnesses[i].pid)
			mapped_each(file->witnesses[i].pid, want_mapped, want);
	return want->found || want->pending;
}

/* Met by that name before: its process may have gone. */
static bool find_known(struct want *want, const struct catalog_file *file)
{
	for (struct catalog_file *other = catalog_first(want->libraries->catalog); other; other = other->next)
		if (other->device == file->device && strcmp(other->path, want->path) == 0 && take(want, other))
			return true;
	return false;
}

static bool find_beside(struct want *want, const struct catalog_file *file)
{
	for (size_t i = 0; i <= WITNESSES_MAX; i++) {
		/* The last look is our own, for what is installed. */
		uint32_t pid = i < WITNESSES_MAX ? file->witnesses[i].pid : 0;
		int fd CLEANUP_CLOSE = pid || (i == WITNESSES_MAX && file->installed) ? path_open(pid, want->path) : -1;
		const struct sighting sighting = {.fd = fd, .path = want->path};

		if (fd >= 0 && take(want, libraries_look(want->libraries, &sighting)))
			return true;
	}
	return false;
}

struct catalog_file *companion_find(struct libraries *libraries, struct catalog_file *file)
{
	char *path CLEANUP_FREE = companion_path(file->installed ? file->installed : file->path);
	struct want want = {
		.libraries = libraries,
		.path = path,
		.part = file->answer.parts & PART_CRYPTO ? PART_SSL : PART_CRYPTO,
	};

	/* A process may have several mapped: the one that lies beside this one goes before any other. */
	if (path && (find_mapped(&want, file) || find_known(&want, file) || find_beside(&want, file)))
		return want.found;
	want.path = NULL;
	return find_mapped(&want, file) ? want.found : NULL;
}
