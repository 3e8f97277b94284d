/* When a process started, as the kernel counts it. Include after cmocka.h. */
#ifndef START_OF_H
#define START_OF_H

#include <string.h>
#include <unistd.h>

#include "util.h"

/* Nanoseconds since boot, to the tick: field 22 of proc(5)'s stat. */
static inline uint64_t start_of(pid_t pid)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", pid), *stat = NULL;
	const char *at;
	size_t len;

	assert_int_equal(file_read(path, 4096, &stat, &len), 0);
	at = strrchr(stat, ')');
	assert_non_null(at);
	for (int number = 2; number < 22; number++)
		at = strchr(at + 1, ' ');
	return strtoull(at, NULL, 10) * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

#endif
