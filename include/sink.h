/* Where events go: a file or standard output, one whole line at a time. */
#ifndef SINK_H
#define SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

struct sink {
	int fd;    /* borrowed */
	bool text; /* readable lines instead of JSON */
	bool colour;
	const char *host;
	uint64_t sequence; /* of the next event */
	uint64_t failed;   /* events that could not be written */
	uint64_t failed_told;
};

/* Each writes one event, or counts it as failed; never half a line: a line cut short in a file is taken back. The first
 * event that can be written after failures is preceded by a sink-failed event with their number. False: the reader of a
 * pipe has gone, nothing can ever be written again. */
bool sink_verification(struct sink *sink, const struct event_verification *verification);
bool sink_agent(struct sink *sink, const char *action, const char *outcome, const struct event_detail *details,
		size_t count);

#endif
