/* A process, named by its pid and its start, as /proc shows it. Privileged: other users' exe and namespaces. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"

/* An O_PATH descriptor of /proc/PID/task/TID, or of /proc/PID if that thread has gone, if PID is still the process that
 * started then: what is opened through it can be no other's. The thread, as it can live on in a process whose first thread
 * has ended, and be in a network namespace of its own. -ESRCH if the process has gone; -EMFILE and the like as open(2).
 * start_boottime_ns: nanoseconds since boot, as the kernel's start_boottime. */
int process_open(uint32_t pid, uint32_t tid, uint64_t start_boottime_ns);

/* Adds exe, user and cgroup to pid, tid, uid and start. known is 0 if the process has gone. */
void process_describe(struct message_process *process);

/* Ends the process that started then, by SIGKILL: no other, even if its pid is used again. -ESRCH: it has gone. -EPERM: pid 1,
 * this process or one that it started, a kernel thread, or the kernel refuses it. */
int process_kill(uint32_t pid, uint64_t start_boottime_ns);

/* The thread's ns/net if its inode number is netns, or the caller's own if that is. -ENOENT: neither. */
int process_netns_open(int process_fd, uint32_t netns);

/* Ticks since boot as proc(5) shows them, from nanoseconds. */
uint64_t process_ticks(uint64_t start_boottime_ns);

#endif
