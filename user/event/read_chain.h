/* The certificates of a logged verification, back into facts. Private to user/event. */
#ifndef EVENT_READ_CHAIN_H
#define EVENT_READ_CHAIN_H

#include "fields.h"

/* Fills the facts' certificates, path and what is said to be missing. root: the whole event; facts.role must be set. */
void chain_read(struct reading *reading, struct json_object *root);

#endif
