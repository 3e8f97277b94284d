/* Values taken out of a JSON object that a stranger wrote. Private to user/event.
 *
 * The first thing that is wrong is kept, and everything after it is read as if it were not there: who reads a whole line
 * asks once, at the end. */
#ifndef EVENT_FIELDS_H
#define EVENT_FIELDS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_read.h"
#include "words.h"

struct reading {
	struct event_reader *reader;
	struct event_read *event; /* owns what is taken out */
	char *why;                /* what is wrong, or NULL: owned by whoever began */
};

/* "tlswarden.chain: what"; name and what are ours, never the line's. */
void reading_fails(struct reading *reading, const char *name, const char *what);

/* Values by their dotted names; NULL (null, false, 0) if they are not there. A wrong type fails the reading, as does a text that
 * text_escape would not have let through. Borrowed from the object. */
struct json_object *field_object(struct reading *reading, struct json_object *object, const char *name);
struct json_object *field_array(struct reading *reading, struct json_object *object, const char *name, size_t max);
const char *field_text(struct reading *reading, struct json_object *object, const char *name);
bool field_flag(struct reading *reading, struct json_object *object, const char *name);
/* False if it is not there, or fails. */
bool field_number(struct reading *reading, struct json_object *object, const char *name, int64_t min, int64_t max,
		  int64_t *ret);
bool field_hex(struct reading *reading, struct json_object *object, const char *name, uint8_t *out, size_t len);
bool field_pin(struct reading *reading, struct json_object *object, const char *name, uint8_t out[SHA256_BYTES]);
/* RFC 3339 in UTC, of the years 0 to 9999; micros may be NULL. */
bool field_time(struct reading *reading, struct json_object *object, const char *name, int64_t *ret, int64_t *ret_micros);
/* The index of one of the words; missing if it is not there. */
int field_word(struct reading *reading, struct json_object *object, const char *name, const struct words *words,
	       int missing);

/* A safe text in an array; NULL fails. */
const char *item_text(struct reading *reading, struct json_object *array, size_t index, const char *name);

/* A copy that the event owns; NULL of NULL. */
char *reading_keep(struct reading *reading, const char *text);
/* The bytes that an escaped text stands for, owned by the event. A NUL stays escaped. */
char *reading_keep_raw(struct reading *reading, const char *text);

#endif
