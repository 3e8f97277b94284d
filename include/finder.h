/* Finds libraries and attaches to them: the warden's second thread. Privileged. */
#ifndef FINDER_H
#define FINDER_H

#include "probes.h"

struct finder;

/* Starts the thread. It looks at what is installed and what runs, attaches, tells the judge over channel what it did, and
 * then MESSAGE_STARTED; after that it follows new mappings. channel and probes stay the caller's. -errno if new mappings
 * cannot be followed. */
int finder_new(struct probes *probes, int channel, struct finder **ret);
/* Ends the thread and waits for it. */
void finder_free(struct finder *finder);

#endif
