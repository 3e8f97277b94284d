/* The unprivileged half: reads the ring, decodes, judges, writes events; asks the warden for what it may not do itself. */
#ifndef JUDGE_H
#define JUDGE_H

#include <sys/types.h>

#include "policy_files.h"
#include "probes.h"

struct judge_setup {
	int channel;  /* its end */
	int output;   /* open for writing */
	int ring_map; /* of the ring buffer */
	const struct counters *counters;
	struct policies *policies; /* not bound; taken over, as are the contents of the files that they name */
	struct policy_contents *contents;
	const char *anchors_pem; /* text, or NULL */
	size_t anchors_len;
	const char *host;
	bool learn, progress; /* agent_options.learn; standard error is a terminal */
	uint64_t learn_seconds;
	bool text, colour, all_events, events_open, audit_only, certificates;
	uid_t uid;
	gid_t gid;
};

/* Runs in a process of its own, made by fork, and returns its exit code: EXIT_NO if a file that a policy names is wrong, which was
 * said on standard error. Confines itself first. */
int judge_main(struct judge_setup *setup);

#endif
