/* Threads that look at files, and their queues.
 *
 * One source (a file system and an owner) is served by ASKERS_A_SOURCE threads at most, and sources take turns. So a file
 * of a source without hostile ones waits for none of them but those that are being asked: with h hostile sources, however
 * many files each has, for about h / 2 times ASK_TIMEOUT_MS, and with one, not at all. In one source the newest goes first, so
 * a file waits for those that came after it, not for a thousand before it; and what is given up for want of room is the oldest
 * of whoever has most. What is shared outlives askers_free() as long as a
 * thread does: it is freed by the last. */
#include "askers.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util.h"

enum {
	SOURCES = 64, /* queues; sources that share one share its threads */
	STACK_BYTES = 256 << 10,
};

struct source {
	struct inquiry *first; /* the newest */
	unsigned waiting, running;
};

struct askers {
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct probes *probes;
	struct contents *contents;
	int wake; /* a copy, which lives as long as this */
	atomic_bool stop;
	unsigned users; /* threads, and the owner */
	struct source sources[SOURCES];
	size_t turn; /* the source that is looked at first */
	struct inquiry *checks, **checks_end, *checking;
	struct inquiry *done, **done_end;
	unsigned waiting, waiting_checks;
	unsigned kept, examining; /* until they are taken */
};

struct inquiry *inquiry_new(enum inquiry_kind kind)
{
	struct inquiry *inquiry = xcalloc(1, sizeof(*inquiry));

	inquiry->kind = kind;
	inquiry->fd[0] = inquiry->fd[1] = -1;
	return inquiry;
}

void inquiry_free(struct inquiry *inquiry)
{
	if (!inquiry)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(inquiry->fd); i++)
		if (inquiry->fd[i] >= 0)
			close(inquiry->fd[i]);
	free(inquiry->path);
	free(inquiry);
}

static void list_free(struct inquiry *first)
{
	for (struct inquiry *next; first; first = next) {
		next = first->next;
		inquiry_free(first);
	}
}

static void askers_destroy(struct askers *askers)
{
	for (size_t i = 0; i < SOURCES; i++)
		list_free(askers->sources[i].first);
	list_free(askers->checks);
	list_free(askers->done);
	contents_free(askers->contents);
	close(askers->wake);
	pthread_cond_destroy(&askers->work);
	pthread_cond_destroy(&askers->idle);
	pthread_mutex_destroy(&askers->lock);
	free(askers);
}

/* Unlocks. */
static void leave(struct askers *askers)
{
	bool last = --askers->users == 0;

	pthread_mutex_unlock(&askers->lock);
	if (last)
		askers_destroy(askers);
}

static struct source *source_of(struct askers *askers, const struct inquiry *inquiry)
{
	uint64_t hash = (inquiry->device * 0x9e3779b97f4a7c15ULL) ^ (inquiry->owner * 0xff51afd7ed558ccdULL);

	return &askers->sources[(hash >> 32) % SOURCES];
}

static struct inquiry *examination_pick(struct askers *askers)
{
	for (size_t i = 0; i < SOURCES; i++) {
		size_t at = (askers->turn + i) % SOURCES;
		struct source *source = &askers->sources[at];
		struct inquiry *inquiry = source->first;
		if (!inquiry || source->running == ASKERS_A_SOURCE)
			continue;
		source->first = inquiry->next;
		source->waiting--;
		askers->waiting--;
		source->running++;
		askers->turn = at + 1;
		return inquiry;
	}
	return NULL;
}

/* One check at a time: it is nothing that anybody waits for. */
static struct inquiry *check_pick(struct askers *askers)
{
	struct inquiry *inquiry = askers->checking ? NULL : askers->checks;

	if (!inquiry)
		return NULL;
	askers->checks = inquiry->next;
	if (!askers->checks)
		askers->checks_end = &askers->checks;
	askers->waiting_checks--;
	askers->checking = inquiry;
	return inquiry;
}

static void inquiry_run(struct askers *askers, struct inquiry *inquiry)
{
	const struct probes_file files[] = {
		{.fd = inquiry->fd[0], .site = inquiry->site[0]},
		{.fd = inquiry->fd[1], .site = inquiry->site[1]},
	};

	if (inquiry->kind == INQUIRY_EXAMINE)
		inquiry->result = examine_file(askers->contents, inquiry->fd[0], inquiry->path, &askers->stop,
					       &inquiry->found);
	else
		inquiry->result = probes_check(askers->probes, inquiry->slot, files, inquiry->fd[1] >= 0 ? 2 : 1);
}

static void done_add(struct askers *askers, struct inquiry *inquiry)
{
	inquiry->next = NULL;
	*askers->done_end = inquiry;
	askers->done_end = &inquiry->next;
	eventfd_write(askers->wake, 1);
}

static void inquiry_done(struct askers *askers, struct inquiry *inquiry)
{
	if (inquiry->kind == INQUIRY_EXAMINE)
		source_of(askers, inquiry)->running--;
	else
		askers->checking = NULL;
	done_add(askers, inquiry);
	pthread_cond_broadcast(&askers->work);
	pthread_cond_signal(&askers->idle);
}

static void *asker_main(void *context)
{
	struct askers *askers = context;

	pthread_mutex_lock(&askers->lock);
	while (!atomic_load(&askers->stop)) {
		struct inquiry *inquiry = examination_pick(askers);
		if (!inquiry)
			inquiry = check_pick(askers);
		if (!inquiry) {
			pthread_cond_wait(&askers->work, &askers->lock);
			continue;
		}
		pthread_mutex_unlock(&askers->lock);
		inquiry_run(askers, inquiry);
		pthread_mutex_lock(&askers->lock);
		inquiry_done(askers, inquiry);
	}
	leave(askers);
	return NULL;
}

int askers_new(struct probes *probes, int wake, struct askers **ret)
{
	struct askers *askers = xcalloc(1, sizeof(*askers));
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_mutex_init(&askers->lock, NULL);
	pthread_cond_init(&askers->work, NULL);
	pthread_cond_init(&askers->idle, NULL);
	askers->probes = probes;
	askers->checks_end = &askers->checks;
	askers->done_end = &askers->done;
	askers->users = 1;
	askers->wake = dup(wake);
	contents_new(&askers->contents);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_mutex_lock(&askers->lock);
	for (unsigned i = 0; i < ASKERS_COUNT; i++)
		if (pthread_create(&thread, &attributes, asker_main, askers) == 0)
			askers->users++;
	pthread_attr_destroy(&attributes);
	if (askers->users == 1) {
		leave(askers);
		return -EAGAIN;
	}
	pthread_mutex_unlock(&askers->lock);
	*ret = askers;
	return 0;
}

void askers_free(struct askers *askers)
{
	if (!askers)
		return;
	atomic_store(&askers->stop, true);
	pthread_mutex_lock(&askers->lock);
	pthread_cond_broadcast(&askers->work);
	while (askers->checking)
		pthread_cond_wait(&askers->idle, &askers->lock);
	leave(askers);
}

/* Of the source that has most waiting, the one that has waited longest. */
static void oldest_give_up(struct askers *askers)
{
	struct source *most = &askers->sources[0];
	struct inquiry **link, *inquiry;

	for (size_t i = 1; i < SOURCES; i++)
		if (askers->sources[i].waiting > most->waiting)
			most = &askers->sources[i];
	for (link = &most->first; (*link)->next; link = &(*link)->next)
		;
	inquiry = *link;
	*link = NULL;
	most->waiting--;
	askers->waiting--;
	close(TAKE_FD(inquiry->fd[0]));
	inquiry->result = -ECANCELED;
	done_add(askers, inquiry);
}

int askers_add(struct askers *askers, struct inquiry *inquiry)
{
	struct source *source;
	int err = 0;

	pthread_mutex_lock(&askers->lock);
	if (inquiry->kind == INQUIRY_EXAMINE) {
		if (askers->waiting == WAITING_MAX)
			oldest_give_up(askers);
		source = source_of(askers, inquiry);
		inquiry->next = source->first;
		source->first = inquiry;
		source->waiting++;
		askers->waiting++;
		askers->examining++;
	} else if (askers->waiting_checks == CHECKS_MAX) {
		err = -ENOBUFS;
	} else {
		inquiry->next = NULL;
		*askers->checks_end = inquiry;
		askers->checks_end = &inquiry->next;
		askers->waiting_checks++;
	}
	askers->kept += !err;
	pthread_cond_signal(&askers->work);
	pthread_mutex_unlock(&askers->lock);
	return err;
}

struct inquiry *askers_take(struct askers *askers)
{
	struct inquiry *inquiry;

	pthread_mutex_lock(&askers->lock);
	inquiry = askers->done;
	if (inquiry) {
		askers->done = inquiry->next;
		if (!askers->done)
			askers->done_end = &askers->done;
		askers->kept--;
		askers->examining -= inquiry->kind == INQUIRY_EXAMINE;
	}
	pthread_mutex_unlock(&askers->lock);
	return inquiry;
}

unsigned askers_examining(struct askers *askers)
{
	unsigned examining;

	pthread_mutex_lock(&askers->lock);
	examining = askers->examining;
	pthread_mutex_unlock(&askers->lock);
	return examining;
}

bool askers_idle(struct askers *askers)
{
	bool idle;

	pthread_mutex_lock(&askers->lock);
	idle = askers->kept == 0;
	pthread_mutex_unlock(&askers->lock);
	return idle;
}

void askers_drop(struct askers *askers, const struct attachment *attachment)
{
	pthread_mutex_lock(&askers->lock);
	askers->checks_end = &askers->checks;
	for (struct inquiry *inquiry; (inquiry = *askers->checks_end);) {
		if (inquiry->attachment != attachment) {
			askers->checks_end = &inquiry->next;
			continue;
		}
		*askers->checks_end = inquiry->next;
		inquiry_free(inquiry);
		askers->waiting_checks--;
		askers->kept--;
	}
	if (askers->checking && askers->checking->attachment == attachment)
		askers->checking->attachment = NULL;
	for (struct inquiry *inquiry = askers->done; inquiry; inquiry = inquiry->next)
		if (inquiry->kind == INQUIRY_CHECK && inquiry->attachment == attachment)
			inquiry->attachment = NULL;
	pthread_mutex_unlock(&askers->lock);
}
