/* The real BPF programs on copies of this machine's libcrypto and of libraries made here: attached, fired, checked,
 * detached, attached again. As root: otherwise they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "probes.h"
#include "util.h"

#include "../../user/capture/programs.h"
#include "../../user/capture/uprobe_link.h"
#include "warden.skel.h"

enum {
	GATE_ROOM = 64,
	ROUNDS = 30,
	TRIES = 600, /* of 50 ms: only so that a test that fails does not hang */
	TRY_US = 50000,
};

/* Three functions of GnuTLS. What the first one does is the test's. */
static const char source[] = "#include <unistd.h>\n"
			     "int gnutls_handshake(volatile long *s) { HOSTILE; return s[1] ? 1 : 2; }\n"
			     "int gnutls_certificate_verify_peers(volatile long *s) { return s[2] ? 3 : 4; }\n"
			     "int gnutls_deinit(volatile long *s) { return s[3] ? 5 : 6; }\n";

static char directory[] = "/tmp/probes-XXXXXX";
static struct probes *probes;

static void run(char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
	free(command);
}

static size_t count_descriptors(void)
{
	DIR *list = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(list))
		count++;
	closedir(list);
	return count;
}

/* --- libraries, each an inode of its own --------------------------------------------------------------------------- */

struct copy {
	char *path;
	int fd;
	struct library_answer answer;
	struct library_layout layout;
	void *handle;
};

static void copy_ask(struct copy *copy)
{
	copy->fd = open(copy->path, O_RDONLY | O_CLOEXEC);
	assert_true(copy->fd >= 0);
	assert_int_equal(library_ask(copy->fd, &copy->answer), 0);
	if (copy->answer.wanted & PART_GNUTLS)
		copy->layout = (struct library_layout){.kind = LIBRARY_GNUTLS, .gnutls = copy->answer.gnutls};
	else
		copy->layout = (struct library_layout){.kind = LIBRARY_OPENSSL, .openssl = copy->answer.openssl};
	copy->handle = dlopen(copy->path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(copy->handle);
}

/* A name that none had before: a library that may not be unloaded (OpenSSL's) stays known by its own. */
static char *path_new(void)
{
	static unsigned number;

	return xasprintf("%s/%u.so", directory, number++);
}

/* Of a library that is installed here. */
static void copy_make(struct copy *ret, const char *library)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	struct link_map *map;

	assert_non_null(handle);
	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	*ret = (struct copy){.path = path_new()};
	run(xasprintf("cp -L %s %s", map->l_name, ret->path));
	dlclose(handle);
	copy_ask(ret);
}

static void copy_make_hostile(struct copy *ret, const char *hostile)
{
	char *source_path CLEANUP_FREE = xasprintf("%s/hostile.c", directory);
	FILE *file = fopen(source_path, "we");

	assert_non_null(file);
	fprintf(file, "#define HOSTILE %s\n%s", hostile, source);
	assert_int_equal(fclose(file), 0);
	*ret = (struct copy){.path = path_new()};
	run(xasprintf("cc -w -O1 -fPIC -shared -o %s %s", ret->path, source_path));
	copy_ask(ret);
}

static void copy_free(struct copy *copy)
{
	dlclose(copy->handle);
	close(copy->fd);
	unlink(copy->path);
	free(copy->path);
}
#define CLEANUP_COPY CLEANUP(copy_free)

/* Where in the file the byte at an address of its image lies. */
struct sought {
	uint64_t address, offset;
};

static int seek(struct dl_phdr_info *info, size_t size, void *data)
{
	struct sought *sought = data;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && sought->address >= start && sought->address - start < segment->p_filesz)
			sought->offset = sought->address - start + segment->p_offset;
	}
	return sought->offset != 0;
}

static uint64_t offset_of(const struct copy *copy, const char *function)
{
	struct sought sought = {.address = (uint64_t)dlsym(copy->handle, function)};

	assert_int_equal(dl_iterate_phdr(seek, &sought), 1);
	return sought.offset;
}

static int attach(uint32_t slot, const struct copy *copy)
{
	const struct probes_file file = {.fd = copy->fd, .site = copy->answer.site};

	return probes_attach(probes, slot, &copy->layout, &file, 1);
}

static int check(uint32_t slot, const struct copy *copy)
{
	const struct probes_file file = {.fd = copy->fd, .site = copy->answer.site};

	return probes_check(probes, slot, &file, 1);
}

/* A store context of zeros is refused at once. */
static void verify(const struct copy *copy)
{
	int (*function)(void *) = (int (*)(void *))dlsym(copy->handle, "X509_verify_cert");
	static long context[8192];

	assert_non_null(function);
	function(context);
}

/* … and counted, as no TLS handshake. */
static uint64_t seen(const struct copy *copy)
{
	uint64_t before = probes_counters(probes)->not_tls;

	verify(copy);
	return probes_counters(probes)->not_tls - before;
}

/* A detached probe goes by and by. */
static void wait_until_unseen(const struct copy *copy)
{
	for (int i = 0; seen(copy) && i < TRIES; i++)
		usleep(TRY_US);
	assert_int_equal(seen(copy), 0);
}

/* --- the tests ----------------------------------------------------------------------------------------------------- */

static void test_attach_and_detach(void **state)
{
	CLEANUP_COPY struct copy first, second;

	(void)state;
	copy_make(&first, "libcrypto.so.3");
	copy_make(&second, "libcrypto.so.3");
	assert_int_equal(attach(0, &first), 0);
	assert_int_equal(attach(0, &second), -EBUSY);
	assert_int_equal(seen(&first), 1);
	assert_int_equal(seen(&second), 0);
	assert_int_equal(attach(1, &second), 0);
	assert_int_equal(seen(&second), 1);
	probes_detach(probes, 0);
	probes_detach(probes, 0);
	wait_until_unseen(&first);
	assert_int_equal(seen(&second), 1);
	/* The slot serves another library, and this one has another slot. */
	probes_detach(probes, 1);
	assert_int_equal(attach(0, &second), 0);
	assert_int_equal(attach(LIBRARIES_MAX - 1, &first), 0);
	assert_int_equal(seen(&first), 1);
	probes_detach(probes, 0);
	probes_detach(probes, LIBRARIES_MAX - 1);
	wait_until_unseen(&first);
	wait_until_unseen(&second);
	assert_int_equal(probes_counters(probes)->lost_call, 0);
}

static void test_all_or_none(void **state)
{
	CLEANUP_COPY struct copy copy;
	size_t before;

	(void)state;
	copy_make(&copy, "libgnutls.so.30");
	before = count_descriptors();
	copy.answer.site[SITE_GNUTLS_DEINIT] = 1ull << 40; /* attached last */
	assert_true(attach(0, &copy) < 0);
	for (int i = 0; count_descriptors() != before && i < TRIES; i++)
		usleep(TRY_US);
	assert_int_equal(count_descriptors(), before);
	copy.answer.site[SITE_GNUTLS_DEINIT] = offset_of(&copy, "gnutls_deinit");
	assert_int_equal(attach(0, &copy), 0);
	probes_detach(probes, 0);
}

/* A slot that is attached anew waits until its last probes are gone; nothing piles up. */
static void test_again_and_again(void **state)
{
	CLEANUP_COPY struct copy copy;
	size_t before;

	(void)state;
	copy_make(&copy, "libcrypto.so.3");
	before = count_descriptors();
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(attach(0, &copy), 0);
		assert_int_equal(seen(&copy), 1);
		probes_detach(probes, 0);
	}
	wait_until_unseen(&copy);
	for (int i = 0; count_descriptors() != before && i < TRIES; i++)
		usleep(TRY_US);
	assert_int_equal(count_descriptors(), before);
}

/* By multi links, where the kernel has them, and by perf events. */
static void check_way(bool multi)
{
	enum { COOKIE = 7 };
	CLEANUP_COPY struct copy copy;
	struct kernel_abilities kernel = {};
	struct uprobe_link entry, end;
	struct uprobe_place place;
	struct warden_bpf *skel;
	struct check_state *state;

	copy_make(&copy, "libcrypto.so.3");
	kernel_ask(&kernel);
	kernel.multi = kernel.multi_write = multi;
	assert_int_equal(programs_load(&kernel, NULL, 0, GATE_ROOM, &skel), 0);
	state = &skel->bss->check;
	place = (struct uprobe_place){copy.fd, copy.answer.site[SITE_X509_VERIFY_CERT], COOKIE, false};
	assert_int_equal(uprobe_link_attach(skel->progs.openssl_verify, &place, &entry), 0);
	place.at_return = true;
	assert_int_equal(uprobe_link_attach(skel->progs.openssl_verified, &place, &end), 0);
	assert_int_equal(entry.multi >= 0, multi);
	assert_int_equal(entry.perf != NULL, !multi);

	*state = (struct check_state){.tgid = (__u32)getpid(), .slot = COOKIE};
	verify(&copy);
	assert_int_equal(state->fired, CHECK_X509_VERIFY_CERT);
	*state = (struct check_state){.tgid = (__u32)getpid(), .slot = COOKIE + 1};
	verify(&copy);
	assert_int_equal(state->fired, 0);
	assert_int_equal(skel->bss->counters.lost_call, 0);
	/* No layout is there: the return has been seen, and knew nothing of it. */
	*state = (struct check_state){};
	verify(&copy);
	assert_int_equal(skel->bss->counters.lost_call, 1);

	uprobe_link_close(&end);
	uprobe_link_close(&entry);
	assert_int_equal(entry.multi, -1);
	assert_null(entry.perf);
	*state = (struct check_state){.tgid = (__u32)getpid(), .slot = COOKIE};
	verify(&copy);
	assert_int_equal(state->fired, 0);
	warden_bpf__destroy(skel);
}

static void test_both_ways(void **state)
{
	(void)state;
	if (uprobe_multi_works(false))
		check_way(true);
	check_way(false);
}

static void test_check_finds_them_firing(void **state)
{
	CLEANUP_COPY struct copy crypto, gnutls;
	struct counters before = *probes_counters(probes);

	(void)state;
	copy_make(&crypto, "libcrypto.so.3");
	copy_make(&gnutls, "libgnutls.so.30");
	assert_int_equal(attach(3, &crypto), 0);
	assert_int_equal(attach(4, &gnutls), 0);
	assert_int_equal(check(3, &crypto), 0);
	assert_int_equal(check(4, &gnutls), 0);
	/* That leaves no trace. */
	assert_memory_equal(&before, probes_counters(probes), sizeof(before));
	assert_int_equal(seen(&crypto), 1);
	/* A slot's probes are told from another's. */
	assert_int_equal(check(3, &gnutls), 0); /* of its kind it has none */
	probes_detach(probes, 3);
	assert_int_equal(attach(5, &crypto), 0);
	probes_detach(probes, 4);
	probes_detach(probes, 5);
}

static void test_check_finds_what_is_silent(void **state)
{
	CLEANUP_COPY struct copy crypto, gnutls;

	(void)state;
	copy_make(&crypto, "libcrypto.so.3");
	copy_make(&gnutls, "libgnutls.so.30");
	crypto.answer.site[SITE_X509_VERIFY_CERT] = offset_of(&crypto, "X509_verify_cert_error_string");
	gnutls.answer.site[SITE_GNUTLS_HANDSHAKE] = offset_of(&gnutls, "gnutls_bye");
	gnutls.answer.site[SITE_GNUTLS_DEINIT] = offset_of(&gnutls, "gnutls_rehandshake");
	assert_int_equal(attach(0, &crypto), 0);
	assert_int_equal(attach(1, &gnutls), 0);
	assert_int_equal(check(0, &crypto), 1);
	assert_int_equal(check(1, &gnutls), 2);
	probes_detach(probes, 0);
	probes_detach(probes, 1);
}

/* Functions that have no name are called where their probes should be. */
static void test_check_of_functions_without_a_name(void **state)
{
	CLEANUP_COPY struct copy copy;
	uint64_t connect;

	(void)state;
	copy_make(&copy, "libssl.so.3");
	connect = copy.answer.site[SITE_SSL_CONNECT];
	assert_int_not_equal(connect, 0);
	assert_int_not_equal(copy.answer.site[SITE_SSL_ACCEPT], 0);
	assert_int_equal(attach(0, &copy), 0);
	assert_int_equal(check(0, &copy), 0);
	probes_detach(probes, 0);
	copy.answer.site[SITE_SSL_CONNECT] = 0;
	assert_int_equal(attach(0, &copy), 0);
	copy.answer.site[SITE_SSL_CONNECT] = connect;
	assert_int_equal(check(0, &copy), 1);
	probes_detach(probes, 0);
}

static int check_hostile(const char *hostile)
{
	CLEANUP_COPY struct copy copy;
	int r;

	copy_make_hostile(&copy, hostile);
	assert_int_equal(attach(0, &copy), 0);
	r = check(0, &copy);
	probes_detach(probes, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	return r;
}

/* What has fired before its function does its worst counts; the others are called in another process. */
static void test_check_survives(void **state)
{
	(void)state;
	assert_int_equal(check_hostile(""), 0);
	assert_int_equal(check_hostile("*(volatile int *)8 = 1"), 0);
	assert_int_equal(check_hostile("__builtin_trap()"), 0);
#if defined(__x86_64__)
	/* getpid, which no filter of ours allows */
	assert_int_equal(check_hostile("asm volatile(\"mov $39, %eax; syscall\")"), 0);
	/* exit_group, in peace and without an answer */
	assert_int_equal(check_hostile("asm volatile(\"mov $231, %eax; xor %edi, %edi; syscall\")"), 0);
#endif
	/* After one that does not end there is no time for others. */
	assert_int_equal(check_hostile("for (;;) ;"), 2);
}

static void test_check_of_no_library(void **state)
{
	CLEANUP_COPY struct copy copy;
	int real;

	(void)state;
	copy_make(&copy, "libcrypto.so.3");
	assert_int_equal(attach(0, &copy), 0);
	real = copy.fd;
	copy.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(check(0, &copy), -ENOEXEC);
	close(copy.fd);
	copy.fd = real;
	assert_int_equal(check(0, &copy), 0);
	probes_detach(probes, 0);
}

static int set_up(void **state)
{
	char *why CLEANUP_FREE = NULL;

	(void)state;
	if (geteuid() != 0) {
		fprintf(stderr, "these tests load BPF programs: they must be run as root\n");
		return -1;
	}
	if (!mkdtemp(directory) || chmod(directory, 0755) < 0)
		return -1;
	if (probes_new(GATE_ROOM, &probes, &why) < 0) {
		fprintf(stderr, "%s\n", why);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	probes_free(probes);
	run(xasprintf("rm -rf %s", directory));
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach_and_detach),
		cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_again_and_again),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_check_finds_them_firing),
		cmocka_unit_test(test_check_finds_what_is_silent),
		cmocka_unit_test(test_check_of_functions_without_a_name),
		cmocka_unit_test(test_check_survives),
		cmocka_unit_test(test_check_of_no_library),
	};

	/* The confined processes are this program. */
	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	if (argc == 3 && strcmp(argv[1], "check-library") == 0)
		return library_check_main(argv[2]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
