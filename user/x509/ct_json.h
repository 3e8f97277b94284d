/* A JSON text taken apart with a place for each error: "operators[3].logs[0].key: not base64". Private to user/x509.
 *
 * Each function that returns false has noted what is wrong in reader->why, and then the reading ends. */
#ifndef X509_CT_JSON_H
#define X509_CT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

struct ct_logs;

struct reader {
	struct ct_logs *logs; /* what is being filled: not touched by the functions here */
	char place[160];      /* where the reading is: "operators[3].logs[0]" */
	char *why;            /* owned by the caller; NULL until something is wrong */
};

/* Goes to a member, or to an item of an array; gives what reader_leave takes to go back. */
size_t reader_enter(struct reader *reader, const char *name);
size_t reader_enter_item(struct reader *reader, size_t index);
void reader_leave(struct reader *reader, size_t len);

/* Notes that something is wrong with a member of this place (key NULL: with the place itself). wrong(): the same, and false. */
void reader_note(struct reader *reader, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define wrong(...) (reader_note(__VA_ARGS__), false)

/* The object that the text is, and nothing else. *ret, owned by the caller, may be set though it returns false. */
bool reader_parse(struct reader *reader, const char *json, size_t len, struct json_object **ret);

/* A member of that type (object, array or string), borrowed. *ret is NULL if it is absent and may be. */
bool reader_get(struct reader *reader, struct json_object *in, const char *key, json_type type, bool required,
		struct json_object **ret);
/* A member that must be a text of 1 to max bytes without a NUL, borrowed. */
bool reader_text(struct reader *reader, struct json_object *in, const char *key, size_t max, const char **ret);
/* A member that must be a time as in "2025-01-31T00:00:00Z", perhaps with a fraction of a second, from 1970 on: milliseconds. */
bool reader_time(struct reader *reader, struct json_object *in, const char *key, int64_t *ret_ms);

#endif
