/* One program at a call's entry and at its return (6.13): what the kernel gives it beside. Kernel functions that libbpf 1.1
 * cannot declare, since their arguments changed in 7.0: the agent puts their numbers in the place of these
 * (user/capture/session_program.c). An argument that they do not take does no harm. */
#ifndef UPROBE_SESSION_H
#define UPROBE_SESSION_H

#include "session_program.h"

enum {
	SESSION_ON = 0,
	SESSION_NO_RETURN = 1, /* from the entry: the return is not of interest, and not trapped */
};

static bool (*const session_is_return)(void *ctx) = (void *)SESSION_IS_RETURN;
/* Eight bytes of this call's own, zero at the entry. */
static __u64 *(*const session_cookie)(void *ctx) = (void *)SESSION_COOKIE;

#endif
