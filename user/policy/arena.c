/* An arena: blocks in a list, each handed out from its start to its end.
 *
 * Owns every byte it gives out until arena_free(). Small requests share blocks of BLOCK_SIZE; a larger one gets a block
 * for itself, put behind the current one so that the current one's room is not lost. Texts are packed without gaps: most of
 * what a policy is made of are short texts. It has no bound of its own: who reads untrusted sizes checks them first (node.c
 * bounds nodes and file sizes). */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

enum { BLOCK_SIZE = 64 * 1024, ALIGNMENT = alignof(max_align_t) };

struct block {
	struct block *next;
	size_t size, used;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block *blocks; /* the first one is the current one */
};

struct arena *arena_new(void)
{
	return xcalloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
	struct block *next;

	if (!arena)
		return;
	for (struct block *block = arena->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	free(arena);
}

void arena_freep(struct arena **arena)
{
	arena_free(*arena);
}

static struct block *block_new(size_t size)
{
	struct block *block = xcalloc(1, sizeof(*block) + size);

	block->size = size;
	return block;
}

/* alignment: a power of two, at most ALIGNMENT. */
static void *take(struct arena *arena, size_t bytes, size_t alignment)
{
	struct block *block = arena->blocks;
	size_t at = block ? (block->used + alignment - 1) & ~(alignment - 1) : 0;

	if (!block || at > block->size || block->size - at < bytes) {
		if (block && bytes > BLOCK_SIZE / 4) {
			struct block *own = block_new(bytes);

			own->used = bytes;
			own->next = block->next;
			block->next = own;
			return own->data;
		}
		block = block_new(bytes > BLOCK_SIZE ? bytes : BLOCK_SIZE);
		block->next = arena->blocks;
		arena->blocks = block;
		at = 0;
	}
	block->used = at + bytes;
	return block->data + at;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	/* A product that overflows is asked of xcalloc, which ends the process as for any memory that cannot be had. */
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return xcalloc(SIZE_MAX, SIZE_MAX);
	return take(arena, bytes, ALIGNMENT);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
	char *copy = len < SIZE_MAX / 2 ? take(arena, len + 1, 1) : xcalloc(SIZE_MAX, SIZE_MAX);

	if (len > 0)
		memcpy(copy, text, len);
	return copy;
}
