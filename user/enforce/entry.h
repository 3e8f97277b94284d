/* What gates a socket, compared. */
#ifndef ENTRY_H
#define ENTRY_H

#include <stdbool.h>

#include <bpf/bpf.h>

#include "gate_maps.h"

static inline bool same_id(const struct record_id *a, const struct record_id *b)
{
	return a->pid_tgid == b->pid_tgid && a->ktime_ns == b->ktime_ns;
}

/* By the verification that entered it last. */
static inline bool is_released(int released_map, const struct gate_entry *entry)
{
	struct record_id found;

	return bpf_map_lookup_elem(released_map, &entry->socket.cookie, &found) == 0 && same_id(&found, &entry->id);
}

#endif
