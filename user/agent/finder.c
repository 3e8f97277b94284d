/* The thread that finds libraries.
 *
 *   installed, /proc at the start ──┐
 *   new mappings (perf) ────────────┼→ libraries.c → askers, probes
 *   something ended ──→ tidy ───────┘
 *
 * It waits for nothing but events, and for the judge to take a message. On a host where nothing happens it does nothing: only
 * after a record of perf (a mapping, or the beginning or end of a thread) libraries that nothing maps any more are looked for:
 * TIDY_AFTER_MS later, and at most each TIDY_EACH_MS. */
#include "finder.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "channel.h"
#include "libraries.h"
#include "mappings.h"
#include "snapshot.h"
#include "util.h"

enum {
	SEEN_MAX = 8192, /* mapped files remembered as done, so that an exec costs nothing; a wrong guess only costs time */
	TIDY_AFTER_MS = 100, /* a process that ends is recorded before its mappings have gone */
	TIDY_EACH_MS = 1000,
	TIDY_SHARE = 20,  /* a look at /proc may take long: that many times the processor time that it took is waited */
	START_MS = 10000, /* then the agent has started, even if files still are being asked that do not answer */
};

struct finder {
	struct libraries *libraries;
	struct mappings *mappings;
	int channel;
	uint64_t lost_told;
	uint64_t seen[SEEN_MAX]; /* hash of device, inode, generation, by its own low bits */
	int64_t begun_ms;        /* when it started; 0: it has said so */
	int64_t tidy_ms;         /* when to tidy; 0: nothing has happened */
	int64_t tidy_from_ms;    /* not before that */
	int64_t record_ms;       /* when the last records were read */
	pthread_t thread;
	int wake; /* eventfd: an asker is done, or what is below has changed */
	/* Shared with other threads. */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool stop;
	unsigned asking;       /* who wait for a snapshot */
	struct snapshot *made; /* the last, for those who wait */
};

/* Where libraries are installed: their probes are there before the first process comes. */
static const char *const installed[] = {
	"/lib/*/libcrypto.so*",           "/usr/lib/*/libcrypto.so*",       "/lib/*/libgnutls.so*",
	"/usr/lib/*/libgnutls.so*",       "/usr/lib64/libcrypto.so*",       "/usr/lib64/libgnutls.so*",
	"/usr/lib/libcrypto.so*",         "/usr/lib/libgnutls.so*",         "/usr/local/lib/libcrypto.so*",
	"/usr/local/lib/libgnutls.so*",   "/usr/local/lib64/libcrypto.so*", "/usr/local/lib/*/libcrypto.so*",
	"/usr/local/lib/*/libgnutls.so*",
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int64_t now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* --- what is looked at --------------------------------------------------------------------------------------------- */

static void look_at_mapped(void *context, const struct mapped *mapped)
{
	struct finder *finder = context;

	libraries_look_mapped(finder->libraries, mapped, 0);
}

static void look_at_process(void *context, uint32_t pid)
{
	struct finder *finder = context;

	mapped_each(pid, look_at_mapped, finder);
	libraries_answers(finder->libraries); /* each keeps a descriptor until then */
}

static void look_at_installed(struct finder *finder)
{
	for (size_t i = 0; i < ARRAY_SIZE(installed); i++) {
		glob_t found = {};
		if (glob(installed[i], 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc; k++) {
				char real[PATH_MAX];
				int fd CLEANUP_CLOSE = -1;
				if (!realpath(found.gl_pathv[k], real))
					continue;
				fd = path_open(0, real);
				if (fd >= 0)
					libraries_look(finder->libraries,
						       &(const struct sighting){.fd = fd, .path = real, .installed = true});
			}
		globfree(&found);
	}
}

static void look_at_all(struct finder *finder)
{
	look_at_installed(finder);
	processes_each(look_at_process, finder);
}

/* A file is done with if that very inode has been dealt with. A process that has gone takes a file of its own mount namespace
 * along, and a libcrypto can lack its libssl: those are looked at again the next time. */
static void on_mapping(void *context, const struct mapping *mapping)
{
	struct finder *finder = context;
	uint64_t hash = mapping->inode * 0x9e3779b97f4a7c15ULL ^ mapping->generation * 0xff51afd7ed558ccdULL ^
			((uint64_t)mapping->major << 32 | mapping->minor);
	uint64_t *seen = &finder->seen[(hash >> 20) % SEEN_MAX];
	const struct mapped mapped = {
		.at = {.pid = mapping->pid, .start = mapping->start, .end = mapping->start + mapping->len},
		.number = {.device = makedev(mapping->major, mapping->minor), .inode = mapping->inode},
		.path = mapping->path,
	};
	const struct catalog_file *file;

	if (*seen == hash)
		return;
	file = libraries_look_mapped(finder->libraries, &mapped, (int64_t)mapping->time_ns);
	if (file && file->stage == FILE_SETTLED && file->number.inode == mapping->inode &&
	    file->number.device == mapped.number.device)
		*seen = hash;
}

/* --- the thread ---------------------------------------------------------------------------------------------------- */

static void tidy_plan(struct finder *finder)
{
	int64_t due = finder->record_ms + TIDY_AFTER_MS;

	if (!finder->tidy_ms)
		finder->tidy_ms = due > finder->tidy_from_ms ? due : finder->tidy_from_ms;
}

static void mappings_take(struct finder *finder)
{
	struct message lost = {.tag = MESSAGE_LOST_MAPPINGS};

	if (mappings_read(finder->mappings, on_mapping, finder)) {
		finder->record_ms = now_ms();
		tidy_plan(finder);
	}
	if (mappings_lost(finder->mappings) == finder->lost_told)
		return;
	finder->lost_told = mappings_lost(finder->mappings);
	lost.number = (int64_t)finder->lost_told;
	message_send(finder->channel, &lost, -1);
	processes_each(look_at_process, finder);
}

static void tidy(struct finder *finder)
{
	int64_t begun = now_ms(), used = clock_ms(CLOCK_THREAD_CPUTIME_ID), rest;
	bool again;

	finder->tidy_ms = 0;
	/* A number of an inode that was left may be used again at once. */
	if (libraries_tidy(finder->libraries, &again))
		memset(finder->seen, 0, sizeof(finder->seen));
	again |= mappings_renew(finder->mappings);
	if (again)
		look_at_all(finder);
	rest = TIDY_SHARE * (clock_ms(CLOCK_THREAD_CPUTIME_ID) - used);
	finder->tidy_from_ms = now_ms() + (rest > TIDY_EACH_MS ? rest : TIDY_EACH_MS);
	if (begun < finder->record_ms + TIDY_AFTER_MS)
		tidy_plan(finder); /* what was recorded last may not have happened yet */
}

/* What installed libraries and running processes needed has been done, or takes too long. */
static void start_tell(struct finder *finder)
{
	struct message started = {.tag = MESSAGE_STARTED};
	struct libraries *libraries = finder->libraries;
	bool late;

	if (!finder->begun_ms)
		return;
	late = now_ms() >= finder->begun_ms + START_MS;
	/* Many files at once: not all of them found room. */
	while (!late && libraries_missed(libraries))
		look_at_all(finder);
	/* Checks are waited for as well: who hears that the agent has started may rely on its probes. */
	if (!late && (libraries->missed || !askers_idle(libraries->askers)))
		return;
	finder->begun_ms = 0;
	started.number = libraries->attachments.count;
	message_send(finder->channel, &started, -1);
	sd_notify(0, "READY=1");
}

/* True: it is to end. */
static bool requests_serve(struct finder *finder)
{
	struct snapshot *snapshot = NULL;
	bool stop, asked;
	eventfd_t rings;

	eventfd_read(finder->wake, &rings);
	pthread_mutex_lock(&finder->lock);
	stop = finder->stop;
	asked = finder->asking > 0 && !finder->made;
	pthread_mutex_unlock(&finder->lock);
	if (stop || !asked)
		return stop;
	snapshot_new(finder->libraries, finder->lost_told, &snapshot);
	pthread_mutex_lock(&finder->lock);
	/* Unless nobody waits for it any more. */
	if (finder->asking)
		finder->made = TAKE_PTR(snapshot);
	pthread_cond_broadcast(&finder->answered);
	pthread_mutex_unlock(&finder->lock);
	snapshot_free(snapshot);
	return false;
}

static int wait_ms(const struct finder *finder)
{
	int64_t now = now_ms(), until = finder->tidy_ms;

	if (finder->begun_ms && (!until || finder->begun_ms + START_MS < until))
		until = finder->begun_ms + START_MS;
	return !until ? -1 : until > now ? (int)(until - now) : 0;
}

static void *finder_main(void *context)
{
	struct finder *finder = context;

	finder->begun_ms = now_ms();
	look_at_all(finder);
	while (!requests_serve(finder)) {
		mappings_take(finder);
		libraries_answers(finder->libraries);
		if (finder->libraries->missed)
			tidy_plan(finder);
		if (finder->tidy_ms && now_ms() >= finder->tidy_ms)
			tidy(finder);
		start_tell(finder);
		mappings_wait(finder->mappings, finder->wake, wait_ms(finder));
	}
	return NULL;
}

/* --- for other threads --------------------------------------------------------------------------------------------- */

static void finder_destroy(struct finder *finder)
{
	libraries_free(finder->libraries);
	mappings_free(finder->mappings);
	snapshot_free(finder->made);
	pthread_cond_destroy(&finder->answered);
	pthread_mutex_destroy(&finder->lock);
	if (finder->wake >= 0)
		close(finder->wake);
	free(finder);
}

int finder_new(struct probes *probes, int channel, struct finder **ret)
{
	struct finder *finder = xcalloc(1, sizeof(*finder));
	pthread_condattr_t attributes;
	int err;

	pthread_mutex_init(&finder->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&finder->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	finder->channel = channel;
	finder->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = finder->wake < 0 ? -errno : mappings_new(&finder->mappings);
	if (!err)
		err = libraries_new(probes, channel, finder->wake, &finder->libraries);
	if (!err)
		err = -pthread_create(&finder->thread, NULL, finder_main, finder);
	if (err) {
		finder_destroy(finder);
		return err;
	}
	*ret = finder;
	return 0;
}

int finder_coverage(struct finder *finder, bool processes, struct coverage **ret)
{
	struct snapshot *snapshot = NULL;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FINDER_WAIT_MS / 1000;
	pthread_mutex_lock(&finder->lock);
	finder->asking++;
	eventfd_write(finder->wake, 1);
	while (!finder->made && !err)
		err = -pthread_cond_timedwait(&finder->answered, &finder->lock, &until);
	if (finder->made) {
		/* The others get one of their own. */
		snapshot = TAKE_PTR(finder->made);
		err = 0;
	}
	if (--finder->asking)
		eventfd_write(finder->wake, 1);
	pthread_mutex_unlock(&finder->lock);
	if (err)
		return err;
	/* /proc is read here, not in the finder's way. */
	if (processes)
		snapshot_processes(snapshot);
	*ret = snapshot_take(snapshot);
	return 0;
}

void finder_free(struct finder *finder)
{
	if (!finder)
		return;
	pthread_mutex_lock(&finder->lock);
	finder->stop = true;
	pthread_mutex_unlock(&finder->lock);
	eventfd_write(finder->wake, 1);
	pthread_join(finder->thread, NULL);
	finder_destroy(finder);
}
