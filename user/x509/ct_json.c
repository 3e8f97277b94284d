/* JSON with places (ct_json.h): json-c reads it, in its strict mode, and takes no more than the bounds below allow. */
#include "ct_json.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "util.h"

/* Beyond any of these a text is refused. The list of all logs there ever were has about 200 KB. An empty object of two bytes
 * takes json-c 700, hence the bound on how many objects and arrays there are. */
enum { JSON_BYTES_MAX = 2 << 20, JSON_DEPTH_MAX = 16, JSON_NESTS_MAX = 32768 };

static void tokener_free(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

/* Names are ours and numbers are bounded, so that a place fits. */
size_t reader_enter(struct reader *reader, const char *name)
{
	size_t len = strlen(reader->place);

	snprintf(reader->place + len, sizeof(reader->place) - len, "%s%s", len ? "." : "", name);
	return len;
}

size_t reader_enter_item(struct reader *reader, size_t index)
{
	size_t len = strlen(reader->place);

	snprintf(reader->place + len, sizeof(reader->place) - len, "[%zu]", index);
	return len;
}

void reader_leave(struct reader *reader, size_t len)
{
	reader->place[len] = '\0';
}

void reader_note(struct reader *reader, const char *key, const char *format, ...)
{
	CLEANUP_FREE char *what = NULL;
	va_list args;

	if (key)
		reader_enter(reader, key);
	va_start(args, format);
	if (vasprintf(&what, format, args) < 0)
		abort();
	va_end(args);
	reader->why = xasprintf("%s%s%s", reader->place, reader->place[0] ? ": " : "", what);
}

static const char *kind_name(json_type type)
{
	switch (type) {
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	default:
		return "a string";
	}
}

bool reader_get(struct reader *reader, struct json_object *in, const char *key, json_type type, bool required,
		struct json_object **ret)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(in, key, &value)) {
		*ret = NULL;
		return !required || wrong(reader, key, "is missing");
	}
	if (!json_object_is_type(value, type))
		return wrong(reader, key, "must be %s", kind_name(type));
	*ret = value;
	return true;
}

bool reader_text(struct reader *reader, struct json_object *in, const char *key, size_t max, const char **ret)
{
	struct json_object *value = NULL;
	size_t len;

	if (!reader_get(reader, in, key, json_type_string, true, &value))
		return false;
	len = (size_t)json_object_get_string_len(value);
	if (len > max)
		return wrong(reader, key, "is longer than %zu bytes", max);
	*ret = json_object_get_string(value);
	if (strlen(*ret) != len)
		return wrong(reader, key, "has a NUL in it");
	return len > 0 || wrong(reader, key, "is empty");
}

static int number(const char *text, size_t digits)
{
	int value = 0;

	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

/* As RFC 3339 has it, in UTC. */
static bool parse_time(const char *text, int64_t *ret_ms)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	int64_t fraction = 0, unit = 100;
	struct tm tm = {0}, back;
	const char *rest;
	time_t seconds;

	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	rest = text + sizeof(form) - 1;
	if (rest[0] == '.' && rest[1] != 'Z')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			fraction += (*rest - '0') * unit;
	if (strcmp(rest, "Z") != 0)
		return false;
	tm.tm_year = number(text, 4) - 1900;
	tm.tm_mon = number(text + 5, 2) - 1;
	tm.tm_mday = number(text + 8, 2);
	tm.tm_hour = number(text + 11, 2);
	tm.tm_min = number(text + 14, 2);
	tm.tm_sec = number(text + 17, 2);
	back = tm;
	seconds = timegm(&back);
	/* timegm() takes a 31st of February and makes it March. */
	if (seconds < 0 || back.tm_year != tm.tm_year || back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday ||
	    back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
		return false;
	*ret_ms = (int64_t)seconds * 1000 + fraction;
	return true;
}

bool reader_time(struct reader *reader, struct json_object *in, const char *key, int64_t *ret_ms)
{
	const char *text = NULL;

	return reader_text(reader, in, key, 64, &text) &&
	       (parse_time(text, ret_ms) || wrong(reader, key, "is not a time as in \"2025-01-31T00:00:00Z\""));
}

static bool wrong_at(struct reader *reader, const char *json, size_t offset, const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		column = json[i] == '\n' ? 1 : column + 1;
		line += json[i] == '\n';
	}
	return wrong(reader, NULL, "line %zu, column %zu: %s", line, column, what);
}

bool reader_parse(struct reader *reader, const char *json, size_t len, struct json_object **ret)
{
	CLEANUP(tokener_free) struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	const char *nul = len <= JSON_BYTES_MAX ? memchr(json, '\0', len) : NULL;
	enum json_tokener_error error;
	size_t nests = 0, begin = 0;

	if (!tokener)
		abort();
	if (len > JSON_BYTES_MAX)
		return wrong(reader, NULL, "larger than %d bytes", JSON_BYTES_MAX);
	if (nul)
		return wrong_at(reader, json, (size_t)(nul - json), "not JSON: a NUL byte");
	for (size_t i = 0; i < len; i++)
		if ((json[i] == '{' || json[i] == '[') && ++nests > JSON_NESTS_MAX)
			return wrong_at(reader, json, i, "more objects and arrays than a list of logs has");
	/* Strict mode takes one object and nothing behind it, so the white space there must go. */
	while (len && strchr(" \t\r\n", json[len - 1]))
		len--;
	while (begin < len && strchr(" \t\r\n", json[begin]))
		begin++;
	if (begin == len || json[begin] != '{')
		return wrong_at(reader, json, begin, "not a JSON object");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*ret = json_tokener_parse_ex(tokener, json, (int)len);
	error = json_tokener_get_error(tokener);
	if (error == json_tokener_success && json_tokener_get_parse_end(tokener) == len)
		return true;
	if (error == json_tokener_continue)
		return wrong_at(reader, json, len, "not JSON: it ends too early");
	return wrong_at(reader, json, json_tokener_get_parse_end(tokener),
			error == json_tokener_error_depth ? "nested too deeply" :
			error == json_tokener_success     ? "not JSON: something follows the list" :
							    "not JSON");
}
