/* The agent as a whole: `run` and `watch`. */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>
#include <stddef.h>

struct agent_options {
	char **policy_paths; /* files and directories */
	size_t policy_count;
	const char *output; /* a path, or "-" */
	bool text, colour;  /* readable lines instead of JSON */
	bool all_events;
	bool audit_only;
	const char *anchors; /* PEM file with the roots known; NULL: the system's, if it is there */
	const char *user;    /* account of the unprivileged half; NULL: see sandbox_user */
};

/* Runs until SIGTERM or SIGINT. Returns an exit code (exit_codes.h); every failure was said on standard error. */
int agent_run(const struct agent_options *options);

#endif
