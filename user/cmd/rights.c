/* Root's rights, given up (rights.h).
 *
 * Owns the rule that nobody who parses a certificate may read a file that others may not, or trace another's process. Trusts
 * the kernel only. Groups go first, then the ids, for a process without CAP_SETGID cannot change its groups; capabilities go
 * last, and also those that an ordinary user was given. */
#include "rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "exit_codes.h"
#include "util.h"

enum { NOBODY = 65534 };

static int capabilities_clear(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

int rights_drop(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	return capabilities_clear();
}

int rights_drop_or_say(const char *command)
{
	int r = rights_drop();

	if (r == 0)
		return EXIT_FINE;
	fprintf(stderr, "tlswarden %s: cannot give up root's rights: %s; run it as an ordinary user\n", command,
		strerror(-r));
	return EXIT_CANNOT;
}
