/* The kernel half, held: the loaded BPF programs and their attachments. Privileged. */
#ifndef PROBES_H
#define PROBES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "gate_maps.h"
#include "library.h"
#include "records.h"

struct probes;

/* What of the kernel half the gate needs, each a descriptor that stays the probes'. */
struct probes_gate {
	int program; /* cgroup_skb/egress, not attached */
	int pending, released, verdicts, verified, notices;
	struct gate_switches *switches; /* shared with the kernel */
	bool caching;                   /* the kernel can make keys (bpf_loop, 5.17) */
};

/* Loads the programs and attaches the socket tracker. gate_max: sockets gated at once, reserve included. On failure
 * *ret_error (owned by the caller) says what is missing. */
int probes_new(uint32_t gate_max, struct probes **ret, char **ret_error);
void probes_free(struct probes *probes); /* detaches everything */

/* Puts the layout into its slot and the probes on the file open at fd: for every process that maps it, now or later. All
 * of a library's sites or none. The attachments live as long as probes. fd may be closed afterwards. */
int probes_attach(struct probes *probes, uint32_t slot, int fd, const struct library_layout *layout,
		  const uint64_t site[SITE_COUNT]);

int probes_ring_fd(const struct probes *probes);
struct probes_gate probes_gate(const struct probes *probes);
/* Shared with the kernel, read at any time, also after a fork. */
const struct counters *probes_counters(const struct probes *probes);

#endif
