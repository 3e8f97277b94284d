/* See whos.h. Owns the answers. */
#include "whos.h"

#include <stdlib.h>

#include "util.h"

static bool is_same(const struct who_key *a, const struct who_key *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->start_boottime_ns == b->start_boottime_ns &&
	       a->exec_id == b->exec_id && a->cgroup_id == b->cgroup_id;
}

bool whos_find(const struct whos *whos, const struct who_key *key, uint32_t tid, uint64_t now_ns,
	       struct message_process *ret)
{
	for (size_t i = 0; key->cgroup_id && i < WHOS_MAX; i++) {
		const struct who *who = &whos->items[i];

		if (!who->process || now_ns >= who->until_ns || !is_same(&who->key, key))
			continue;
		message_process_copy(ret, who->process);
		ret->tid = tid;
		return true;
	}
	return false;
}

void whos_add(struct whos *whos, const struct who_key *key, const struct message_process *process, uint64_t now_ns)
{
	struct who *who = &whos->items[whos->next];

	if (!key->cgroup_id || !process->known)
		return;
	whos->next = (whos->next + 1) % WHOS_MAX;
	if (!who->process)
		who->process = xcalloc(1, sizeof(*who->process));
	who->key = *key;
	who->until_ns = now_ns + WHO_MS * 1000000ULL;
	message_process_copy(who->process, process);
}

void whos_clear(struct whos *whos)
{
	for (size_t i = 0; i < WHOS_MAX; i++)
		free(whos->items[i].process);
	*whos = (struct whos){0};
}
