/* Policies that come later: connections that are open still are found by what verified them, and each is judged as itself. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../user/agent/recall.h"
#include "case_world.h"
#include "random_case.h"

enum { SOCKETS_MAX = 2 * VERIFIED_MAX };

static struct case_world *w;
static struct memory *memory;
static struct verified_socket *sockets;
static size_t sockets_count;
static uint64_t forgotten;

static int setup(void **state)
{
	(void)state;
	w = world_new();
	memory = memory_new();
	sockets = xcalloc(SOCKETS_MAX + 1, sizeof(*sockets));
	sockets_count = 0;
	forgotten = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(sockets);
	memory_free(memory);
	world_free(w);
	return 0;
}

/* A verification that was let be, as the judge remembers it. */
static struct siphash_value remember(const char *server_name, uint32_t flags)
{
	struct siphash_value key = world_key(w, server_name, flags);
	struct capture *capture = world_capture(w, server_name, flags);

	memory_keep(memory, &key, capture);
	capture_free(capture);
	return key;
}

/* A connection of the kernel's list, of a process of its own. */
static void add_socket(struct siphash_value key)
{
	uint64_t number = ++sockets_count;

	sockets[number - 1] = (struct verified_socket){
		.id = {.pid_tgid = (1000 + number) << 32 | (2000 + number), .ktime_ns = 3000 + number},
		.start_boottime_ns = 4000 + number,
		.exec_id = 5000 + number,
		.key = key,
		.uid = 6000,
		.socket = {.cookie = number,
			   .netns = 1,
			   .family = WORLD_INET,
			   .how = SOCKET_FD,
			   .peer_ip = {192, 0, 2, 1},
			   .peer_port = (uint16_t)number,
			   .fd = 9,
			   .protocol = WORLD_TCP},
	};
}

static void add_sockets(struct siphash_value key, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_socket(key);
}

static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("verified", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

/* All slices, one after the other. */
static bool recall(const struct bench *bench, const struct memory *of, int fd, int64_t count, uint64_t *ret_forgotten)
{
	struct recall work = {};
	bool told = true;

	recall_begin(&work, fd, count);
	while (told && recall_is_under_way(&work))
		told = recall_go_on(&work, bench, of, ret_forgotten);
	recall_end(&work);
	return told;
}

static void recall_all(void)
{
	int fd CLEANUP_CLOSE = file_of(sockets, sockets_count * sizeof(*sockets));

	assert_true(recall(&w->bench, memory, fd, (int64_t)sockets_count, &forgotten));
}

/* Lines of events; all tell that it was verified earlier, and have this result, or none are there. */
static size_t events(const char *result)
{
	CLEANUP_FREE char *text = NULL, *wanted = xasprintf("\"result\":\"%s\"", result);
	size_t lines, earlier = 0, found = 0;

	text = world_events(w, &lines);
	for (const char *p = text; (p = strstr(p, "\"retroactive\":true")); p++)
		earlier++;
	for (const char *p = text; (p = strstr(p, wanted)); p++)
		found++;
	assert_int_equal(earlier, lines);
	assert_int_equal(found, lines);
	return lines;
}

static size_t ends(void)
{
	return w->kills_count - w->looks;
}

static void what_is_condemned_and_open_is_ended(void **state)
{
	struct siphash_value good = remember("good.test", 0), bad = remember("bad.test", 0);
	bool seen[6] = {false};

	(void)state;
	add_sockets(good, 2);
	add_sockets(bad, 3);
	add_sockets(good, 1);
	world_rules(w, KILLS);
	recall_all();
	assert_int_equal(w->looks, 3);
	assert_int_equal(ends(), 3);
	assert_int_equal(w->releases_count, 0);
	for (size_t i = 0; i < w->kills_count; i++) {
		const struct message_kill *kill = &w->kills[i];
		uint64_t number = kill->socket.cookie;
		const struct verified_socket *socket = &sockets[number - 1];

		assert_in_range(number, 3, 5);
		assert_memory_equal(&kill->socket, &socket->socket, sizeof(kill->socket));
		assert_int_equal(kill->pid, socket->id.pid_tgid >> 32);
		assert_int_equal(kill->tid, (uint32_t)socket->id.pid_tgid);
		assert_int_equal(kill->start_boottime_ns, socket->start_boottime_ns);
		assert_int_equal(kill->cached.kind, CACHED_NONE);
		if (kill->action == ACTION_LOG)
			continue;
		assert_int_equal(kill->action, ACTION_KILL);
		assert_memory_equal(&kill->id, &socket->id, sizeof(kill->id));
		assert_int_equal(kill->uid, 6000);
		assert_string_equal(kill->rule, "weak");
		assert_false(seen[number]);
		seen[number] = true;
	}
	assert_int_equal(events("killed"), 3);
	assert_int_equal(forgotten, 0);
}

static void in_audit_it_is_told_of(void **state)
{
	struct siphash_value bad = remember("bad.test", 0);

	(void)state;
	add_sockets(bad, 4);
	world_rules(w, KILLS);
	w->bench.audit_only = true;
	recall_all();
	assert_int_equal(ends(), 0);
	assert_int_equal(w->releases_count, 0);
	assert_int_equal(events("would-kill"), 4);
}

static void what_only_breaks_a_rule_is_told_of(void **state)
{
	struct siphash_value bad = remember("bad.test", 0);

	(void)state;
	add_sockets(bad, 2);
	world_rules(w, LOGS);
	recall_all();
	assert_int_equal(ends(), 0);
	assert_int_equal(w->releases_count, 0);
	assert_int_equal(events("none"), 2);
}

static bool is_even(const struct message_kill *look)
{
	return look->socket.cookie % 2 == 0;
}

static void what_has_ended_is_not_spoken_of(void **state)
{
	struct siphash_value bad = remember("bad.test", 0);

	(void)state;
	add_sockets(bad, 10);
	world_rules(w, KILLS);
	w->is_open = is_even;
	recall_all();
	assert_int_equal(w->looks, 10);
	assert_int_equal(ends(), 5);
	assert_int_equal(events("killed"), 5);
	for (size_t i = 0; i < w->kills_count; i++)
		assert_true(w->kills[i].action == ACTION_LOG || is_even(&w->kills[i]));
}

/* It ended between the look and the kill. */
static void what_ends_meanwhile_could_not_be_ended(void **state)
{
	(void)state;
	add_sockets(remember("bad.test", 0), 1);
	world_rules(w, KILLS);
	w->answer.number = -2;
	w->answer.text = "it has ended";
	recall_all();
	assert_int_equal(events("failed"), 1);
}

static void what_is_forgotten_is_counted(void **state)
{
	(void)state;
	add_sockets((struct siphash_value){1, 2}, 5);
	add_sockets(remember("bad.test", 0), 1);
	add_sockets((struct siphash_value){3, 4}, 2);
	world_rules(w, KILLS);
	forgotten = 100;
	recall_all();
	assert_int_equal(forgotten, 107);
	assert_int_equal(ends(), 1);
	assert_int_equal(events("killed"), 1);
}

static const char *laboratory_if_even(uint32_t pid)
{
	return pid % 2 ? "/usr/bin/curl" : "/opt/lab/probe";
}

/* Verified by the same verification, but not excepted by the same rule. */
static void each_connection_has_its_own_process(void **state)
{
	(void)state;
	add_sockets(remember("bad.test", 0), 10);
	world_rules(w, LABORATORY);
	w->exe_of = laboratory_if_even;
	recall_all();
	assert_int_equal(w->processes, 10);
	assert_int_equal(ends(), 5);
	for (size_t i = 0; i < w->kills_count; i++)
		assert_true(w->kills[i].action == ACTION_LOG || w->kills[i].pid % 2);
	assert_int_equal(events("killed"), 5);
}

/* A rule that names processes: by what verified them alone nobody can be said to be clean. */
static void whom_a_rule_names_is_found(void **state)
{
	static const char *const entries[] = {"exe: /usr/bin/curl", "exe: \"/usr/*\"", "user: alice", "user: \"6000\"",
					      "unit: a.service"};

	(void)state;
	add_sockets(remember("any.test", 0), 4);
	w->answer.cgroup = "0::/system.slice/a.service\n";
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		CLEANUP_FREE char *rules = xasprintf(
			"  - {id: r, match: [{%s}], require: {min_ec_bits: 384}, action: kill}\n", entries[i]);

		world_forget(w);
		world_rules(w, rules);
		recall_all();
		if (ends() != 4)
			fail_msg("%s: %zu", entries[i], ends());
	}
}

/* Its handshake is long over: nobody has verified. */
static void who_had_not_verified_yet_never_did(void **state)
{
	(void)state;
	w->library.kind = LIBRARY_GNUTLS;
	add_sockets(remember("bad.test", VERIFY_NONE_YET), 2);
	add_sockets(remember("bad.test", VERIFY_AFTER), 3);
	world_rules(w, VERIFIES);
	recall_all();
	assert_int_equal(ends(), 2);
	assert_int_equal(events("killed"), 2);
}

/* In any order, by few verifications: each is judged once a slice, and of what is clean nothing is asked. */
static void a_verification_is_judged_once(void **state)
{
	enum { KEYS = 8, COUNT = VERIFIED_MAX };
	struct siphash_value keys[KEYS];
	size_t bad = 0;

	(void)state;
	random_start();
	for (size_t i = 0; i < KEYS; i++) {
		CLEANUP_FREE char *name = i ? xasprintf("good%zu.test", i) : xstrdup("bad.test");

		keys[i] = remember(name, 0);
	}
	for (size_t i = 0; i < COUNT; i++) {
		size_t key = random_below(1000) ? 1 + random_below(KEYS - 1) : 0;

		add_socket(keys[key]);
		bad += key == 0;
	}
	world_rules(w, KILLS);
	w->is_open = is_even;
	recall_all();
	assert_true(bad > 0);
	assert_int_equal(w->looks, bad);
	/* Once more for a slice that begins within one. */
	assert_in_range(w->cases, KEYS + ends(), KEYS + ends() + (KEYS + bad) / 8 + 1);
	assert_int_equal(w->processes, 0);
	assert_int_equal(events("killed"), ends());
	/* And nothing to break: only the verifications themselves are looked at. */
	world_forget(w);
	world_rules(w, VERIFIES);
	recall_all();
	assert_in_range(w->cases, KEYS, KEYS + 1);
	assert_int_equal(w->kills_count + w->releases_count + w->processes, 0);
	assert_int_equal(forgotten, 0);
}

static void what_is_no_list_is_no_harm(void **state)
{
	static const int64_t counts[] = {0, -1,        INT64_MIN, INT64_MAX, 1LL << 40, 2 * VERIFIED_MAX + 1,
					 4, 1LL << 61, UINT32_MAX};
	struct siphash_value bad = remember("bad.test", 0);
	int whole CLEANUP_CLOSE = -1, empty CLEANUP_CLOSE = file_of("", 0), pipes[2];

	(void)state;
	add_sockets(bad, 3);
	world_rules(w, KILLS);
	whole = file_of(sockets, 3 * sizeof(*sockets));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		assert_true(recall(&w->bench, memory, whole, counts[i], &forgotten));
	for (size_t len = 0; len < 3 * sizeof(*sockets); len += 11) {
		int torn CLEANUP_CLOSE = file_of(sockets, len);

		assert_true(recall(&w->bench, memory, torn, 3, &forgotten));
	}
	assert_true(recall(&w->bench, memory, empty, 1, &forgotten));
	assert_true(recall(&w->bench, memory, -1, 3, &forgotten));
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(recall(&w->bench, memory, pipes[0], 3, &forgotten));
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(w->kills_count + w->cases, 0);
	assert_int_equal(forgotten, 0);
	/* Fewer than are there are those at the beginning. */
	assert_true(recall(&w->bench, memory, whole, 2, &forgotten));
	assert_int_equal(ends(), 2);
}

static void nonsense_is_forgotten(void **state)
{
	(void)state;
	random_start();
	remember("bad.test", 0);
	world_rules(w, KILLS);
	sockets_count = SOCKETS_MAX;
	for (size_t i = 0; i < sockets_count * sizeof(*sockets) / 8; i++)
		((uint64_t *)sockets)[i] = random_bits();
	recall_all();
	assert_int_equal(forgotten, SOCKETS_MAX);
	assert_int_equal(w->kills_count + w->cases, 0);
}

/* Known keys, and everything else at random: what is asked is bounded, and nothing else happens. */
static void a_list_that_lies_names_no_more_than_it_has(void **state)
{
	struct siphash_value bad = remember("bad.test", 0);

	(void)state;
	random_start();
	world_rules(w, KILLS);
	sockets_count = 500;
	for (size_t i = 0; i < sockets_count * sizeof(*sockets) / 8; i++)
		((uint64_t *)sockets)[i] = random_bits();
	for (size_t i = 0; i < sockets_count; i++)
		sockets[i].key = bad;
	recall_all();
	assert_int_equal(w->looks, 500);
	assert_true(ends() <= 500);
	for (size_t i = 0; i < w->kills_count; i++)
		assert_true(w->kills[i].action == ACTION_LOG || w->kills[i].socket.cookie);
}

static void nothing_is_told_when_nobody_reads(void **state)
{
	int fd CLEANUP_CLOSE = -1, pipes[2], events_fd = w->sink.fd;

	(void)state;
	add_sockets(remember("bad.test", 0), 5);
	world_rules(w, KILLS);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	close(pipes[0]);
	w->sink.fd = pipes[1];
	fd = file_of(sockets, sockets_count * sizeof(*sockets));
	assert_false(recall(&w->bench, memory, fd, 5, &forgotten));
	assert_int_equal(ends(), 1); /* the agent is at its end */
	close(pipes[1]);
	w->sink.fd = events_fd;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_condemned_and_open_is_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(in_audit_it_is_told_of, setup, teardown),
		cmocka_unit_test_setup_teardown(what_only_breaks_a_rule_is_told_of, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_ended_is_not_spoken_of, setup, teardown),
		cmocka_unit_test_setup_teardown(what_ends_meanwhile_could_not_be_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_forgotten_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(each_connection_has_its_own_process, setup, teardown),
		cmocka_unit_test_setup_teardown(whom_a_rule_names_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(who_had_not_verified_yet_never_did, setup, teardown),
		cmocka_unit_test_setup_teardown(a_verification_is_judged_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_list_is_no_harm, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_that_lies_names_no_more_than_it_has, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_told_when_nobody_reads, setup, teardown),
	};

	certificate_init();
	return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
