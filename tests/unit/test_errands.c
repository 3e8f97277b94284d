/* What is done to a process that holds on to what it takes: user/agent/errands.c. It stops in a page fault that it serves itself, with
 * its socket, or its directory in /proc, locked by the kernel. */
#include <dirent.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "../../user/agent/errands.h"
#include "policy.h"
#include "holder.h"
#include "start_of.h"

enum { WAIT_MS = 200, LIMIT_S = 60, SEND_BYTES = 4096, OUTCOMES = GATHER_MAX + 1 };

struct held {
	pid_t pid;
	int control; /* whatever is written lets go */
	uint64_t start_boottime_ns;
	struct record_socket socket;
};

struct outcome {
	struct message answer;
	bool late;
	double after_s;
};

static struct outcome outcomes[OUTCOMES];
static unsigned told;
static double begun;

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* --- the process --------------------------------------------------------------------------------------------------- */

static char *page; /* a fault on it waits until it is served */
static int ends[2];

static int page_make(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.range = {.len = SEND_BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};

	page = mmap(NULL, SEND_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (uintptr_t)page;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &range) < 0)
		_exit(2);
	return fd;
}

static void *send_page(void *context)
{
	(void)context;
	send(ends[0], page, SEND_BYTES, MSG_NOSIGNAL);
	return NULL;
}

static void *list_into_page(void *context)
{
	int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)context;
	syscall(SYS_getdents64, fd, page, SEND_BYTES);
	return NULL;
}

/* Waits for the one that reads the directory; who looks something up in it waits for this one. */
static void *change_mode(void *context)
{
	int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fchmod(fd, 0555);
	return context;
}

static void held_run(int control, bool directory)
{
	struct record_socket socket = {};
	struct pollfd polls[] = {{.fd = page_make(), .events = POLLIN}, {.fd = control, .events = POLLIN}};
	char zeros[SEND_BYTES] = "";
	struct uffdio_copy copy = {.dst = (uintptr_t)page, .src = (uintptr_t)zeros, .len = SEND_BYTES};
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (holder_connect(HOLD_IPV4, SOCK_STREAM, 0, ends) < 0)
		_exit(3);
	holder_name(ends[0], &socket);
	pthread_create(&thread, NULL, directory ? list_into_page : send_page, NULL);
	poll(polls, 1, LIMIT_S * 1000);
	if (directory) {
		pthread_create(&thread, NULL, change_mode, NULL);
		usleep(200000);
	}
	if (write(control, &socket, sizeof(socket)) != sizeof(socket))
		_exit(4);
	poll(polls + 1, 1, LIMIT_S * 1000);
	ioctl(polls[0].fd, UFFDIO_COPY, &copy);
	while (read(control, zeros, 1) > 0)
		;
	_exit(0);
}

static void held_start(struct held *held, bool directory)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	held->pid = fork();
	if (held->pid == 0) {
		close(pair[0]);
		held_run(pair[1], directory);
	}
	close(pair[1]);
	held->control = pair[0];
	assert_int_equal(read(held->control, &held->socket, sizeof(held->socket)), sizeof(held->socket));
}

static void held_let_go(const struct held *held)
{
	assert_int_equal(write(held->control, "", 1), 1);
}

static void held_end(const struct held *held)
{
	close(held->control);
	kill(held->pid, SIGKILL);
	waitpid(held->pid, NULL, 0);
}

/* --- errands ------------------------------------------------------------------------------------------------------- */

static void on_told(void *context, const struct errand *errand, struct message *answer, bool late)
{
	(void)context;
	(void)errand;
	assert_true(told < OUTCOMES);
	outcomes[told++] = (struct outcome){.answer = *answer, .late = late, .after_s = now_s() - begun};
}

static int setup_waiting(void **state, uint32_t wait_ms)
{
	int fd CLEANUP_CLOSE = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && geteuid() != 0)
		skip(); /* who is not root may serve no faults of the kernel */
	told = 0;
	return errands_new(wait_ms, on_told, NULL, (struct errands **)state);
}

static int setup(void **state)
{
	return setup_waiting(state, WAIT_MS);
}

static int setup_patient(void **state)
{
	return setup_waiting(state, ERRAND_WAIT_MS);
}

static int teardown(void **state)
{
	errands_free(*state);
	return 0;
}

static void begin(struct errands *errands, enum message_tag tag, enum action action, const struct held *held, uint32_t token)
{
	const struct errand errand = {.cause = FOR_JUDGE,
				      .tag = tag,
				      .token = token,
				      .kill = {.pid = (uint32_t)held->pid,
					       .tid = (uint32_t)held->pid,
					       .action = action,
					       .start_boottime_ns = held->start_boottime_ns,
					       .socket = held->socket}};
	begun = now_s();
	errands_begin(errands, &errand);
}

static const struct outcome *wait_told(struct errands *errands, unsigned count)
{
	while (told < count) {
		assert_int_equal(poll(&(struct pollfd){.fd = errands_fd(errands), .events = POLLIN}, 1, LIMIT_S * 1000), 1);
		errands_tell(errands);
	}
	assert_int_equal(told, count);
	return &outcomes[count - 1];
}

static void check_busy(const struct outcome *outcome, uint32_t token)
{
	assert_int_equal(outcome->answer.tag, MESSAGE_KILLED);
	assert_int_equal(outcome->answer.token, token);
	assert_int_equal(outcome->answer.number, -EBUSY);
	assert_non_null(strstr(outcome->answer.text, "it is ended as soon as that lets go"));
	assert_false(outcome->late);
}

/* It is told of in time, others do not wait, and it is ended as soon as it lets go. */
static void a_socket_that_is_held(void **state)
{
	struct held held, other;
	const struct outcome *outcome;

	held_start(&held, false);
	held_start(&other, false);
	held.start_boottime_ns = start_of(held.pid);
	other.start_boottime_ns = start_of(other.pid);
	held_let_go(&other);
	begin(*state, MESSAGE_KILL, ACTION_KILL, &held, 5);
	assert_int_equal(told, 0);
	begin(*state, MESSAGE_KILL, ACTION_KILL, &other, 6);
	outcome = wait_told(*state, 1);
	assert_int_equal(outcome->answer.token, 6);
	assert_int_equal(outcome->answer.number, 0);
	assert_int_equal(outcome->answer.killed.process.known, 1);
	check_busy(wait_told(*state, 2), 5);
	begin(*state, MESSAGE_KILL, ACTION_LOG, &other, 7);
	assert_int_equal(wait_told(*state, 3)->answer.number, -ENOENT);
	held_let_go(&held);
	outcome = wait_told(*state, 4);
	assert_true(outcome->late);
	assert_int_equal(outcome->answer.number, 0);
	held_end(&held);
	held_end(&other);
}

/* Who holds many makes nobody wait for each; and does not take away the time of others. */
static void late_ones_shorten_the_wait(void **state)
{
	enum { MORE = 2 * WORKERS_MAX, ALL = OWNER_MAX + MORE + 1 };
	struct held held, other;

	held_start(&held, false);
	held.start_boottime_ns = start_of(held.pid);
	held_start(&other, false);
	other.start_boottime_ns = start_of(other.pid);
	for (uint32_t i = 0; i < OWNER_MAX; i++) {
		begin(*state, MESSAGE_KILL, ACTION_KILL, &held, i);
		check_busy(wait_told(*state, i + 1), i);
		assert_true(outcomes[i].after_s * 1000 >= WAIT_MS / (1 + i) - 1);
	}
	for (uint32_t i = OWNER_MAX; i < OWNER_MAX + MORE; i++) {
		begin(*state, MESSAGE_KILL, ACTION_KILL, &held, i);
		assert_int_equal(told, i + 1);
		check_busy(&outcomes[i], i);
	}
	begin(*state, MESSAGE_KILL, ACTION_KILL, &other, ALL);
	check_busy(wait_told(*state, ALL), ALL);
	assert_true(outcomes[ALL - 1].after_s * 1000 >= WAIT_MS / (1 + OWNER_MAX) - 1);
	held_let_go(&held);
	held_let_go(&other);
	wait_told(*state, 2 * ALL);
	for (unsigned i = ALL; i < told; i++)
		assert_true(outcomes[i].late);
	held_end(&held);
	held_end(&other);
}

/* The agent stood still, and its workers with it: they are given a moment. */
static void after_a_standstill(void **state)
{
	struct held held;

	held_start(&held, false);
	held.start_boottime_ns = start_of(held.pid);
	begin(*state, MESSAGE_KILL, ACTION_KILL, &held, 14);
	usleep((ERRAND_WAIT_MS + WAIT_MS) * 1000);
	errands_tell(*state);
	assert_int_equal(told, 0);
	held_let_go(&held);
	assert_int_equal(wait_told(*state, 1)->answer.number, 0);
	assert_false(outcomes[0].late);
	held_end(&held);
}

/* To say who it is takes as long as it likes. */
static void a_directory_that_is_held(void **state)
{
	struct held held;
	const struct outcome *outcome;

	held_start(&held, true);
	held.start_boottime_ns = 1000000000; /* it cannot be read */
	begin(*state, MESSAGE_PROCESS, ACTION_LOG, &held, 8);
	assert_int_equal(told, 0);
	outcome = wait_told(*state, 1);
	assert_int_equal(outcome->answer.tag, MESSAGE_PROCESS_IS);
	assert_int_equal(outcome->answer.token, 8);
	assert_int_equal(outcome->answer.process.known, 0);
	assert_int_equal(outcome->answer.process.pid, held.pid);
	assert_false(outcome->late);
	assert_true(outcome->after_s * 1000 >= WAIT_MS - 1);
	held_let_go(&held);
	assert_true(wait_told(*state, 2)->late);
	held_end(&held);
}

/* A process that is to be ended does not hold anything for long. */
static void a_process_is_ended_whatever_it_holds(void **state)
{
	struct held held;
	const struct outcome *outcome;
	int status;

	held_start(&held, false);
	held.start_boottime_ns = start_of(held.pid);
	/* A process that the agent started is never ended: so the errand is another process's. */
	if (fork() == 0) {
		begin(*state, MESSAGE_KILL, ACTION_KILL_PROCESS, &held, 9);
		outcome = wait_told(*state, 1);
		_exit(outcome->answer.number != 0 || outcome->late);
	}
	assert_int_equal(waitpid(held.pid, &status, 0), held.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	close(held.control);
}

/* The end does not wait for what is under way. */
static void the_end(void **state)
{
	struct held held;

	held_start(&held, false);
	held.start_boottime_ns = start_of(held.pid);
	begin(*state, MESSAGE_KILL, ACTION_KILL, &held, 10);
	usleep(50000);
	errands_free(*state);
	*state = NULL;
	held_end(&held);
	usleep(100000); /* its thread ends: what it had is freed */
}

static struct errand condemned(const struct held *held, const struct record_id *id)
{
	return (struct errand){.cause = FOR_NOTICE,
			       .tag = MESSAGE_KILL,
			       .kill = {.pid = (uint32_t)held->pid,
					.tid = (uint32_t)held->pid,
					.action = ACTION_KILL,
					.start_boottime_ns = start_of(held->pid),
					.socket = held->socket,
					.id = *id}};
}

/* Of what the kernel condemned is told by and by, and other things that happen do not make it sooner. */
static void gathered(void **state)
{
	const struct record_id id = {.pid_tgid = 1, .ktime_ns = 2};
	struct held held[2];

	for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
		held_start(&held[i], false);
		held_let_go(&held[i]);
	}
	begun = now_s();
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
		const struct errand errand = condemned(&held[i], &id);

		errands_begin(*state, &errand);
		errands_tell(*state);
	}
	wait_told(*state, ARRAY_SIZE(held));
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
		assert_int_equal(outcomes[i].answer.number, 0);
		assert_true(outcomes[i].after_s * 1000 >= ERRAND_UNHURRIED_MS - 1);
		held_end(&held[i]);
	}
}

/* So many are done; one more, and they are told of at once. */
static void gathered_up_to_a_number(void **state)
{
	const struct record_id id = {.pid_tgid = 1, .ktime_ns = 2};
	struct errand errand;
	struct held held;

	held_start(&held, false);
	held_let_go(&held);
	errand = condemned(&held, &id);
	for (unsigned i = 0; i < GATHER_MAX; i++)
		errands_begin(*state, &errand);
	assert_false(workers_told(errands_workers(*state)));
	errands_begin(*state, &errand);
	while (!workers_told(errands_workers(*state)))
		usleep(1000);
	wait_told(*state, GATHER_MAX + 1);
	held_end(&held);
}

/* Then the end of one that was late is not left to gather. */
static void gathered_but_late(void **state)
{
	const struct record_id id = {.pid_tgid = 1, .ktime_ns = 2};
	struct held held;
	struct errand errand;

	held_start(&held, false);
	errand = condemned(&held, &id);
	errands_begin(*state, &errand);
	check_busy(wait_told(*state, 1), 0);
	held_let_go(&held);
	assert_true(wait_told(*state, 2)->late);
	assert_int_equal(outcomes[1].answer.number, 0);
	held_end(&held);
}

/* What came with one that is held, and lies behind it, is not late as well. */
static void gathered_behind(void **state)
{
	const struct record_id id = {.pid_tgid = 1, .ktime_ns = 2};
	struct held held, other;
	struct errand first, second;

	held_start(&held, false);
	held_start(&other, false);
	held_let_go(&other);
	first = second = condemned(&held, &id);
	second.kill.socket = other.socket;
	workers_batch_open(errands_workers(*state));
	errands_begin(*state, &first);
	errands_begin(*state, &second);
	workers_batch_close(errands_workers(*state));
	check_busy(wait_told(*state, 2), 0);
	assert_int_equal(outcomes[0].answer.number, 0);
	assert_false(outcomes[0].late);
	held_let_go(&held);
	assert_int_equal(wait_told(*state, 3)->answer.number, 0);
	assert_true(outcomes[2].late);
	held_end(&held);
	held_end(&other);
}

/* Of who is ended next it need not be looked up again; nor can it, if it is gone by then. */
static void who_was_asked_about_is_known(void **state)
{
	const struct record_id id = {.pid_tgid = 1, .ktime_ns = 2};
	struct errand errand;
	struct held held;

	held_start(&held, false);
	errand = condemned(&held, &id);
	errand.cause = FOR_JUDGE;
	errand.tag = MESSAGE_PROCESS;
	errand.kill.cgroup_id = 4;
	errands_begin(*state, &errand);
	assert_int_equal(wait_told(*state, 1)->answer.process.known, 1);
	held_end(&held);
	errand.tag = MESSAGE_KILL;
	errands_begin(*state, &errand);
	assert_string_equal(wait_told(*state, 2)->answer.killed.process.exe, outcomes[0].answer.process.exe);
	errand.kill.exec_id++; /* another program */
	errands_begin(*state, &errand);
	assert_int_equal(wait_told(*state, 3)->answer.killed.process.known, 0);
}

/* The kernel condemned it, and the judge asks when it is under way. */
static void asked_meanwhile(void **state)
{
	const struct record_id id = {.pid_tgid = 1, .ktime_ns = 2}, other = {.pid_tgid = 1, .ktime_ns = 3};
	struct held held;
	struct errand errand;

	held_start(&held, false);
	errand = condemned(&held, &id);
	assert_false(errands_ask(*state, &id, held.socket.cookie, 11));
	errands_begin(*state, &errand);
	assert_false(errands_ask(*state, &other, held.socket.cookie, 11));
	assert_false(errands_ask(*state, &id, held.socket.cookie + 1, 11));
	assert_true(errands_ask(*state, &id, held.socket.cookie, 11));
	assert_false(errands_ask(*state, &id, held.socket.cookie, 12));
	held_let_go(&held);
	assert_int_equal(wait_told(*state, 1)->answer.token, 11);
	assert_int_equal(outcomes[0].answer.number, 0);
	assert_false(errands_ask(*state, &id, held.socket.cookie, 13));
	held_end(&held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_socket_that_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(late_ones_shorten_the_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(after_a_standstill, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(a_directory_that_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(a_process_is_ended_whatever_it_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(gathered, setup, teardown),
		cmocka_unit_test_setup_teardown(gathered_up_to_a_number, setup, teardown),
		cmocka_unit_test_setup_teardown(gathered_but_late, setup, teardown),
		cmocka_unit_test_setup_teardown(gathered_behind, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(who_was_asked_about_is_known, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(asked_meanwhile, setup, teardown),
	};

	return cmocka_run_group_tests_name("errands", tests, NULL, NULL);
}
