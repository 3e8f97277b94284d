/* Which files are known, and what they answered.
 *
 * Most executable files on a host have nothing to do with TLS. So before a file is asked, which costs a process, its bytes
 * are searched for the names of the functions that probes sit on: read in pieces, never mapped (a file cut short would end
 * us), never parsed. Answers are kept by inode, not by build id: that is a text which an attacker's file can copy, to have
 * the layout of its choice used for a genuine library. */
#include "catalog.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

enum {
	PIECE = 1 << 20,
	NEEDLE_MAX = 32,
	BUCKETS = 4096,
	SCAN_MAX =
		1
		<< 30, /* bytes of a file that are searched: string tables of larger files lie before that, or are not seen */
};

struct catalog {
	struct catalog_file *buckets[BUCKETS]; /* along in_bucket */
	struct catalog_file *first;            /* all, along next */
};

void catalog_new(struct catalog **ret)
{
	*ret = xcalloc(1, sizeof(**ret));
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	for (struct catalog_file *file = catalog->first, *next; file; file = next) {
		next = file->next;
		free(file->path);
		free(file);
	}
	free(catalog);
}

struct catalog_file *catalog_first(const struct catalog *catalog)
{
	return catalog->first;
}

static bool same_file(const struct catalog_file *file, const struct stat *stat, int64_t ctime_ns)
{
	return file->device == stat->st_dev && file->inode == stat->st_ino && file->ctime_ns == ctime_ns &&
	       file->size == stat->st_size;
}

/* Names with their NULs around them, as they stand in a string table. */
static const struct needle {
	const char *bytes;
	size_t len;
} needles[] = {
	{"\0X509_verify_cert", sizeof("\0X509_verify_cert")},
	{"\0SSL_get_verify_mode", sizeof("\0SSL_get_verify_mode")},
	{"\0gnutls_handshake", sizeof("\0gnutls_handshake")},
};

static bool piece_has_name(const char *piece, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(needles); i++)
		if (memmem(piece, len, needles[i].bytes, needles[i].len))
			return true;
	return false;
}

/* 1: names one; 0: none; -errno. */
static int file_has_name(int fd, int64_t size)
{
	char *piece CLEANUP_FREE = xcalloc(1, PIECE + NEEDLE_MAX);
	size_t kept = 0;

	for (int64_t at = 0; at < size && at < SCAN_MAX;) {
		ssize_t got = pread(fd, piece + kept, PIECE, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		if (piece_has_name(piece, kept + got))
			return 1;
		at += got;
		/* A name may lie across two pieces. */
		size_t filled = kept + got;
		kept = filled < NEEDLE_MAX ? filled : NEEDLE_MAX;
		memmove(piece, piece + filled - kept, kept);
	}
	return 0;
}

static void file_ask(int fd, struct catalog_file *file)
{
	int err = library_ask(fd, &file->answer);

	if (!err)
		err = library_answer_check(&file->answer, (uint64_t)file->size);
	if (err) {
		struct library_answer none = {.wanted = file->answer.wanted};
		snprintf(none.reason, sizeof(none.reason), "it did not answer: %s",
			 err == -ETIMEDOUT ? "no end in time" : strerror(-err));
		file->answer = none;
	}
}

int catalog_examine(struct catalog *catalog, int fd, const char *path, struct catalog_file **ret)
{
	struct catalog_file *file;
	struct stat stat;
	int64_t ctime_ns;
	size_t bucket;
	int named;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -EINVAL;
	ctime_ns = stat.st_ctim.tv_sec * 1000000000LL + stat.st_ctim.tv_nsec;
	bucket = (stat.st_ino ^ stat.st_dev) % BUCKETS;
	for (file = catalog->buckets[bucket]; file; file = file->in_bucket)
		if (same_file(file, &stat, ctime_ns)) {
			*ret = file;
			return 0;
		}
	named = file_has_name(fd, stat.st_size);
	if (named < 0)
		return named;
	file = xcalloc(1, sizeof(*file));
	file->device = stat.st_dev;
	file->inode = stat.st_ino;
	file->ctime_ns = ctime_ns;
	file->size = stat.st_size;
	file->path = xstrdup(path);
	file->candidate = named;
	if (named)
		file_ask(fd, file);
	else
		file->settled = true;
	file->in_bucket = catalog->buckets[bucket];
	catalog->buckets[bucket] = file;
	file->next = catalog->first;
	catalog->first = file;
	*ret = file;
	return 0;
}
