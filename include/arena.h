/* Memory that is given back all at once: what one policy is made of lives in one arena, so that nothing in it has to be
 * freed by hand. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
/* Takes NULL. Everything that came from the arena is gone. */
void arena_free(struct arena *arena);
void arena_freep(struct arena **arena);

/* Zeroed, aligned for any type; never NULL (like xcalloc). count 0 gives a valid pointer to nothing. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* len bytes and a NUL. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);

#endif
