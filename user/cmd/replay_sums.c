/* The sums of a replay (replay.h): events of a log judged by policies, counted by rule.
 *
 * The log may be of any size and by anyone, the memory is not: each tally tells TALLY_MAX texts apart, all tallies together
 * TALLIES_MAX, and a text is known by its first LABEL_MAX bytes. */
#include "replay.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util.h"

enum { TALLY_MAX = 1024, TALLIES_MAX = 1 << 17, LABEL_MAX = 256 };

/* --- tallies -------------------------------------------------------------------------------------------------------- */

static int item_compare(const void *left, const void *right)
{
	const struct tally_item *a = left, *b = right;

	return strcmp(a->text, b->text);
}

/* Its beginning, not cut within a character. */
static char *label_of(const char *text)
{
	size_t len = strnlen(text, LABEL_MAX + 1);

	if (len > LABEL_MAX)
		for (len = LABEL_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--;
	return xstrndup(text, len);
}

static void tally_add(struct replay *replay, struct tally *tally, const char *text)
{
	CLEANUP_FREE char *label = label_of(text);
	struct tally_item wanted = {.text = label}, **found = tfind(&wanted, &tally->tree, item_compare), *item;

	if (!found && (tally->distinct == TALLY_MAX || replay->tallied == TALLIES_MAX)) {
		tally->others++;
		return;
	}
	if (!found) {
		item = xcalloc(1, sizeof(*item));
		item->text = TAKE_PTR(label);
		found = tsearch(item, &tally->tree, item_compare);
		if (!found)
			abort(); /* memory, as util.h has it */
		tally->distinct++;
		replay->tallied++;
	}
	(*found)->count++;
}

struct top {
	const struct tally_item **items;
	size_t count, max;
};

static void top_visit(const void *node, VISIT visit, void *closure)
{
	const struct tally_item *item = *(struct tally_item *const *)node;
	struct top *top = closure;
	size_t at;

	if (visit != postorder && visit != leaf)
		return;
	for (at = top->count; at > 0 && top->items[at - 1]->count < item->count; at--)
		if (at < top->max)
			top->items[at] = top->items[at - 1];
	if (at < top->max)
		top->items[at] = item;
	if (top->count < top->max)
		top->count++;
}

size_t tally_top(const struct tally *tally, const struct tally_item **ret, size_t max)
{
	struct top top = {.items = ret, .max = max};

	twalk_r(tally->tree, top_visit, &top);
	return top.count;
}

static void item_free(void *node)
{
	struct tally_item *item = node;

	free(item->text);
	free(item);
}

/* --- rules ---------------------------------------------------------------------------------------------------------- */

static int rule_compare(const void *left, const void *right)
{
	const struct rule_sums *a = *(struct rule_sums *const *)left, *b = *(struct rule_sums *const *)right;
	int order = strcmp(a->ruleset, b->ruleset);

	return order ? order : strcmp(a->rule, b->rule);
}

static struct rule_sums *rule_find(const struct replay *replay, const char *ruleset, const char *rule)
{
	struct rule_sums wanted = {.ruleset = ruleset, .rule = rule}, *key = &wanted, **found;

	found = bsearch(&key, replay->by_name, replay->rules_count, sizeof(*replay->by_name), rule_compare);
	return found ? *found : NULL;
}

/* Every rule there is, whatever it says: the explanation of a verification about which nothing is known lists them. */
void replay_begin(struct replay *replay, const struct policies *policies)
{
	const struct facts nothing = {.uid = UINT32_MAX};
	struct explanation all;

	*replay = (struct replay){.policies = policies};
	policies_explain(policies, &nothing, 0, false, &all);
	replay->rules_count = all.count;
	replay->rules = xcalloc(all.count, sizeof(*replay->rules));
	replay->by_name = xcalloc(all.count, sizeof(*replay->by_name));
	for (size_t i = 0; i < all.count; i++) {
		const struct explained_rule *rule = &all.rules[i];

		replay->rules[i] = (struct rule_sums){
			.ruleset = rule->ruleset,
			.rule = rule->rule,
			.description = rule->description,
			.action = rule->action,
			.severity = rule->severity,
		};
		replay->by_name[i] = &replay->rules[i];
	}
	explanation_clear(&all);
	qsort(replay->by_name, replay->rules_count, sizeof(*replay->by_name), rule_compare);
}

static void passed_over_clear(struct passed_over *passed_over)
{
	for (size_t i = 0; i < PASSED_OVER_SHOWN; i++)
		free(passed_over->items[i].why);
}

void replay_clear(struct replay *replay)
{
	for (size_t i = 0; i < replay->rules_count; i++) {
		struct rule_sums *rule = &replay->rules[i];

		tdestroy(rule->processes.tree, item_free);
		tdestroy(rule->names.tree, item_free);
		tdestroy(rule->peers.tree, item_free);
		free(rule->reason);
	}
	free(replay->rules);
	free(replay->by_name);
	passed_over_clear(&replay->torn);
	passed_over_clear(&replay->foreign);
	*replay = (struct replay){0};
}

size_t replay_fired(const struct replay *replay)
{
	size_t fired = 0;

	for (size_t i = 0; i < replay->rules_count; i++)
		fired += replay->rules[i].fired > 0;
	return fired;
}

/* --- events --------------------------------------------------------------------------------------------------------- */

/* Whom the certificate was for: a server by the name that was asked for, a client by its own. */
static const char *name_of(const struct facts *facts)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;

	if (facts->role != FACTS_ROLE_SERVER && facts->server_name)
		return facts->server_name;
	if (facts->role != FACTS_ROLE_SERVER && facts->expected_host)
		return facts->expected_host;
	if (!leaf || !leaf->parsed)
		return "?";
	if (facts->role != FACTS_ROLE_SERVER && leaf->sans_count)
		return leaf->sans[0].text;
	return leaf->common_name ? leaf->common_name : leaf->subject;
}

/* Of a client the port means nothing. */
static char *peer_of(const struct facts *facts)
{
	char ip[ADDRESS_TEXT_MAX];

	if (facts->peer.len == 0)
		return xstrdup("?");
	address_format(&facts->peer, ip);
	if (facts->role == FACTS_ROLE_SERVER || !facts->peer_port)
		return xstrdup(ip);
	return xasprintf(facts->peer.len == 16 ? "[%s]:%u" : "%s:%u", ip, facts->peer_port);
}

static void rule_fired(struct replay *replay, const struct event_read *event, const struct violation *violation)
{
	struct rule_sums *rule = rule_find(replay, violation->ruleset, violation->rule);
	CLEANUP_FREE char *peer = NULL;

	if (!rule)
		return; /* there is none that is not among them */
	if (rule->fired == 0) {
		rule->first_us = rule->last_us = event->time_us;
		rule->reason = xstrdup(violation->reason);
	}
	rule->fired++;
	rule->enforced += violation->enforced;
	if (event->time_us < rule->first_us)
		rule->first_us = event->time_us;
	if (event->time_us > rule->last_us)
		rule->last_us = event->time_us;
	peer = peer_of(&event->facts);
	tally_add(replay, &rule->processes, event->exe ? event->exe : event->process ? event->process : "?");
	tally_add(replay, &rule->names, name_of(&event->facts));
	tally_add(replay, &rule->peers, peer);
}

static bool logged(const struct event_read *event, const struct violation *violation)
{
	for (size_t i = 0; i < event->violations_count; i++)
		if (strcmp(event->violations[i].rule, violation->rule) == 0 &&
		    strcmp(event->violations[i].ruleset, violation->ruleset) == 0)
			return true;
	return false;
}

/* Still broken, or at least not known to be well. */
static bool may_stand(const struct verdict *verdict, const struct logged_violation *old)
{
	for (size_t i = 0; i < verdict->count; i++)
		if (strcmp(verdict->violations[i].rule, old->rule) == 0 &&
		    strcmp(verdict->violations[i].ruleset, old->ruleset) == 0)
			return true;
	for (size_t i = 0; i < verdict->undecided; i++)
		if (strcmp(verdict->undecided_rules[i].rule, old->rule) == 0 &&
		    strcmp(verdict->undecided_rules[i].ruleset, old->ruleset) == 0)
			return true;
	return false;
}

/* Of violations that the log left out it is not known which they were: as many new ones may be those. */
static void compare(struct replay *replay, const struct event_read *event, const struct verdict *verdict)
{
	uint64_t fresh = 0;

	for (size_t i = 0; i < verdict->count; i++)
		fresh += !logged(event, &verdict->violations[i]);
	replay->fresh += fresh > event->violations_left_out ? fresh - event->violations_left_out : 0;
	for (size_t i = 0; i < event->violations_count; i++)
		replay->gone += !may_stand(verdict, &event->violations[i]);
}

static int64_t seconds_of(int64_t time_us)
{
	return time_us / 1000000 - (time_us % 1000000 < 0);
}

void replay_judge(struct replay *replay, const struct event_read *event)
{
	CLEANUP(verdict_clear) struct verdict verdict = {0};

	policies_judge(replay->policies, &event->facts, seconds_of(event->time_us), false, &verdict);
	if (replay->verifications == 0)
		replay->first_us = replay->last_us = event->time_us;
	if (event->time_us < replay->first_us)
		replay->first_us = event->time_us;
	if (event->time_us > replay->last_us)
		replay->last_us = event->time_us;
	replay->verifications++;
	replay->without_certificates += event->facts.without_der;
	replay->broken += verdict.count > 0;
	replay->violations += verdict.count;
	replay->would_kill += verdict.action >= ACTION_KILL;
	for (size_t i = 0; i < verdict.count; i++)
		rule_fired(replay, event, &verdict.violations[i]);
	for (size_t i = 0; i < verdict.undecided; i++) {
		struct rule_sums *rule = rule_find(replay, verdict.undecided_rules[i].ruleset,
						   verdict.undecided_rules[i].rule);

		if (rule)
			rule->undecided++;
	}
	compare(replay, event, &verdict);
}

void replay_pass_over(struct passed_over *passed_over, const char *file, uint64_t line, char *why)
{
	if (passed_over->count < PASSED_OVER_SHOWN) {
		passed_over->items[passed_over->count].file = file;
		passed_over->items[passed_over->count].line = line;
		passed_over->items[passed_over->count].why = why;
	} else {
		free(why);
	}
	passed_over->count++;
}

struct moment moment_of(int64_t time_us)
{
	struct moment moment = {.text = "?"};
	time_t seconds = seconds_of(time_us);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) && strftime(moment.text, sizeof(moment.text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		moment.text[0] = '\0';
	return moment;
}
