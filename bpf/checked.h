/* The agent's self-check: include/check.h. */
#ifndef CHECKED_H
#define CHECKED_H

struct check_state check;

/* True if it is the checking process that hits this probe: noted, and the caller does nothing. probe: enum check_probe,
 * or 0. */
static __always_inline bool checked(void *ctx, __u32 probe)
{
	if (bpf_get_current_pid_tgid() >> 32 != check.tgid)
		return false;
	if (library_of(ctx) == check.slot)
		check.fired |= probe; /* it has one thread */
	return true;
}

#endif
