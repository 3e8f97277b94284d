/* The kernel half, held: the loaded BPF programs and their attachments. Privileged. */
#ifndef PROBES_H
#define PROBES_H

#include <linux/types.h>
#include <stdint.h>

#include "library.h"
#include "records.h"

struct probes;

/* Loads the programs and attaches the socket tracker. On failure *ret_error (owned by the caller) says what is missing. */
int probes_new(struct probes **ret, char **ret_error);
void probes_free(struct probes *probes); /* detaches everything */

/* Puts the layout into its slot and the probes on the file open at fd: for every process that maps it, now or later. All
 * of a library's sites or none. The attachments live as long as probes. fd may be closed afterwards. */
int probes_attach(struct probes *probes, uint32_t slot, int fd, const struct library_layout *layout,
		  const uint64_t site[SITE_COUNT]);

int probes_ring_fd(const struct probes *probes);
/* Shared with the kernel, read at any time, also after a fork. */
const struct counters *probes_counters(const struct probes *probes);

#endif
