/* A hash table with a list through it, latest first.
 *
 * The keys are keyed hashes: no peer can choose them, so that their bits are used as they are. Bounds: REMEMBERED_MAX,
 * REMEMBERED_BYTES; beside its certificates an entry takes about 1 KiB, and 32 bytes for each of them. */
#include "remember.h"

#include <string.h>

#include "util.h"
#include "verdict_key.h"

enum { BUCKETS = 2 * REMEMBERED_MAX };
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a bucket is some bits of the key");

struct held_certificate {
	struct certificate *certificate;
	uint64_t object;
	struct siphash_value digest;
};

struct remembered {
	struct siphash_value key;
	struct remembered *next;          /* in its bucket */
	struct remembered *newer, *older; /* memory::newest, oldest */
	struct record_verify verify;
	size_t digested_bytes;
	bool digested;
	size_t bytes; /* of its certificates */
	size_t count;
	struct held_certificate certificates[];
};

struct memory {
	struct remembered *buckets[BUCKETS];
	struct remembered *newest, *oldest;
	size_t count, bytes;
};

struct memory *memory_new(void)
{
	return xcalloc(1, sizeof(struct memory));
}

static void remembered_free(struct remembered *entry)
{
	for (size_t i = 0; i < entry->count; i++)
		certificate_free(entry->certificates[i].certificate);
	free(entry);
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	for (struct remembered *entry = memory->newest, *older; entry; entry = older) {
		older = entry->older;
		remembered_free(entry);
	}
	free(memory);
}

/* Where the one of that key hangs, or would. */
static struct remembered **place_of(struct memory *memory, const struct siphash_value *key)
{
	struct remembered **place = &memory->buckets[key->a % BUCKETS];

	while (*place && ((*place)->key.a != key->a || (*place)->key.b != key->b))
		place = &(*place)->next;
	return place;
}

static void list_remove(struct memory *memory, struct remembered *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		memory->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		memory->oldest = entry->newer;
}

static void list_add(struct memory *memory, struct remembered *entry)
{
	entry->newer = NULL;
	entry->older = memory->newest;
	if (memory->newest)
		memory->newest->newer = entry;
	else
		memory->oldest = entry;
	memory->newest = entry;
}

static void oldest_forget(struct memory *memory)
{
	struct remembered *entry = memory->oldest;

	if (!entry)
		return;
	*place_of(memory, &entry->key) = entry->next;
	list_remove(memory, entry);
	memory->count--;
	memory->bytes -= entry->bytes;
	remembered_free(entry);
}

static struct remembered *remembered_new(const struct siphash_value *key, const struct capture *capture)
{
	struct remembered *entry = xcalloc(1, sizeof(*entry) + capture->count * sizeof(entry->certificates[0]));

	entry->key = *key;
	entry->verify = capture->verify;
	entry->digested_bytes = capture->digested_bytes;
	entry->digested = capture->digested;
	entry->count = capture->count;
	for (size_t i = 0; i < capture->count; i++) {
		entry->certificates[i] = (struct held_certificate){.certificate = certificate_ref(capture->certificates[i]),
								   .object = capture->objects[i],
								   .digest = capture->digests[i]};
		entry->bytes += capture->certificates[i]->der_len;
	}
	return entry;
}

void memory_keep(struct memory *memory, const struct siphash_value *key, const struct capture *capture)
{
	struct remembered **place = place_of(memory, key), *entry = *place;

	if (entry) {
		list_remove(memory, entry);
		list_add(memory, entry);
		return;
	}
	entry = *place = remembered_new(key, capture);
	list_add(memory, entry);
	memory->count++;
	memory->bytes += entry->bytes;
	while (memory->count > REMEMBERED_MAX || memory->bytes > REMEMBERED_BYTES)
		oldest_forget(memory);
}

const struct remembered *memory_find(const struct memory *memory, const struct siphash_value *key)
{
	return *place_of((struct memory *)memory, key);
}

struct capture *remembered_capture(const struct remembered *remembered)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));

	capture->verify = remembered->verify;
	capture->digested_bytes = remembered->digested_bytes;
	capture->digested = remembered->digested;
	for (size_t i = 0; i < remembered->count; i++) {
		const struct held_certificate *held = &remembered->certificates[i];

		capture->certificates[i] = certificate_ref(held->certificate);
		capture->objects[i] = held->object;
		capture->digests[i] = held->digest;
	}
	capture->count = remembered->count;
	return capture;
}

size_t memory_count(const struct memory *memory)
{
	return memory->count;
}

size_t memory_bytes(const struct memory *memory)
{
	return memory->bytes;
}

uint32_t remembered_flags(const struct remembered *remembered)
{
	return remembered->verify.flags & VERDICT_FLAGS;
}
