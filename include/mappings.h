/* Every new executable mapping on this host, as the kernel reports it (perf_event_open(2), PERF_RECORD_MMAP2): how libraries
 * show up without polling, dlopen included. Privileged. */
#ifndef MAPPINGS_H
#define MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

struct mapping {
	uint32_t pid;
	uint64_t start, len;   /* of the mapping, in the process */
	uint32_t major, minor; /* of the file, as /proc/PID/maps shows it; with inode, generation */
	uint64_t inode, generation;
	uint64_t time_ns; /* CLOCK_MONOTONIC: when it was made */
	const char *path; /* as the process sees it; valid during the call */
};
typedef void (*mapping_fn)(void *context, const struct mapping *mapping);

struct mappings;

/* On every processor that is online now. -errno: perf events are not to be had. */
int mappings_new(struct mappings **ret);
void mappings_free(struct mappings *mappings);

/* Follows the processors that came online since, and lets go of those that went: true if there is a new one. What happened
 * on it until now was not seen. */
bool mappings_renew(struct mappings *mappings);

/* Waits until there may be new records, at most some milliseconds after the first of them, or fd is readable, or timeout_ms
 * have passed (-1: without end). A host that starts many processes wakes it once for many. */
void mappings_wait(struct mappings *mappings, int fd, int timeout_ms);

/* Reads what is there: true if there was anything, be it only that a process or thread began or ended. Records that the kernel
 * dropped are added up in mappings_lost: then look at /proc again. */
bool mappings_read(struct mappings *mappings, mapping_fn fn, void *context);
uint64_t mappings_lost(const struct mappings *mappings);

#endif
