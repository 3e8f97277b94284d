/* Values out of a stranger's JSON (fields.h).
 *
 * Trusts nothing: types, lengths and digits are checked, and each text must be as text_escape leaves it, for it goes to a
 * terminal sooner or later. Bounded by the line, which has at most EVENT_LINE_MAX bytes. */
#include "fields.h"

#include <string.h>
#include <time.h>

#include "util.h"

enum { NAME_PART_MAX = 64 };

void reading_fails(struct reading *reading, const char *name, const char *what)
{
	if (!reading->why)
		reading->why = xasprintf("%s: %s", name, what);
}

/* The value at a dotted name, or NULL. "@timestamp" has no dot. A JSON null is NULL, too. */
static struct json_object *find(struct reading *reading, struct json_object *object, const char *name)
{
	const char *part = name;

	while (object && *part && !reading->why) {
		size_t len = strcspn(part, ".");
		char key[NAME_PART_MAX];

		if (!json_object_is_type(object, json_type_object)) {
			reading_fails(reading, name, "it does not lie in an object");
			return NULL;
		}
		snprintf(key, sizeof(key), "%.*s", (int)len, part);
		if (!json_object_object_get_ex(object, key, &object))
			return NULL;
		part += len + (part[len] == '.');
	}
	return reading->why ? NULL : object;
}

static struct json_object *find_typed(struct reading *reading, struct json_object *object, const char *name,
				      enum json_type type, const char *what)
{
	struct json_object *value = find(reading, object, name);

	if (value && !json_object_is_type(value, type)) {
		reading_fails(reading, name, what);
		return NULL;
	}
	return value;
}

struct json_object *field_object(struct reading *reading, struct json_object *object, const char *name)
{
	return find_typed(reading, object, name, json_type_object, "not an object");
}

struct json_object *field_array(struct reading *reading, struct json_object *object, const char *name, size_t max)
{
	struct json_object *value = find_typed(reading, object, name, json_type_array, "not a list");

	if (value && json_object_array_length(value) > max) {
		reading_fails(reading, name, "a longer list than is ever written");
		return NULL;
	}
	return value;
}

/* text_escape makes each backslash two bytes, and each byte that is not safe four. */
static bool is_safe(const char *text, size_t len)
{
	CLEANUP_FREE char *escaped = text_escape(text, len);
	size_t backslashes = 0;

	for (size_t i = 0; i < len; i++)
		backslashes += text[i] == '\\';
	return strlen(escaped) == len + backslashes;
}

static const char *safe_text(struct reading *reading, struct json_object *value, const char *name)
{
	const char *text;

	if (!value || !json_object_is_type(value, json_type_string)) {
		reading_fails(reading, name, "not a text");
		return NULL;
	}
	text = json_object_get_string(value);
	if (!is_safe(text, (size_t)json_object_get_string_len(value))) {
		reading_fails(reading, name, "a text with a control character, or bytes that are no UTF-8");
		return NULL;
	}
	return text;
}

const char *field_text(struct reading *reading, struct json_object *object, const char *name)
{
	struct json_object *value = find(reading, object, name);

	return value ? safe_text(reading, value, name) : NULL;
}

const char *item_text(struct reading *reading, struct json_object *array, size_t index, const char *name)
{
	return safe_text(reading, json_object_array_get_idx(array, index), name);
}

bool field_flag(struct reading *reading, struct json_object *object, const char *name)
{
	struct json_object *value = find_typed(reading, object, name, json_type_boolean, "neither true nor false");

	return value && json_object_get_boolean(value);
}

bool field_number(struct reading *reading, struct json_object *object, const char *name, int64_t min, int64_t max,
		  int64_t *ret)
{
	struct json_object *value = find_typed(reading, object, name, json_type_int, "not a whole number");
	int64_t number = value ? json_object_get_int64(value) : 0; /* of too large a one json-c gives the nearest */

	if (!value)
		return false;
	if (number < min || number > max) {
		reading_fails(reading, name, "a number that is never written");
		return false;
	}
	*ret = number;
	return true;
}

bool field_hex(struct reading *reading, struct json_object *object, const char *name, uint8_t *out, size_t len)
{
	const char *text = field_text(reading, object, name);

	if (!text)
		return false;
	if (!hex_decode(text, strlen(text), out, len)) {
		reading_fails(reading, name, "not a digest in hex");
		return false;
	}
	return true;
}

bool field_pin(struct reading *reading, struct json_object *object, const char *name, uint8_t out[SHA256_BYTES])
{
	const char *text = field_text(reading, object, name);

	if (!text)
		return false;
	if (!pin_decode(text, strlen(text), out)) {
		reading_fails(reading, name, "not a pin");
		return false;
	}
	return true;
}

static bool digits_read(const char **at, size_t count, int *ret)
{
	*ret = 0;
	for (size_t i = 0; i < count; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*ret = *ret * 10 + (**at - '0');
	}
	return true;
}

static bool char_read(const char **at, char wanted)
{
	return **at == wanted && (*at)++;
}

/* Exactly what format_seconds and object_event write. */
static bool time_read(const char *at, int64_t *ret, int64_t *ret_micros)
{
	struct tm tm = {0}, back;
	time_t seconds, check;
	int micros = 0;

	if (!digits_read(&at, 4, &tm.tm_year) || !char_read(&at, '-') || !digits_read(&at, 2, &tm.tm_mon) ||
	    !char_read(&at, '-') || !digits_read(&at, 2, &tm.tm_mday) || !char_read(&at, 'T') ||
	    !digits_read(&at, 2, &tm.tm_hour) || !char_read(&at, ':') || !digits_read(&at, 2, &tm.tm_min) ||
	    !char_read(&at, ':') || !digits_read(&at, 2, &tm.tm_sec))
		return false;
	if (char_read(&at, '.') && !digits_read(&at, 6, &micros))
		return false;
	if (strcmp(at, "Z") != 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	check = seconds = timegm(&back);
	/* A day or an hour that there is not would have moved on to another. */
	if (!gmtime_r(&check, &back) || back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday ||
	    back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
		return false;
	*ret = seconds;
	if (ret_micros)
		*ret_micros = micros;
	return true;
}

bool field_time(struct reading *reading, struct json_object *object, const char *name, int64_t *ret, int64_t *ret_micros)
{
	const char *text = field_text(reading, object, name);

	if (!text)
		return false;
	if (!time_read(text, ret, ret_micros)) {
		reading_fails(reading, name, "not a time");
		return false;
	}
	return true;
}

int field_word(struct reading *reading, struct json_object *object, const char *name, const struct words *words, int missing)
{
	const char *text = field_text(reading, object, name);
	int index = text ? word_find(words, text) : missing;

	if (text && index < 0) {
		reading_fails(reading, name, "a word that is never written");
		return missing;
	}
	return index;
}

static char *keep(struct reading *reading, char *text)
{
	struct event_read *event = reading->event;

	event->texts = xrealloc(event->texts, event->texts_count + 1, sizeof(*event->texts));
	event->texts[event->texts_count++] = text;
	return text;
}

char *reading_keep(struct reading *reading, const char *text)
{
	return text ? keep(reading, xstrdup(text)) : NULL;
}

char *reading_keep_raw(struct reading *reading, const char *text)
{
	char *raw, *to;

	if (!text)
		return NULL;
	raw = to = xcalloc(strlen(text) + 1, 1);
	while (*text) {
		uint8_t byte;

		if (text[0] == '\\' && text[1] == '\\') {
			*to++ = '\\';
			text += 2;
		} else if (text[0] == '\\' && text[1] == 'x' && hex_decode(text + 2, strnlen(text + 2, 2), &byte, 1) &&
			   byte) {
			*to++ = (char)byte;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	return keep(reading, raw);
}
