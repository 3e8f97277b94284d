/* A line of our own log, read back: what `replay` judges anew.
 *
 * Pure. The line is a stranger's bytes, whoever claims to have written it: nothing is taken that an event of ours could not
 * hold, and the certificates in it are an attacker's. Only without privilege. */
#ifndef EVENT_READ_H
#define EVENT_READ_H

#include "event.h"
#include "path.h"

enum event_kind {
	EVENT_VERIFICATION,
	EVENT_OTHER,   /* ours, and no verification: the agent's own */
	EVENT_TORN,    /* no JSON object: the line was cut, or two were run together */
	EVENT_FOREIGN, /* JSON, but no event of ours, or one that cannot be read */
};

/* A violation as it was logged. */
struct logged_violation {
	char *rule, *ruleset;
	enum action action;
};

/* Owns all that it points to, and what its facts point to. */
struct event_read {
	int64_t time_us;
	char *process; /* its name, escaped; or NULL */
	char *exe;     /* as it was logged, escaped, for people; facts.exe is the path itself; or NULL */
	/* As they were when it was judged, but for what the log does not hold. With all the certificates' bytes in the line, the
	 * path was found anew. Else facts.without_der is set: certificates have der_len 0 and x509 NULL, and of names that were
	 * cut only the beginning; and facts.without_keys, if the line does not tell the key of each. */
	struct facts facts;
	struct logged_violation *violations;
	size_t violations_count;
	uint64_t violations_left_out;
	char **texts; /* the rest of what facts points to */
	size_t texts_count;
	struct certificate **certificates;
	size_t certificates_count;
};
void event_read_clear(struct event_read *event);

/* Reads many lines. It remembers certificates, since a log has few different ones: what was parsed and checked once need not be
 * again. Events that it gave may outlive it. */
struct event_reader;
/* anchors: known beside those that a line carries, for lines with certificates; borrowed, or NULL. */
struct event_reader *event_reader_new(const struct anchors *anchors);
void event_reader_free(struct event_reader *reader);
void event_reader_freep(struct event_reader **reader);

/* One line, with or without its newline; longer than EVENT_LINE_MAX it is foreign. *ret is only touched for a verification,
 * *ret_why (new memory, one line, nothing of the line in it) only for EVENT_TORN and EVENT_FOREIGN. */
enum event_kind event_read(struct event_reader *reader, const char *line, size_t len, struct event_read *ret,
			   char **ret_why);

#endif
