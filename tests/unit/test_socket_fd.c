/* Another process's socket: user/enforce/socket_fd.c, on sockets of a process of the test's own. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "holder.h"
#include "socket_fd.h"

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Takes it, sees that it is the right one or the error, and that nothing else stays open. */
static int taken(const struct holder *holder, const struct record_socket *socket)
{
	int before = descriptors();
	int fd = socket_fd_take(holder->pidfd, holder->process_fd, socket);
	struct record_socket is;

	assert_int_equal(descriptors(), before + (fd >= 0));
	if (fd < 0)
		return fd;
	holder_name(fd, &is);
	assert_true(is.cookie == socket->cookie);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	return fd;
}

static int check_taken(const struct holder *holder, const struct record_socket *socket)
{
	int fd CLEANUP_CLOSE = taken(holder, socket);

	return fd < 0 ? fd : 0;
}

static void by_descriptor_or_by_inode(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		for (int own_netns = 0; own_netns < 2; own_netns++) {
			struct holder holder CLEANUP_HOLDER = {};
			struct record_socket socket;

			holder_start(&holder, own_netns, HOLD_IPV6, types[i]);
			socket = holder.socket;
			assert_true(socket.fd >= 0 && socket.inode != 0);
			assert_int_equal(check_taken(&holder, &socket), 0);
			socket.inode = 0; /* the descriptor only */
			assert_int_equal(check_taken(&holder, &socket), 0);
			socket.fd = -1;
			assert_int_equal(check_taken(&holder, &socket), -ENOENT);
			socket.inode = holder.socket.inode; /* the inode only */
			assert_int_equal(check_taken(&holder, &socket), 0);
			/* Of something else, of nothing, and such as cannot be. */
			for (socket.fd = 0; socket.fd < 20; socket.fd++)
				assert_int_equal(check_taken(&holder, &socket), 0);
			socket.fd = INT32_MAX;
			assert_int_equal(check_taken(&holder, &socket), 0);
			socket.fd = INT32_MIN;
			assert_int_equal(check_taken(&holder, &socket), 0);
		}
}

static void a_descriptor_that_is_another_socket_by_now(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	struct record_socket socket, other;

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
	socket = holder.socket;
	assert_int_equal(holder_order(&holder, HOLDER_MOVE, 0, 0), 0);
	assert_int_equal(check_taken(&holder, &socket), 0);
	other = socket;
	other.inode = 0;
	assert_int_equal(check_taken(&holder, &other), -ENOENT);
	/* What that descriptor is, but with the cookie that it was. */
	assert_int_equal(holder_order(&holder, HOLDER_NAME, 1, 0), 0);
	other.inode = holder.socket.inode;
	assert_int_equal(check_taken(&holder, &other), -ENOENT);
	assert_int_equal(holder_order(&holder, HOLDER_CLOSE, 0, 0), 0);
	assert_int_equal(check_taken(&holder, &socket), -ENOENT);
}

/* Before it is waited for, and after. */
static void the_process_has_ended(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	struct record_socket socket;
	siginfo_t info;
	int err;

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	socket = holder.socket;
	kill(holder.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)holder.pid, &info, WEXITED | WNOWAIT), 0);
	err = check_taken(&holder, &socket);
	assert_true(err == -ENOENT || (err == -EACCES && holder_no_root)); /* what is left of it is the real root's */
	holder_end(&holder);
	assert_int_equal(check_taken(&holder, &socket), -ENOENT);
	socket.fd = -1;
	assert_int_equal(check_taken(&holder, &socket), -ENOENT);
}

/* While it is not known to be a socket, it is not taken: the close of a file may be anybody's affair. */
static void what_is_no_socket_is_not_taken(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	struct record_socket socket;

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	socket = holder.socket;
	socket.inode = 0;
	for (socket.fd = -1; socket.fd < 3; socket.fd++)
		assert_int_equal(check_taken(&holder, &socket), -ENOENT);
}

static void what_waits_goes(void **state)
{
	(void)state;
	for (int undelayed = 0; undelayed < 2; undelayed++) {
		struct holder holder CLEANUP_HOLDER = {};
		int fd CLEANUP_CLOSE = -1;

		holder_start(&holder, true, HOLD_IPV4, SOCK_STREAM);
		assert_int_equal(holder_order(&holder, HOLDER_NODELAY, 0, undelayed), 0);
		fd = taken(&holder, &holder.socket);
		assert_int_equal(socket_fd_push(fd), 1); /* nothing waits */
		assert_int_equal(holder_order(&holder, HOLDER_WAY_OUT, 0, false), 0);
		assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 100), 0);
		assert_int_equal(socket_fd_push(fd), 1);
		assert_int_equal(holder_order(&holder, HOLDER_UNSENT, 0, 0), 100);
		assert_int_equal(holder_order(&holder, HOLDER_WAY_OUT, 0, true), 0);
		assert_int_equal(socket_fd_push(fd), 1);
		assert_int_equal(holder_order(&holder, HOLDER_UNSENT, 0, 0), 0);
		assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), 100);
		assert_int_equal(holder_order(&holder, HOLDER_IS_CORKED, 0, 0), 0);
		assert_int_equal(holder_order(&holder, HOLDER_IS_NODELAY, 0, 0), undelayed);
	}
}

static void what_the_application_corked_waits_for_it(void **state)
{
	(void)state;
	for (int undelayed = 0; undelayed < 2; undelayed++) {
		struct holder holder CLEANUP_HOLDER = {};
		int fd CLEANUP_CLOSE = -1;

		holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
		assert_int_equal(holder_order(&holder, HOLDER_NODELAY, 0, undelayed), 0);
		assert_int_equal(holder_order(&holder, HOLDER_CORK, 0, 1), 0);
		fd = taken(&holder, &holder.socket);
		assert_int_equal(socket_fd_push(fd), 0);
		assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 100), 0);
		assert_int_equal(socket_fd_push(fd), 0);
		assert_int_equal(holder_order(&holder, HOLDER_IS_CORKED, 0, 0), 1);
		assert_int_equal(holder_order(&holder, HOLDER_IS_NODELAY, 0, 0), undelayed);
		assert_int_equal(holder_order(&holder, HOLDER_CORK, 0, 0), 0);
		assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), 100);
	}
}

static void what_cannot_be_pushed(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	int fd CLEANUP_CLOSE = -1, local CLEANUP_CLOSE = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	holder_start(&holder, false, HOLD_IPV6, SOCK_DGRAM);
	fd = taken(&holder, &holder.socket);
	assert_int_equal(socket_fd_push(fd), 0);
	assert_int_equal(socket_fd_push(local), 0);
	assert_int_equal(socket_fd_push(holder.process_fd), -EBADF); /* O_PATH */
	assert_int_equal(socket_fd_push(holder.netns_fd), -ENOTSOCK);
	assert_int_equal(socket_fd_push(-1), -EBADF);
	assert_int_equal(socket_fd_disconnect(-1), -EBADF);
}

static void what_waits_is_thrown_away(void **state)
{
	(void)state;
	for (enum holder_kind kind = 0; kind < HOLD_KINDS; kind++) {
		struct holder holder CLEANUP_HOLDER = {};
		int fd CLEANUP_CLOSE = -1;

		holder_start(&holder, true, kind, SOCK_STREAM);
		assert_int_equal(holder_order(&holder, HOLDER_CORK, 0, 1), 0);
		assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 100), 0);
		assert_int_equal(holder_order(&holder, HOLDER_UNSENT, 0, 0), 100);
		fd = taken(&holder, &holder.socket);
		assert_int_equal(socket_fd_disconnect(fd), 0);
		assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), -ECONNRESET);
		assert_int_equal(holder_order(&holder, HOLDER_READ, 0, 0), -ECONNRESET);
		assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 1), -EPIPE);
	}
}

static void a_udp_socket_loses_its_peer(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	int fd CLEANUP_CLOSE = -1;

	(void)state;
	holder_start(&holder, true, HOLD_IPV4, SOCK_DGRAM);
	fd = taken(&holder, &holder.socket);
	assert_int_equal(socket_fd_disconnect(fd), 0);
	assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 1), -EDESTADDRREQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_descriptor_or_by_inode),
		cmocka_unit_test(a_descriptor_that_is_another_socket_by_now),
		cmocka_unit_test(the_process_has_ended),
		cmocka_unit_test(what_is_no_socket_is_not_taken),
		cmocka_unit_test(what_waits_goes),
		cmocka_unit_test(what_the_application_corked_waits_for_it),
		cmocka_unit_test(what_cannot_be_pushed),
		cmocka_unit_test(what_waits_is_thrown_away),
		cmocka_unit_test(a_udp_socket_loses_its_peer),
	};

	holder_become_root();
	return cmocka_run_group_tests_name("socket_fd", tests, NULL, NULL);
}
