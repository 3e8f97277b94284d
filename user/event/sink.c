/* Writes events. Owns nothing but its counters; the descriptor was opened by who may open files. */
#include "sink.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "gate_event.h"
#include "util.h"

static struct event_head head_next(struct sink *sink)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct event_head){
		.time_us = now.tv_sec * 1000000LL + now.tv_nsec / 1000, .sequence = sink->sequence++, .host = sink->host};
}

/* 0 or -errno. */
static int line_write(struct sink *sink, const char *line)
{
	size_t len = strlen(line), done = 0;

	while (done < len) {
		ssize_t written = write(sink->fd, line + done, len - done);
		if (written >= 0) {
			done += (size_t)written;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN && done) {
			/* A pipe that does not block, with half a line in it: the rest must follow. */
			poll(&(struct pollfd){.fd = sink->fd, .events = POLLOUT}, 1, -1);
			continue;
		}
		int err = -errno;
		/* A full disk can take half a line. */
		if (done) {
			off_t end = lseek(sink->fd, 0, SEEK_END);
			if (end >= (off_t)done && ftruncate(sink->fd, end - (off_t)done) < 0)
				return err;
		}
		return err;
	}
	return 0;
}

static bool line_count(struct sink *sink, int err)
{
	if (err)
		sink->failed++;
	return err != -EPIPE;
}

static char *failed_line(struct sink *sink)
{
	struct event_head head = head_next(sink);
	struct event_detail detail = {.key = "sink.failed", .number = (int64_t)sink->failed};

	return (sink->text ? event_agent_text(&head, "sink-failed", "failure", &detail, 1, sink->colour) :
			     event_agent_json(&head, "sink-failed", "failure", &detail, 1));
}

/* Takes over line. */
static bool sink_line(struct sink *sink, char *line)
{
	char *owned CLEANUP_FREE = line, *failed CLEANUP_FREE = NULL;
	int err = 0;

	if (sink->failed != sink->failed_told) {
		failed = failed_line(sink);
		err = line_write(sink, failed);
		if (!err)
			sink->failed_told = sink->failed;
	}
	return line_count(sink, err ? err : line_write(sink, owned));
}

bool sink_verification(struct sink *sink, const struct event_verification *verification)
{
	struct event_head head = head_next(sink);

	return sink_line(sink, sink->text ? event_verification_text(&head, verification, sink->colour) :
					    event_verification_json(&head, verification));
}

bool sink_gate(struct sink *sink, const struct event_gate *gate)
{
	struct event_head head = head_next(sink);

	return sink_line(sink, sink->text ? event_gate_text(&head, gate, sink->colour) : event_gate_json(&head, gate));
}

bool sink_agent(struct sink *sink, const char *action, const char *outcome, const struct event_detail *details, size_t count)
{
	struct event_head head = head_next(sink);

	return sink_line(sink, sink->text ? event_agent_text(&head, action, outcome, details, count, sink->colour) :
					    event_agent_json(&head, action, outcome, details, count));
}
