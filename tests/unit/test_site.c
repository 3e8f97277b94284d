/* site_pick: prologues as compilers write them, most of them from Debian's libraries, and the ones that must not fool it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "library.h"
#include "util.h"

struct prologue {
	const char *what;
	const char *code;
	size_t len, site;
};
#define CODE(bytes) bytes, sizeof(bytes) - 1

#if defined(__x86_64__)
static void check(const struct prologue *prologues, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t room[64];
		size_t site;

		memcpy(room, prologues[i].code, prologues[i].len);
		site = site_pick(room, prologues[i].len);
		if (site != prologues[i].site)
			fail_msg("%s: %zu, not %zu", prologues[i].what, site, prologues[i].site);
	}
}

static void test_cheap_sites(void **state)
{
	static const struct prologue prologues[] = {
		{"X509_verify_cert 3.0: push %r13", CODE("\x41\x55\x41\x54\x55\x53"), 0},
		{"X509_verify_cert 3.5: endbr64; test; je", CODE("\xf3\x0f\x1e\xfa\x48\x85\xff\x74\x1c\x48\x83\xbf"), 7},
		{"gnutls_handshake 3.8.9: endbr64; push %r15", CODE("\xf3\x0f\x1e\xfa\x41\x57\x41\x56"), 4},
		{"gnutls_deinit 3.7.9: test; je rel32", CODE("\x48\x85\xff\x0f\x84\x07\x03\x00\x00\x41\x55"), 3},
		{"xor %eax,%eax; push", CODE("\x31\xc0\x55"), 2},
		{"xor %r11d,%r11d; push", CODE("\x45\x31\xdb\x55"), 3},
		{"mov %rdi,%rax; push", CODE("\x48\x89\xf8\x55"), 3},
		{"mov %rsp,%r11 (89); push", CODE("\x49\x89\xe3\x55"), 3},
		{"mov %rsp,%r11 (8b); push", CODE("\x4c\x8b\xdc\x55"), 3},
		{"test %dil,%dil; jne", CODE("\x40\x84\xff\x75\x10"), 3},
		{"nop", CODE("\xf3\x0f\x1e\xfa\x90\x55"), 4},
		{"nopl 0(%rax,%rax,1); push", CODE("\x0f\x1f\x44\x00\x00\x55"), 5},
		{"nopw %cs:0(%rax,%rax,1); push", CODE("\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00\x55"), 10},
		{"nopl (%rax); jmp", CODE("\x0f\x1f\x00\xe9\x00\x00\x00\x00"), 3},
		{"endbr64; call __fentry__", CODE("\xf3\x0f\x1e\xfa\xe8\x00\x00\x00\x00"), 4},
		{"endbr64; jmp rel8", CODE("\xf3\x0f\x1e\xfa\xeb\x02"), 4},
	};

	(void)state;
	check(prologues, ARRAY_SIZE(prologues));
}

static void test_only_the_first_argument(void **state)
{
	static const struct prologue prologues[] = {
		{"connect 3.0: xor %esi,%esi; jmp", CODE("\x31\xf6\xe9\xd9\xf0\xff\xff"), 2},
		{"accept 3.0: mov $1,%esi; jmp", CODE("\xbe\x01\x00\x00\x00\xe9\xc6\xf0\xff\xff"), 5},
		{"connect 1.1.1: cmpl $1,0x48(%rdi); je", CODE("\x83\x7f\x48\x01\x74\x0a\x31\xf6"), 4},
		{"connect 3.5: endbr64; test; je", CODE("\xf3\x0f\x1e\xfa\x48\x85\xff\x74\x41"), 7},
		{"mov $1,%edi", CODE("\xbf\x01\x00\x00\x00\xe9\xc6\xf0\xff\xff"), 0},
		{"mov $1,%esp", CODE("\xbc\x01\x00\x00\x00\xe9\xc6\xf0\xff\xff"), 0},
		{"xor %edi,%edi", CODE("\x31\xff\xe9\xc6\xf0\xff\xff"), 0},
		{"cmpl $1,0x48(%rsp,…)", CODE("\x83\x7c\x24\x48\x01\x74\x0a"), 0},
		{"addl $1,0x48(%rdi)", CODE("\x83\x47\x48\x01\x74\x0a"), 0},
		{"xor %esi,%esi, cut", CODE("\x31"), 0},
	};
	uint8_t room[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prologues); i++) {
		memcpy(room, prologues[i].code, prologues[i].len);
		if (site_pick_first(room, prologues[i].len) != prologues[i].site)
			fail_msg("%s", prologues[i].what);
	}
	assert_int_equal(site_pick((const uint8_t *)"\xbe\x01\x00\x00\x00\x50", 6), 0);
}

static void test_arguments_and_stack_stay(void **state)
{
	static const struct prologue prologues[] = {
		{"mov %rsi,%rcx", CODE("\x48\x89\xf1\x55"), 0},
		{"mov %edi,%edi", CODE("\x89\xff\x55"), 0},
		{"mov %rax,%r8 (89)", CODE("\x49\x89\xc0\x55"), 0},
		{"mov %rax,%rdx (8b)", CODE("\x48\x8b\xd0\x55"), 0},
		{"mov %rax,%rsp", CODE("\x48\x89\xc4\x55"), 0},
		{"xor %edx,%edx", CODE("\x31\xd2\x55"), 0},
		{"xor %r9d,%r9d", CODE("\x45\x31\xc9\x55"), 0},
		{"xor %ebx,%eax: not a zeroing", CODE("\x31\xd8\x55"), 0},
		{"sub $8,%rsp", CODE("\x48\x83\xec\x08\x55"), 0},
		{"mov (%rdi),%rax: may fault", CODE("\x48\x8b\x07\x55"), 0},
		{"test %eax,(%rdi): may fault", CODE("\x85\x07\x55"), 0},
		{"cmpq $0,0x100(%rdi)", CODE("\x48\x83\xbf\x00\x01\x00\x00\x00\x55"), 0},
		{"lea 8(%rsp),%r10", CODE("\x4c\x8d\x54\x24\x08\x55"), 0},
		{"ret", CODE("\xc3\x55"), 0},
		{"notrack jmp *%rax", CODE("\x3e\xff\xe0\x55"), 0},
		{"pushw %bx: not emulated", CODE("\x66\x53\x55"), 0},
		{"push $1: not emulated", CODE("\x6a\x01\x55"), 0},
	};

	(void)state;
	check(prologues, ARRAY_SIZE(prologues));
}

static void test_ends_with_the_bytes(void **state)
{
	static const uint8_t code[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x0f, 0x84};
	static const struct prologue cut[] = {
		{"cut in a rex prefix", CODE("\xf3\x0f\x1e\xfa\x41"), 0},
		{"cut in a long nop", CODE("\x0f\x1f\x44"), 0},
		{"prefixes only", CODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66"), 0},
	};
	uint8_t far[64];

	(void)state;
	assert_int_equal(site_pick(code, 0), 0);
	for (size_t len = 1; len < sizeof(code); len++)
		assert_int_equal(site_pick(code, len), 0);
	assert_int_equal(site_pick(code, sizeof(code)), 7);
	check(cut, ARRAY_SIZE(cut));

	/* The first push at 31 is found, at 33 it is too late. */
	for (size_t i = 0; i < sizeof(far); i += 3)
		memcpy(far + i, "\x48\x85\xff", i + 3 <= sizeof(far) ? 3 : sizeof(far) - i);
	far[30] = 0x55;
	assert_int_equal(site_pick(far, sizeof(far)), 30);
	far[30] = 0x48;
	far[33] = 0x55;
	assert_int_equal(site_pick(far, sizeof(far)), 0);
}

/* Whatever the bytes: an offset inside them, and no read outside (ASan). */
static void test_any_bytes(void **state)
{
	uint64_t random = 0x9e3779b97f4a7c15;

	(void)state;
	for (size_t round = 0; round < 200000; round++) {
		uint8_t *code;
		size_t len;

		random = random * 6364136223846793005u + 1442695040888963407u;
		len = random >> 59;
		code = xcalloc(len ? len : 1, 1);
		for (size_t i = 0; i < len; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			code[i] = "\xf3\x0f\x1e\xfa\x48\x85\xff\x1f\x44\x66\x89\x41\x2e\x84\x00\x55"[random >> 60];
		}
		if (len)
			assert_true(site_pick(code, len) < len);
		free(code);
	}
}
#else
static void test_other_machines_have_none(void **state)
{
	static const uint8_t code[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x55};

	(void)state;
	assert_int_equal(site_pick(code, sizeof(code)), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
		cmocka_unit_test(test_cheap_sites),
		cmocka_unit_test(test_only_the_first_argument),
		cmocka_unit_test(test_arguments_and_stack_stay),
		cmocka_unit_test(test_ends_with_the_bytes),
		cmocka_unit_test(test_any_bytes),
#else
		cmocka_unit_test(test_other_machines_have_none),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
