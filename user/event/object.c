/* JSON objects under construction: puts that leave unknown values out, and texts with a bound.
 *
 * The text is written down at once: a tree of values, made first and printed then, took five times as long, and with it half
 * of what an event costs. Trusts its callers for which texts are escaped already (object_text) and which are not (object_raw);
 * for either what JSON asks for is escaped here (RFC 8259, section 7), so that a line never breaks. Keys are ours, never an
 * attacker's, and no key is put twice into one object.
 * Bounds: TEXT_MAX and its like (object.h). Memory that cannot be had ends the process, as in util.h: an event with holes would
 * be taken for the truth. */
#include "object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util.h"

struct json {
	char *text; /* owned; without its last bracket */
	size_t len, room;
	bool array;
};

enum {
	ROOM_FIRST = 256, /* bytes: for most objects of an event */
	NUMBER_ROOM = 24, /* the longest number and its sign */
};

static struct json *begin(bool array)
{
	struct json *json = xcalloc(1, sizeof(*json));

	json->text = xrealloc(NULL, ROOM_FIRST, 1);
	json->room = ROOM_FIRST;
	json->text[json->len++] = array ? '[' : '{';
	json->array = array;
	return json;
}

struct json *object_begin(void)
{
	return begin(false);
}

struct json *array_begin(void)
{
	return begin(true);
}

static void json_free(struct json *json)
{
	free(json->text);
	free(json);
}

/* Where more bytes can be written. */
static char *room_for(struct json *json, size_t more)
{
	if (json->room - json->len < more) {
		json->room = 2 * json->room + more;
		json->text = xrealloc(json->text, json->room, 1);
	}
	return json->text + json->len;
}

static void add(struct json *json, const char *bytes, size_t len)
{
	memcpy(room_for(json, len), bytes, len);
	json->len += len;
}

static bool is_empty(const struct json *json)
{
	return json->len == 1;
}

/* In front of a value. key: NULL in an array. */
static void begin_value(struct json *json, const char *key)
{
	if (!is_empty(json))
		add(json, ",", 1);
	if (!key)
		return;
	add(json, "\"", 1);
	add(json, key, strlen(key));
	add(json, "\":", 2);
}

static bool is_plain(char c)
{
	return (uint8_t)c >= ' ' && c != '"' && c != '\\';
}

static void add_escaped(struct json *json, char c)
{
	static const char from[] = "\b\n\r\t\f\"\\", to[] = "bnrtf\"\\";
	const char *known = memchr(from, c, sizeof(from) - 1);
	char text[8] = {'\\'};

	if (known) {
		text[1] = to[known - from];
		add(json, text, 2);
	} else {
		snprintf(text, sizeof(text), "\\u%04x", (uint8_t)c);
		add(json, text, 6);
	}
}

static void add_string(struct json *json, const char *text, size_t len)
{
	size_t done = 0;

	add(json, "\"", 1);
	while (done < len) {
		size_t run = 0;

		while (done + run < len && is_plain(text[done + run]))
			run++;
		add(json, text + done, run);
		done += run;
		if (done < len)
			add_escaped(json, text[done++]);
	}
	add(json, "\"", 1);
}

/* sign: 0, or '-'. */
static void add_number(struct json *json, char sign, uint64_t value)
{
	char text[NUMBER_ROOM], *at = text + sizeof(text);

	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10));
	if (sign)
		*--at = sign;
	add(json, at, (size_t)(text + sizeof(text) - at));
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of what must not be torn: a UTF-8 character, or an escape of text_escape. */
static size_t unit_len(const char *text)
{
	uint8_t lead = (uint8_t)text[0];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1, len = 1;

	if (lead == '\\' && text[1] == '\\')
		return 2;
	if (lead == '\\' && text[1] == 'x' && is_hex(text[2]) && is_hex(text[3]))
		return 4;
	while (len < want && ((uint8_t)text[len] & 0xc0) == 0x80)
		len++;
	return len;
}

char *text_cut(const char *text, size_t max)
{
	size_t end = 0;

	if (strnlen(text, max + 1) <= max)
		return xstrdup(text);
	while (end + unit_len(text + end) <= max)
		end += unit_len(text + end);
	return xasprintf("%.*s…", (int)end, text);
}

static void add_bounded(struct json *json, const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);
	CLEANUP_FREE char *cut = len > max ? text_cut(text, max) : NULL;

	add_string(json, cut ? cut : text, cut ? strlen(cut) : len);
}

void object_text(struct json *object, const char *key, const char *text, size_t max)
{
	if (text) {
		begin_value(object, key);
		add_bounded(object, text, max);
	}
}

void object_raw(struct json *object, const char *key, const char *text, size_t max)
{
	if (text) {
		CLEANUP_FREE char *safe = text_escape(text, strlen(text));

		object_text(object, key, safe, max);
	}
}

void object_number(struct json *object, const char *key, int64_t value)
{
	begin_value(object, key);
	add_number(object, value < 0 ? '-' : 0, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void object_count(struct json *object, const char *key, uint64_t value)
{
	begin_value(object, key);
	add_number(object, 0, value);
}

void object_flag(struct json *object, const char *key, bool value)
{
	begin_value(object, key);
	add(object, value ? "true" : "false", value ? 4 : 5);
}

void object_null(struct json *object, const char *key)
{
	begin_value(object, key);
	add(object, "null", 4);
}

void object_hex(struct json *object, const char *key, const uint8_t *data, size_t len, bool upper)
{
	if (!data || len == 0)
		return;
	begin_value(object, key);
	add(object, "\"", 1);
	hex_encode(data, len, upper, room_for(object, 2 * len + 1));
	object->len += 2 * len;
	add(object, "\"", 1);
}

/* In so many digits. */
static void digits(char *out, unsigned count, unsigned value)
{
	for (; count; value /= 10)
		out[--count] = (char)('0' + value % 10);
}

/* Seconds since 1970 to "2026-11-22T01:02:03"; false if there is no four-digit year for it. */
static bool format_seconds(int64_t seconds, char out[static 20])
{
	time_t time = seconds;
	struct tm tm;

	if (!gmtime_r(&time, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
		return false;
	memcpy(out, "0000-00-00T00:00:00", 20);
	digits(out, 4, (unsigned)tm.tm_year + 1900);
	digits(out + 5, 2, (unsigned)tm.tm_mon + 1);
	digits(out + 8, 2, (unsigned)tm.tm_mday);
	digits(out + 11, 2, (unsigned)tm.tm_hour);
	digits(out + 14, 2, (unsigned)tm.tm_min);
	digits(out + 17, 2, (unsigned)tm.tm_sec);
	return true;
}

void object_time(struct json *object, const char *key, int64_t seconds)
{
	char text[20 + 1];

	if (!format_seconds(seconds, text))
		return;
	memcpy(text + 19, "Z", 2);
	object_text(object, key, text, ID_TEXT_MAX);
}

/* @timestamp: with microseconds. */
static void object_stamp(struct json *object, int64_t time_us)
{
	int64_t seconds = time_us / 1000000, micros = time_us % 1000000;
	char text[32];

	if (micros < 0) {
		micros += 1000000;
		seconds--;
	}
	if (!format_seconds(seconds, text))
		return;
	text[19] = '.';
	digits(text + 20, 6, (unsigned)micros);
	memcpy(text + 26, "Z", 2);
	object_text(object, "@timestamp", text, ID_TEXT_MAX);
}

/* Takes child. */
static void add_child(struct json *json, const char *key, struct json *child)
{
	begin_value(json, key);
	add(json, child->text, child->len);
	add(json, child->array ? "]" : "}", 1);
	json_free(child);
}

void object_child(struct json *object, const char *key, struct json *child)
{
	if (is_empty(child))
		json_free(child);
	else
		add_child(object, key, child);
}

void object_list(struct json *object, const char *key, struct json *list)
{
	add_child(object, key, list);
}

void array_text(struct json *array, const char *text, size_t max)
{
	begin_value(array, NULL);
	add_bounded(array, text, max);
}

void array_child(struct json *array, struct json *child)
{
	add_child(array, NULL, child);
}

void object_list_of_one(struct json *object, const char *key, const char *text)
{
	struct json *list = array_begin();

	array_text(list, text, ID_TEXT_MAX);
	object_child(object, key, list);
}

struct json *object_event(const struct event_head *head, struct json *event)
{
	struct json *object = object_begin(), *ecs = object_begin(), *host = object_begin();

	object_stamp(object, head->time_us);
	object_text(ecs, "version", "8.17.0", ID_TEXT_MAX);
	object_child(object, "ecs", ecs);
	object_child(object, "event", event);
	object_raw(host, "name", head->host, ID_TEXT_MAX);
	object_child(object, "host", host);
	return object;
}

char *object_line(struct json *object)
{
	char *line;

	add(object, object->array ? "]\n" : "}\n", 3); /* and its NUL */
	line = TAKE_PTR(object->text);
	json_free(object);
	return line;
}
