/* Inquiries: each comes back once, no more are taken than there is room for, and what waits ends with the askers. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "../../user/agent/askers.h"
#include "traces.h"
#include "util.h"

enum { LIMIT_MS = 30000 /* only so that a test that fails does not hang */ };

static struct askers *askers;
static int wake;

static int setup(void **state)
{
	(void)state;
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return askers_new(NULL, wake, &askers);
}

static int teardown(void **state)
{
	(void)state;
	askers_free(askers);
	close(wake);
	return 0;
}

static struct inquiry *file_inquiry(uid_t owner)
{
	static const char text[] = "\x7f"
				   "ELF\1\1\1 crypto/tls.(*Conn).verifyServerCertificate";
	struct inquiry *inquiry = inquiry_new(INQUIRY_EXAMINE);

	inquiry->fd[0] = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(write(inquiry->fd[0], text, sizeof(text)), sizeof(text));
	inquiry->path = xstrdup("/file");
	inquiry->owner = owner;
	return inquiry;
}

static struct inquiry *wait_done(void)
{
	struct pollfd ready = {.fd = wake, .events = POLLIN};
	struct inquiry *inquiry;
	eventfd_t count;

	while (!(inquiry = askers_take(askers))) {
		assert_int_equal(poll(&ready, 1, LIMIT_MS), 1);
		eventfd_read(wake, &count);
	}
	return inquiry;
}

static void test_each_comes_back(void **state)
{
	bool seen[100] = {};

	(void)state;
	for (uid_t i = 0; i < 100; i++)
		assert_int_equal(askers_add(askers, file_inquiry(i)), 0);
	for (size_t i = 0; i < 100; i++) {
		struct inquiry *inquiry = wait_done();
		assert_false(seen[inquiry->owner]);
		seen[inquiry->owner] = true;
		assert_int_equal(inquiry->result, 0);
		assert_int_equal(inquiry->found.traces, TRACE_GO);
		assert_int_equal(askers_examining(askers), 99 - i);
		inquiry_free(inquiry);
	}
	assert_null(askers_take(askers));
	assert_true(askers_idle(askers));
}

/* Beyond it the oldest of whoever has most is given up, and who has little loses nothing. */
static void test_room(void **state)
{
	enum { MORE = 300 };
	unsigned given_up = 0, done = 0;

	(void)state;
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(askers_add(askers, file_inquiry(1)), 0);
	for (size_t i = 0; i < WAITING_MAX + MORE; i++)
		assert_int_equal(askers_add(askers, file_inquiry(2)), 0);
	for (size_t i = 0; i < 10 + WAITING_MAX + MORE; i++) {
		struct inquiry *inquiry = wait_done();
		given_up += inquiry->result == -ECANCELED;
		done += inquiry->result == 0;
		assert_true(inquiry->owner == 2 || inquiry->result == 0);
		inquiry_free(inquiry);
	}
	assert_true(given_up <= 10 + MORE);
	assert_int_equal(done + given_up, 10 + WAITING_MAX + MORE);
	for (size_t i = 0; i < 50; i++) /* what waits is freed with the askers */
		assert_int_equal(askers_add(askers, file_inquiry(0)), 0);
}

static void test_unreadable(void **state)
{
	struct inquiry *inquiry = inquiry_new(INQUIRY_EXAMINE);

	(void)state;
	inquiry->fd[0] = open("/", O_RDONLY | O_CLOEXEC);
	inquiry->path = xstrdup("/");
	assert_int_equal(askers_add(askers, inquiry), 0);
	inquiry = wait_done();
	assert_true(inquiry->result < 0);
	inquiry_free(inquiry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
