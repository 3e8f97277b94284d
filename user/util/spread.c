/* See spread.h. Step 4k + s, from k = 1 on, holds values from (4 + s) << (k - 1) on; below 4 each has its own. */
#include "spread.h"

enum { QUARTERS = 4, LARGEST_BIT = 24 };

static unsigned step_of(__u64 value)
{
	unsigned bit;

	if (value < QUARTERS)
		return (unsigned)value;
	bit = 63 - (unsigned)__builtin_clzll(value);
	if (bit > LARGEST_BIT)
		return SPREAD_STEPS - 1;
	return (bit - 1) * QUARTERS + (value >> (bit - 2) & (QUARTERS - 1));
}

/* The largest that belongs there. */
static __u64 largest_of(unsigned step)
{
	if (step < QUARTERS)
		return step;
	return ((QUARTERS + step % QUARTERS + 1ULL) << (step / QUARTERS - 1)) - 1;
}

void spread_add(struct spread *spread, __u64 value)
{
	spread->count[step_of(value)]++;
}

__u64 spread_count(const struct spread *spread)
{
	__u64 count = 0;

	for (unsigned i = 0; i < SPREAD_STEPS; i++)
		count += spread->count[i];
	return count;
}

__u64 spread_at(const struct spread *spread, unsigned permille)
{
	__u64 count = spread_count(spread), wanted = (count * permille + 999) / 1000, sum = 0;

	for (unsigned i = 0; i < SPREAD_STEPS && wanted; i++) {
		sum += spread->count[i];
		if (sum >= wanted)
			return largest_of(i);
	}
	return 0;
}
