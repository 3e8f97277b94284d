/* See hold.h. Owns the cases it holds. All holds last equally long, so the order of arrival is that of the deadlines. */
#include "hold.h"

#include <string.h>

bool holds_full(const struct holds *holds)
{
	return holds->count == HELD_MAX;
}

void holds_add(struct holds *holds, uint32_t pid, uint64_t session, uint64_t now_ns, struct case_ *c)
{
	holds->items[holds->count++] = (struct held){
		.pid = pid, .session = session, .deadline_ns = now_ns + HOLD_MS * 1000000ULL, .c = c};
}

static struct case_ *take_at(struct holds *holds, size_t index)
{
	struct case_ *c = holds->items[index].c;

	holds->count--;
	memmove(&holds->items[index], &holds->items[index + 1], (holds->count - index) * sizeof(holds->items[0]));
	return c;
}

struct case_ *holds_take(struct holds *holds, uint32_t pid, uint64_t session)
{
	for (size_t i = 0; i < holds->count; i++)
		if (holds->items[i].pid == pid && holds->items[i].session == session)
			return take_at(holds, i);
	return NULL;
}

struct case_ *holds_take_id(struct holds *holds, const struct record_id *id)
{
	for (size_t i = 0; i < holds->count; i++)
		if (!memcmp(&holds->items[i].c->capture->verify.head.id, id, sizeof(*id)))
			return take_at(holds, i);
	return NULL;
}

struct case_ *holds_take_due(struct holds *holds, uint64_t now_ns, bool any)
{
	if (holds->count && (any || holds->items[0].deadline_ns <= now_ns))
		return take_at(holds, 0);
	return NULL;
}

int holds_wait_ms(const struct holds *holds, uint64_t now_ns)
{
	if (!holds->count)
		return -1;
	if (holds->items[0].deadline_ns <= now_ns)
		return 0;
	return (int)((holds->items[0].deadline_ns - now_ns) / 1000000) + 1;
}
