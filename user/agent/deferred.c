/* See deferred.h. Owns the messages, and their descriptors until they are handled. */
#include "deferred.h"

#include "util.h"

static bool stands_for(const struct message *message, const struct message *before)
{
	return message->tag == before->tag && message->tag != MESSAGE_GATE_TIMEOUT && message->tag != MESSAGE_KILLED;
}

void deferreds_add(struct deferreds *deferreds, const struct message *message, int fd)
{
	size_t at = 0;

	while (at < deferreds->count && !stands_for(message, &deferreds->items[at].message))
		at++;
	if (at < deferreds->count && deferreds->items[at].fd >= 0)
		close(deferreds->items[at].fd);
	if (at == deferreds->count)
		deferreds->items = xrealloc(deferreds->items, ++deferreds->count, sizeof(*deferreds->items));
	deferreds->items[at] = (struct deferred){.message = *message, .fd = fd};
}
