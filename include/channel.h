/* The socket pair between the two halves: the warden (privileged) and the judge (unprivileged).
 *
 * A message is one datagram (SOCK_SEQPACKET): as much of struct message as its tag needs, texts NUL-terminated; of a process the
 * two longest, exe and cgroup, are only as long as they are, one behind the other. The warden
 * trusts no field of what it gets: message_receive() refuses a wrong size or tag and ends texts; the rest is checked where
 * it is used. A message may carry one file descriptor. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <linux/types.h>
#include <stdint.h>

#include "library.h"
#include "records.h"
#include "gate_maps.h"

enum message_tag {
	/* warden → judge */
	MESSAGE_LIBRARY = 1, /* library: attached in that slot */
	MESSAGE_UNSUPPORTED, /* library: path, text says why not; or why its probes are not to be trusted */
	MESSAGE_DETACHED,    /* library: nothing maps it any more, its slot is free */
	MESSAGE_STARTED,     /* every probe that start-up can attach is attached; number: how many libraries */
	MESSAGE_POLICIES,    /* fd: a memory file (policy_pack.h) with policies that the warden could parse; no other is sent
	                          * before its answer, MESSAGE_POLICIES_TAKEN */
	MESSAGE_POLICY_REJECTED, /* text: the first problem */
	MESSAGE_LOST_MAPPINGS,   /* number: records of new mappings that were lost so far */
	MESSAGE_OUTPUT,          /* fd: where events go from now on */
	MESSAGE_STOP,            /* drain, say so, and end; text: why */
	MESSAGE_PROCESS_IS,      /* the answer to MESSAGE_PROCESS: process */
	/* The answer to MESSAGE_KILL: number 0, or -errno and text; process, as above, and acted_ns. With token 0 no answer: what
	 * became of a connection that the kernel condemned by itself; -ECANCELED: nothing, no policy asks for it any more. */
	MESSAGE_KILLED,
	MESSAGE_GATE,         /* gate: its state has changed; the first comes before MESSAGE_STARTED */
	MESSAGE_GATE_TIMEOUT, /* timeout: a verdict did not come in time, and what was done */
	MESSAGE_VERIFIED,     /* fd: a memory file, number times struct verified_socket: connections that are remembered.
	                          * Follows policies that were taken */
	/* judge → warden */
	MESSAGE_PROCESS, /* who is process.pid, started at process.start_boottime_ns? */
	MESSAGE_KILL,    /* destroy the socket of a process, or end the process, as rule of ruleset asks for */
	MESSAGE_RELEASE, /* release: let a gated socket go, and remember the verdict. No answer */
	MESSAGE_FORGET,  /* policies have changed by themselves, as time passed: forget verdicts. No answer */
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

/* Most of it is room for the longest names: it is not to be copied as a whole, but by message_process_copy(). */
struct message_process {
	uint32_t pid, tid, uid;
	uint32_t known; /* 0: it has gone, or the pid is another process by now */
	uint64_t start_boottime_ns;
	uint64_t exec_id, cgroup_id; /* of who is asked about, as struct record_verify has them; cgroup_id 0: not known */
	char user[MESSAGE_USER];     /* empty if the uid has no name */
	char exe[MESSAGE_PATH];
	/* Lines of /proc/PID/cgroup, those first that cgroup_read looks at first; what is beyond is left out, line by line. */
	char cgroup[MESSAGE_CGROUP];
};

/* What the kernel is to remember of a verdict; kind CACHED_NONE: nothing. */
struct message_cached {
	struct siphash_value key; /* verdict_key.h */
	uint32_t kind;            /* enum cached_kind */
	uint32_t seconds;         /* how long */
};

struct message_kill {
	uint32_t pid, tid;
	uint32_t uid;
	uint32_t action; /* enum action: ACTION_KILL needs the socket; ACTION_KILL_PROCESS destroys it first if it is known.
	                 * ACTION_LOG: nothing is done, the answer says whether the connection is open */
	uint64_t start_boottime_ns;
	uint64_t exec_id, cgroup_id; /* as struct record_verify has them; cgroup_id 0: not known */
	struct record_id id;         /* of the verification */
	struct record_socket socket;
	struct message_cached cached;
	char ruleset[MESSAGE_RULE], rule[MESSAGE_RULE];
};

struct message_killed {
	uint64_t acted_ns;   /* CLOCK_MONOTONIC: when it was done */
	struct record_id id; /* without a question: of the verification, and its socket's cookie */
	uint64_t cookie;
	struct message_process process; /* the last, as its end is not always sent */
};

struct message_release {
	uint32_t pid, tid;
	uint64_t start_boottime_ns;
	struct record_id id;
	struct record_socket socket; /* cookie 0: nothing is gated */
	struct message_cached cached;
};

enum gate_state { GATE_OFF, GATE_ON, GATE_UNAVAILABLE };
struct message_gate {
	uint32_t state;  /* enum gate_state; unavailable: text says why */
	uint32_t closed; /* fail: closed */
	uint32_t timeout_ms;
	uint32_t caching;          /* the kernel can remember verdicts: with this key */
	struct siphash_key secret; /* of verdict_key.h */
};

enum gate_why { GATE_WHY_TIMEOUT, GATE_WHY_FULL, GATE_WHY_AGENT_ENDED };
struct message_timeout {
	uint32_t pid, tid, uid;
	uint32_t why; /* enum gate_why */
	uint64_t start_boottime_ns;
	uint64_t held;      /* packets that waited */
	uint64_t waited_us; /* since the socket was entered */
	uint32_t killed;    /* it was to be ended, and if number is 0 it was; otherwise it was let go */
	uint64_t dropped;   /* of these messages so far, as the judge read none */
	struct record_socket socket;
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
		struct message_killed killed;
		struct message_release release;
		struct message_gate gate;
		struct message_timeout timeout;
	};
};

enum { CHANNEL_BYTES = 4 << 20 }; /* that the judge has not read, with CAP_NET_ADMIN; else what the host allows anybody */

/* In memory that holds anything: all of what goes with the tag is 0, but for exe and cgroup, of which the first byte is. */
void message_begin(struct message *ret, uint32_t tag);
void message_process_copy(struct message_process *ret, const struct message_process *process);

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
