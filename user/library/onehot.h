/* The searches that find a field by calling a library's own accessor on a made-up object: see onehot.c. */
#ifndef ONEHOT_H
#define ONEHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	OBJECT_BYTES = 0x8000, /* of a made-up object, as much zero memory on each side; no field beyond is found */
	SLOTS = OBJECT_BYTES / 8,
};

/* Values that no library returns by itself. The pointer is one that nothing is mapped at. */
#define MARK_INT 0x5a17c0deu
#define MARK_POINTER 0x30005a17c0d8ull

/* Distinct unmapped pointers, one a slot, whose low half is the int 1: reading through one tells which it was. */
#define SLOT_ADDRESS(i) ((0x2000ull + (i)) << 32 | 1)

/* Called with faults caught; what it returns is "hit". */
typedef bool (*attempt_fn)(uint8_t *object, void *arg);

/* Catches SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGTRAP on a stack of their own. Before anything else here, and
 * before the system calls are cut down. 0 or -errno. */
int guard_init(void);
/* Runs it; false also if it faulted or was trapped. *ret_fault (may be NULL): address of the fault, 0 if there was none. */
bool guarded(attempt_fn attempt, uint8_t *object, void *arg, uint64_t *ret_fault);
/* What unknown functions are bound to: ends the attempt under way. */
void guard_trap(void);

/* A new made-up object of zeros; NULL if there is no memory. It lives as long as the process. */
uint8_t *object_new(void);
/* Every 8 bytes of it become value. */
void object_fill(uint8_t *object, uint64_t value);
void object_fill_addresses(uint8_t *object);

/* Sets each slot of width bytes (4 or 8) to mark in turn, the rest staying as the caller has prepared it. 0 with the
 * offset of the one slot for which the attempt hits; -ENOENT if none does; -EMLINK if several do. */
int onehot_search(uint8_t *object, unsigned width, uint64_t mark, attempt_fn attempt, void *arg, uint16_t *ret_offset);

/* All slots hold their SLOT_ADDRESS: finds the one that the attempt first reads through. 0 or -ENOENT. */
int fault_search(uint8_t *object, attempt_fn attempt, void *arg, uint16_t *ret_offset);

#endif
