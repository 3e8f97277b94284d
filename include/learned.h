/* What a host's processes verified, collected, and written as a policy that accepts exactly that (`tlswarden learn`).
 *
 * Learned is what the application itself verified with success and what can be told again: a server by the name that was asked
 * for, or by its address and port if there was none; clients of a server all together. For each the keys that vouched for it
 * are kept, on the proven path above the leaf; the leaf's own key if nobody above it is proven. All else is counted, with its
 * reason, and listed. policies_judge() finds nothing wrong with what was learned, by the policy written afterwards.
 *
 * Bounded memory (learned.c): what is beyond a bound is not learned, which the file says. Pure: no I/O, no clock. */
#ifndef LEARNED_H
#define LEARNED_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "facts.h"

struct learned;

struct learned *learned_new(void);
void learned_free(struct learned *learned);
void learned_freep(struct learned **learned);

/* Facts after path_prove(). program: what verified, a path or a name, any bytes; NULL: unknown. now: seconds since 1970.
 * Everything is copied. True if it was learned. */
bool learned_add(struct learned *learned, const struct facts *facts, const char *program, int64_t now);

struct learned_counts {
	uint64_t verifications, learned;
	size_t names, addresses; /* addresses: those that were reached without a name */
	bool clients;            /* certificates of clients were learned */
};
struct learned_counts learned_counts(const struct learned *learned);

/* Of the recording, for the head of the file. */
struct learned_session {
	const char *host; /* any bytes */
	int64_t from, to; /* seconds since 1970 */
	/* What the agent knows that it did not see. */
	uint64_t lost_verifications, lost_certificates, lost_calls, lost_malformed, lost_mappings;
	uint64_t unsupported; /* libraries and programs without probes */
};

/* The policy: valid by itself, in audit mode, in an order that does not depend on the order of what was learned. 0, or -EIO if
 * out did not take all of it. */
int learned_write(const struct learned *learned, const struct learned_session *session, FILE *out);

#endif
