/* Takes probes off, many side by side: the kernel lets each wait, for itself alone. */
#ifndef DETACHER_H
#define DETACHER_H

#include <stddef.h>
#include <stdint.h>

#include "uprobe_link.h"

struct detacher;

/* Starts no thread before there is work. */
void detacher_new(struct detacher **ret);
/* Waits until all links given to it are closed. */
void detacher_free(struct detacher *detacher);

/* The link is the detacher's from now on. slot (below LIBRARIES_MAX): for those that ask after it. */
void detacher_give(struct detacher *detacher, const struct uprobe_link *link, uint32_t slot);
/* How many links of that slot are still being closed. */
size_t detacher_count(struct detacher *detacher, uint32_t slot);
/* Waits until there are none. */
void detacher_wait(struct detacher *detacher, uint32_t slot);

#endif
