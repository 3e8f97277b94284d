/* Asking files that are no library, broken ones, and libraries that fight back. Each ends in an error or in an answer
 * without parts, in bounded time, and leaves this process, its descriptors and its children as they were. The libraries
 * are made here with cc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "library.h"
#include "util.h"

/* A libssl of five functions. HOSTILE is what the first one asked for does. */
static const char source[] =
	"#pragma GCC diagnostic ignored \"-Winfinite-recursion\"\n"
	"typedef struct { int version; int pad; void *rbio; int server; int mode; void *name; } S;\n"
	"static inline long sys(long n, long a, long b, long c) { long r = n;\n"
	"#ifdef __x86_64__\n"
	"asm volatile(\"syscall\" : \"+a\"(r) : \"D\"(a), \"S\"(b), \"d\"(c) : \"rcx\", \"r11\", \"memory\");\n"
	"#else\n"
	"register long x8 asm(\"x8\") = n; register long x0 asm(\"x0\") = a; register long x1 asm(\"x1\") = b;\n"
	"register long x2 asm(\"x2\") = c; asm volatile(\"svc 0\" : \"+r\"(x0) :\n"
	"\"r\"(x8), \"r\"(x1), \"r\"(x2) : \"memory\");\n"
	"r = x0;\n"
	"#endif\n"
	"return r; }\n"
	"int get_version(S *s) { return s->version; }\n"
	"int get_mode(S *s) { return s->mode; }\n"
	"int (*volatile table[])(S *) = {get_mode, get_version, get_mode};\n"
	"int deeper(volatile char *p) { volatile char room[4096]; room[0] = *p; return deeper(room) + room[0]; }\n"
	"void unknown(void);\n"
	"int SSL_version(S *s) { HOSTILE; return table[1](s); }\n"
	"void *SSL_get_rbio(S *s) { return s->rbio; }\n"
	"int SSL_is_server(S *s) { return s->server; }\n"
	"int SSL_get_verify_mode(S *s) { return s->mode; }\n"
	"void *SSL_get_servername(S *s, int type) { return type ? 0 : s->name; }\n"
	"void _start(void) { unknown(); }\n";

static char directory[] = "/tmp/library-hostile-XXXXXX";
static char *library; /* the path that library_make writes to */
static size_t descriptors;

static size_t count_descriptors(void)
{
	DIR *list = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(list))
		count++;
	closedir(list);
	return count;
}

static void library_make_with(const char *hostile, const char *options)
{
	char *source_path = xasprintf("%s/hostile.c", directory);
	char *command = xasprintf("cc -w -O1 -fPIC -fno-stack-protector -nostdlib %s -o %s %s", options, library,
				  source_path);
	FILE *file = fopen(source_path, "we");

	assert_non_null(file);
	fprintf(file, "#define HOSTILE %s\n%s", hostile, source);
	assert_int_equal(fclose(file), 0);
	if (system(command) != 0)
		fail_msg("%s", command);
	free(command);
	free(source_path);
}

static void library_make(const char *hostile)
{
	library_make_with(hostile, "-shared");
}

/* Asks, and looks at what must hold whatever comes back. */
static int ask(const char *path, struct library_answer *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	assert_true(fd >= 0);
	r = library_ask(fd, ret);
	close(fd);
	assert_int_equal(count_descriptors(), descriptors);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return r;
}

static void check_refused(const char *hostile, int expected)
{
	struct library_answer answer;
	int r;

	library_make(hostile);
	r = ask(library, &answer);
	if (r != expected)
		fail_msg("%s: %d, not %d", hostile, r, expected);
}

static void check_unanswered(const char *hostile, const char *reason)
{
	struct library_answer answer;

	library_make(hostile);
	if (ask(library, &answer) != 0 || answer.parts || answer.wanted != PART_SSL || strcmp(answer.reason, reason) != 0)
		fail_msg("%s: parts %u of %u, %s", hostile, answer.parts, answer.wanted, answer.reason);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory) || chmod(directory, 0755) < 0)
		return -1;
	library = xasprintf("%s/library.so", directory);
	descriptors = count_descriptors();
	return 0;
}

static int tear_down(void **state)
{
	char *command = xasprintf("rm -r %s", directory);
	int r = system(command);

	(void)state;
	free(command);
	free(library);
	return r;
}

/* --- the library as it should be, in each form a linker makes ------------------------------------------------------- */
static void test_honest(void **state)
{
	static const char *const options[] = {
		"-shared",
		"-shared -Wl,-z,pack-relative-relocs",
		"-shared -Wl,--hash-style=sysv",
		"-shared -s",
		"-no-pie -static -Wl,-Ttext-segment=0x30000000 -Wl,--unresolved-symbols=ignore-all",
		"-static-pie -Wl,--unresolved-symbols=ignore-all",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		struct library_answer answer;

		library_make_with("", options[i]);
		if (ask(library, &answer) != 0 || answer.parts != PART_SSL || answer.reason[0])
			fail_msg("%s: parts %u, %s", options[i], answer.parts, answer.reason);
		assert_int_equal(answer.openssl.ssl_version, 0);
		assert_int_equal(answer.openssl.ssl_rbio, 8);
		assert_int_equal(answer.openssl.ssl_server, 16);
		assert_int_equal(answer.openssl.ssl_verify_mode, 20);
		assert_int_equal(answer.openssl.ssl_server_name, 24);
		assert_int_equal(answer.openssl.ctx_chain, OFFSET_NONE);
	}
}

/* --- fighting back --------------------------------------------------------------------------------------------------- */
static void test_loops(void **state)
{
	(void)state;
	check_refused("for (;;) asm volatile(\"\")", -ETIMEDOUT);
}

#if defined(__x86_64__)
static void test_ends_early(void **state)
{
	(void)state;
	check_refused("sys(231, 0, 0, 0)", -EPROTO); /* exit_group */
	check_refused("sys(60, 0, 0, 0)", -EPROTO);
	check_refused("sys(231, 7, 0, 0)", -EPROTO);
}

static void test_system_calls(void **state)
{
	static const char *const calls[] = {
		"2, (long)\"/etc/passwd\", 0, 0",
		"257, -100, (long)\"/etc/passwd\", 0",
		"85, (long)\"/tmp/x\", 0777, 0",
		"57, 0, 0, 0",
		"58, 0, 0, 0",
		"56, 0x11, 0, 0",
		"41, 2, 1, 0",
		"59, (long)\"/bin/true\", 0, 0",
		"110, 0, 0, 0",
		"62, sys(110, 0, 0, 0), 9, 0",
		"62, -1, 9, 0",
		"62, 1, 9, 0",
		"101, 16, 1, 0",
		"9, 0, 4096, 7",
		"10, (long)table & -4096, 4096, 7",
		"0, 3, (long)table, 1",
		"1, 1, (long)\"x\", 1",
		"1, 2, (long)\"x\", 1",
		"32, 4, 0, 0",
		"105, 0, 0, 0",
		"157, 4, 1, 0",
		"165, 0, 0, 0",
		"321, 0, 0, 0",
		"425, 1, 0, 0",
		"0x40000000 + 39, 0, 0, 0" /* x32 */,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		char *hostile = xasprintf("sys(%s)", calls[i]);

		check_refused(hostile, -EPROTO);
		free(hostile);
	}
	check_refused("asm volatile(\"int $0x80\" : : \"a\"(20))", -EPROTO); /* getpid of 32-bit programs */
}

static void test_false_answers(void **state)
{
	char *hostile = xasprintf("static char a[%zu]; for (int i = 0; i < sizeof(a); i++) a[i] = 0xff;"
				  "sys(1, 4, (long)a, sizeof(a)); sys(231, 0, 0, 0)",
				  sizeof(struct library_answer));

	(void)state;
	check_refused("sys(1, 4, (long)\"garbage\", 7)", -EPROTO);
	check_refused("sys(1, 4, (long)\"garbage\", 7); sys(231, 0, 0, 0)", -EPROTO);
	check_refused("for (;;) sys(1, 4, (long)table, 8)", -EPROTO);
	check_refused(hostile, -EPROTO);
	free(hostile);
}
#endif

static void test_spoils_its_process(void **state)
{
	struct library_answer answer;
	int r;

	(void)state;
	check_unanswered("deeper((char *)s)", "SSL_version: no field fits");
	check_unanswered("((void **)__builtin_frame_address(0))[1] = (void *)0x4141414141", "SSL_version: no field fits");
	check_unanswered("*(volatile int *)0 = 1", "SSL_version: no field fits");
	check_unanswered("__builtin_trap()", "SSL_version: no field fits");
	check_unanswered("unknown()", "SSL_version: no field fits");
	check_unanswered("return 0x5a17c0de", "SSL_version: more than one field fits");
	check_unanswered("return ((int *)s)[0] | ((int *)s)[40]", "SSL_version: more than one field fits");
	check_unanswered("return ((int *)s)[8192]", "SSL_version: no field fits");
	/* The whole stack: then leaving the attempt fails for good, and is tried until the time is up. */
	library_make("for (char *p = __builtin_frame_address(0);; p++) *p = 0x41");
	r = ask(library, &answer);
	assert_true(r == -ETIMEDOUT || r == -EPROTO);
}

/* --- broken files ---------------------------------------------------------------------------------------------------- */
static char *copy_read(size_t *ret_len)
{
	char *bytes;

	assert_int_equal(file_read(library, 1 << 24, &bytes, ret_len), 0);
	return bytes;
}

static void copy_write(const char *bytes, size_t len)
{
	FILE *file = fopen(library, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void check_nothing(const char *reason)
{
	struct library_answer answer;

	assert_int_equal(ask(library, &answer), 0);
	assert_int_equal(answer.parts, 0);
	if (strcmp(answer.reason, reason) != 0)
		fail_msg("%s, not %s", answer.reason, reason);
}

static void test_not_a_library(void **state)
{
	struct library_answer answer;

	(void)state;
	copy_write("", 0);
	check_nothing("not an ELF file");
	copy_write("#!/bin/sh\necho this is no library, but it is long enough for a header to be read\n", 82);
	check_nothing("not an ELF file");
	assert_int_equal(ask("/dev/null", &answer), 0);
	assert_string_equal(answer.reason, "not a regular file");
	assert_int_equal(ask(directory, &answer), 0);
	assert_int_equal(answer.parts, 0);
	assert_int_equal(library_ask(-1, &answer), -EBADF);
}

static void test_cut_short(void **state)
{
	static const size_t lengths[] = {1, 15, 63, 64, 65, 119, 400, 1000, 4095, 4096, 8192};
	struct library_answer answer;
	size_t len;
	char *bytes;

	(void)state;
	library_make("");
	bytes = copy_read(&len);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		assert_true(lengths[i] < len);
		copy_write(bytes, lengths[i]);
		assert_int_equal(ask(library, &answer), 0);
		assert_int_equal(answer.parts, 0);
		assert_true(answer.reason[0]);
	}
	copy_write(bytes, len - 1); /* the section headers alone: the dynamic symbols are still found */
	assert_int_equal(ask(library, &answer), 0);
	assert_int_equal(answer.parts, PART_SSL);
	free(bytes);
}

/* The dynamic symbol of that name; the file is our own. */
static Elf64_Sym *symbol_of(char *bytes, const char *name)
{
	const Elf64_Ehdr *header = (void *)bytes;
	const Elf64_Shdr *sections = (void *)(bytes + header->e_shoff);

	for (size_t i = 0; i < header->e_shnum; i++) {
		const char *names = bytes + sections[sections[i].sh_link].sh_offset;
		Elf64_Sym *symbols = (void *)(bytes + sections[i].sh_offset);

		if (sections[i].sh_type != SHT_DYNSYM)
			continue;
		for (size_t at = 0; at < sections[i].sh_size / sizeof(*symbols); at++)
			if (strcmp(names + symbols[at].st_name, name) == 0)
				return &symbols[at];
	}
	fail_msg("no symbol %s", name);
	return NULL;
}

static void test_odd_headers_and_symbols(void **state)
{
	static const uint64_t values[] = {0, 1, 0x7fffffffffff, UINT64_MAX, UINT64_MAX - 7, 0x8000000000000000};
	struct library_answer answer;
	Elf64_Sym *symbol;
	Elf64_Ehdr *header;
	Elf64_Phdr *segments;
	char *bytes;
	size_t len;

	(void)state;
	library_make_with("", "-shared -s");
	bytes = copy_read(&len);
	header = (void *)bytes;
	symbol = symbol_of(bytes, "SSL_version");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		symbol->st_value = values[i];
		copy_write(bytes, len);
		check_nothing("it has no SSL_version");
	}
	symbol_of(bytes, "SSL_get_verify_mode")->st_value = UINT64_MAX;
	copy_write(bytes, len);
	check_nothing(LIBRARY_NOT_CONCERNED);
	header->e_ident[EI_CLASS] = ELFCLASS32;
	copy_write(bytes, len);
	check_nothing("an ELF file of another machine");
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_phoff = UINT64_MAX - 8;
	copy_write(bytes, len);
	check_nothing("the file is cut short: no program headers");
	free(bytes);

	library_make("");
	bytes = copy_read(&len);
	header = (void *)bytes;
	segments = (void *)(bytes + header->e_phoff);
	for (size_t i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && segments[i].p_flags & PF_W)
			segments[i].p_memsz = 1ull << 40;
	copy_write(bytes, len);
	assert_int_equal(ask(library, &answer), 0);
	assert_string_equal(answer.reason, "the image is too large");
	free(bytes);
}

/* Any byte of the headers, the symbols and the dynamic section may be anything. */
static void test_flipped_bytes(void **state)
{
	uint64_t random = 0x2545f4914f6cdd1d;
	size_t len, answered = 0, other = 0;
	char *bytes, *copy;

	(void)state;
	library_make_with("", "-shared -s");
	bytes = copy_read(&len);
	copy = xcalloc(len, 1);
	for (int round = 0; round < 150; round++) {
		struct library_answer answer;

		memcpy(copy, bytes, len);
		for (int i = 0; i < 4; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			copy[(random >> 33) % (round % 2 ? len : 1024)] ^= (char)(random >> 24 | 1);
		}
		copy_write(copy, len);
		if (ask(library, &answer) == 0 && answer.parts)
			answered++;
		else
			other++;
	}
	assert_true(answered && other); /* neither always harmless nor always fatal, or nothing was tested */
	free(copy);
	free(bytes);
}

/* --- the confinement, seen from outside while a library loops ---------------------------------------------------------- */
static void *ask_in_thread(void *arg)
{
	struct library_answer answer;
	int fd = open(library, O_RDONLY | O_CLOEXEC);

	*(int *)arg = library_ask(fd, &answer);
	close(fd);
	return NULL;
}

/* The child of this process whose filters are both in place, with its status; 0 if there is none yet. */
static pid_t find_confined(char **ret_status)
{
	char *mine = xasprintf("\nPPid:\t%d\n", (int)getpid());
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	pid_t pid = 0;

	while (!pid && (entry = readdir(processes))) {
		char *path = xasprintf("/proc/%s/status", entry->d_name), *status = NULL;
		size_t len;

		if (atoi(entry->d_name) > 0 && file_read(path, 1 << 16, &status, &len) == 0 && strstr(status, mine) &&
		    strstr(status, "\nSeccomp_filters:\t2\n")) {
			pid = atoi(entry->d_name);
			*ret_status = TAKE_PTR(status);
		}
		free(status);
		free(path);
	}
	closedir(processes);
	free(mine);
	return pid;
}

static void check_confined(const char *status, pid_t pid)
{
	static const char *const lines[] = {
		"\nCapInh:\t0000000000000000\n",
		"\nCapPrm:\t0000000000000000\n",
		"\nCapEff:\t0000000000000000\n",
		"\nCapAmb:\t0000000000000000\n",
		"\nNoNewPrivs:\t1\n",
		"\nSeccomp:\t2\n",
		"\nThreads:\t1\n",
	};
	static const char *const for_root[] = {
		"\nUid:\t65534\t65534\t65534\t65534\n",
		"\nGid:\t65534\t65534\t65534\t65534\n",
		"\nGroups:\t \n",
		"\nCapBnd:\t0000000000000000\n",
	};
	char *path = xasprintf("/proc/%d/fd/3", (int)pid), room[16];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(status, lines[i]))
			fail_msg("not in the status: %s", lines[i]);
	for (size_t i = 0; geteuid() == 0 && i < ARRAY_SIZE(for_root); i++)
		if (!strstr(status, for_root[i]))
			fail_msg("not in the status: %s", for_root[i]);
	assert_int_equal(readlink(path, room, sizeof(room)), -1); /* the file is closed by then */
	free(path);
}

static void test_confinement(void **state)
{
	char *status = NULL;
	pthread_t thread;
	bool ended = false;
	pid_t pid = 0;
	int result = 0;

	(void)state;
	library_make("for (;;) asm volatile(\"\")");
	assert_int_equal(pthread_create(&thread, NULL, ask_in_thread, &result), 0);
	while (!pid && !ended) {
		pid = find_confined(&status);
		ended = pthread_tryjoin_np(thread, NULL) == 0;
	}
	assert_true(pid > 0);
	check_confined(status, pid);
	assert_true(ended || pthread_join(thread, NULL) == 0);
	assert_int_equal(result, -ETIMEDOUT);
	assert_int_equal(kill(pid, 0), -1);
	free(status);
}

/* Started by one who has nothing to give up. */
static void test_unprivileged(void **state)
{
	struct library_answer answer;
	int status = 0;
	pid_t pid;

	(void)state;
	library_make("");
	pid = fork();
	if (pid == 0) {
		int fd = open(library, O_RDONLY | O_CLOEXEC);

		if (geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setresgid(4711, 4711, 4711) < 0 || setresuid(4711, 4711, 4711) < 0))
			_exit(2);
		_exit(library_ask(fd, &answer) == 0 && answer.parts == PART_SSL ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_spoils_its_process),
		cmocka_unit_test(test_not_a_library),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_odd_headers_and_symbols),
		cmocka_unit_test(test_flipped_bytes),
		cmocka_unit_test(test_confinement),
		cmocka_unit_test(test_unprivileged),
#if defined(__x86_64__)
		cmocka_unit_test(test_ends_early),
		cmocka_unit_test(test_system_calls),
		cmocka_unit_test(test_false_answers),
#endif
	};

	/* library_ask starts /proc/self/exe: the confined half is this program. */
	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
