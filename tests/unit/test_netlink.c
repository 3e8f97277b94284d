/* The netlink socket that a thread keeps: user/enforce/netlink.c, by way of destroy.c, on sockets of the test's own processes. */
#include <dirent.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "destroy.h"
#include "holder.h"

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* How many this process has. *ret_fd: one of them. */
static unsigned count(int *ret_fd)
{
	DIR *dir CLEANUP_CLOSEDIR = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned found = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || option(fd, SO_DOMAIN) != AF_NETLINK ||
		    option(fd, SO_PROTOCOL) != NETLINK_SOCK_DIAG)
			continue;
		found++;
		*ret_fd = fd;
	}
	return found;
}

static int kept(void)
{
	int fd = -1;

	assert_int_equal(count(&fd), 1);
	return fd;
}

static ino_t own_netns(void)
{
	struct stat stat = {};

	assert_int_equal(fstatat(AT_FDCWD, "/proc/thread-self/ns/net", &stat, 0), 0);
	return stat.st_ino;
}

static ino_t netns_of(int socket_fd)
{
	int fd CLEANUP_CLOSE = ioctl(socket_fd, SIOCGSKNS);
	struct stat stat = {};

	assert_int_equal(fstat(fd, &stat), 0);
	return stat.st_ino;
}

static void of_its_own_namespace_one_is_kept(void **state)
{
	struct holder holder CLEANUP_HOLDER = {};
	int fd;

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(socket_look(NETNS_OWN, &holder.socket), 0);
	fd = kept();
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_true(netns_of(fd) == own_netns());
	assert_int_equal(socket_look(holder.netns_fd, &holder.socket), 0);
	assert_int_equal(socket_look(NETNS_OWN, &holder.socket), 0);
	assert_int_equal(socket_destroy(NETNS_OWN, &holder.socket), 0);
	assert_int_equal(kept(), fd);
	assert_int_equal(socket_destroy(NETNS_OWN, &holder.socket), -ENOENT);
	assert_int_equal(socket_look(NETNS_OWN, &holder.socket), -ENOENT);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 0, 0), -ECONNABORTED);
}

/* In turns; and in no other namespace is anything left that would keep it alive. */
static void another_namespace(void **state)
{
	struct holder own CLEANUP_HOLDER = {}, other CLEANUP_HOLDER = {};

	(void)state;
	holder_start(&own, false, HOLD_IPV6, SOCK_STREAM);
	holder_start(&other, true, HOLD_IPV4, SOCK_DGRAM);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(socket_look(other.netns_fd, &other.socket), 0);
		assert_int_equal(socket_look(NETNS_OWN, &other.socket), -EXDEV);
		assert_int_equal(socket_destroy(NETNS_OWN, &other.socket), -EXDEV);
		assert_int_equal(socket_look(own.netns_fd, &other.socket), -ENOENT);
		assert_int_equal(socket_look(NETNS_OWN, &own.socket), 0);
		assert_int_equal(socket_look(other.netns_fd, &own.socket), -ENOENT);
		assert_true(netns_of(kept()) == own_netns());
	}
	assert_int_equal(socket_destroy(other.netns_fd, &other.socket), 0);
	assert_int_equal(socket_look(NETNS_OWN, &own.socket), 0);
	assert_int_equal(socket_destroy(NETNS_OWN, &own.socket), 0);
	assert_int_equal(socket_look(other.netns_fd, &other.socket), -ENOENT);
	assert_true(netns_of(kept()) == own_netns());
}

/* What the kernel said to something else is in the queue: here "no such request". */
static void a_late_answer_is_nobodys(void **state)
{
	const struct nlmsghdr other = {
		.nlmsg_len = sizeof(other), .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
	struct holder holder CLEANUP_HOLDER = {};
	int ignored;

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(socket_look(NETNS_OWN, &holder.socket), 0);
		assert_int_equal(send(kept(), &other, sizeof(other), 0), sizeof(other));
		assert_int_equal(i ? socket_look(NETNS_OWN, &holder.socket) : socket_destroy(NETNS_OWN, &holder.socket),
				 -EPROTO);
		assert_int_equal(count(&ignored), 0);
	}
	assert_int_equal(socket_destroy(NETNS_OWN, &holder.socket), 0);
	kept();
}

/* In its place stands a socket that takes what it is sent, and never answers. */
static void what_does_not_answer_is_given_up(void **state)
{
	const struct timeval soon = {.tv_usec = 50000};
	struct holder holder CLEANUP_HOLDER = {};
	int ends[2], ignored;

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socket_look(NETNS_OWN, &holder.socket), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
		assert_true(dup2(ends[0], kept()) >= 0);
		close(ends[0]);
		assert_int_equal(i ? socket_look(holder.netns_fd, &holder.socket) :
				     socket_destroy(holder.netns_fd, &holder.socket),
				 -EAGAIN);
		assert_int_equal(count(&ignored), 0);
		assert_true(recv(ends[1], &ignored, sizeof(ignored), 0) > 0);
		assert_int_equal(recv(ends[1], &ignored, sizeof(ignored), 0), 0); /* it was closed */
		close(ends[1]);
	}
	assert_int_equal(holder_order(&holder, HOLDER_SEND, 0, 7), 0);
	assert_int_equal(holder_order(&holder, HOLDER_READ, 1, 0), 7);
	assert_int_equal(socket_destroy(holder.netns_fd, &holder.socket), 0);
}

/* Its number is there for all to read, and others with CAP_NET_ADMIN may send to any. */
static void a_stranger_cannot_answer(void **state)
{
	const struct nlmsghdr forged = {.nlmsg_len = sizeof(forged), .nlmsg_type = NLMSG_DONE};
	int stranger CLEANUP_CLOSE = -1;
	struct holder holder CLEANUP_HOLDER = {};
	struct sockaddr_nl address = {};
	socklen_t len = sizeof(address);

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(socket_look(NETNS_OWN, &holder.socket), 0);
	assert_int_equal(getsockname(kept(), (void *)&address, &len), 0);
	assert_true(address.nl_pid != 0);
	stranger = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	assert_true(sendto(stranger, &forged, sizeof(forged), 0, (void *)&address, len) < 0);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(socket_look(NETNS_OWN, &holder.socket), 0);
}

/* --- threads: without assertions of cmocka's, which belong to the main one ------------------------------------------ */

enum { THREADS = 2, ROUNDS = 200 };

struct looker {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct holder own, other;
	unsigned wrong; /* answers */
};

static void *look_often(void *context)
{
	struct looker *looker = context;
	struct record_socket gone = looker->own.socket;

	gone.cookie++;
	pthread_barrier_wait(looker->barrier);
	for (int i = 0; i < ROUNDS; i++) {
		looker->wrong += socket_look(NETNS_OWN, &looker->own.socket) != 0;
		looker->wrong += socket_look(NETNS_OWN, &gone) != -ENOENT;
		looker->wrong += socket_look(looker->other.netns_fd, &looker->other.socket) != 0;
		looker->wrong += socket_destroy(NETNS_OWN, &gone) != -ENOENT;
	}
	looker->wrong += socket_destroy(NETNS_OWN, &looker->own.socket) != 0;
	looker->wrong += socket_destroy(looker->other.netns_fd, &looker->other.socket) != 0;
	return NULL;
}

static void each_thread_has_its_own(void **state)
{
	struct looker lookers[THREADS] = {};
	pthread_barrier_t barrier;
	int ignored;
	unsigned before = count(&ignored);

	(void)state;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		lookers[i].barrier = &barrier;
		holder_start(&lookers[i].own, false, HOLD_IPV4, SOCK_STREAM);
		holder_start(&lookers[i].other, true, HOLD_IPV4, SOCK_STREAM);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&lookers[i].thread, NULL, look_often, &lookers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(lookers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(lookers[i].wrong, 0);
		assert_int_equal(holder_order(&lookers[i].own, HOLDER_READ, 0, 0), -ECONNABORTED);
		assert_int_equal(holder_order(&lookers[i].other, HOLDER_READ, 0, 0), -ECONNABORTED);
		holder_free(&lookers[i].own);
		holder_free(&lookers[i].other);
	}
	pthread_barrier_destroy(&barrier);
	assert_int_equal(count(&ignored), before);
}

enum { STEPS = 8 };

struct mover {
	const struct holder *holder;
	int step[STEPS];
};

static void *move(void *context)
{
	struct mover *mover = context;
	const struct holder *holder = mover->holder;
	struct stat before = {}, after = {};
	int *step = mover->step;

	*step++ = socket_look(NETNS_OWN, &holder->socket);
	*step++ = unshare(CLONE_NEWNET) < 0 ? -errno : stat("/proc/thread-self/ns/net", &before);
	/* What is kept still is of the first namespace, and so is the socket. */
	*step++ = socket_look(NETNS_OWN, &holder->socket);
	int netns CLEANUP_CLOSE = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	*step++ = socket_look(netns, &holder->socket);
	*step++ = socket_look(NETNS_OWN, &holder->socket);
	*step++ = socket_look(holder->netns_fd, &holder->socket);
	*step++ = socket_destroy(holder->netns_fd, &holder->socket);
	*step++ = stat("/proc/thread-self/ns/net", &after) || before.st_ino != after.st_ino;
	return NULL;
}

static void a_thread_that_moves(void **state)
{
	static const int expected[STEPS] = {0, 0, 0, -ENOENT, -EXDEV, 0, 0, 0};
	struct holder holder CLEANUP_HOLDER = {};
	struct mover mover = {.holder = &holder};
	pthread_t thread;

	(void)state;
	holder_start(&holder, false, HOLD_IPV4, SOCK_STREAM);
	assert_int_equal(pthread_create(&thread, NULL, move, &mover), 0);
	pthread_join(thread, NULL);
	for (int i = 0; i < STEPS; i++)
		if (mover.step[i] != expected[i])
			fail_msg("step %d: %d", i, mover.step[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_its_own_namespace_one_is_kept),
		cmocka_unit_test(another_namespace),
		cmocka_unit_test(a_late_answer_is_nobodys),
		cmocka_unit_test(what_does_not_answer_is_given_up),
		cmocka_unit_test(a_stranger_cannot_answer),
		cmocka_unit_test(each_thread_has_its_own),
		cmocka_unit_test(a_thread_that_moves),
	};

	holder_become_root();
	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
