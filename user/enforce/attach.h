/* The root of cgroup v2, and a program on its egress. */
#ifndef ATTACH_H
#define ATTACH_H

/* A link's descriptor: detached when it is closed and not pinned. -errno and *ret_why, owned by the caller. */
int attach_egress(int program_fd, char **ret_why);

#endif
