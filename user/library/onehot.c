/* Finding a field with the library's own accessor. The one-hot search calls it on an object of which one slot is marked;
 * the slot whose mark comes back is the field. The fault search fills the object with distinct pointers to nowhere; the
 * address of the fault tells which field the function read through.
 *
 * Runs foreign code, in the confined half only, after its last door has been shut. After a fault the handler
 * returns, but to guard_trap and on the stack of guarded(), from where a long jump ends the attempt: sigreturn is the only
 * system call that this takes. Code that writes where it should not can at worst spoil the answer, which the other side
 * checks; code that loops is ended by RLIMIT_CPU and by the other side's clock.
 */
#include "onehot.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "util.h"

enum {
	ALTERNATE_STACK = 64 << 10,
	FRAME_ROOM = 16 << 10, /* of the stack below guarded()'s frame address: surely below all that is its own */
	NOWHERE = 64,          /* an address in the page that is never mapped */
};

static sigjmp_buf guard_exit;
static volatile uint64_t guard_fault, guard_stack;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;

	(void)signo;
	guard_fault = (uint64_t)info->si_addr;
#if defined(__x86_64__)
	machine->gregs[REG_RIP] = (greg_t)guard_trap;
	machine->gregs[REG_RSP] = (greg_t)(guard_stack - 8); /* as after a call */
	machine->gregs[REG_EFL] &= ~0x400L;                  /* the direction flag, as the ABI wants it */
#elif defined(__aarch64__)
	machine->pc = (uint64_t)guard_trap;
	machine->sp = guard_stack;
#endif
}

void guard_trap(void)
{
	siglongjmp(guard_exit, 1);
}

static bool reads_nowhere(uint8_t *object, void *arg)
{
	(void)arg;
	return *(volatile uint8_t *)object;
}

int guard_init(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t stack = {.ss_size = ALTERNATE_STACK};
	uint64_t fault;

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0)
		return -errno;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], &action, NULL) < 0)
			return -errno;
	/* Tried once, while whatever the first fault may need (a sanitizer's warning) is still allowed. */
	(void)guarded(reads_nowhere, (uint8_t *)NOWHERE, NULL, &fault);
	return fault == NOWHERE ? 0 : -EFAULT;
}

bool guarded(attempt_fn attempt, uint8_t *object, void *arg, uint64_t *ret_fault)
{
	volatile bool hit = false;

	guard_fault = 0;
	guard_stack = ((uint64_t)__builtin_frame_address(0) - FRAME_ROOM) & ~15ull;
	if (sigsetjmp(guard_exit, 0) == 0)
		hit = attempt(object, arg);
	if (ret_fault)
		*ret_fault = guard_fault;
	return hit;
}

uint8_t *object_new(void)
{
	uint8_t *room = mmap(NULL, 3 * OBJECT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return room == MAP_FAILED ? NULL : room + OBJECT_BYTES;
}

void object_fill(uint8_t *object, uint64_t value)
{
	for (size_t i = 0; i < SLOTS; i++)
		memcpy(object + i * 8, &value, 8);
}

void object_fill_addresses(uint8_t *object)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t value = SLOT_ADDRESS(i);

		memcpy(object + i * 8, &value, 8);
	}
}

int onehot_search(uint8_t *object, unsigned width, uint64_t mark, attempt_fn attempt, void *arg, uint16_t *ret_offset)
{
	size_t hits = 0, found = 0;

	for (size_t at = 0; at < OBJECT_BYTES; at += width) {
		uint64_t before;

		memcpy(&before, object + at, width);
		memcpy(object + at, &mark, width); /* little-endian: the low bytes */
		if (guarded(attempt, object, arg, NULL)) {
			found = at;
			hits++;
		}
		memcpy(object + at, &before, width);
	}
	if (hits != 1)
		return hits ? -EMLINK : -ENOENT;
	*ret_offset = (uint16_t)found;
	return 0;
}

int fault_search(uint8_t *object, attempt_fn attempt, void *arg, uint16_t *ret_offset)
{
	uint64_t fault, slot;

	object_fill_addresses(object);
	(void)guarded(attempt, object, arg, &fault);
	/* A field of what the slot points at lies at most some pages behind it; an index may make it lie before. */
	slot = ((fault + OBJECT_BYTES) >> 32) - 0x2000;
	if (!fault || fault + OBJECT_BYTES < SLOT_ADDRESS(0) || slot >= SLOTS ||
	    fault + OBJECT_BYTES - SLOT_ADDRESS(slot) > 2 * OBJECT_BYTES)
		return -ENOENT;
	*ret_offset = (uint16_t)(slot * 8);
	return 0;
}
