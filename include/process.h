/* A process, named by its pid and its start, as /proc shows it. Privileged: other users' exe and namespaces. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"

/* An O_PATH descriptor of /proc/PID, if that is still the process that started then: what is opened through it can be no
 * other's. -ESRCH if it has gone. start_boottime_ns: nanoseconds since boot, as the kernel's start_boottime. */
int process_open(uint32_t pid, uint64_t start_boottime_ns);

/* Answers a MESSAGE_PROCESS: exe, user. ret->known is 0 if the process has gone. */
void process_describe(const struct message_process *asked, struct message_process *ret);

/* /proc/PID/ns/net if its inode number is netns, or the caller's own if that is. -ENOENT: neither. */
int process_netns_open(int process_fd, uint32_t netns);

/* Ticks since boot as proc(5) shows them, from nanoseconds. */
uint64_t process_ticks(uint64_t start_boottime_ns);

#endif
