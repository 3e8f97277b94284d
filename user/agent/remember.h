/* What was verified and may be open still, for policies that are loaded later: the capture of each verification, by its key
 * without the process (capture_key.h). Bounded; what was kept longest ago goes first. */
#ifndef REMEMBER_H
#define REMEMBER_H

#include "capture.h"

/* Beyond either, the one kept longest ago goes; its connections are then not judged anew. */
enum {
	REMEMBERED_MAX = 8192,
	REMEMBERED_BYTES = 64 << 20, /* of certificates, counted for each verification, though they share them */
};

struct memory;
struct remembered;

struct memory *memory_new(void);
void memory_free(struct memory *memory);

/* Takes holds of the certificates; the capture stays the caller's. What is known under that key already was the same
 * verification: it counts as kept now. */
void memory_keep(struct memory *memory, const struct siphash_value *key, const struct capture *capture);

/* Or NULL. Valid until something is kept. */
const struct remembered *memory_find(const struct memory *memory, const struct siphash_value *key);

/* A capture of its own, as it was kept: the library's slot, the facts and certificates. Process, thread, times, socket, and
 * the flags that are not in VERDICT_FLAGS are those of the first verification with this key: the caller puts in those of the
 * connection it is about. */
struct capture *remembered_capture(const struct remembered *remembered);

/* Of VERDICT_FLAGS, those that it was kept with. */
uint32_t remembered_flags(const struct remembered *remembered);

size_t memory_count(const struct memory *memory);
size_t memory_bytes(const struct memory *memory); /* of certificates */

#endif
