/* The clock of all latencies and deadlines: CLOCK_MONOTONIC, as the kernel's bpf_ktime_get_ns(). */
#ifndef MOMENT_H
#define MOMENT_H

#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

#endif
