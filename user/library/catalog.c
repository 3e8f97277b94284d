/* Which files are known, and what they answered.
 *
 * By inode, not by build id: that is a text which an attacker's file can copy, to have the layout of its choice used for a
 * genuine library. A number of an inode is used again when a file has gone, so size and times count as well; only a file
 * whose probes are in place cannot go, as they hold it. Owns its entries and the descriptors in them. */
#include "catalog.h"

#include "util.h"

enum { BUCKETS = 4096 };

struct catalog {
	struct catalog_file *buckets[BUCKETS]; /* along in_bucket */
	struct catalog_file *first;            /* all, along next */
	size_t count;
};

void catalog_new(struct catalog **ret)
{
	*ret = xcalloc(1, sizeof(**ret));
}

static void file_free(struct catalog_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->installed);
	free(file->reason);
	free(file);
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	for (struct catalog_file *file = catalog->first, *next; file; file = next) {
		next = file->next;
		file_free(file);
	}
	free(catalog);
}

struct catalog_file *catalog_first(const struct catalog *catalog)
{
	return catalog->first;
}

size_t catalog_count(const struct catalog *catalog)
{
	return catalog->count;
}

static int64_t nanoseconds(const struct timespec *time)
{
	return time->tv_sec * 1000000000LL + time->tv_nsec;
}

static size_t bucket_of(dev_t device, ino_t inode)
{
	return (inode ^ device) % BUCKETS;
}

static struct catalog_file *find_number(const struct catalog *catalog, const struct stat *stat)
{
	struct catalog_file *file = catalog->buckets[bucket_of(stat->st_dev, stat->st_ino)];

	while (file && !catalog_is(file, stat))
		file = file->in_bucket;
	return file;
}

bool catalog_is(const struct catalog_file *file, const struct stat *stat)
{
	return file->device == stat->st_dev && file->inode == stat->st_ino;
}

bool catalog_changed(const struct catalog_file *file, const struct stat *stat)
{
	return file->size != stat->st_size || file->mtime_ns != nanoseconds(&stat->st_mtim);
}

struct catalog_file *catalog_find(const struct catalog *catalog, const struct stat *stat)
{
	struct catalog_file *file = find_number(catalog, stat);

	if (!file || file->attachment || file->stage == FILE_PENDING)
		return file;
	/* The change time alone also changes when a name of the file goes; asking once more costs little. */
	return !catalog_changed(file, stat) && file->ctime_ns == nanoseconds(&stat->st_ctim) ? file : NULL;
}

struct catalog_file *catalog_add(struct catalog *catalog, const struct stat *stat, const char *path)
{
	size_t bucket = bucket_of(stat->st_dev, stat->st_ino);
	struct catalog_file *file = find_number(catalog, stat);

	if (file)
		catalog_remove(catalog, file);
	file = xcalloc(1, sizeof(*file));
	file->device = stat->st_dev;
	file->inode = stat->st_ino;
	file->size = stat->st_size;
	file->mtime_ns = nanoseconds(&stat->st_mtim);
	file->ctime_ns = nanoseconds(&stat->st_ctim);
	file->owner = stat->st_uid;
	file->number = (struct file_number){.device = stat->st_dev, .inode = stat->st_ino}; /* so it is nearly always */
	file->path = xstrdup(path);
	file->fd = -1;
	file->attach_us = -1;
	file->in_bucket = catalog->buckets[bucket];
	catalog->buckets[bucket] = file;
	file->next = catalog->first;
	if (file->next)
		file->next->previous = file;
	catalog->first = file;
	catalog->count++;
	return file;
}

void catalog_remove(struct catalog *catalog, struct catalog_file *file)
{
	struct catalog_file **link = &catalog->buckets[bucket_of(file->device, file->inode)];

	while (*link != file)
		link = &(*link)->in_bucket;
	*link = file->in_bucket;
	if (file->previous)
		file->previous->next = file->next;
	else
		catalog->first = file->next;
	if (file->next)
		file->next->previous = file->previous;
	catalog->count--;
	file_free(file);
}

bool witness_add(struct catalog_file *file, const struct witness *witness)
{
	struct witness *room = NULL;

	for (size_t i = 0; i < WITNESSES_MAX; i++) {
		if (file->witnesses[i].pid == witness->pid)
			return false;
		if (!room && !file->witnesses[i].pid)
			room = &file->witnesses[i];
	}
	if (!room)
		return false;
	*room = *witness;
	return true;
}
