/* One program on one instruction of one file, in every process that maps it: see uprobe_link.c. */
#ifndef UPROBE_LINK_H
#define UPROBE_LINK_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_link;
struct bpf_program;

/* BPF_TRACE_UPROBE_MULTI and BPF_TRACE_UPROBE_SESSION, which a program's expected attach type must be before it is loaded:
 * Debian 12's headers lack them. */
enum { UPROBE_MULTI = 48, UPROBE_SESSION = 57 /* at both ends of a call (6.13): see session_program.h */ };

struct uprobe_place {
	int file;        /* open descriptor, stays the caller's */
	uint64_t offset; /* in the file */
	uint64_t cookie; /* 0: none, for kernels that have none */
	bool at_return;  /* means nothing to a session */
};

/* Owned; closed by uprobe_link_close alone. */
struct uprobe_link {
	int multi;             /* descriptor of a multi link, or -1 */
	struct bpf_link *perf; /* of a perf event, or NULL */
};

/* May a program write the register that holds a function's result (7.0)? */
bool uprobe_may_write(void);

/* Does this kernel have multi links (6.6)? writes: for programs that write that register. */
bool uprobe_multi_works(bool writes);
/* Does such a link take this program? */
bool uprobe_multi_takes(int program, int attach_type, bool at_return);

/* By a multi link if the program was loaded for one (or as a session), else by a perf event. 0 or -errno. */
int uprobe_link_attach(const struct bpf_program *program, const struct uprobe_place *place, struct uprobe_link *ret);
/* Waits until the kernel has no more of it: 50 to 500 ms. */
void uprobe_link_close(struct uprobe_link *link);

#endif
