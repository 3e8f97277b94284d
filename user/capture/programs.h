/* The BPF programs as this kernel takes them: see programs.c. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "session_program.h"

struct warden_bpf;

/* What this kernel can do. */
struct kernel_abilities {
	bool cookies;      /* a probe tells its program which library it sits in (5.15) */
	bool receipts;     /* the tracepoint sock_recv_length (6.3) */
	bool task_storage; /* whose look-ups do not fail (6.2) */
	bool loop;         /* bpf_loop (5.17): keys can be made */
	bool registers;    /* bpf_task_pt_regs (5.15) */
	bool reject;       /* a probe may write a function's result */
	bool multi;        /* uprobes by multi links (6.6) */
	bool multi_write;  /* … also of programs that write a result */
	bool sessions;     /* one program at both ends of a call (6.13), by these: */
	struct session_functions functions;
};

void kernel_ask(struct kernel_abilities *ret);

/* Loads a set of programs. first: the one whose maps it shares; NULL: this is the first, with the trackers, and the gate,
 * for gate_max sockets. slot: which it serves, where there are no cookies. 0 or -errno. */
int programs_load(const struct kernel_abilities *kernel, const struct warden_bpf *first, uint32_t slot, uint32_t gate_max,
		  struct warden_bpf **ret);
/* What libbpf said of the last load that failed: one line, static. */
const char *programs_complaint(void);

#endif
