// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The kernel half of tlswarden:
 *
 *   sock_recv_length ──→ tasks (thread → socket)
 *                                 │
 *   X509_verify_cert ─────────────┤              ┌──→ ring (record_verify, record_cert) ──→ the judge
 *   gnutls_handshake, verify ─────┴─→ verdicts? ─┼──→ pending ──→ egress of packets (gate.h)
 *                                                └──→ notices, verified ──→ the warden
 *
 * Which library a probe sits in, and so where its fields are, comes as the probe's cookie: an index into layouts. Nothing
 * here writes to a process's memory (verdict.h may change what a verification returns), and nothing is attached to what
 * reads or writes application data. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"
#include "records.h"
#include "layout.h"
#include "gate_maps.h"
#include "verdict_key.h"
#include "check.h"
#include "maps.h"

/* Kernels before 5.15 have no probe cookies: the agent then loads these programs once a library, and sets this. */
const volatile int fixed_library = -1;

/* Kernels before 5.12 do not let a tracepoint make a socket's cookie: only sockets that have one already are known then. */
const volatile bool can_make_cookie = true;

/* There is a tracepoint for whatever is received (6.3). */
const volatile bool can_tell_receipts = true;

/* See thread.h. */
const volatile bool can_keep_with_task = true;

/* bpf_task_pt_regs (5.15), and a return probe that may write the register of the result. */
const volatile bool can_read_registers = true;
const volatile bool can_reject = true;

static __always_inline __u32 library_of(void *ctx)
{
	return fixed_library >= 0 ? (__u32)fixed_library : (__u32)bpf_get_attach_cookie(ctx);
}

#include "checked.h"
#include "thread.h"
#include "hello.h"
#include "socket.h"
#include "chain.h"
#include "notices.h"
#include "gate.h"
#include "exe.h"
#include "verdict.h"
#include "openssl.h"
#include "finished.h"
#include "gnutls.h"

char _license[] SEC("license") = "Dual BSD/GPL";
