/* What the agent needs of the kernel and of its own rights, looked at before anything is attached. */
#include "machine.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "util.h"

enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 10 }; /* the ring buffer is of 5.8; older ones than Debian 11's are not tried */

static const struct {
	int number;
	const char *name, *what;
} needed[] = {
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "to load BPF programs and attach uprobes"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "to see which program a process runs and which libraries it maps"},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", "to end connections"},
	{CAP_SETUID, "CAP_SETUID", "to confine the half that reads certificates"},
	{CAP_SETGID, "CAP_SETGID", "to confine the half that reads certificates"},
	{CAP_SETPCAP, "CAP_SETPCAP", "to confine the half that reads certificates"},
};

static int capabilities_check(char **ret_why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!(data[needed[i].number / 32].effective & 1U << needed[i].number % 32)) {
			*ret_why = xasprintf("it lacks the capability %s, %s: run it as root (sudo), or give the service "
					     "its capabilities",
					     needed[i].name, needed[i].what);
			return -ENOTSUP;
		}
	return 0;
}

static int kernel_check(char **ret_why)
{
	struct utsname name;
	long major, minor;
	char *rest;

	if (uname(&name) < 0)
		return -errno;
	major = strtol(name.release, &rest, 10);
	minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return 0;
	*ret_why = xasprintf("the kernel is %s: %d.%d or later is needed", name.release, KERNEL_MAJOR, KERNEL_MINOR);
	return -ENOTSUP;
}

int machine_check(char **ret_why)
{
	int err = kernel_check(ret_why);

	if (!err)
		err = capabilities_check(ret_why);
	if (!err && access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		*ret_why = xstrdup(
			"the kernel gives no type information (/sys/kernel/btf/vmlinux is missing): it must be built "
			"with CONFIG_DEBUG_INFO_BTF, as Debian's are, and /sys must be mounted");
		err = -ENOTSUP;
	}
	if (!err && access("/sys/bus/event_source/devices/uprobe/type", R_OK) < 0) {
		*ret_why = xstrdup("the kernel has no uprobes (/sys/bus/event_source/devices/uprobe is missing): it must be "
				   "built with CONFIG_UPROBE_EVENTS");
		err = -ENOTSUP;
	}
	if (err && !*ret_why)
		*ret_why = xstrdup(strerror(-err));
	return err;
}
