/* JSON objects under construction (json-c): what all events are put together from. Private to user/event.
 *
 * Every put takes a NULL or an unknown value for "leave the key out", so that an event never holds a null by accident. */
#ifndef EVENT_OBJECT_H
#define EVENT_OBJECT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

/* Bytes of one text before JSON's own escaping. Beyond it the text is cut between two characters and ends in "…". */
enum {
	TEXT_MAX = 1024,      /* names in certificates, reasons */
	ID_TEXT_MAX = 256,    /* ids of rules, names of policies, users, units */
	SAN_TEXT_MAX = 512,   /* a DNS name has at most 253 */
	PATH_TEXT_MAX = 4096, /* paths; details of the agent's own events */
};

struct json_object *object_begin(void);
struct json_object *array_begin(void);

/* text is valid UTF-8 and safe already (facts, policies). */
void object_text(struct json_object *object, const char *key, const char *text, size_t max);
/* text may be any bytes: it goes through text_escape. */
void object_raw(struct json_object *object, const char *key, const char *text, size_t max);
void object_number(struct json_object *object, const char *key, int64_t value);
void object_count(struct json_object *object, const char *key, uint64_t value);
void object_flag(struct json_object *object, const char *key, bool value);
void object_hex(struct json_object *object, const char *key, const uint8_t *data, size_t len, bool upper);
/* Seconds since 1970 as "2026-11-22T01:02:03Z". Outside the years 0 to 9999 (unreadable dates are): left out. */
void object_time(struct json_object *object, const char *key, int64_t seconds);
/* Takes child. An empty object or array is dropped. */
void object_child(struct json_object *object, const char *key, struct json_object *child);
void array_text(struct json_object *array, const char *text, size_t max);
void array_child(struct json_object *array, struct json_object *child);
/* ["text"]: the form that ECS wants for event.category and event.type. */
void object_list_of_one(struct json_object *object, const char *key, const char *text);

/* @timestamp, ecs, event (taken) and host, in this order. */
struct json_object *object_event(const struct event_head *head, struct json_object *event);
/* The text and a newline in new memory; frees object. */
char *object_line(struct json_object *object);

/* A copy of text, cut to max bytes as said above. New memory. */
char *text_cut(const char *text, size_t max);

#endif
