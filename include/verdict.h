/* What the policies say of one verification. */
#ifndef VERDICT_H
#define VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In rising strength. */
enum action { ACTION_LOG, ACTION_KILL, ACTION_KILL_PROCESS };
enum severity { SEVERITY_LOW = 1, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };
extern const char *const action_names[];   /* "log", "kill", "kill-process" */
extern const char *const severity_names[]; /* indexed by enum severity */

struct violation {
	const char *rule, *description, *ruleset; /* borrowed from the policies; description may be NULL */
	char *reason;                             /* owned; one line: what was asked and what was found */
	enum action action;                       /* as the rule says */
	enum severity severity;
	bool enforced;                /* its policy enforces now */
	const uint8_t *policy_sha256; /* borrowed */
};

/* A rule that matched and could not be judged; borrowed from the policies. */
struct undecided_rule {
	const char *rule, *ruleset;
};

struct verdict {
	struct violation *violations; /* order of the files, then of the rules */
	size_t count;
	enum action requested; /* the strongest action of all violations */
	enum action action;    /* the strongest among those that are enforced now: what is to be done */
	size_t strongest;      /* index of the violation that decides (enforced before audit, then action, then
	                                  * severity, then order); meaningless if count is 0 */
	size_t undecided;      /* rules that match, but ask what the facts do not tell (facts.without_der): not judged */
	struct undecided_rule *undecided_rules; /* as many */
};

void verdict_clear(struct verdict *verdict);

#endif
