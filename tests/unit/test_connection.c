/* One connection ended wherever it is, by what means there are: user/agent/connection.c, with the test's own processes. */
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../user/agent/connection.h"
#include "holder.h"
#include "start_of.h"

static struct connection connection_of(const struct holder *holder)
{
	return (struct connection){.pid = (uint32_t)holder->pid,
				   .tid = (uint32_t)holder->pid,
				   .start_boottime_ns = start_of(holder->pid),
				   .socket = holder->socket};
}

static void check_end(const struct connection *connection, int expected, const char *why)
{
	const char *said = NULL;

	assert_int_equal(connection_end(connection, &said), expected);
	assert_string_equal(said, why);
}

static void check_ended(const struct connection *connection, struct holder *holder)
{
	assert_int_equal(connection_look(connection), 0);
	check_end(connection, 0, "");
	assert_int_equal(connection_look(connection), -ENOENT);
	check_end(connection, -ENOENT, "the connection had ended already");
	assert_int_equal(holder_order(holder, HOLDER_READ, 0, 0), -ECONNABORTED);
}

static void own_and_another_namespace(void **state)
{
	(void)state;
	for (int own_netns = 0; own_netns < 2; own_netns++)
		for (int type = 0; type < 2; type++) {
			struct holder holder CLEANUP_HOLDER = {};
			struct connection connection;

			holder_start(&holder, own_netns, HOLD_IPV4, type ? SOCK_DGRAM : SOCK_STREAM);
			connection = connection_of(&holder);
			check_ended(&connection, &holder);
		}
}

/* The socket is in the namespace of a process that the record does not name: passed on, or the number is another's by now. */
static void of_another_process(void **state)
{
	(void)state;
	for (int own_netns = 0; own_netns < 2; own_netns++)
		for (int gone = 0; gone < 2; gone++) {
			struct holder holder CLEANUP_HOLDER = {};
			struct connection connection;

			holder_start(&holder, own_netns, HOLD_IPV4, SOCK_STREAM);
			connection = connection_of(&holder);
			if (gone)
				connection.start_boottime_ns += 1000000000;
			else
				connection.pid = connection.tid = (uint32_t)getpid(),
				connection.start_boottime_ns = start_of(getpid());
			check_ended(&connection, &holder);
		}
}

static void nobody_is_left_in_its_namespace(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	struct connection connection;

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	connection = connection_of(&holder);
	holder_end(&holder);
	assert_int_equal(connection_look(&connection), -ENOENT);
	check_end(&connection, -ESRCH, "no process is left in the socket's network namespace");
}

struct refused {
	struct connection connections[2];
	int filtered, ended[2], looked;
	char why[64];
};

/* Without assertions of cmocka's, which belong to the main thread. */
static void *end_without_netlink(void *context)
{
	struct refused *refused = context;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	const char *why;

	refused->filtered = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
					     SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)) ||
			    seccomp_load(filter);
	seccomp_release(filter);
	refused->looked = connection_look(&refused->connections[0]);
	for (int i = 0; i < 2; i++)
		refused->ended[i] = connection_end(&refused->connections[i], &why);
	refused->connections[0].pid = refused->connections[0].tid = 0;
	refused->ended[0] = refused->ended[0] ? refused->ended[0] : connection_end(&refused->connections[0], &why) + EPERM;
	snprintf(refused->why, sizeof(refused->why), "%s", why);
	return NULL;
}

/* By the process's own descriptor then; and where there is none, it says why. */
static void netlink_is_refused(void **state)
{
	struct holder holders[2] = {};
	struct refused refused = {};
	pthread_t thread;

	(void)state;
	for (int i = 0; i < 2; i++) {
		holder_start(&holders[i], i == 1, HOLD_IPV4, SOCK_STREAM);
		refused.connections[i] = connection_of(&holders[i]);
	}
	assert_int_equal(pthread_create(&thread, NULL, end_without_netlink, &refused), 0);
	pthread_join(thread, NULL);
	assert_int_equal(refused.filtered, 0);
	assert_int_equal(refused.looked, -EPERM);
	assert_string_equal(refused.why, strerror(EPERM));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(refused.ended[i], 0);
		assert_true(holder_order(&holders[i], HOLDER_SEND, 0, 1) < 0);
		assert_int_equal(holder_order(&holders[i], HOLDER_READ, 1, 0), -ECONNRESET);
		holder_free(&holders[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_and_another_namespace),
		cmocka_unit_test(of_another_process),
		cmocka_unit_test(nobody_is_left_in_its_namespace),
		cmocka_unit_test(netlink_is_refused),
	};

	holder_become_root();
	return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
