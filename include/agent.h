/* The agent as a whole: `run`, `watch` and `learn`. */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_options {
	char **policy_paths; /* files and directories */
	size_t policy_count;
	const char *output; /* a path, or "-" */
	bool text, colour;  /* readable lines instead of JSON */
	bool all_events;
	bool events_open; /* nobody said which: all as long as there is no policy */
	bool audit_only;
	bool certificates;                  /* events carry the bytes of the certificates */
	const char *anchors;                /* PEM file with the roots known; NULL: the system's, if it is there */
	bool fail_closed;                   /* what is gated stays so without a verdict, and is ended when its time is up */
	uint32_t gate_timeout_ms, gate_max; /* until then a verdict must be there; sockets gated at once */
	const char *control;                /* socket that `status` and `coverage` ask; NULL: none */
	bool control_named;                 /* somebody said so: it must be had */
	const char *user;                   /* account of the unprivileged half; NULL: see sandbox_user */
	bool learn; /* no events: what is verified is collected, and written as a policy at the end to output, a new file */
	uint64_t learn_seconds; /* then it ends by itself; 0: it does not */
};

/* Runs until SIGTERM or SIGINT. Returns an exit code (exit_codes.h); every failure was said on standard error. */
int agent_run(const struct agent_options *options);

#endif
