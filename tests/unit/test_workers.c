/* The pool that does what a process can hold up: user/agent/workers.c. Work waits behind a door that the test opens. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../user/agent/workers.h"
#include "util.h"

enum { WAIT_S = 60 }; /* only so that a test that fails does not hang */

struct job {
	struct work work;
	int number;
	bool ran, second; /* it waits behind the second door */
	int seen;         /* what the job saw */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool open_door, open_second;
static int inside, ran, most_inside; /* jobs at the door; that have ended; the most that ever were inside */

static struct job *job_new(void (*run)(struct work *work), uint32_t owner)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->work.run = run;
	job->work.owner = owner;
	return job;
}

static void job_ended(struct work *work)
{
	((struct job *)work)->ran = true;
	ran++;
	pthread_cond_broadcast(&changed);
}

static void run_at_once(struct work *work)
{
	pthread_mutex_lock(&mutex);
	job_ended(work);
	pthread_mutex_unlock(&mutex);
}

static void run_behind_door(struct work *work)
{
	pthread_mutex_lock(&mutex);
	inside++;
	most_inside = inside > most_inside ? inside : most_inside;
	pthread_cond_broadcast(&changed);
	while (!(((struct job *)work)->second ? open_second : open_door))
		pthread_cond_wait(&changed, &mutex);
	inside--;
	job_ended(work);
	pthread_mutex_unlock(&mutex);
}

static void door(bool opened)
{
	pthread_mutex_lock(&mutex);
	open_door = opened;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static void wait_until(const int *value, int wanted)
{
	struct timespec end;
	int err = 0, got;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_S;
	pthread_mutex_lock(&mutex);
	while (*value != wanted && !err)
		err = pthread_cond_timedwait(&changed, &mutex, &end);
	got = *value;
	pthread_mutex_unlock(&mutex);
	assert_int_equal(got, wanted);
}

/* The next that is done, which it waits for. */
static struct job *take(struct workers *workers)
{
	struct work *work = workers_take(workers);

	while (!work) {
		assert_int_equal(poll(&(struct pollfd){.fd = workers_fd(workers), .events = POLLIN}, 1, WAIT_S * 1000), 1);
		work = workers_take(workers);
	}
	return (struct job *)work;
}

static void take_all(struct workers *workers, int count)
{
	for (int i = 0; i < count; i++) {
		struct job *job CLEANUP_FREE = take(workers);

		assert_true(job->ran);
	}
	assert_null(workers_take(workers));
}

static int setup(void **state)
{
	open_door = open_second = false;
	inside = ran = most_inside = 0;
	return workers_new((struct workers **)state);
}

static int teardown(void **state)
{
	workers_free(*state);
	return 0;
}

static void add(struct workers *workers, struct job *job)
{
	assert_int_equal(workers_add(workers, &job->work), 0);
}

/* --- tests --------------------------------------------------------------------------------------------------------- */

static void add_numbered(struct workers *workers, int number, bool joins)
{
	struct job *job = job_new(run_at_once, (uint32_t)number % 7);

	job->number = number;
	job->work.joins = joins;
	add(workers, job);
}

/* batch: so many in one, of which some join; 0: in none. */
static void each_once(struct workers *workers, int batch)
{
	enum { MANY = 20000, AT_ONCE = 1000 };
	bool seen[MANY] = {false};

	for (int begun = 0, done = 0; done < MANY; done++) {
		struct job *taken CLEANUP_FREE = NULL;

		for (; begun < MANY && begun - done < AT_ONCE; begun++) {
			if (batch && begun % batch == 0)
				workers_batch_open(workers);
			add_numbered(workers, begun, batch && begun % 5);
			if (batch && (begun % batch == batch - 1 || begun - done == AT_ONCE - 1))
				workers_batch_close(workers);
		}
		taken = take(workers);
		assert_true(taken->ran && !seen[taken->number]);
		seen[taken->number] = true;
	}
	assert_null(workers_take(workers));
	assert_int_equal(ran, MANY);
}

static void each_is_done_once(void **state)
{
	each_once(*state, 0);
}

static void each_of_a_batch_is_done_once(void **state)
{
	each_once(*state, 20);
}

/* A quick one overtakes slow ones. */
static void one_that_waits_holds_up_no_other(void **state)
{
	struct job *job;

	for (uint32_t i = 0; i < 3; i++)
		add(*state, job_new(run_behind_door, 100 + i));
	wait_until(&inside, 3);
	add(*state, job_new(run_at_once, 1));
	job = take(*state);
	assert_int_equal(job->work.owner, 1);
	free(job);
	assert_null(workers_take(*state));
	door(true);
	take_all(*state, 3);
}

static void threads_are_bounded(void **state)
{
	for (uint32_t i = 0; i < 3 * WORKERS_MAX; i++)
		add(*state, job_new(run_behind_door, 1 + i));
	wait_until(&inside, WORKERS_MAX);
	usleep(50000);
	assert_int_equal(most_inside, WORKERS_MAX);
	door(true);
	take_all(*state, 3 * WORKERS_MAX);
	assert_int_equal(most_inside, WORKERS_MAX);
}

static void a_process_has_its_share_of_them(void **state)
{
	struct job *job;

	for (int i = 0; i < 10 * OWNER_MAX; i++)
		add(*state, job_new(run_behind_door, 7));
	wait_until(&inside, OWNER_MAX);
	add(*state, job_new(run_at_once, 8));
	job = take(*state);
	assert_int_equal(job->work.owner, 8);
	free(job);
	/* Work that nothing can hold up needs no share. */
	for (int i = 0; i < OWNER_MAX + 1; i++)
		add(*state, job_new(run_behind_door, 0));
	wait_until(&inside, 2 * OWNER_MAX + 1);
	assert_int_equal(most_inside, 2 * OWNER_MAX + 1);
	door(true);
	take_all(*state, 11 * OWNER_MAX + 1);
}

static struct job *add_joining(struct workers *workers, uint32_t owner)
{
	struct job *job = job_new(run_behind_door, owner);

	job->second = job->work.joins = true;
	add(workers, job);
	return job;
}

/* One of each owner is begun; count of them join it. Gives the last one. */
static struct job *begin_joined(struct workers *workers, uint32_t owners, int count)
{
	struct job *last = NULL;

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		add(workers, job_new(run_behind_door, 1000 + i));
	wait_until(&inside, WORKERS_MAX);
	workers_batch_open(workers);
	for (int i = 0; i < 1 + count; i++)
		for (uint32_t owner = 1; owner <= owners; owner++)
			last = add_joining(workers, owner);
	workers_batch_close(workers);
	door(true);
	wait_until(&ran, WORKERS_MAX);
	wait_until(&inside, (int)owners);
	usleep(50000);
	assert_int_equal(inside, owners);
	return last;
}

static void door_open_second(void)
{
	pthread_mutex_lock(&mutex);
	open_second = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

/* What holds it up holds up the others only until the next batch. */
static void what_joins_goes_to_one_thread(void **state)
{
	begin_joined(*state, 2, 2);
	workers_batch_open(*state);
	workers_batch_close(*state);
	wait_until(&inside, 6);
	door_open_second();
	take_all(*state, WORKERS_MAX + 6);
}

/* Or until somebody waits for one of them. */
static void what_joined_can_be_hurried(void **state)
{
	struct job *last = begin_joined(*state, 1, 2);

	workers_hurry(*state, &last->work);
	wait_until(&inside, 3);
	door_open_second();
	take_all(*state, WORKERS_MAX + 3);
}

static void what_joined_is_not_begun_after_the_end(void **state)
{
	struct workers *workers = *state;

	begin_joined(workers, 1, 2);
	*state = NULL;
	workers_free(workers);
	door_open_second();
	wait_until(&ran, WORKERS_MAX + 1);
	usleep(100000);
	assert_int_equal(ran, WORKERS_MAX + 1);
}

static void the_queue_is_bounded(void **state)
{
	struct job *refused = job_new(run_at_once, 1), *own;
	int count = WORKERS_MAX;

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		add(*state, job_new(run_behind_door, 1000 + i));
	wait_until(&inside, WORKERS_MAX);
	for (int i = 0; i < OWNER_QUEUE_MAX; i++, count++)
		add(*state, job_new(run_at_once, 1));
	assert_int_equal(workers_add(*state, &refused->work), -ENOBUFS);
	for (int i = OWNER_QUEUE_MAX; i < QUEUE_MAX; i++, count++)
		add(*state, job_new(run_at_once, 2 + (uint32_t)i % 100));
	own = job_new(run_at_once, 500);
	assert_int_equal(workers_add(*state, &own->work), -ENOBUFS);
	free(own);
	door(true);
	take_all(*state, count);
	add(*state, refused);
	take_all(*state, 1);
}

static void what_nobody_waits_for_comes_last_and_is_not_told(void **state)
{
	for (uint32_t i = 0; i < 3 * UNWAITED_MAX; i++) {
		struct job *job = job_new(run_behind_door, 1 + i);

		job->work.unwaited = true;
		add(*state, job);
	}
	wait_until(&inside, UNWAITED_MAX);
	for (uint32_t i = 0; i < 100; i++)
		add(*state, job_new(run_at_once, 1 + i));
	take_all(*state, 100);
	pthread_mutex_lock(&mutex);
	assert_int_equal(inside, UNWAITED_MAX);
	assert_int_equal(most_inside, UNWAITED_MAX);
	pthread_mutex_unlock(&mutex);
	door(true);
	wait_until(&ran, 100 + 3 * UNWAITED_MAX);
	assert_null(workers_take(*state));
}

static struct job *unhurried(struct workers *workers, void (*run)(struct work *work))
{
	struct job *job = job_new(run, 1);

	job->work.unhurried = true;
	add(workers, job);
	return job;
}

static void what_is_unhurried_is_not_told(void **state)
{
	struct work *work;

	unhurried(*state, run_at_once);
	wait_until(&ran, 1);
	while (!(work = workers_take(*state)))
		assert_false(workers_told(*state));
	free(work);
	assert_int_equal(poll(&(struct pollfd){.fd = workers_fd(*state), .events = POLLIN}, 1, 0), 0);
	unhurried(*state, run_behind_door);
	wait_until(&inside, 1);
	door(true);
	wait_until(&ran, 2);
	add(*state, job_new(run_at_once, 2)); /* with another one it is taken */
	take_all(*state, 2);
}

/* Before it runs, while it does, when it is done: it is told. */
static void it_can_be_hurried_at_any_moment(void **state)
{
	struct job *job = unhurried(*state, run_behind_door);

	wait_until(&inside, 1);
	workers_hurry(*state, &job->work);
	door(true);
	take_all(*state, 1);
	for (int i = 0; i < 2000; i++) {
		job = unhurried(*state, run_at_once);
		if (i % 2)
			wait_until(&ran, i + 2);
		workers_hurry(*state, &job->work);
		take_all(*state, 1);
	}
}

/* One is stuck, one waits for its turn, one is done and was not taken, and another thread has nothing to do. */
static void the_end_waits_for_none(void **state)
{
	struct workers *workers = *state;

	for (int i = 0; i < 2 * OWNER_MAX; i++)
		add(workers, job_new(run_behind_door, 7));
	wait_until(&inside, OWNER_MAX);
	add(workers, job_new(run_at_once, 8));
	wait_until(&ran, 1);
	*state = NULL;
	workers_free(workers);
	assert_int_equal(inside, OWNER_MAX);
	/* Nobody misses them; that nothing leaks, the sanitizer sees. */
	door(true);
	wait_until(&ran, 1 + OWNER_MAX);
	usleep(100000);
	assert_int_equal(ran, 1 + OWNER_MAX);
}

static void an_end_at_any_moment(void **state)
{
	struct workers *workers = *state;

	*state = NULL;
	workers_free(workers);
	workers_free(NULL);
	open_door = true;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(workers_new(&workers), 0);
		for (int k = 0; k < i % 20; k++)
			add(workers, job_new(k % 2 ? run_at_once : run_behind_door, (uint32_t)k % 3));
		if (i % 3 == 0)
			free(workers_take(workers));
		workers_free(workers);
	}
	usleep(100000); /* those that were left end */
}

static int watched;

static void run_looks_round(struct work *work)
{
	struct job *job = (struct job *)work;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	job->seen = (fcntl(watched, F_GETFD) < 0 && errno == EBADF ? 1 : 0) | (fcntl(STDERR_FILENO, F_GETFD) >= 0 ? 2 : 0) |
		    (sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGCHLD) && sigismember(&blocked, SIGUSR1) ? 4 :
															  0);
	run_at_once(work);
}

/* So that the end of the agent closes them, even if a thread of it is stuck. */
static void threads_have_no_descriptors_and_take_no_signals(void **state)
{
	struct job *job;
	sigset_t before, after;

	watched = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	add(*state, job_new(run_looks_round, 1));
	job = take(*state);
	assert_int_equal(job->seen, 7);
	free(job);
	assert_true(fcntl(watched, F_GETFD) >= 0);
	close(watched);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_is_done_once, setup, teardown),
		cmocka_unit_test_setup_teardown(each_of_a_batch_is_done_once, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_waits_holds_up_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_process_has_its_share_of_them, setup, teardown),
		cmocka_unit_test_setup_teardown(what_joins_goes_to_one_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(what_joined_can_be_hurried, setup, teardown),
		cmocka_unit_test_setup_teardown(what_joined_is_not_begun_after_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(the_queue_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(what_nobody_waits_for_comes_last_and_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_unhurried_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(it_can_be_hurried_at_any_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_waits_for_none, setup, teardown),
		cmocka_unit_test_setup_teardown(an_end_at_any_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_have_no_descriptors_and_take_no_signals, setup, teardown),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
