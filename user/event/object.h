/* JSON objects under construction: what all events, and the agent's answers, are put together from.
 *
 * Every put takes a NULL or an unknown value for "leave the key out", so that an event never holds a null by accident. */
#ifndef EVENT_OBJECT_H
#define EVENT_OBJECT_H

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

/* An object or an array, as text that grows. Whoever has begun it gives it to another one, or to object_line(). */
struct json;

struct json *object_begin(void);
struct json *array_begin(void);

/* text is valid UTF-8 and safe already (facts, policies). */
void object_text(struct json *object, const char *key, const char *text, size_t max);
/* text may be any bytes: it goes through text_escape. */
void object_raw(struct json *object, const char *key, const char *text, size_t max);
void object_number(struct json *object, const char *key, int64_t value);
void object_count(struct json *object, const char *key, uint64_t value);
void object_flag(struct json *object, const char *key, bool value);
void object_null(struct json *object, const char *key);
void object_hex(struct json *object, const char *key, const uint8_t *data, size_t len, bool upper);
/* Seconds since 1970 as "2026-11-22T01:02:03Z". Outside the years 0 to 9999 (unreadable dates are): left out. */
void object_time(struct json *object, const char *key, int64_t seconds);
/* Takes child. An empty object or array is dropped. */
void object_child(struct json *object, const char *key, struct json *child);
/* Takes list, which stays if it is empty. */
void object_list(struct json *object, const char *key, struct json *list);
void array_text(struct json *array, const char *text, size_t max);
/* Takes child, likewise. */
void array_child(struct json *array, struct json *child);
/* ["text"]: the form that ECS wants for event.category and event.type. */
void object_list_of_one(struct json *object, const char *key, const char *text);

/* @timestamp, ecs, event (taken) and host, in this order. */
struct json *object_event(const struct event_head *head, struct json *event);
/* The text and a newline in new memory; takes object, which may be an array. */
char *object_line(struct json *object);

/* A copy of text, cut to max bytes as said above. New memory. */
char *text_cut(const char *text, size_t max);

#endif
