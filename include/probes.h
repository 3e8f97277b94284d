/* The kernel half, held: the loaded BPF programs and their attachments. Privileged. */
#ifndef PROBES_H
#define PROBES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
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
	struct spread *released_us;     /* of the counters */
	bool caching;                   /* the kernel can make keys (bpf_loop, 5.17) */
};

/* Loads the programs and attaches the socket tracker. gate_max: sockets gated at once, reserve included. On failure
 * *ret_error (owned by the caller) says what is missing. */
int probes_new(uint32_t gate_max, struct probes **ret, char **ret_error);
void probes_free(struct probes *probes); /* detaches everything */

/* A file to put probes on: for every process that maps it, now or later. */
struct probes_file {
	int fd;               /* stays the caller's */
	const uint64_t *site; /* SITE_COUNT file offsets; 0: not there */
};

/* Puts the layout into its slot and the probes on the files (a libcrypto and its libssl, or one that is both): all of their
 * sites or none. The attachments live until probes_detach. */
int probes_attach(struct probes *probes, uint32_t slot, const struct library_layout *layout, const struct probes_file *files,
		  size_t count);
/* Takes a slot's probes off. That takes the kernel a while, so it is done by and by; what was captured before still is in the
 * ring, with that slot. */
void probes_detach(struct probes *probes, uint32_t slot);
/* How many of the slot's probes have not fired in a self-check (see check.h), or -errno. */
int probes_check(struct probes *probes, uint32_t slot, const struct probes_file *files, size_t count);

int probes_ring_fd(const struct probes *probes);
struct probes_gate probes_gate(const struct probes *probes);
/* Shared with the kernel, read at any time, also after a fork. */
const struct counters *probes_counters(const struct probes *probes);

#endif
