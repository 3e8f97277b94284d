/* A pool of threads that close links. They are started as links come, at most THREADS_MAX, and then stay. Its own list is
 * all that they share with the other threads; if none can be started, whoever gives a link closes it. */
#include "detacher.h"

#include <pthread.h>
#include <signal.h>

#include "records.h"
#include "util.h"

enum { THREADS_MAX = 64 /* the links beyond wait: 300 are closed in half a second */ };

struct job {
	struct uprobe_link link;
	uint32_t slot;
	struct job *next;
};

struct detacher {
	pthread_mutex_t lock;
	pthread_cond_t given, closed;
	struct job *first, **last; /* to be closed */
	size_t queued, idle;
	size_t left[LIBRARIES_MAX]; /* links given and not closed */
	bool ending;
	pthread_t threads[THREADS_MAX];
	size_t threads_count;
};

void detacher_new(struct detacher **ret)
{
	struct detacher *detacher = xcalloc(1, sizeof(*detacher));

	pthread_mutex_init(&detacher->lock, NULL);
	pthread_cond_init(&detacher->given, NULL);
	pthread_cond_init(&detacher->closed, NULL);
	detacher->last = &detacher->first;
	*ret = detacher;
}

/* With the lock held, which it lets go meanwhile. */
static void first_close(struct detacher *detacher)
{
	struct job *job = detacher->first;

	detacher->first = job->next;
	if (!detacher->first)
		detacher->last = &detacher->first;
	detacher->queued--;
	pthread_mutex_unlock(&detacher->lock);
	uprobe_link_close(&job->link);
	pthread_mutex_lock(&detacher->lock);
	detacher->left[job->slot]--;
	pthread_cond_broadcast(&detacher->closed);
	free(job);
}

static void *detacher_main(void *context)
{
	struct detacher *detacher = context;

	pthread_mutex_lock(&detacher->lock);
	while (detacher->first || !detacher->ending) {
		if (detacher->first) {
			first_close(detacher);
			continue;
		}
		detacher->idle++;
		pthread_cond_wait(&detacher->given, &detacher->lock);
		detacher->idle--;
	}
	pthread_mutex_unlock(&detacher->lock);
	return NULL;
}

/* Signals are for the threads that were there before. */
static void thread_start(struct detacher *detacher)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&detacher->threads[detacher->threads_count], NULL, detacher_main, detacher) == 0)
		detacher->threads_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void detacher_give(struct detacher *detacher, const struct uprobe_link *link, uint32_t slot)
{
	struct job *job = xcalloc(1, sizeof(*job));

	*job = (struct job){.link = *link, .slot = slot};
	pthread_mutex_lock(&detacher->lock);
	*detacher->last = job;
	detacher->last = &job->next;
	detacher->queued++;
	detacher->left[slot]++;
	if (detacher->queued > detacher->idle && detacher->threads_count < THREADS_MAX)
		thread_start(detacher);
	if (detacher->threads_count == 0)
		first_close(detacher);
	else
		pthread_cond_signal(&detacher->given);
	pthread_mutex_unlock(&detacher->lock);
}

size_t detacher_count(struct detacher *detacher, uint32_t slot)
{
	size_t count;

	pthread_mutex_lock(&detacher->lock);
	count = detacher->left[slot];
	pthread_mutex_unlock(&detacher->lock);
	return count;
}

void detacher_wait(struct detacher *detacher, uint32_t slot)
{
	pthread_mutex_lock(&detacher->lock);
	while (detacher->left[slot])
		pthread_cond_wait(&detacher->closed, &detacher->lock);
	pthread_mutex_unlock(&detacher->lock);
}

void detacher_free(struct detacher *detacher)
{
	if (!detacher)
		return;
	pthread_mutex_lock(&detacher->lock);
	detacher->ending = true;
	pthread_cond_broadcast(&detacher->given);
	pthread_mutex_unlock(&detacher->lock);
	for (size_t i = 0; i < detacher->threads_count; i++)
		pthread_join(detacher->threads[i], NULL);
	pthread_cond_destroy(&detacher->closed);
	pthread_cond_destroy(&detacher->given);
	pthread_mutex_destroy(&detacher->lock);
	free(detacher);
}
