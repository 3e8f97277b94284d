/* Verdicts: what the policies say of one verification, and the names of actions and severities.
 *
 * Owns the violations and their reasons; rule, description and ruleset are borrowed from the policies, which must live
 * longer. */
#include "verdict.h"

#include "util.h"

const char *const action_names[] = {
	[ACTION_LOG] = "log",
	[ACTION_KILL] = "kill",
	[ACTION_KILL_PROCESS] = "kill-process",
};
_Static_assert(ARRAY_SIZE(action_names) == ACTION_KILL_PROCESS + 1, "an action without a name");

const char *const severity_names[] = {
	[0] = "none",
	[SEVERITY_LOW] = "low",
	[SEVERITY_MEDIUM] = "medium",
	[SEVERITY_HIGH] = "high",
	[SEVERITY_CRITICAL] = "critical",
};
_Static_assert(ARRAY_SIZE(severity_names) == SEVERITY_CRITICAL + 1, "a severity without a name");

void verdict_clear(struct verdict *verdict)
{
	for (size_t i = 0; i < verdict->count; i++)
		free(verdict->violations[i].reason);
	free(verdict->violations);
	free(verdict->undecided_rules);
	*verdict = (struct verdict){0};
}
