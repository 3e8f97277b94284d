/* A replay told to a person (replay.h): what would fire, what would not, what cannot be said, and what was passed over. Texts of
 * events are escaped already. */
#include "replay.h"

#include <inttypes.h>
#include <string.h>

#include "util.h"

enum { SHOWN = 5, RULES_SHOWN = 50 };

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_tally(FILE *out, const char *what, const struct tally *tally)
{
	const struct tally_item *top[SHOWN];
	size_t count = tally_top(tally, top, SHOWN);

	fprintf(out, "    %-10s ", what);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s %" PRIu64, i ? ", " : "", top[i]->text, top[i]->count);
	if (tally->others)
		fprintf(out, ", and more than %zu more", tally->distinct - count);
	else if (tally->distinct > count)
		fprintf(out, ", and %zu more", tally->distinct - count);
	fputc('\n', out);
}

static void print_rule(FILE *out, const struct rule_sums *rule)
{
	CLEANUP_FREE char *some = rule->enforced && rule->enforced < rule->fired ?
					  xasprintf("enforced %" PRIu64 " times", rule->enforced) :
					  NULL;

	fprintf(out, "\n  %s/%s: %" PRIu64 " time%s, %s, %s, %s\n", rule->ruleset, rule->rule, rule->fired,
		plural(rule->fired), action_names[rule->action],
		some           ? some :
		rule->enforced ? "enforced" :
				 "audit",
		severity_names[rule->severity]);
	if (rule->description)
		fprintf(out, "    %s\n", rule->description);
	fprintf(out, "    %-10s %s to %s\n", "from", moment_of(rule->first_us).text, moment_of(rule->last_us).text);
	print_tally(out, "processes", &rule->processes);
	print_tally(out, "names", &rule->names);
	print_tally(out, "peers", &rule->peers);
	fprintf(out, "    %-10s %s\n", "first", rule->reason);
}

static void print_silent(FILE *out, const struct replay *replay)
{
	size_t count = 0;

	for (size_t i = 0; i < replay->rules_count; i++) {
		const struct rule_sums *rule = &replay->rules[i];

		if (rule->fired || rule->undecided)
			continue;
		if (count == 0)
			fputs("\nwould never fire:\n", out);
		if (count++ < RULES_SHOWN)
			fprintf(out, "  %s/%s\n", rule->ruleset, rule->rule);
	}
	if (count > RULES_SHOWN)
		fprintf(out, "  and %zu more\n", count - RULES_SHOWN);
}

static void print_undecided(FILE *out, const struct replay *replay)
{
	size_t count = 0;

	for (size_t i = 0; i < replay->rules_count; i++) {
		const struct rule_sums *rule = &replay->rules[i];

		if (!rule->undecided)
			continue;
		if (count == 0)
			fputs("\ncannot be decided, for the log does not hold the certificates "
			      "(it does if the agent is started with run --certificates):\n",
			      out);
		if (count++ < RULES_SHOWN)
			fprintf(out, "  %s/%s: %" PRIu64 " time%s\n", rule->ruleset, rule->rule, rule->undecided,
				plural(rule->undecided));
	}
	if (count > RULES_SHOWN)
		fprintf(out, "  and %zu more\n", count - RULES_SHOWN);
}

static void print_passed_over(FILE *out, const char *what, const struct passed_over *passed_over)
{
	if (!passed_over->count)
		return;
	fprintf(out, "\n%" PRIu64 " %s line%s passed over:\n", passed_over->count, what, plural(passed_over->count));
	for (size_t i = 0; i < PASSED_OVER_SHOWN && i < passed_over->count; i++) {
		CLEANUP_FREE char *file = text_escape(passed_over->items[i].file, strlen(passed_over->items[i].file));

		fprintf(out, "  %s:%" PRIu64 ": %s\n", file, passed_over->items[i].line, passed_over->items[i].why);
	}
	if (passed_over->count > PASSED_OVER_SHOWN)
		fprintf(out, "  and %" PRIu64 " more\n", passed_over->count - PASSED_OVER_SHOWN);
}

void replay_print(FILE *out, const struct replay *replay)
{
	size_t fired = replay_fired(replay);

	fprintf(out, "%" PRIu64 " line%s: %" PRIu64 " verification%s, %" PRIu64 " other event%s of tlswarden\n",
		replay->lines, plural(replay->lines), replay->verifications, plural(replay->verifications), replay->other,
		plural(replay->other));
	if (replay->verifications)
		fprintf(out, "from %s to %s\n", moment_of(replay->first_us).text, moment_of(replay->last_us).text);
	fprintf(out,
		"%zu of %zu rule%s would fire: %" PRIu64 " violation%s in %" PRIu64 " verification%s, %" PRIu64
		" of which would be ended\n",
		fired, replay->rules_count, plural(replay->rules_count), replay->violations, plural(replay->violations),
		replay->broken, plural(replay->broken), replay->would_kill);
	fprintf(out, "against the log: %" PRIu64 " violation%s new, %" PRIu64 " no longer\n", replay->fresh,
		plural(replay->fresh), replay->gone);
	if (fired)
		fputs("\nwould fire:\n", out);
	for (size_t i = 0; i < replay->rules_count; i++)
		if (replay->rules[i].fired)
			print_rule(out, &replay->rules[i]);
	print_undecided(out, replay);
	print_silent(out, replay);
	print_passed_over(out, "torn", &replay->torn);
	print_passed_over(out, "foreign", &replay->foreign);
}
