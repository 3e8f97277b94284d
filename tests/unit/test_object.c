/* JSON under construction (user/event/object.c): whatever is put in, json-c reads it, and would write the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "../../user/event/object.h"
#include "random_case.h"
#include "util.h"

enum { PLAIN = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE };

/* Takes made. What json-c reads of it; the caller's. */
static struct json_object *read_back(struct json *made)
{
	CLEANUP_FREE char *line = object_line(made), *again = NULL;
	enum json_tokener_error error;
	struct json_object *read = json_tokener_parse_verbose(line, &error);

	if (!read)
		fail_msg("%s: %s", json_tokener_error_desc(error), line);
	again = xasprintf("%s\n", json_object_to_json_string_ext(read, PLAIN));
	assert_string_equal(line, again);
	return read;
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no %s", key);
	return value;
}

static void expect(struct json *made, const char *expected)
{
	CLEANUP_FREE char *line = object_line(made), *wanted = xasprintf("%s\n", expected);

	assert_string_equal(line, wanted);
}

/* --- fixed cases --------------------------------------------------------------------------------------------------- */

static void each_kind_of_value(void **state)
{
	static const uint8_t bytes[] = {0x00, 0xab, 0xff};
	struct json *object = object_begin(), *list = array_begin(), *inner = object_begin();

	(void)state;
	object_text(object, "text", "a", 8);
	object_text(object, "none", NULL, 8);
	object_raw(object, "raw", "\n", 8);
	object_raw(object, "no_raw", NULL, 8);
	object_number(object, "least", INT64_MIN);
	object_number(object, "zero", 0);
	object_count(object, "most", UINT64_MAX);
	object_flag(object, "yes", true);
	object_flag(object, "no", false);
	object_null(object, "null");
	object_hex(object, "upper", bytes, sizeof(bytes), true);
	object_hex(object, "lower", bytes, sizeof(bytes), false);
	object_hex(object, "nothing", bytes, 0, false);
	array_text(list, "x", 8);
	array_text(list, "", 8);
	object_count(inner, "n", 1);
	array_child(list, inner);
	object_child(object, "list", list);
	object_list_of_one(object, "one", "y");
	expect(object,
	       "{\"text\":\"a\",\"raw\":\"\\\\x0a\",\"least\":-9223372036854775808,\"zero\":0,\"most\":18446744073709551615,"
	       "\"yes\":true,\"no\":false,\"null\":null,\"upper\":\"00ABFF\",\"lower\":\"00abff\","
	       "\"list\":[\"x\",\"\",{\"n\":1}],\"one\":[\"y\"]}");
}

static void what_is_empty_is_dropped_but_as_a_list(void **state)
{
	struct json *object = object_begin();

	(void)state;
	object_child(object, "a", object_begin());
	object_child(object, "b", array_begin());
	object_list(object, "c", array_begin());
	object_text(object, "d", "", 1);
	expect(object, "{\"c\":[],\"d\":\"\"}");
	expect(object_begin(), "{}");
	expect(array_begin(), "[]");
}

static void what_json_escapes(void **state)
{
	struct json *list = array_begin();

	(void)state;
	array_text(list, "\b\n\r\t\f\"\\/\x01\x1f\x7f\xc3\xa4", 64);
	expect(list, "[\"\\b\\n\\r\\t\\f\\\"\\\\/\\u0001\\u001f\x7f\xc3\xa4\"]");
}

static void times(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "{\"t\":\"1970-01-01T00:00:00Z\"}"},
		{-1, "{\"t\":\"1969-12-31T23:59:59Z\"}"},
		{951827696, "{\"t\":\"2000-02-29T12:34:56Z\"}"},
		{253402300799, "{\"t\":\"9999-12-31T23:59:59Z\"}"},
		{253402300800, "{}"},
		{-62167219200, "{\"t\":\"0000-01-01T00:00:00Z\"}"},
		{-62167219201, "{}"},
		{INT64_MAX, "{}"},
		{INT64_MIN, "{}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json *object = object_begin();

		object_time(object, "t", cases[i].seconds);
		expect(object, cases[i].text);
	}
}

static void the_stamp_has_microseconds(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {{1, "1970-01-01T00:00:00.000001Z"},
		     {-1, "1969-12-31T23:59:59.999999Z"},
		     {1999999, "1970-01-01T00:00:01.999999Z"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct event_head head = {.time_us = cases[i].us, .host = "h"};
		struct json_object *event = read_back(object_event(&head, object_begin()));

		assert_string_equal(json_object_get_string(member(event, "@timestamp")), cases[i].text);
		json_object_put(event);
	}
}

/* --- at random ----------------------------------------------------------------------------------------------------- */

enum { TEXT_LEN = 700 };

/* Valid UTF-8 of any kind, NUL aside. */
static void random_text(char out[static TEXT_LEN + 1])
{
	static const char *const units[] = {"\"", "\\", "/", "\n", "\x01", "\x1f", "\x7f", "ä", "€", "😀", "\\x0a", "\\\\"};
	size_t len = 0, wanted = random_below(TEXT_LEN - 8);

	while (len < wanted) {
		if (random_below(2) == 0)
			out[len++] = (char)(' ' + random_below(95));
		else
			len += (size_t)sprintf(out + len, "%s", units[random_below(ARRAY_SIZE(units))]);
	}
	out[len] = '\0';
}

static int64_t random_number(void)
{
	static const int64_t edges[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_MAX - 1};

	return random_below(2) == 0 ? edges[random_below(ARRAY_SIZE(edges))] : (int64_t)(random_bits() >> random_below(64));
}

static void texts_come_back(void **state)
{
	char text[TEXT_LEN + 1];

	(void)state;
	random_start();
	for (int i = 0; i < 3000; i++) {
		struct json *object = object_begin();
		struct json_object *read;

		random_text(text);
		object_text(object, "text", text, TEXT_LEN);
		read = read_back(object);
		assert_string_equal(json_object_get_string(member(read, "text")), text);
		json_object_put(read);
	}
}

static void bytes_come_back_escaped(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 3000; i++) {
		size_t len = random_below(200), max = 4 + random_below(300);
		CLEANUP_FREE char *bytes = xcalloc(len + 1, 1), *safe = NULL, *cut = NULL;
		struct json *object = object_begin();
		struct json_object *read;

		for (size_t k = 0; k < len; k++)
			bytes[k] = (char)(1 + random_below(255));
		safe = text_escape(bytes, len);
		cut = text_cut(safe, max);
		object_raw(object, "raw", bytes, max);
		read = read_back(object);
		assert_string_equal(json_object_get_string(member(read, "raw")), cut);
		json_object_put(read);
	}
}

static void numbers_come_back(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 20000; i++) {
		struct json *object = object_begin();
		int64_t number = random_number();
		uint64_t count = (uint64_t)random_number();
		struct json_object *read;

		object_number(object, "number", number);
		object_count(object, "count", count);
		read = read_back(object);
		assert_true(json_object_get_int64(member(read, "number")) == number);
		assert_true(json_object_get_uint64(member(read, "count")) == count);
		json_object_put(read);
	}
}

/* An array or object with others in it; *count: of the values that are no such. */
static struct json *random_tree(unsigned depth, bool array, unsigned *count)
{
	struct json *json = array ? array_begin() : object_begin();
	unsigned members = (unsigned)random_below(6);
	char key[16], text[TEXT_LEN + 1];

	for (unsigned i = 0; i < members; i++) {
		bool inner = random_below(2) == 0, of_array = random_below(2) == 0;

		snprintf(key, sizeof(key), "k%u", i);
		if (depth && inner) {
			struct json *child = random_tree(depth - 1, of_array, count);

			if (array)
				array_child(json, child);
			else if (random_below(3) == 0)
				object_list(json, key, child);
			else
				object_child(json, key, child);
			continue;
		}
		random_text(text);
		++*count;
		if (array)
			array_text(json, text, TEXT_LEN);
		else
			object_text(json, key, text, TEXT_LEN);
	}
	return json;
}

static unsigned leaves(struct json_object *object)
{
	unsigned count = 0;

	if (json_object_is_type(object, json_type_string))
		return 1;
	if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++)
			count += leaves(json_object_array_get_idx(object, i));
	} else {
		json_object_object_foreach(object, key, value)
		{
			(void)key;
			count += leaves(value);
		}
	}
	return count;
}

static void trees_come_back(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 2000; i++) {
		unsigned count = 0;
		struct json_object *read = read_back(random_tree(4, random_below(2) == 0, &count));

		assert_int_equal(leaves(read), count);
		json_object_put(read);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_value),
		cmocka_unit_test(what_is_empty_is_dropped_but_as_a_list),
		cmocka_unit_test(what_json_escapes),
		cmocka_unit_test(times),
		cmocka_unit_test(the_stamp_has_microseconds),
		cmocka_unit_test(texts_come_back),
		cmocka_unit_test(bytes_come_back_escaped),
		cmocka_unit_test(numbers_come_back),
		cmocka_unit_test(trees_come_back),
	};

	return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
