/* Makes a coverage (coverage.h): the files in the finder's thread, the processes in that of whoever asked. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "coverage.h"
#include "libraries.h"

struct snapshot;

void snapshot_new(const struct libraries *libraries, uint64_t mappings_lost, struct snapshot **ret);
/* Adds the processes that map those files now. */
void snapshot_processes(struct snapshot *snapshot);
/* The coverage, the caller's; nothing of the snapshot is left. */
struct coverage *snapshot_take(struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);

#endif
