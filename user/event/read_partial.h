/* A certificate of which only a log tells. Private to user/event. */
#ifndef EVENT_READ_PARTIAL_H
#define EVENT_READ_PARTIAL_H

#include "fields.h"

/* From an entry of tlswarden.chain. Always gives one; whether it is any good, the reading says. */
struct certificate *partial_read(struct reading *reading, struct json_object *entry);
/* What the event tells of the leaf alone: its alternative names, and in older logs its key. side: tls.server or tls.client, or
 * NULL; own: tlswarden. */
void partial_read_leaf(struct reading *reading, struct json_object *side, struct json_object *own, struct certificate *leaf);

#endif
