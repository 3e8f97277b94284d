/* What /proc/PID/cgroup tells of where a process runs: its systemd unit and its container. Pure: text in, text out. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stddef.h>

enum { CGROUP_UNIT_MAX = 256, CGROUP_CONTAINER_MAX = 128 };

/* unit: "nginx.service", "user@1000.service", "session-3.scope": what systemd made first below its slices, unless that is a
 * container's scope; with systemd's \xNN undone. What lies deeper was named by whom the unit belongs to: a service of a user's
 * own manager is "user@1000.service", so that nobody can call his own process "nginx.service".
 * container: the id, 64 hex digits as Docker, containerd, CRI-O and Podman give it, or the name of a systemd-nspawn or LXC
 * container; the outermost, for the same reason. One below a unit, as all of a user's are below "user@1000.service", is the word of
 * whom the unit belongs to.
 * Either is "" if there is none, or if it would not fit. The line of cgroup v2 ("0::/…") comes first, then name=systemd, then the
 * rest. text: NUL-terminated, any bytes: who makes a cgroup chooses its name. */
struct cgroup_place {
	char unit[CGROUP_UNIT_MAX];
	char container[CGROUP_CONTAINER_MAX];
};
void cgroup_read(const char *text, struct cgroup_place *ret);

#endif
