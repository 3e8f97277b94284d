/* See workers.h. Owns the threads, what waits for them, and what they have done.
 *
 * A thread that a process holds up cannot be ended, not even by SIGKILL; it keeps the whole process a zombie. So no thread
 * shares the agent's descriptors: they are closed when the agent ends, however it ends, and with them the gate and the probes.
 * Threads are started as they are needed, and stay. */
#include "workers.h"

#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util.h"

enum { STACK_BYTES = 512 << 10 };

struct list {
	struct work *first, **end;
};

struct thread {
	struct workers *workers;
	pthread_t id;
	bool running, left; /* left: the pool was freed while it ran */
	uint32_t owner;     /* of what it runs */
	struct list rest;   /* what joined that, and comes after it */
};

struct workers {
	pthread_mutex_t mutex; /* of all below */
	pthread_cond_t wanted;
	struct list waited, unwaited, done;
	struct thread threads[WORKERS_MAX];
	unsigned started, idle, unwaited_running;
	unsigned queued;
	unsigned holders; /* the owner of the pool, and each thread that was left */
	bool stopped;
	bool told; /* fd is readable */
	bool batch;
	unsigned wakes; /* threads to be woken when the batch closes */
	int fd;
};

/* --- lists --------------------------------------------------------------------------------------------------------- */

static void list_clear(struct list *list)
{
	struct work *work;

	while ((work = list->first)) {
		list->first = work->next;
		free(work);
	}
	list->end = &list->first;
}

static void list_add(struct list *list, struct work *work)
{
	work->next = NULL;
	*list->end = work;
	list->end = &work->next;
}

static struct work *list_take(struct list *list, struct work **at)
{
	struct work *work = *at;

	*at = work->next;
	if (list->end == &work->next)
		list->end = at;
	return work;
}

/* Under attack the lists are long, and this is slow: some 10 µs. Otherwise they are short. */
static unsigned list_count(const struct list *list, uint32_t owner)
{
	unsigned count = 0;

	for (const struct work *work = list->first; work; work = work->next)
		count += work->owner == owner;
	return count;
}

static bool list_joins(const struct list *list, uint32_t owner)
{
	const struct work *work = list->first;

	while (work && !(work->joins && work->owner == owner))
		work = work->next;
	return work;
}

/* --- threads ------------------------------------------------------------------------------------------------------- */

static unsigned running_of(const struct workers *workers, uint32_t owner)
{
	unsigned count = 0;

	for (unsigned i = 0; i < workers->started; i++)
		count += workers->threads[i].running && workers->threads[i].owner == owner;
	return count;
}

/* What joins the work that was taken at that place. */
static void join(struct workers *workers, struct list *list, struct work **at, const struct work *first, struct list *rest)
{
	while (*at)
		if ((*at)->joins && (*at)->owner == first->owner) {
			workers->queued--;
			list_add(rest, list_take(list, at));
		} else {
			at = &(*at)->next;
		}
}

static struct work *pick_from(struct workers *workers, struct list *list, struct list *rest)
{
	for (struct work **at = &list->first; *at; at = &(*at)->next)
		if (!(*at)->owner || running_of(workers, (*at)->owner) < OWNER_MAX) {
			struct work *work = list_take(list, at);

			workers->queued--;
			if (work->joins)
				join(workers, list, at, work, rest);
			return work;
		}
	return NULL;
}

static struct work *pick(struct workers *workers, struct list *rest)
{
	struct work *work = rest->first ? list_take(rest, &rest->first) : pick_from(workers, &workers->waited, rest);

	return work || workers->unwaited_running == UNWAITED_MAX ? work : pick_from(workers, &workers->unwaited, rest);
}

/* The pool is locked. */
static void tell(struct workers *workers)
{
	if (!workers->told)
		workers->told = eventfd_write(workers->fd, 1) == 0;
}

/* The pool is locked, before and after. */
static void work_run(struct workers *workers, struct thread *thread, struct work *work)
{
	bool unwaited = work->unwaited;

	thread->running = true;
	thread->owner = work->owner;
	workers->unwaited_running += unwaited;
	pthread_mutex_unlock(&workers->mutex);
	work->run(work);
	pthread_mutex_lock(&workers->mutex);
	thread->running = false;
	workers->unwaited_running -= unwaited;
	if (unwaited || workers->stopped) {
		free(work);
		return;
	}
	list_add(&workers->done, work);
	if (!work->unhurried)
		tell(workers);
}

/* On failure the table stays shared, and nothing in it is closed. */
static void descriptors_leave(int kept)
{
	if (close_range((unsigned)kept + 1, ~0U, CLOSE_RANGE_UNSHARE) == 0 && kept > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)kept - 1, 0);
}

/* Unlocks it; the last of them frees it. */
static void workers_let_go(struct workers *workers)
{
	bool last = --workers->holders == 0;

	pthread_mutex_unlock(&workers->mutex);
	if (!last)
		return;
	pthread_cond_destroy(&workers->wanted);
	pthread_mutex_destroy(&workers->mutex);
	free(workers);
}

static void *thread_main(void *context)
{
	struct thread *thread = context;
	struct workers *workers = thread->workers;
	struct work *work;

	descriptors_leave(workers->fd);
	pthread_mutex_lock(&workers->mutex);
	while (!workers->stopped) {
		work = pick(workers, &thread->rest);
		if (work) {
			work_run(workers, thread, work);
			continue;
		}
		workers->idle++;
		pthread_cond_wait(&workers->wanted, &workers->mutex);
		workers->idle--;
	}
	if (thread->left)
		workers_let_go(workers);
	else
		pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

/* With all signals blocked: the agent takes them from a descriptor. */
static int thread_start(struct workers *workers)
{
	struct thread *thread = &workers->threads[workers->started];
	pthread_attr_t attributes;
	sigset_t all, before;
	int err;

	thread->workers = workers;
	list_clear(&thread->rest);
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread->id, &attributes, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	workers->started += !err;
	return -err;
}

/* What threads have not begun: those that wait with it may all be held up. Gives how many threads are to be woken. */
static unsigned rests_give_back(struct workers *workers)
{
	unsigned count = 0;

	for (unsigned i = 0; i < workers->started; i++)
		for (struct list *rest = &workers->threads[i].rest; rest->first; count++) {
			struct work *work = list_take(rest, &rest->first);

			work->joins = false;
			workers->queued++;
			list_add(&workers->waited, work);
		}
	for (unsigned i = 0; i < count && i < OWNER_MAX && workers->queued > workers->idle; i++)
		if (workers->started == WORKERS_MAX || thread_start(workers) < 0)
			break;
	return count;
}

/* --- from outside -------------------------------------------------------------------------------------------------- */

int workers_new(struct workers **ret)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct workers *workers;

	if (fd < 0)
		return -errno;
	workers = xcalloc(1, sizeof(*workers));
	workers->fd = fd;
	pthread_mutex_init(&workers->mutex, NULL);
	pthread_cond_init(&workers->wanted, NULL);
	list_clear(&workers->waited);
	list_clear(&workers->unwaited);
	list_clear(&workers->done);
	workers->holders = 1;
	*ret = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	pthread_t idle[WORKERS_MAX];
	unsigned count = 0;

	if (!workers)
		return;
	pthread_mutex_lock(&workers->mutex);
	workers->stopped = true;
	pthread_cond_broadcast(&workers->wanted);
	list_clear(&workers->waited);
	list_clear(&workers->unwaited);
	list_clear(&workers->done);
	for (unsigned i = 0; i < workers->started; i++) {
		struct thread *thread = &workers->threads[i];

		list_clear(&thread->rest);
		thread->left = thread->running;
		workers->holders += thread->left;
		if (thread->left)
			pthread_detach(thread->id);
		else
			idle[count++] = thread->id;
	}
	pthread_mutex_unlock(&workers->mutex);
	for (unsigned i = 0; i < count; i++)
		pthread_join(idle[i], NULL);
	pthread_mutex_lock(&workers->mutex);
	close(workers->fd); /* what a thread does from now on is freed, and not told of */
	workers_let_go(workers);
}

/* The pool is locked. 0: it has been taken. */
static int take_in(struct workers *workers, struct work *work, bool joined)
{
	unsigned ahead = list_count(&workers->waited, work->owner) + list_count(&workers->unwaited, work->owner);
	int err = 0;

	if (workers->queued == QUEUE_MAX || (work->owner && ahead >= OWNER_QUEUE_MAX))
		return -ENOBUFS;
	/* A thread more would be of no use to a process that has its share of them. */
	if (!joined && workers->queued >= workers->idle && workers->started < WORKERS_MAX &&
	    (!work->owner || ahead + running_of(workers, work->owner) < OWNER_MAX))
		err = thread_start(workers);
	if (err && !workers->started)
		return err;
	list_add(work->unwaited ? &workers->unwaited : &workers->waited, work);
	workers->queued++;
	return 0;
}

static void wake(struct workers *workers, unsigned count)
{
	while (count--)
		pthread_cond_signal(&workers->wanted);
}

int workers_add(struct workers *workers, struct work *work)
{
	bool joined, wakes;
	int err;

	pthread_mutex_lock(&workers->mutex);
	work->joins &= workers->batch && work->owner && !work->unwaited;
	joined = work->joins && list_joins(&workers->waited, work->owner);
	err = take_in(workers, work, joined);
	wakes = !err && !joined;
	if (workers->batch)
		workers->wakes += wakes;
	wakes &= !workers->batch;
	pthread_mutex_unlock(&workers->mutex);
	wake(workers, wakes); /* who wakes would only wait for the mutex */
	return err;
}

void workers_batch_open(struct workers *workers)
{
	pthread_mutex_lock(&workers->mutex);
	workers->batch = true;
	workers->wakes = rests_give_back(workers);
	pthread_mutex_unlock(&workers->mutex);
}

void workers_batch_close(struct workers *workers)
{
	unsigned wakes;

	pthread_mutex_lock(&workers->mutex);
	workers->batch = false;
	wakes = workers->wakes;
	workers->wakes = 0;
	pthread_mutex_unlock(&workers->mutex);
	wake(workers, wakes);
}

void workers_hurry(struct workers *workers, struct work *work)
{
	unsigned wakes;

	pthread_mutex_lock(&workers->mutex);
	work->unhurried = false;
	/* It may be among what is done. */
	if (workers->done.first)
		tell(workers);
	wakes = rests_give_back(workers);
	pthread_mutex_unlock(&workers->mutex);
	wake(workers, wakes);
}

int workers_fd(const struct workers *workers)
{
	return workers->fd;
}

bool workers_told(struct workers *workers)
{
	bool told;

	pthread_mutex_lock(&workers->mutex);
	told = workers->told;
	pthread_mutex_unlock(&workers->mutex);
	return told;
}

struct work *workers_take(struct workers *workers)
{
	struct work *work = NULL;
	eventfd_t ignored;

	pthread_mutex_lock(&workers->mutex);
	if (workers->done.first)
		work = list_take(&workers->done, &workers->done.first);
	else if (workers->told)
		workers->told = eventfd_read(workers->fd, &ignored) < 0;
	pthread_mutex_unlock(&workers->mutex);
	return work;
}
