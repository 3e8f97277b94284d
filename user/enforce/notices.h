/* The reader of the gate's notices. Several that come together are read in rounds: every few milliseconds by the clock, and
 * the kernel wakes nobody for them. The connections of all of them are silent meanwhile. */
#ifndef NOTICES_H
#define NOTICES_H

#include <stddef.h>

#include "gate_maps.h"

struct notices;

/* Called for each, with at least a whole struct gate_notice's bytes. */
typedef void (*notice_fn)(void *context, const struct gate_notice *notice);

/* switches, the kernel half's, must outlive it. -errno. */
int notices_new(int ring_map_fd, struct gate_switches *switches, notice_fn fn, void *context, struct notices **ret);
void notices_free(struct notices *notices);

/* Readable: call notices_read. In a round, before its time, that reads nothing. */
int notices_fd(const struct notices *notices);
void notices_read(struct notices *notices);

#endif
