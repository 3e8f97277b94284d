/* The control socket: who is answered, what is left alone, and what clients that do harm can do. Real sockets, in a directory of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "control.h"
#include "util.h"

enum { PATIENCE_MS = 60000, LARGE = 8 << 20 };

struct place {
	char directory[64];
	char *path;
};

static int place_make(void **state)
{
	struct place *place = xcalloc(1, sizeof(*place));

	strcpy(place->directory, "/tmp/test-control-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	place->path = xasprintf("%s/run/control.sock", place->directory);
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;
	CLEANUP_FREE char *run = xasprintf("%s/run", place->directory);

	unlink(place->path);
	rmdir(run);
	rmdir(place->directory);
	free(place->path);
	free(place);
	return 0;
}

static char *answer(void *context, const char *request)
{
	char *text;

	(void)context;
	if (strcmp(request, "large") != 0)
		return xasprintf("you said %s\n", request);
	text = xcalloc(LARGE + 1, 1);
	memset(text, 'x', LARGE - 1);
	text[LARGE - 1] = '\n';
	return text;
}

static struct control *opened(const struct place *place)
{
	CLEANUP_FREE char *why = NULL;
	struct control *control = NULL;

	if (control_open(place->path, &control, &why) < 0)
		fail_msg("%s", why);
	return control;
}

static struct control *started(const struct place *place)
{
	struct control *control = opened(place);

	assert_int_equal(control_start(control, answer, NULL), 0);
	return control;
}

static struct sockaddr_un address_of(const struct place *place)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, place->path);
	return address;
}

static int connected(const struct place *place)
{
	const struct sockaddr_un address = address_of(place);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* Until it is closed. */
static char *received(int fd)
{
	char *text = xcalloc(LARGE + 1, 1);
	size_t len = 0;
	ssize_t n;

	do {
		struct pollfd watched = {.fd = fd, .events = POLLIN};

		assert_int_equal(poll(&watched, 1, PATIENCE_MS), 1);
		n = recv(fd, text + len, LARGE - len, 0);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && len < LARGE);
	return text;
}

static void asked(const struct place *place, const char *request, const char *expected)
{
	int fd CLEANUP_CLOSE = connected(place);
	CLEANUP_FREE char *got = NULL;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	got = received(fd);
	assert_string_equal(got, expected);
}

static void made_as_it_should_be(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *run = xasprintf("%s/run", place->directory);
	mode_t before = umask(0077);
	struct control *control = opened(place);
	struct stat stat;

	umask(before);
	assert_int_equal(lstat(run, &stat), 0);
	assert_int_equal(stat.st_mode & 07777, 0755);
	assert_int_equal(lstat(place->path, &stat), 0);
	assert_true(S_ISSOCK(stat.st_mode));
	assert_int_equal(stat.st_mode & 0777, 0600);
	/* Who comes before the thread is started waits. */
	int fd CLEANUP_CLOSE = connected(place);
	CLEANUP_FREE char *got = NULL;
	assert_int_equal(send(fd, "early\n", 6, 0), 6);
	assert_int_equal(control_start(control, answer, NULL), 0);
	got = received(fd);
	assert_string_equal(got, "you said early\n");
	control_free(control);
	assert_int_equal(lstat(place->path, &stat), -1);
}

static void answers(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	char longest[CONTROL_REQUEST_MAX + 1], *expected CLEANUP_FREE = NULL;

	asked(place, "status\n", "you said status\n");
	asked(place, "status\nmore\n", "you said status\n");
	asked(place, "\n", "you said \n");
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + CONTROL_REQUEST_MAX - 1, "\n");
	expected = xasprintf("you said %.*s\n", CONTROL_REQUEST_MAX - 1, longest);
	asked(place, longest, expected);
	longest[CONTROL_REQUEST_MAX - 1] = 'a';
	asked(place, longest, "{\"control\":1,\"error\":\"the request is too long\"}\n");
	control_free(control);
	control_free(NULL);
	assert_int_equal(control_start(NULL, answer, NULL), 0);
}

static void large_answers_to_slow_readers(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	int slow CLEANUP_CLOSE = connected(place), gone = connected(place);
	CLEANUP_FREE char *got = NULL;

	assert_int_equal(send(slow, "large\n", 6, 0), 6);
	assert_int_equal(send(gone, "large\n", 6, 0), 6);
	asked(place, "meanwhile\n", "you said meanwhile\n");
	close(gone);
	asked(place, "then\n", "you said then\n");
	got = received(slow);
	assert_int_equal(strlen(got), LARGE);
	control_free(control);
}

static void byte_by_byte(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	int fd CLEANUP_CLOSE = connected(place);
	CLEANUP_FREE char *got = NULL;

	for (const char *c = "status\n"; *c; c++) {
		assert_int_equal(send(fd, c, 1, 0), 1);
		asked(place, "other\n", "you said other\n");
	}
	got = received(fd);
	assert_string_equal(got, "you said status\n");
	control_free(control);
}

/* More than there are places, and they say nothing, or half a line. */
static void stalled_clients(void **state)
{
	enum { STALLED = 200 };
	const struct place *place = *state;
	struct control *control = started(place);
	int fds[STALLED];

	for (size_t i = 0; i < STALLED; i++) {
		fds[i] = connected(place);
		assert_true(fds[i] >= 0);
		if (i % 2)
			send(fds[i], "sta", 3, MSG_NOSIGNAL);
		if (i % 16 == 0)
			asked(place, "status\n", "you said status\n");
	}
	asked(place, "status\n", "you said status\n");
	for (size_t i = 0; i < STALLED; i++)
		close(fds[i]);
	control_free(control);
}

/* Nor where all places are taken by those who do not read. */
static void clients_who_do_not_read(void **state)
{
	enum { STALLED = 3 * CONTROL_CLIENTS_MAX };
	const struct place *place = *state;
	struct control *control = started(place);
	int fds[STALLED];

	for (size_t i = 0; i < STALLED; i++) {
		fds[i] = connected(place);
		assert_true(fds[i] >= 0);
		send(fds[i], "large\n", 6, MSG_NOSIGNAL);
		if (i % 16 == 0)
			asked(place, "status\n", "you said status\n");
	}
	asked(place, "status\n", "you said status\n");
	for (size_t i = 0; i < STALLED; i++)
		close(fds[i]);
	control_free(control);
}

/* Their time is up; those who ask are answered all the while. */
static void stalled_client_is_dropped(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	int fd CLEANUP_CLOSE = connected(place);
	CLEANUP_FREE char *got = NULL;

	got = received(fd);
	assert_string_equal(got, "");
	asked(place, "status\n", "you said status\n");
	control_free(control);
}

static void no_end_without_newline(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	int fd CLEANUP_CLOSE = connected(place);
	CLEANUP_FREE char *much = xcalloc(1 << 20, 1), *got = NULL;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	memset(much, 'z', 1 << 20);
	for (size_t sent = 0; sent<1 << 20; sent += n> 0 ? (size_t)n : 0) {
		n = send(fd, much, (1 << 20) - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
	}
	got = received(fd);
	assert_true(strstr(got, "too long") || !*got);
	asked(place, "status\n", "you said status\n");
	control_free(control);
}

/* In a process of its own: who it is cannot be taken back. */
static void others_than_root(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	int status;
	pid_t child;

	if (geteuid() != 0)
		fail_msg("the unit tests of the control socket want root, who alone is answered");
	/* Even where the file's mode lets him in. */
	assert_int_equal(chmod(place->directory, 0755), 0);
	for (int mode = 0600; mode <= 0666; mode += 0066) {
		assert_int_equal(chmod(place->path, (mode_t)mode), 0);
		child = fork();
		if (child == 0) {
			char byte;
			int fd;

			if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
				_exit(9);
			fd = connected(place);
			if (fd < 0)
				_exit(fd == -EACCES ? 1 : 8);
			if (send(fd, "status\n", 7, MSG_NOSIGNAL) < 0)
				_exit(2);
			_exit(recv(fd, &byte, 1, 0) <= 0 ? 2 : 7);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), mode == 0600 ? 1 : 2);
	}
	asked(place, "status\n", "you said status\n");
	control_free(control);
}

static void refused(const char *path, int error, const char *words)
{
	CLEANUP_FREE char *why = NULL;
	struct control *control = (void *)&why;

	assert_int_equal(control_open(path, &control, &why), error);
	assert_ptr_equal(control, &why);
	if (!strstr(why, words))
		fail_msg("%s, expected %s", why, words);
}

static void a_socket_that_lives(void **state)
{
	const struct place *place = *state;
	struct control *control = started(place);
	CLEANUP_FREE char *who = xasprintf("another agent answers there, process %d", (int)getpid());

	refused(place->path, -EADDRINUSE, who);
	asked(place, "status\n", "you said status\n");
	control_free(control);
}

static void a_socket_that_is_left(void **state)
{
	const struct place *place = *state;
	const struct sockaddr_un address = address_of(place);
	CLEANUP_FREE char *run = xasprintf("%s/run", place->directory);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct control *control;

	assert_int_equal(mkdir(run, 0700), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	control = started(place);
	asked(place, "status\n", "you said status\n");
	control_free(control);
}

/* What was there before, and is no socket, and what came later in our place. */
static void what_is_not_ours(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE char *run = xasprintf("%s/run", place->directory), *other = xasprintf("%s/other", run);
	CLEANUP_FREE char *deep = xasprintf("%s/a/b/control.sock", place->directory), *within = NULL;
	char longest[200];
	struct control *control;
	struct stat stat;

	assert_int_equal(mkdir(run, 0700), 0);
	close(open(place->path, O_CREAT | O_WRONLY, 0600));
	refused(place->path, -EEXIST, "no socket");
	within = xasprintf("%s/control.sock", place->path);
	refused(within, -ENOTDIR, "Not a directory");
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(symlink("/nowhere", place->path), 0);
	refused(place->path, -EEXIST, "no socket");
	assert_int_equal(unlink(place->path), 0);
	refused(deep, -ENOENT, "No such file");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	refused(longest, -ENAMETOOLONG, "107");
	refused("", -ENAMETOOLONG, "no path");
	control = started(place);
	assert_int_equal(rename(place->path, other), 0);
	close(open(place->path, O_CREAT | O_WRONLY, 0600));
	control_free(control);
	assert_int_equal(lstat(place->path, &stat), 0);
	unlink(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_as_it_should_be, place_make, place_remove),
		cmocka_unit_test_setup_teardown(answers, place_make, place_remove),
		cmocka_unit_test_setup_teardown(large_answers_to_slow_readers, place_make, place_remove),
		cmocka_unit_test_setup_teardown(byte_by_byte, place_make, place_remove),
		cmocka_unit_test_setup_teardown(stalled_clients, place_make, place_remove),
		cmocka_unit_test_setup_teardown(clients_who_do_not_read, place_make, place_remove),
		cmocka_unit_test_setup_teardown(stalled_client_is_dropped, place_make, place_remove),
		cmocka_unit_test_setup_teardown(no_end_without_newline, place_make, place_remove),
		cmocka_unit_test_setup_teardown(others_than_root, place_make, place_remove),
		cmocka_unit_test_setup_teardown(a_socket_that_lives, place_make, place_remove),
		cmocka_unit_test_setup_teardown(a_socket_that_is_left, place_make, place_remove),
		cmocka_unit_test_setup_teardown(what_is_not_ours, place_make, place_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
