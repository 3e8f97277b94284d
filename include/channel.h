/* The socket pair between the two halves: the warden (privileged) and the judge (unprivileged).
 *
 * A message is one datagram (SOCK_SEQPACKET): struct message, fixed in size, texts NUL-terminated. The warden trusts no
 * field of what it gets: message_receive() refuses a wrong size or tag and ends texts; the rest is checked where it is
 * used. A message may carry one file descriptor. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <linux/types.h>
#include <stdint.h>

#include "library.h"
#include "records.h"

enum message_tag {
	/* warden → judge */
	MESSAGE_LIBRARY = 1, /* library: attached in that slot */
	MESSAGE_UNSUPPORTED, /* library: path, text says why not */
	MESSAGE_STARTED,     /* every probe that start-up can attach is attached; number: how many libraries */
	MESSAGE_POLICIES,    /* fd: a memory file (policy_pack.h) with policies that the warden could parse; no other is sent
	                          * before its answer, MESSAGE_POLICIES_TAKEN */
	MESSAGE_POLICY_REJECTED, /* text: the first problem */
	MESSAGE_LOST_MAPPINGS,   /* number: records of new mappings that were lost so far */
	MESSAGE_OUTPUT,          /* fd: where events go from now on */
	MESSAGE_STOP,            /* drain, say so, and end; text: why */
	MESSAGE_PROCESS_IS,      /* the answer to MESSAGE_PROCESS: process */
	MESSAGE_KILLED,          /* the answer to MESSAGE_KILL: number 0, or -errno and text; and process, as above */
	/* judge → warden */
	MESSAGE_PROCESS, /* who is process.pid, started at process.start_boottime_ns? */
	MESSAGE_KILL,    /* destroy the socket of a process, or end the process, as rule of ruleset asks for */
	/* number: 0, or -errno, and the old ones stay. Those at the start are answered too. Requests that came before it were
	 * made by the old policies, those after it by the new ones. */
	MESSAGE_POLICIES_TAKEN,
};

enum { MESSAGE_TEXT = 512, MESSAGE_PATH = 4096, MESSAGE_USER = 64, MESSAGE_CGROUP = 4096 };
enum { MESSAGE_RULE = 129 }; /* the longest label of a policy, and its NUL: cut, it would be nobody's */

struct message_library {
	uint32_t slot;
	uint32_t build_id_len;
	uint8_t build_id[BUILD_ID_MAX];
	uint32_t kind; /* enum library_kind */
	char version[VERSION_MAX];
	char path[MESSAGE_PATH];
};

struct message_process {
	uint32_t pid, tid;
	uint32_t known; /* 0: it has gone, or the pid is another process by now */
	uint64_t start_boottime_ns;
	char exe[MESSAGE_PATH];
	char user[MESSAGE_USER]; /* empty if the uid has no name */
	uint32_t uid;
	char cgroup
		[MESSAGE_CGROUP]; /* lines of /proc/PID/cgroup, those first that cgroup_read looks at first; what is beyond is
	                              * left out, line by line */
};

struct message_kill {
	uint32_t pid, tid;
	uint32_t uid;
	uint32_t
		action; /* enum action: ACTION_KILL needs the socket; ACTION_KILL_PROCESS destroys it first if it is known */
	uint64_t start_boottime_ns;
	struct record_socket socket;
	char ruleset[MESSAGE_RULE], rule[MESSAGE_RULE];
};

struct message {
	uint32_t tag;   /* enum message_tag */
	uint32_t token; /* an answer repeats that of its question */
	int64_t number;
	char text[MESSAGE_TEXT];
	union {
		struct message_library library;
		struct message_process process;
		struct message_kill kill;
	};
};

/* ret_ends[0] is the warden's, [1] the judge's; both O_CLOEXEC. */
int channel_new(int ret_ends[2]);
/* passed_fd: sent along (the caller keeps its own), or -1. While the other half's queue is full the first blocks, and the
 * second gives -EAGAIN. */
int message_send(int channel, const struct message *message, int passed_fd);
int message_offer(int channel, const struct message *message, int passed_fd);
/* 1: a message; 0: the other half has closed; -errno: -EAGAIN with nothing there (nonblocking), -EPROTO on nonsense.
 * *ret_fd: a descriptor that came along, now the caller's, or -1; ret_fd NULL: none is expected, one that comes is closed. */
int message_receive(int channel, bool wait, struct message *ret, int *ret_fd);

#endif
