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

static struct json_object *agent_event_block(const struct event_head *head, const char *action, const char *outcome)
{
	const char *category = "host", *type = "info";
	struct json_object *event = object_begin();

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

/* Puts a detail where its dots lead, making the objects on the way. Where one of them is a value already, the rest of the
 * key stays whole, dots included. */
static void put_detail(struct json_object *object, const struct event_detail *detail)
{
	const char *key = detail->key, *dot;

	while ((dot = strchr(key, '.'))) {
		CLEANUP_FREE char *name = xstrndup(key, (size_t)(dot - key));
		struct json_object *next = NULL;

		if (!json_object_object_get_ex(object, name, &next)) {
			next = object_begin();
			json_object_object_add(object, name, next);
		} else if (!json_object_is_type(next, json_type_object)) {
			break;
		}
		object = next;
		key = dot + 1;
	}
	if (detail->text)
		object_raw(object, key, detail->text, PATH_TEXT_MAX);
	else
		object_number(object, key, detail->number);
}

char *event_agent_json(const struct event_head *head, const char *action, const char *outcome,
		       const struct event_detail *details, size_t count)
{
	struct json_object *object = object_event(head, agent_event_block(head, action, outcome));
	struct json_object *own = object_begin();

	for (size_t i = 0; i < count; i++)
		put_detail(own, &details[i]);
	object_child(object, "tlswarden", own);
	return object_line(object);
}
