/* Finds libraries and attaches to them: the warden's second thread. Privileged. */
#ifndef FINDER_H
#define FINDER_H

#include "coverage.h"
#include "probes.h"

struct finder;

/* Starts the thread. It looks at what is installed and what runs, attaches, tells the judge over channel what it did, and
 * then, or after 10 seconds if there are files that do not answer, MESSAGE_STARTED; after that it follows new mappings, and
 * leaves what nothing maps any more. channel and probes stay the caller's. -errno if new mappings cannot be followed. */
int finder_new(struct probes *probes, int channel, struct finder **ret);
/* What is covered now; processes: with all processes, which takes a look at /proc. For other threads: waits for the finder, at most
 * FINDER_WAIT_MS, then -ETIMEDOUT. *ret: the caller's. */
enum { FINDER_WAIT_MS = 10000 };
int finder_coverage(struct finder *finder, bool processes, struct coverage **ret);
/* Ends the thread and waits for it. */
void finder_free(struct finder *finder);

#endif
