/* A replay as one JSON object (replay.h), for programs. Every rule is in it; lists of texts have the most frequent ones, and say
 * how many more there are. */
#include "replay.h"

#include <json-c/json.h>
#include <string.h>

#include "util.h"

enum { SHOWN = 5 };

static struct json_object *need(struct json_object *object)
{
	if (!object) {
		fputs("tlswarden: out of memory\n", stderr);
		abort();
	}
	return object;
}

static void put(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, need(value)) < 0)
		need(NULL);
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
	put(object, key, json_object_new_string(text));
}

static void put_count(struct json_object *object, const char *key, uint64_t count)
{
	put(object, key, json_object_new_uint64(count));
}

static void add(struct json_object *array, struct json_object *item)
{
	if (json_object_array_add(array, item) < 0)
		need(NULL);
}

static struct json_object *tally_json(const struct tally *tally)
{
	struct json_object *object = need(json_object_new_object()), *list = need(json_object_new_array());
	const struct tally_item *top[SHOWN];
	size_t count = tally_top(tally, top, SHOWN);

	for (size_t i = 0; i < count; i++) {
		struct json_object *item = need(json_object_new_object());

		put_text(item, "name", top[i]->text);
		put_count(item, "count", top[i]->count);
		add(list, item);
	}
	put(object, "top", list);
	put_count(object, "more", tally->distinct - count);
	if (tally->others) /* told apart no longer */
		put_count(object, "uncounted", tally->others);
	return object;
}

static struct json_object *rule_json(const struct rule_sums *rule)
{
	struct json_object *object = need(json_object_new_object());

	put_text(object, "rule", rule->rule);
	put_text(object, "ruleset", rule->ruleset);
	if (rule->description)
		put_text(object, "description", rule->description);
	put_text(object, "action", action_names[rule->action]);
	put_text(object, "severity", severity_names[rule->severity]);
	put_count(object, "fired", rule->fired);
	put_count(object, "enforced", rule->enforced);
	put_count(object, "undecided", rule->undecided);
	if (!rule->fired)
		return object;
	put_text(object, "first", moment_of(rule->first_us).text);
	put_text(object, "last", moment_of(rule->last_us).text);
	put_text(object, "reason", rule->reason);
	put(object, "processes", tally_json(&rule->processes));
	put(object, "names", tally_json(&rule->names));
	put(object, "peers", tally_json(&rule->peers));
	return object;
}

static struct json_object *passed_over_json(const struct passed_over *passed_over)
{
	struct json_object *object = need(json_object_new_object()), *list = need(json_object_new_array());

	put_count(object, "count", passed_over->count);
	for (size_t i = 0; i < PASSED_OVER_SHOWN && i < passed_over->count; i++) {
		struct json_object *item = need(json_object_new_object());
		CLEANUP_FREE char *file = text_escape(passed_over->items[i].file, strlen(passed_over->items[i].file));

		put_text(item, "file", file);
		put_count(item, "line", passed_over->items[i].line);
		put_text(item, "why", passed_over->items[i].why);
		add(list, item);
	}
	put(object, "first", list);
	return object;
}

static struct json_object *whole_json(const struct replay *replay)
{
	struct json_object *object = need(json_object_new_object()), *rules = need(json_object_new_array());
	struct json_object *changed = need(json_object_new_object());

	put_count(object, "lines", replay->lines);
	put_count(object, "verifications", replay->verifications);
	put_count(object, "without_certificates", replay->without_certificates);
	put_count(object, "other_events", replay->other);
	if (replay->verifications) {
		put_text(object, "first", moment_of(replay->first_us).text);
		put_text(object, "last", moment_of(replay->last_us).text);
	}
	put_count(object, "broken", replay->broken);
	put_count(object, "would_kill", replay->would_kill);
	put_count(object, "violations", replay->violations);
	put_count(changed, "new", replay->fresh);
	put_count(changed, "gone", replay->gone);
	put(object, "changed", changed);
	for (size_t i = 0; i < replay->rules_count; i++)
		add(rules, rule_json(&replay->rules[i]));
	put(object, "rules", rules);
	put(object, "torn", passed_over_json(&replay->torn));
	put(object, "foreign", passed_over_json(&replay->foreign));
	return object;
}

void replay_print_json(FILE *out, const struct replay *replay)
{
	struct json_object *object = whole_json(replay);
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (text)
		fprintf(out, "%s\n", text);
	else
		need(NULL);
	json_object_put(object);
}
