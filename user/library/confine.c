/* Takes from the process, step by step, all that a foreign library could abuse.
 *
 * The order matters: the groups and ids need privilege, the bounding set needs CAP_SETPCAP, then the capabilities go, and
 * no_new_privs shuts the way back. An agent that was started without privilege (or without CAP_SETUID) keeps its id, for
 * it cannot change it; the system call filters, which hold for everybody, are the wall that counts. A call that is not on
 * the list kills the process.
 */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

enum {
	NOBODY = 65534,
	CPU_SECONDS = 2, /* then SIGXCPU ends the process */
	CAPABILITIES_MAX = 64,
};
#define ADDRESS_SPACE_MAX (3ull << 30) /* the file and its image, each at most 1 GiB; beyond it mmap fails */

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 }; /* its shadow is wider than any limit, and a long jump looks at the stacks */
#else
enum { SANITIZED = 0 };
#endif

static int drop_identity(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}, {0}};

	for (unsigned long cap = 0; cap < CAPABILITIES_MAX; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break; /* EINVAL: that was the last; EPERM: not ours to drop */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -errno;
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 && errno != EPERM)
		return -errno;
	if (setresuid(NOBODY, NOBODY, NOBODY) < 0 && errno != EPERM)
		return -errno;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int limit(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit limits = {soft, hard};

	return setrlimit(resource, &limits) < 0 ? -errno : 0;
}

int confine_rights(void)
{
	int r = drop_identity();

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if ((r = limit(RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1)) < 0 || (r = limit(RLIMIT_FSIZE, 0, 0)) < 0 ||
	    (r = limit(RLIMIT_NPROC, 0, 0)) < 0 || (r = limit(RLIMIT_CORE, 0, 0)) < 0)
		return r;
	return SANITIZED ? 0 : limit(RLIMIT_AS, ADDRESS_SPACE_MAX, ADDRESS_SPACE_MAX);
}

static void filter_release(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

/* The calls, and write to that descriptor alone (-1: to none). */
static int filter_load(const int *calls, size_t count, int write_fd)
{
	CLEANUP(filter_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = 0;

	if (!filter)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0 && write_fd >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)write_fd));
	if (r == 0)
		r = seccomp_load(filter);
	return r;
}

int confine_to_loading(void)
{
	static const int calls[] = {
		SCMP_SYS(fstat),        SCMP_SYS(newfstatat),  SCMP_SYS(mmap),         SCMP_SYS(munmap),
		SCMP_SYS(mprotect),     SCMP_SYS(brk),         SCMP_SYS(close),        SCMP_SYS(getrandom),
		SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigreturn), SCMP_SYS(prlimit64),
		SCMP_SYS(setrlimit),    SCMP_SYS(prctl),       SCMP_SYS(seccomp),      SCMP_SYS(write),
		SCMP_SYS(exit),         SCMP_SYS(exit_group),
	};

	return filter_load(calls, ARRAY_SIZE(calls), -1);
}

int confine_to_answering(int answer_fd)
{
	/* Random bytes: what a libc that is part of the file seeds its allocator with. */
	static const int calls[] = {SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(getrandom),
				    SCMP_SYS(sigaltstack)};
	int r = limit(RLIMIT_NOFILE, 0, 0);

	return r < 0 ? r : filter_load(calls, ARRAY_SIZE(calls) - !SANITIZED, answer_fd);
}
