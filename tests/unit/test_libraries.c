/* What is known of files: each looked at once, and forgotten when nothing maps it and there are too many. No probes here: files
 * that have nothing to attach. */
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

#include "../../user/agent/companion.h"
#include "../../user/agent/libraries.h"
#include "../../user/agent/snapshot.h"
#include "util.h"

enum { LIMIT_MS = 30000 /* only so that a test that fails does not hang */, SIZE = 4096 };

static struct libraries *libraries;
static int wake, ends[2];
static char directory[] = "/tmp/tlswarden-libraries-XXXXXX";

static int setup(void **state)
{
	(void)state;
	memcpy(strrchr(directory, '-'), "-XXXXXX", sizeof("-XXXXXX"));
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!mkdtemp(directory) || channel_new(ends) < 0)
		return -1;
	return libraries_new(NULL, ends[0], wake, &libraries);
}

static int teardown(void **state)
{
	char *command CLEANUP_FREE = xasprintf("rm -r %s", directory);

	(void)state;
	libraries_free(libraries);
	close(wake);
	close(ends[0]);
	close(ends[1]);
	return system(command);
}

static char *path_of(unsigned number)
{
	return xasprintf("%s/%u", directory, number);
}

static int file_make(unsigned number, const char *text, size_t len)
{
	char *path CLEANUP_FREE = path_of(number);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(pwrite(fd, text, len, 0), len);
	return fd;
}

static struct catalog_file *look(int fd, unsigned number)
{
	char *path CLEANUP_FREE = path_of(number);

	return libraries_look(libraries, &(const struct sighting){.fd = fd, .path = path});
}

static void answers_wait(void)
{
	struct pollfd ready = {.fd = wake, .events = POLLIN};
	eventfd_t count;

	libraries_answers(libraries);
	while (askers_examining(libraries->askers)) {
		assert_int_equal(poll(&ready, 1, LIMIT_MS), 1);
		eventfd_read(wake, &count);
		libraries_answers(libraries);
	}
}

static void test_looked_at_once(void **state)
{
	int fd CLEANUP_CLOSE = file_make(1, "x", 1), pipe_fds[2];
	struct catalog_file *file = look(fd, 1);

	(void)state;
	assert_int_equal(file->stage, FILE_PENDING);
	assert_ptr_equal(look(fd, 1), file);
	assert_int_equal(askers_examining(libraries->askers), 1);
	answers_wait();
	assert_int_equal(file->stage, FILE_SETTLED);
	assert_ptr_equal(look(fd, 1), file);
	assert_int_equal(askers_examining(libraries->askers), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_null(look(pipe_fds[0], 2));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_forgotten(void **state)
{
	int kept CLEANUP_CLOSE = -1;
	struct stat stat;
	bool again;
	void *code;

	(void)state;
	libraries->forget_at = 10;
	for (unsigned i = 0; i < 40; i++) {
		int fd CLEANUP_CLOSE = file_make(i, "x", 1);
		look(fd, i);
		if (i == 7)
			kept = TAKE_FD(fd);
	}
	answers_wait();
	code = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, kept, 0);
	assert_ptr_not_equal(code, MAP_FAILED);
	assert_true(libraries_tidy(libraries, &again));
	munmap(code, SIZE);
	assert_int_equal(catalog_count(libraries->catalog), 1);
	assert_int_equal(fstat(kept, &stat), 0);
	assert_non_null(catalog_find(libraries->catalog, &stat));
	assert_int_equal(libraries->examined, 40);
	assert_int_equal(libraries->forget_at, 10);
	assert_false(libraries_tidy(libraries, &again));
	/* More than the bound that are mapped: the bound grows. */
	void *mapped[12];
	for (unsigned i = 0; i < 12; i++) {
		int fd CLEANUP_CLOSE = file_make(100 + i, "x", 1);
		look(fd, 100 + i);
		mapped[i] = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	}
	answers_wait();
	assert_true(libraries_tidy(libraries, &again));
	assert_int_equal(catalog_count(libraries->catalog), 12);
	assert_int_equal(libraries->forget_at, 20);
	for (unsigned i = 0; i < 12; i++)
		munmap(mapped[i], SIZE);
}

/* What found no room is to be looked at again when there is some. */
static void test_more_than_there_is_room_for(void **state)
{
	enum { MANY = 4 * WAITING_MAX };
	unsigned rounds = 0;
	bool again = true;

	(void)state;
	while (again && rounds++ < 100) {
		for (unsigned i = 0; i < MANY; i++) {
			char *path CLEANUP_FREE = path_of(i);
			int fd CLEANUP_CLOSE = rounds == 1 ? file_make(i, "x", 1) : open(path, O_RDONLY | O_CLOEXEC);
			assert_non_null(look(fd, i));
		}
		answers_wait();
		libraries_tidy(libraries, &again);
	}
	assert_false(again);
	assert_false(libraries->missed);
	assert_int_equal(catalog_count(libraries->catalog), MANY);
}

static struct message told(void)
{
	struct message message;

	assert_int_equal(message_receive(ends[1], true, &message, NULL), 1);
	return message;
}

static void test_told_and_shown(void **state)
{
	static const char foreign[] = "\x7f"
				      "ELF\2\1\1 crypto/tls.(*Conn).verifyServerCertificate";
	static const char stripped[] = "\x7f"
				       "ELF\2\1\1 ssl/statem/statem_clnt.c";
	int one CLEANUP_CLOSE = file_make(1, foreign, sizeof(foreign));
	int other CLEANUP_CLOSE = file_make(2, stripped, sizeof(stripped));
	char *path CLEANUP_FREE = path_of(2);
	struct snapshot *snapshot;
	struct coverage *coverage;
	struct message message;

	(void)state;
	look(one, 1);
	look(other, 2);
	answers_wait();
	message = told(); /* another implementation is not told of, a stripped one is */
	assert_int_equal(message.tag, MESSAGE_UNSUPPORTED);
	assert_string_equal(message.library.path, path);
	assert_true(message.text[0]);
	assert_int_equal(message_receive(ends[1], false, &message, NULL), -EAGAIN);

	void *code = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, one, 0);
	snapshot_new(libraries, 3, &snapshot);
	snapshot_processes(snapshot);
	coverage = snapshot_take(snapshot);
	munmap(code, SIZE);
	assert_int_equal(coverage->files_count, 2);
	assert_int_equal(coverage->files_examined, 2);
	assert_int_equal(coverage->mappings_lost, 3);
	for (size_t i = 0; i < 2; i++) {
		const struct coverage_file *file = &coverage->files[i];
		assert_int_equal(file->state, COVERAGE_FOREIGN);
		assert_non_null(file->name);
		assert_non_null(file->reason);
		assert_int_equal(file->attach_us, -1);
		assert_int_equal(file->processes, strcmp(file->path, path) != 0);
	}
	assert_int_equal(coverage->processes_count, 1);
	assert_int_equal(coverage->processes[0].pid, getpid());
	assert_int_equal(coverage->processes[0].files_count, 1);
	assert_false(coverage->processes[0].covered);
	assert_false(coverage->processes[0].bits32);
	assert_non_null(coverage->processes[0].exe);
	assert_true(coverage->processes[0].name[0]);
	coverage_free(coverage);
}

static void test_checked(void **state)
{
	struct attachment attachment = {.told = {.slot = 7, .path = "/lib"}};
	struct inquiry inquiry = {.kind = INQUIRY_CHECK, .attachment = &attachment, .result = 0};
	struct message message;

	(void)state;
	attachments_checked(&libraries->attachments, &inquiry);
	inquiry.result = -ENOEXEC; /* it could not be made */
	attachments_checked(&libraries->attachments, &inquiry);
	assert_false(attachment.silent);
	assert_int_equal(message_receive(ends[1], false, &message, NULL), -EAGAIN);
	inquiry.result = 2;
	attachments_checked(&libraries->attachments, &inquiry);
	assert_true(attachment.silent);
	message = told();
	assert_int_equal(message.tag, MESSAGE_UNSUPPORTED);
	assert_int_equal(message.library.slot, 7);
	assert_string_equal(message.library.path, "/lib");
	assert_non_null(strstr(message.text, "2 of its probes"));
	inquiry.attachment = NULL; /* it was left meanwhile */
	attachments_checked(&libraries->attachments, &inquiry);
	assert_int_equal(message_receive(ends[1], false, &message, NULL), -EAGAIN);
}

/* A user's libssl does not decide how everybody's libcrypto is read. */
static void test_trust(void **state)
{
	const struct catalog_file root = {.owner = 0}, user = {.owner = 1000}, same = {.owner = 1000},
				  other = {.owner = 1001};

	(void)state;
	assert_true(companion_trusts(&root, &root));
	assert_true(companion_trusts(&user, &root));
	assert_true(companion_trusts(&user, &same));
	assert_false(companion_trusts(&root, &user));
	assert_false(companion_trusts(&other, &user));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_looked_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_and_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checked, setup, teardown),
		cmocka_unit_test(test_trust),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
