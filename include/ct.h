/* Certificate Transparency (RFC 6962): SCTs embedded in a leaf, their signatures checked against a list of logs. Pure. */
#ifndef CT_H
#define CT_H

#include "certificate.h"

struct ct_logs;

/* From the JSON of a log list, version 3 as Google publishes it. -EBADMSG: *ret_why, owned by the caller, says what is wrong
 * with it and where ("operators[3].logs[0].key: not base64"). A log whose key cannot be read is such an error, and so is a list
 * without log_list_timestamp (Apple's), for nobody can tell its age, or without a log. */
int ct_logs_new(const char *json, size_t len, struct ct_logs **ret, char **ret_why);
void ct_logs_free(struct ct_logs *logs);
void ct_logs_freep(struct ct_logs **logs);
size_t ct_logs_count(const struct ct_logs *logs);

/* A list is too old to judge by CT_LIST_FRESH_DAYS after its log_list_timestamp: logs come and go, and a new log's SCTs would
 * count for nothing. The moment from which it is, in seconds since 1970. */
enum { CT_LIST_FRESH_DAYS = 70 };
int64_t ct_logs_stale_at(const struct ct_logs *logs);

/* What was found; each count is 0 or more, and no more than the one before it. */
struct ct_count {
	size_t embedded; /* SCTs in the leaf, all of them: only CT_SCTS_MAX are looked at. 0 if one is broken */
	size_t known;    /* of logs in the list */
	size_t valid;    /* whose signature is right, of a log that counted when the SCT was made, and not from the future */
	size_t logs;     /* distinct logs among the valid */
	size_t operators; /* distinct operators of those logs, at the times of the SCTs */
};
enum { CT_SCTS_MAX = 32 };

/* issuer: the certificate whose key signed the leaf (the SCT is over its key's hash), or NULL: then nothing is valid. at: seconds
 * since 1970. States of a log: usable, qualified and readonly count; retired counts for SCTs from before it retired; pending,
 * rejected, none, and logs for tests (log_type) never. A leaf's temporal_interval, if the log has one, must hold its notAfter. */
void ct_check(const struct ct_logs *logs, const struct certificate *leaf, const struct certificate *issuer, int64_t at,
	      struct ct_count *ret);

#endif
