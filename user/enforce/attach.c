/* See attach.h. The hierarchy is mounted anew and nowhere, so that it does not matter where, or whether, the host has it. */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <bpf/bpf.h>

#include "util.h"

enum { FIRST_CGROUP_NAMESPACE = 0xEFFFFFFB }; /* PROC_CGROUP_INIT_INO: the host's own */

/* Within another cgroup namespace the root is that namespace's, and the other processes of the host are beside it. */
static bool sees_all_cgroups(void)
{
	struct stat stat_;

	return stat("/proc/self/ns/cgroup", &stat_) == 0 && stat_.st_ino == FIRST_CGROUP_NAMESPACE;
}

static int root_open(void)
{
	int filesystem CLEANUP_CLOSE = fsopen("cgroup2", FSOPEN_CLOEXEC), mount CLEANUP_CLOSE = -1, root;

	if (filesystem < 0 || fsconfig(filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = fsmount(filesystem, FSMOUNT_CLOEXEC, 0);
	if (mount < 0)
		return -errno;
	root = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

int attach_egress(int program_fd, char **ret_why)
{
	int root CLEANUP_CLOSE = -1, link;

	if (!sees_all_cgroups()) {
		*ret_why = xstrdup(
			"the agent is in a cgroup namespace of its own, and would gate nothing outside: start it in the host's");
		return -ENOTSUP;
	}
	root = root_open();
	if (root < 0) {
		*ret_why = xasprintf("cgroup v2 cannot be had: %s", strerror(-root));
		return root;
	}
	link = bpf_link_create(program_fd, root, BPF_CGROUP_INET_EGRESS, NULL);
	if (link < 0) {
		*ret_why = xasprintf("the program cannot be attached at the root of cgroup v2: %s%s", strerror(errno),
				     errno == EPERM ? " (another one may be there that allows no second)" : "");
		return -errno;
	}
	return link;
}
