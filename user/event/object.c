/* JSON objects under construction: puts that leave unknown values out, and texts with a bound.
 *
 * Trusts its callers for which texts are escaped already (object_text) and which are not (object_raw); for either json-c
 * itself escapes what JSON asks for, so that a line never breaks. Keys are ours, never an attacker's.
 * Bounds: TEXT_MAX and its like (object.h). Memory that json-c cannot have ends the process, as in util.h: an event with
 * holes would be taken for the truth. */
#include "object.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "util.h"

static _Noreturn void no_memory(void)
{
	fputs("tlswarden: out of memory for an event\n", stderr);
	abort();
}

static struct json_object *need(struct json_object *object)
{
	if (!object)
		no_memory();
	return object;
}

struct json_object *object_begin(void)
{
	return need(json_object_new_object());
}

struct json_object *array_begin(void)
{
	return need(json_object_new_array());
}

/* key: static. */
static void put(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add_ex(object, key, need(value), JSON_C_OBJECT_ADD_CONSTANT_KEY) < 0)
		no_memory();
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

static struct json_object *bounded(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);
	CLEANUP_FREE char *cut = len > max ? text_cut(text, max) : NULL;

	return need(cut ? json_object_new_string(cut) : json_object_new_string_len(text, (int)len));
}

void object_text(struct json_object *object, const char *key, const char *text, size_t max)
{
	if (text)
		put(object, key, bounded(text, max));
}

void object_raw(struct json_object *object, const char *key, const char *text, size_t max)
{
	if (text) {
		CLEANUP_FREE char *safe = text_escape(text, strlen(text));

		object_text(object, key, safe, max);
	}
}

void object_number(struct json_object *object, const char *key, int64_t value)
{
	put(object, key, json_object_new_int64(value));
}

void object_count(struct json_object *object, const char *key, uint64_t value)
{
	put(object, key, json_object_new_uint64(value));
}

void object_flag(struct json_object *object, const char *key, bool value)
{
	put(object, key, json_object_new_boolean(value));
}

void object_hex(struct json_object *object, const char *key, const uint8_t *data, size_t len, bool upper)
{
	CLEANUP_FREE char *hex = NULL;

	if (!data || len == 0)
		return;
	hex = xcalloc(2 * len + 1, 1);
	hex_encode(data, len, upper, hex);
	put(object, key, json_object_new_string(hex));
}

/* Seconds since 1970 to "2026-11-22T01:02:03", and what goes behind; false if there is no four-digit year for it. */
static bool format_seconds(int64_t seconds, const char *behind, char *out, size_t size)
{
	time_t time = seconds;
	struct tm tm;

	if (!gmtime_r(&time, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
		return false;
	snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d%s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, behind);
	return true;
}

void object_time(struct json_object *object, const char *key, int64_t seconds)
{
	char text[64];

	if (format_seconds(seconds, "Z", text, sizeof(text)))
		put(object, key, json_object_new_string(text));
}

void object_child(struct json_object *object, const char *key, struct json_object *child)
{
	bool empty = json_object_is_type(child, json_type_array) ? json_object_array_length(child) == 0 :
								   json_object_object_length(child) == 0;

	if (empty)
		json_object_put(child);
	else
		put(object, key, child);
}

void array_text(struct json_object *array, const char *text, size_t max)
{
	array_child(array, bounded(text, max));
}

void array_child(struct json_object *array, struct json_object *child)
{
	if (json_object_array_add(array, child) < 0)
		no_memory();
}

void object_list_of_one(struct json_object *object, const char *key, const char *text)
{
	struct json_object *list = array_begin();

	array_text(list, text, ID_TEXT_MAX);
	object_child(object, key, list);
}

struct json_object *object_event(const struct event_head *head, struct json_object *event)
{
	struct json_object *object = object_begin(), *ecs = object_begin(), *host = object_begin();
	int64_t seconds = head->time_us / 1000000, micros = head->time_us % 1000000;
	char micro[16], stamp[64];

	if (micros < 0) {
		micros += 1000000;
		seconds--;
	}
	snprintf(micro, sizeof(micro), ".%06" PRId64 "Z", micros);
	if (format_seconds(seconds, micro, stamp, sizeof(stamp))) {
		put(object, "@timestamp", json_object_new_string(stamp));
	}
	object_text(ecs, "version", "8.17.0", ID_TEXT_MAX);
	object_child(object, "ecs", ecs);
	object_child(object, "event", event);
	object_raw(host, "name", head->host, ID_TEXT_MAX);
	object_child(object, "host", host);
	return object;
}

char *object_line(struct json_object *object)
{
	size_t len = 0;
	const char *text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
							     &len);
	char *line = NULL;

	if (!text)
		no_memory();
	line = xcalloc(len + 2, 1);
	memcpy(line, text, len);
	line[len] = '\n';
	json_object_put(object);
	return line;
}
