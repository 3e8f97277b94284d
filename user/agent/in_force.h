/* The policies that the judge judges by, and the roots known with them: taken up at the start, exchanged at a reload, told
 * of. */
#ifndef IN_FORCE_H
#define IN_FORCE_H

#include "case.h"
#include "policy_files.h"

struct retired;

struct in_force {
	struct policies *policies; /* owned; bound */
	struct anchors *system;    /* owned; or NULL */
	struct anchors *anchors;   /* owned; the system's and those of the policies' trust stores; or NULL */
	struct retired *retired;   /* anchors that held cases may still point to */
	size_t retired_count;
	int64_t looked; /* moments until then were told of */
};

/* Takes over policies, which are bound here: only without privilege. -EINVAL: the problems were said on standard error. */
int in_force_begin(struct in_force *in_force, struct policies *policies, const struct policy_contents *contents);
/* Exchanges everything for what is in the file (policy_pack.h), or nothing: -errno and *ret_why, owned by the caller, as
 * "file:line:column: what". A case that was held before is not to be looked at more than HOLD_MS after it. */
int in_force_swap(struct in_force *in_force, int fd, uint64_t now_ns, char **ret_why);
/* Lets go what no held case can point to any more: all that were due at now_ns are gone. */
void in_force_tidy(struct in_force *in_force, uint64_t now_ns);
void in_force_clear(struct in_force *in_force);

/* Each writes events to the bench's sink; false if nobody reads them any more. */
bool tell_loaded(const struct bench *bench);
bool tell_rejected(const struct bench *bench, const char *why);
/* Of the moments that passed since the last look, or, after a swap, ever. Verdicts that are remembered are forgotten then. */
bool tell_moments(const struct bench *bench, struct in_force *in_force, int64_t now);

#endif
