/* The end of one connection: user/enforce/destroy.c, on sockets of a process of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "destroy.h"
#include "holder.h"

static void a_tcp_connection_is_ended(void **state)
{
	(void)state;
	for (enum holder_kind kind = 0; kind < HOLD_KINDS; kind++)
		for (int own_netns = 0; own_netns < 2; own_netns++) {
			struct holder holder CLEANUP_HOLDER = {};

			holder_start(&holder, own_netns, kind, SOCK_STREAM);
			assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
			assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), 0);
			assert_int_equal(socket_look(holder.netns_fd, &holder.socket), -ENOENT);
			assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), -ENOENT);
			assert_int_equal(holder_order(&holder, HOLDER_READ, 0, 0), -ECONNABORTED);
			assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), -ECONNRESET);
		}
}

static void a_connected_udp_socket_is_ended(void **state)
{
	(void)state;
	for (enum holder_kind kind = 0; kind < HOLD_KINDS; kind++)
		for (int own_netns = 0; own_netns < 2; own_netns++) {
			struct holder holder CLEANUP_HOLDER = {};

			holder_start(&holder, own_netns, kind, SOCK_DGRAM);
			assert_int_equal(holder.socket.protocol, IPPROTO_UDP);
			assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
			assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), 0);
			assert_int_equal(holder_order(&holder, HOLDER_READ, 0, 0), -ECONNABORTED);
			assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 5), -EDESTADDRREQ);
			/* From here on it is a socket like any other, and no connection. */
			assert_int_equal(socket_look(holder.netns_fd, &holder.socket), -ENOENT);
			assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), -ENOENT);
		}
}

/* The accepted end: its port is also that of sockets that listen. */
static void the_other_end(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&holder, true, HOLD_IPV6, SOCK_STREAM);
	assert_int_equal(holder_order(&holder, HOLDER_NAME, 1, 0), 0);
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), -ECONNABORTED);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 0, 0), -ECONNRESET);
}

static void what_waits_does_not_arrive(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(holder_order(&holder, HOLDER_CORK, 0, 1), 0);
	assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 100), 0);
	assert_int_equal(holder_order(&holder, HOLDER_UNSENT, 0, 0), 100);
	assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), -ECONNRESET);
}

/* The process has closed it and gone on, with data that could not leave. */
static void an_orphan_is_ended_with_its_data(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(holder_order(&holder, HOLDER_WAY_OUT, 0, false), 0);
	assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 100), 0);
	assert_int_equal(holder_order(&holder, HOLDER_CLOSE, 0, 0), 0);
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(holder_order(&holder, HOLDER_WAY_OUT, 0, true), 0);
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), -ENOENT);
	assert_int_equal(holder_order(&holder, HOLDER_SEND, 1, 1), 0);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), -ECONNRESET);
}

static void check_not_there(int netns_fd, const struct record_socket *socket)
{
	assert_int_equal(socket_look(netns_fd, socket), -ENOENT);
	assert_int_equal(socket_destroy(netns_fd, socket), -ENOENT);
}

/* The ends are the same; the cookie says that it is another one. And the cookie, but other ends: the kernel looks for those. */
static void no_other_connection_is_ended(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	int own CLEANUP_CLOSE = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct holder holder CLEANUP_HOLDER = {};
		struct record_socket other;

		holder_start(&holder, true, HOLD_IPV4, types[i]);
		other = holder.socket;
		other.cookie++;
		check_not_there(holder.netns_fd, &other);
		other = holder.socket;
		other.peer_port ^= 1;
		check_not_there(holder.netns_fd, &other);
		other = holder.socket;
		other.protocol = types[i] == SOCK_STREAM ? IPPROTO_UDP : IPPROTO_TCP;
		check_not_there(holder.netns_fd, &other);
		check_not_there(own, &holder.socket);
		assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 7), 0);
		assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), 7);
		assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
	}
}

static void a_closed_connection_is_not_there(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&holder, true, HOLD_MAPPED, SOCK_STREAM);
	assert_int_equal(holder_order(&holder, HOLDER_CLOSE, 1, 0), 0);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 0, 0), 0);
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0); /* the process has not closed its end */
	assert_int_equal(holder_order(&holder, HOLDER_CLOSE, 0, 0), 0);
	check_not_there(holder.netns_fd, &holder.socket);
}

/* The namespace lives on in our descriptor. */
static void the_process_has_ended(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	holder_end(&holder);
	check_not_there(holder.netns_fd, &holder.socket);
}

static void the_caller_stays_where_it_was(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	struct stat before, after;

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(stat("/proc/thread-self/ns/net", &before), 0);
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(stat("/proc/thread-self/ns/net", &after), 0);
	assert_true(before.st_ino == after.st_ino);
	assert_true(socket_look(-1, &holder.socket) < 0);
	assert_true(socket_destroy(holder.process_fd, &holder.socket) < 0);
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tcp_connection_is_ended),
		cmocka_unit_test(a_connected_udp_socket_is_ended),
		cmocka_unit_test(the_other_end),
		cmocka_unit_test(what_waits_does_not_arrive),
		cmocka_unit_test(an_orphan_is_ended_with_its_data),
		cmocka_unit_test(no_other_connection_is_ended),
		cmocka_unit_test(a_closed_connection_is_not_there),
		cmocka_unit_test(the_process_has_ended),
		cmocka_unit_test(the_caller_stays_where_it_was),
	};

	holder_become_root();
	return cmocka_run_group_tests_name("destroy", tests, NULL, NULL);
}
