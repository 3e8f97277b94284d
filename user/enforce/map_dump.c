/* See map_dump.h. One value after the other: a batch of a hash map fails where a bucket is larger than the room given. */
#include "map_dump.h"

#include <bpf/bpf.h>

#include "util.h"

enum {
	FIRST_ROOM = 64,
	WALK_MAX = 1 << 20, /* steps: beyond it so much came and went meanwhile that the rest waits for the next dump */
};

static size_t keys_collect(int map_fd, uint64_t **ret)
{
	uint64_t *keys = NULL, key, next;
	size_t count = 0, room = 0;
	bool first = true;

	/* A key that goes while it is stood upon starts the walk again: so keys are only collected here. */
	while (count < WALK_MAX && bpf_map_get_next_key(map_fd, first ? NULL : &key, &next) == 0) {
		if (count == room) {
			room = room ? 2 * room : FIRST_ROOM;
			keys = xrealloc(keys, room, sizeof(*keys));
		}
		keys[count++] = key = next;
		first = false;
	}
	*ret = keys;
	return count;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

size_t map_dump(int map_fd, size_t value_size, uint64_t **ret_keys, void **ret_values)
{
	uint64_t *keys;
	size_t count = keys_collect(map_fd, &keys), kept = 0;
	char *values = count ? xcalloc(count, value_size) : NULL;

	if (count)
		qsort(keys, count, sizeof(*keys), compare);
	for (size_t i = 0; i < count; i++) {
		if (kept && keys[kept - 1] == keys[i])
			continue;
		keys[kept] = keys[i];
		if (bpf_map_lookup_elem(map_fd, &keys[kept], values + kept * value_size) == 0)
			kept++;
	}
	*ret_keys = keys;
	*ret_values = values;
	return kept;
}
