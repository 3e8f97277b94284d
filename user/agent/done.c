/* See done.h. Owns what it holds. */
#include "done.h"

#include <string.h>

#include "util.h"

static void done_clear(struct done *done)
{
	free(done->text);
	free(done->killed);
	*done = (struct done){};
}

void dones_add(struct dones *dones, const struct record_id *id, uint64_t cookie, const struct message *answer)
{
	struct done *done = &dones->items[dones->next];

	dones->next = (dones->next + 1) % DONE_MAX;
	dones->count += !done->killed;
	done_clear(done);
	*done = (struct done){.id = *id, .cookie = cookie, .number = answer->number, .text = xstrdup(answer->text)};
	done->killed = xcalloc(1, sizeof(*done->killed));
	*done->killed = answer->killed;
}

static bool is_that(const struct done *done, const struct record_id *id, uint64_t cookie)
{
	return done->killed && done->cookie == cookie && memcmp(&done->id, id, sizeof(*id)) == 0;
}

bool dones_take(struct dones *dones, const struct record_id *id, uint64_t cookie, struct message *answer)
{
	for (size_t i = 0; i < DONE_MAX && dones->count; i++) {
		struct done *done = &dones->items[i];

		if (!is_that(done, id, cookie))
			continue;
		answer->number = done->number;
		answer->killed = *done->killed;
		snprintf(answer->text, sizeof(answer->text), "%s", done->text);
		done_clear(done);
		dones->count--;
		return true;
	}
	return false;
}

bool dones_has(const struct dones *dones, const struct record_id *id, uint64_t cookie)
{
	for (size_t i = 0; i < DONE_MAX && dones->count; i++)
		if (is_that(&dones->items[i], id, cookie))
			return true;
	return false;
}

void dones_clear(struct dones *dones)
{
	for (size_t i = 0; i < DONE_MAX; i++)
		done_clear(&dones->items[i]);
	dones->count = dones->next = 0;
}
