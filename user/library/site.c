/* Where in a function's prologue a uprobe is cheap: on an instruction that the kernel emulates instead of stepping over it
 * (arch/x86/kernel/uprobes.c), thirty times cheaper in a virtual machine.
 *
 * Pure; looks at bytes only. An instruction is stepped over only if it surely leaves the stack pointer and the argument
 * registers alone, cannot jump, and cannot fault for any argument that the function can take; anything else ends the search, and the probe stays at the entry. Bound:
 * SITE_MAX.
 */
#include "library.h"

#include <string.h>

enum { SITE_MAX = 32 }; /* an instruction that begins later is not looked at */

/* Sets of registers that must stay as they are, by their x86 numbers: rcx 1, rdx 2, rsp 4, rsi 6, rdi 7, r8, r9. */
enum { ALL_ARGUMENTS = 0x3d6, FIRST_ARGUMENT = 0x090 /* and rsp */ };

static bool register_kept(unsigned kept, unsigned number)
{
	return kept >> number & 1;
}

/* push of a register, nop, jmp, jcc, call. */
static bool emulated(const uint8_t *code, size_t len)
{
	if ((code[0] >= 0x50 && code[0] <= 0x57) || (code[0] >= 0x70 && code[0] <= 0x7f) || code[0] == 0x90 ||
	    code[0] == 0xe8 || code[0] == 0xe9 || code[0] == 0xeb)
		return true;
	return len >= 2 && ((code[0] == 0x41 && code[1] >= 0x50 && code[1] <= 0x57) ||
			    (code[0] == 0x0f && code[1] >= 0x80 && code[1] <= 0x8f));
}

/* nop with a memory operand (0f 1f /0), by its ModRM, SIB and displacement. Only newer kernels emulate some of them, so
 * they are stepped over in the hope of better. */
static size_t long_nop(const uint8_t *code, size_t len)
{
	size_t prefix = 0, size;

	while (prefix < len && prefix < 8 && (code[prefix] == 0x66 || code[prefix] == 0x2e))
		prefix++;
	if (len < prefix + 4 || code[prefix] != 0x0f || code[prefix + 1] != 0x1f || code[prefix + 2] & 0x38)
		return 0;
	size = prefix + 3 + ((code[prefix + 2] & 7) == 4 && code[prefix + 2] < 0xc0);
	switch (code[prefix + 2] >> 6) {
	case 0: /* the forms with a displacement of their own (rip, no base) are not used as nops */
		return (code[prefix + 2] & 7) >= 4 ? 0 : size;
	case 1:
		return size + 1;
	case 2:
		return size + 4;
	default:
		return size;
	}
}

/* mov of a constant; cmp of a constant with what a register points to, which a function whose argument that is may well
 * do first. */
static size_t constant(const uint8_t *code, size_t len, unsigned kept)
{
	if (len >= 5 && (code[0] & 0xf8) == 0xb8)
		return register_kept(kept, code[0] & 7) ? 0 : 5;
	if (len >= 4 && kept == FIRST_ARGUMENT && code[0] == 0x83 && (code[1] & 0xf8) == 0x78 && (code[1] & 7) != 4)
		return 4;
	return 0;
}

/* Length of an instruction that changes nothing the probe needs, or 0. */
static size_t harmless(const uint8_t *code, size_t len, unsigned kept)
{
	unsigned rex = 0, from, to;
	size_t at = 0;

	if (len >= 4 && memcmp(code, "\xf3\x0f\x1e\xfa", 4) == 0) /* endbr64 */
		return 4;
	if (long_nop(code, len))
		return long_nop(code, len);
	if (constant(code, len, kept))
		return constant(code, len, kept);
	if (len && (code[0] & 0xf0) == 0x40)
		rex = code[at++];
	if (len < at + 2 || code[at + 1] < 0xc0) /* register to register only */
		return 0;
	from = (code[at + 1] >> 3 & 7) | (rex & 4 ? 8 : 0);
	to = (code[at + 1] & 7) | (rex & 1 ? 8 : 0);
	switch (code[at]) {
	case 0x84: /* test */
	case 0x85:
		return at + 2;
	case 0x31: /* xor of a register with itself */
	case 0x33:
		return from == to && !register_kept(kept, to) ? at + 2 : 0;
	case 0x89: /* mov */
		return register_kept(kept, to) ? 0 : at + 2;
	case 0x8b:
		return register_kept(kept, from) ? 0 : at + 2;
	default:
		return 0;
	}
}

static size_t pick(const uint8_t *code, size_t len, unsigned kept)
{
#if defined(__x86_64__)
	for (size_t at = 0; at < len && at < SITE_MAX;) {
		size_t step;

		if (emulated(code + at, len - at))
			return at;
		step = harmless(code + at, len - at, kept);
		if (!step)
			break;
		at += step;
	}
#else
	(void)code;
	(void)len;
	(void)kept;
#endif
	return 0;
}

size_t site_pick(const uint8_t *code, size_t len)
{
	return pick(code, len, ALL_ARGUMENTS);
}

size_t site_pick_first(const uint8_t *code, size_t len)
{
	return pick(code, len, FIRST_ARGUMENT);
}
