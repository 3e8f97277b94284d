/* Network namespaces by their inode number. Privileged: other users' /proc/PID/ns. */
#ifndef NETNS_H
#define NETNS_H

#include <stdint.h>

/* Some process's or thread's ns/net with that inode number, as a descriptor: for a socket whose own process has ended or
 * never was in it (passed, inherited). Looks at all of /proc, which takes milliseconds on a busy host. -ENOENT: no process
 * is in it. */
int netns_find(uint32_t inode);

#endif
