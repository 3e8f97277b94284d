/* Policies: parsing (strict, with places), and judging facts by them. Pure: no I/O, no clock, no BPF. */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts.h"
#include "verdict.h"

struct policies; /* all policies in force together */

/* One complaint about a file. line and column count from 1. */
struct problem {
	char *file;
	unsigned line, column;
	char *text; /* "what, and what was meant" */
};
struct problems {
	struct problem *items;
	size_t count;
};
void problems_clear(struct problems *problems);
void problems_add(struct problems *problems, const char *file, unsigned line, unsigned column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The text of one policy file, with the name that messages use. */
struct policy_source {
	const char *file;
	const char *text;
	size_t len;
};

/* Parses all sources in their order into one set. Any problem (unknown key, wrong type, a set missing, ids or names that
 * repeat, enforce with fewer than two keys …): -EINVAL, *ret untouched, every problem found is in problems. */
int policies_parse(const struct policy_source *sources, size_t count, struct policies **ret, struct problems *problems);
void policies_free(struct policies *policies);

size_t policies_count(const struct policies *policies);
struct policy_info {
	const char *name, *file;
	bool enforce;       /* as written: mode: enforce */
	uint8_t sha256[32]; /* of the file's text */
	size_t rules;
	bool has_enforce_until, has_expires;
	int64_t enforce_until, expires; /* seconds since 1970 */
};
struct policy_info policies_info(const struct policies *policies, size_t index);

/* True if this policy enforces at this time and its rule asks for that action: what the privileged half checks before it
 * destroys a socket. audit_only: --mode audit. */
bool policies_allow(const struct policies *policies, const char *ruleset, const char *rule, enum action action,
		    bool audit_only, int64_t now);

/* True if some rule looks at exe or user: then facts must have them before they are judged. */
bool policies_ask_process(const struct policies *policies);

/* Judges. now: seconds since 1970, audit_only: --mode audit. *ret must be cleared by verdict_clear. */
void policies_judge(const struct policies *policies, const struct facts *facts, int64_t now, bool audit_only,
		    struct verdict *ret);

#endif
