/* How long something took, often: counts in steps of a quarter of each power of two. Shared between processes as it is: one
 * writes, others read at any time. Pure. */
#ifndef SPREAD_H
#define SPREAD_H

#include <linux/types.h>

enum { SPREAD_STEPS = 96 }; /* up to 2^25 - 1; whatever is longer counts as that */

struct spread {
	__u64 count[SPREAD_STEPS];
};

void spread_add(struct spread *spread, __u64 value);
__u64 spread_count(const struct spread *spread);
/* A value that permille of a thousand do not exceed, at most a quarter too large; 0 if there are none. */
__u64 spread_at(const struct spread *spread, unsigned permille);

#endif
