/* See users.h. Owns the last answers, which count as long as the file is the same: that inode, of that size and those times.
 * Beyond USERS_KEPT the oldest goes, and is looked for in the file again. */
#include "users.h"

#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util.h"

enum {
	USERS_KEPT = 8,
	LINE_BYTES = 4096,  /* of one entry; a longer one is not read, nor what comes after it */
	CLOCK_COARSE_S = 2, /* what is written this soon after a change may leave the file's times as they were */
};

static const char path[] = "/etc/passwd";

struct user {
	uint32_t uid;
	char name[MESSAGE_USER];
};

static struct {
	pthread_mutex_t mutex; /* of all below; never held while a file is read */
	struct stat file;
	struct user users[USERS_KEPT];
	unsigned count, next;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static bool kept_find(const struct stat *file, uint32_t uid, char ret[MESSAGE_USER])
{
	bool found = false;

	pthread_mutex_lock(&kept.mutex);
	for (unsigned i = 0; same_file(file, &kept.file) && !found && i < kept.count; i++) {
		found = kept.users[i].uid == uid;
		if (found)
			memcpy(ret, kept.users[i].name, MESSAGE_USER);
	}
	pthread_mutex_unlock(&kept.mutex);
	return found;
}

static void keep(const struct stat *file, uint32_t uid, const char name[MESSAGE_USER])
{
	pthread_mutex_lock(&kept.mutex);
	if (!same_file(file, &kept.file)) {
		kept.file = *file;
		kept.count = kept.next = 0;
	}
	kept.users[kept.next].uid = uid;
	memcpy(kept.users[kept.next].name, name, MESSAGE_USER);
	kept.count += kept.count < USERS_KEPT;
	kept.next = (kept.next + 1) % USERS_KEPT;
	pthread_mutex_unlock(&kept.mutex);
}

static void name_read(FILE *file, uint32_t uid, char ret[MESSAGE_USER])
{
	struct passwd entry, *found;
	char line[LINE_BYTES];

	while (fgetpwent_r(file, &entry, line, sizeof(line), &found) == 0)
		if (entry.pw_uid == uid) {
			snprintf(ret, MESSAGE_USER, "%s", entry.pw_name);
			return;
		}
}

void user_name(uint32_t uid, char ret[MESSAGE_USER])
{
	FILE *file CLEANUP_FCLOSE = NULL;
	struct stat before, after;

	if (stat(path, &before) == 0 && kept_find(&before, uid, ret))
		return;
	memset(ret, 0, MESSAGE_USER);
	file = fopen(path, "re");
	if (!file || fstat(fileno(file), &before) < 0)
		return;
	name_read(file, uid, ret);
	/* Unchanged while it was read, and old enough for the next change to show. */
	if (fstat(fileno(file), &after) == 0 && same_file(&before, &after) &&
	    time(NULL) - after.st_ctim.tv_sec > CLOCK_COARSE_S)
		keep(&after, uid, ret);
}
