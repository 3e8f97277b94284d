/* The kernel's records of new mappings: this process's own, after silence and amid others. Needs root. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "mappings.h"
#include "util.h"

enum { LIMIT_S = 30 }; /* seconds, only so that a test that fails does not hang */

static struct mappings *mappings;
static int bell;

static int setup(void **state)
{
	(void)state;
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return mappings_new(&mappings);
}

static int teardown(void **state)
{
	(void)state;
	mappings_free(mappings);
	close(bell);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct seen {
	uint64_t inode;
	struct mapping mapping;
	char path[256];
	bool found;
};

static void see(void *context, const struct mapping *mapping)
{
	struct seen *seen = context;

	if (mapping->inode != seen->inode || mapping->pid != (uint32_t)getpid())
		return;
	seen->mapping = *mapping;
	snprintf(seen->path, sizeof(seen->path), "%s", mapping->path);
	seen->found = true;
}

static void wait_seen(struct seen *seen)
{
	uint64_t until = now_ns() + LIMIT_S * 1000000000ULL;

	while (!seen->found && now_ns() < until) {
		mappings_wait(mappings, bell, 1000);
		mappings_read(mappings, see, seen);
	}
	assert_true(seen->found);
}

/* Maps a new file as code, and waits for its record. len: of its name. */
static void map_and_see(size_t len)
{
	char name[] = "/tmp/tlswarden-mappings-XXXXXX", *path CLEANUP_FREE = NULL;
	struct seen seen = {};
	struct stat stat;
	uint64_t before, after;
	int fd CLEANUP_CLOSE = -1;
	void *code;

	assert_non_null(mkdtemp(name));
	path = xasprintf("%s/%0*d", name, (int)len, 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	fstat(fd, &stat);
	seen.inode = stat.st_ino;
	before = now_ns();
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	after = now_ns();
	assert_ptr_not_equal(code, MAP_FAILED);
	wait_seen(&seen);
	munmap(code, 4096);
	unlink(path);
	rmdir(name);
	assert_string_equal(seen.path, path);
	assert_int_equal(seen.mapping.start, (uintptr_t)code);
	assert_int_equal(seen.mapping.len, 4096);
	assert_in_range(seen.mapping.time_ns, before, after);
}

static void quiet_down(void)
{
	uint64_t until = now_ns() + 300000000;

	while (now_ns() < until) {
		mappings_wait(mappings, bell, 50);
		mappings_read(mappings, see, &(struct seen){});
	}
}

/* The bell is stopped while there are records, and has to ring again after: so more than once. */
static void test_after_silence(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 8; len++) { /* each alignment of the name */
		map_and_see(len);
		quiet_down();
	}
	map_and_see(200);
	assert_int_equal(mappings_lost(mappings), 0);
}

static void test_amid_others(void **state)
{
	pid_t storm = fork();

	(void)state;
	if (storm == 0)
		for (;;) {
			pid_t child = fork();
			if (child == 0)
				execl("/bin/true", "true", NULL);
			waitpid(child, NULL, 0);
		}
	for (int i = 0; i < 5; i++)
		map_and_see(3);
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
}

/* It also ends when time is up, or the descriptor is readable. */
static void test_wait(void **state)
{
	uint64_t begun = now_ns();

	(void)state;
	mappings_wait(mappings, bell, 0);
	eventfd_write(bell, 1);
	for (int i = 0; i < 100; i++)
		mappings_wait(mappings, bell, -1);
	assert_true(now_ns() - begun < LIMIT_S * 1000000000ULL);
}

/* The end of a process is a record too. */
static void test_ends(void **state)
{
	bool any = false;
	pid_t child;

	(void)state;
	quiet_down();
	child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	for (int i = 0; i < 1000 && !any; i++) {
		mappings_wait(mappings, bell, 100);
		any = mappings_read(mappings, see, &(struct seen){});
	}
	assert_true(any);
}

static void test_renew(void **state)
{
	(void)state;
	assert_false(mappings_renew(mappings)); /* as many as before */
	map_and_see(5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_after_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_amid_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renew, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
