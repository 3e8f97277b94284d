/* The agent's own events as one line of JSON: started, a policy loaded, a library attached, events lost …
 *
 * Details come from the agent itself, but may hold a path or a message with any bytes: they are escaped here. A detail's key
 * is a path of names, with dots between them, below `tlswarden`.
 * Bounds: each text is cut at PATH_TEXT_MAX; how many details there are is the caller's affair. */
#include "event.h"

#include <string.h>

#include "object.h"
#include "util.h"

/* ECS categorization of each action; of those not listed it is host and info. */
static const struct {
	const char *action, *category, *type;
} kinds[] = {
	{"agent-started", "process", "start"},
	{"agent-stopped", "process", "end"},
	{"policy-loaded", "host", "change"},
	{"policy-expired", "host", "change"},
};

static struct json *agent_event_block(const struct event_head *head, const char *action, const char *outcome)
{
	const char *category = "host", *type = "info";
	struct json *event = object_begin();

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].action, action) == 0) {
			category = kinds[i].category;
			type = kinds[i].type;
		}
	}
	object_text(event, "kind", "event", ID_TEXT_MAX);
	object_list_of_one(event, "category", category);
	object_list_of_one(event, "type", type);
	object_raw(event, "action", action, ID_TEXT_MAX);
	object_raw(event, "outcome", outcome, ID_TEXT_MAX);
	object_count(event, "sequence", head->sequence);
	object_text(event, "dataset", "tlswarden.agent", ID_TEXT_MAX);
	return event;
}

static bool begins(const struct event_detail *detail, const char *with, size_t len)
{
	return strncmp(detail->key, with, len) == 0;
}

/* Is one of the first count such a value, or does one lie below it? len: of the name and the dot behind it. */
static bool is_value(const struct event_detail *details, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (begins(&details[i], name, len - 1) && details[i].key[len - 1] == '\0')
			return true;
	return false;
}

static bool is_object(const struct event_detail *details, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (begins(&details[i], name, len))
			return true;
	return false;
}

static void put_value(struct json *object, const char *key, const struct event_detail *detail)
{
	if (detail->text)
		object_raw(object, key, detail->text, PATH_TEXT_MAX);
	else
		object_number(object, key, detail->number);
}

/* Those whose keys begin as that one does, up to its last dot before len, each where its dots lead. Where one of them is a value
 * already, the rest of the key stays whole, dots included. */
static void put_details(struct json *object, const struct event_detail *details, size_t count, const char *above, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		const char *key = details[i].key, *dot = begins(&details[i], above, len) ? strchr(key + len, '.') : NULL;
		size_t below = dot ? (size_t)(dot + 1 - key) : 0;

		if (!begins(&details[i], above, len))
			continue;
		if (!dot || is_value(details, i, key, below)) {
			put_value(object, key + len, &details[i]);
		} else if (!is_object(details, i, key, below)) {
			CLEANUP_FREE char *name = xstrndup(key + len, below - 1 - len);
			struct json *child = object_begin();

			put_details(child, details, count, key, below);
			object_child(object, name, child);
		}
	}
}

char *event_agent_json(const struct event_head *head, const char *action, const char *outcome,
		       const struct event_detail *details, size_t count)
{
	struct json *object = object_event(head, agent_event_block(head, action, outcome));
	struct json *own = object_begin();

	put_details(own, details, count, "", 0);
	object_child(object, "tlswarden", own);
	return object_line(object);
}
