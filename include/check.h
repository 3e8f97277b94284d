/* The self-check: a confined process of our own maps a library and calls its probed functions once each, on a made-up
 * object, so that the probes on them can be seen to fire (probes_check). The enum and the struct are shared with BPF, for
 * which all the rest is no more than declarations. */
#ifndef CHECK_H
#define CHECK_H

#include <linux/types.h>

/* Probes at a function's entry, by their program; one at a return cannot be expected to fire, as the call may fault
 * before. */
enum check_probe {
	CHECK_X509_VERIFY_CERT = 1 << 0,
	CHECK_SSL_DO_HANDSHAKE = 1 << 1, /* and what is in its place */
	CHECK_GNUTLS_HANDSHAKE = 1 << 2,
	CHECK_GNUTLS_VERIFY_PEERS = 1 << 3,
	CHECK_GNUTLS_REAUTH = 1 << 4,
	CHECK_GNUTLS_DEINIT = 1 << 5,
};

/* A global of the BPF programs. A probe that process `tgid` hits does nothing but to set its bit in `fired`, and that
 * only if it knows itself as one of slot's. tgid 0: nobody checks. */
struct check_state {
	__u32 tgid, slot;
	__u32 fired; /* enum check_probe */
	__u32 pad;
};

/* Called with the process's id before it does anything. */
typedef void (*check_ready_fn)(void *context, int pid);

/* Has functions of the file open at fd called. site: SITE_COUNT file offsets of probes; 0: not to be called. By its name,
 * if the file has it, so that a probe elsewhere does not fire; else at the very offset. 0: each was called. -ENOEXEC or
 * another -errno: the file could not be mapped or loaded, or the process not be started. -EPROTO: the process died before
 * it had called all of them. -ETIMEDOUT: it did not end within ASK_TIMEOUT_MS. The caller keeps fd, and must not let
 * another thread reap the child. /proc/self/exe must answer the command `check-library` with library_check_main. */
int library_check(int fd, const __u64 *site, check_ready_fn ready, void *context);

/* The confined half, run by the hidden command `check-library` with the offsets in hexadecimal as its argument, the file
 * on fd 3 and the answer's pipe on fd 4. */
int library_check_main(const char *offsets);

#endif
