/* The unprivileged half: reads the ring, decodes, judges, writes events; asks the warden for what it may not do itself. */
#ifndef JUDGE_H
#define JUDGE_H

#include <sys/types.h>

#include "policy.h"
#include "probes.h"

struct judge_setup {
	int channel;  /* its end */
	int output;   /* open for writing */
	int ring_map; /* of the ring buffer */
	const struct counters *counters;
	struct policies *policies; /* taken over */
	const char *anchors_pem;   /* text, or NULL */
	size_t anchors_len;
	const char *host;
	bool text, colour, all_events, audit_only;
	uid_t uid;
	gid_t gid;
};

/* Runs in a process of its own, made by fork, and returns its exit code. Confines itself first. */
int judge_main(struct judge_setup *setup);

#endif
