/* The list of Certificate Transparency logs (ct.h): JSON read by json-c, checked here.
 *
 * The text comes from the network by way of the administrator, so nothing in it is believed: it is bounded in length, depth and
 * number of values (ct_json.c), and each value that a verdict rests on is checked; the first that is wrong makes the whole list
 * wrong, with its place. Fields that no verdict rests on are not looked at, known or unknown: lists grow. So a log that has no
 * state yet, or is there for tests, is known but counts for nothing.
 *
 * Schema: https://www.gstatic.com/ct/log_list/v3/log_list_schema.json. */
#include "ct_list.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "ct_json.h"
#include "key.h"

/* Beyond any of these, and those of ct_json.c, a list is refused. There have been about 250 logs. */
enum { OPERATORS_MAX = 1024, LOGS_MAX = 2048, TENURES_MAX = 16, NAME_BYTES_MAX = 256, KEY_CHARS_MAX = 4096 };

/* What RFC 6962 2.1.4 asks of a log's key, with room above, and bounds on what a check with it may cost. */
enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, RSA_EXPONENT_BITS_MAX = 32, EC_BITS_MIN = 256, EC_BITS_MAX = 521 };

static const struct state {
	const char *name;
	bool counts, retires;
} states[] = {
	{"usable", .counts = true},
	{"qualified", .counts = true},
	{"readonly", .counts = true},
	{"retired", .retires = true},
	{"pending"},
	{"rejected"},
};

static void json_put(struct json_object **object)
{
	json_object_put(*object);
}

/* The operator of that name, a new one or one that is there. */
static bool get_operator(struct reader *reader, struct json_object *in, size_t *ret)
{
	struct ct_logs *logs = reader->logs;
	const char *name = NULL;
	size_t i;

	if (!reader_text(reader, in, "name", NAME_BYTES_MAX, &name))
		return false;
	for (i = 0; i < logs->operators_count && strcmp(logs->operators[i], name) != 0; i++)
		;
	if (i == OPERATORS_MAX)
		return wrong(reader, "name", "the list has more than %d operators", OPERATORS_MAX);
	if (i == logs->operators_count) {
		logs->operators = xrealloc(logs->operators, i + 1, sizeof(*logs->operators));
		logs->operators[logs->operators_count++] = xstrdup(name);
	}
	*ret = i;
	return true;
}

/* --- a log ----------------------------------------------------------------------------------------------------------- */

static bool key_fits(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key), exponent_bits;
	BIGNUM *exponent = NULL;
	char curve[64];
	size_t len;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
			return false;
		exponent_bits = BN_num_bits(exponent);
		BN_free(exponent);
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && exponent_bits <= RSA_EXPONENT_BITS_MAX;
	case EVP_PKEY_EC:
		return bits >= EC_BITS_MIN && bits <= EC_BITS_MAX &&
		       EVP_PKEY_get_group_name(key, curve, sizeof(curve), &len) == 1;
	default:
		return false;
	}
}

static bool get_key(struct reader *reader, struct json_object *in, struct ct_log *log)
{
	uint8_t der[KEY_CHARS_MAX], id[SHA256_BYTES];
	const char *text = NULL, *id_text = NULL;
	const uint8_t *p = der;
	size_t len;

	if (!reader_text(reader, in, "log_id", 2 * PIN_CHARS, &id_text) ||
	    !reader_text(reader, in, "key", KEY_CHARS_MAX, &text))
		return false;
	if (!pin_decode(id_text, strlen(id_text), id))
		return wrong(reader, "log_id", "not the base64 of a SHA-256: 44 characters");
	if (!base64_decode(text, strlen(text), false, der, &len))
		return wrong(reader, "key", "not base64");
	log->key = d2i_PUBKEY(NULL, &p, (long)len);
	ERR_clear_error();
	if (!log->key || p != der + len)
		return wrong(reader, "key", "not a public key (DER SubjectPublicKeyInfo)");
	if (!key_fits(log->key))
		return wrong(reader, "key", "must be an EC key on a named curve of %d to %d bits, or an RSA key of %d to %d",
			     EC_BITS_MIN, EC_BITS_MAX, RSA_BITS_MIN, RSA_BITS_MAX);
	sha256(der, len, log->id);
	if (memcmp(id, log->id, sizeof(id)) != 0)
		return wrong(reader, "log_id", "is not the SHA-256 of the key");
	for (size_t i = 0; i < reader->logs->count; i++)
		if (memcmp(reader->logs->items[i].id, log->id, sizeof(log->id)) == 0)
			return wrong(reader, "log_id", "is there twice: it is also that of log %zu of the list", i + 1);
	return true;
}

/* Logs for tests and for monitors only are listed beside the others. */
static bool is_for_show(struct reader *reader, struct json_object *in, bool *ret)
{
	struct json_object *value = NULL;

	if (!reader_get(reader, in, "log_type", json_type_string, false, &value))
		return false;
	*ret = value && strcmp(json_object_get_string(value), "prod") != 0;
	return true;
}

static bool get_state(struct reader *reader, struct json_object *in, struct ct_log *log)
{
	const struct state *found = NULL;
	struct json_object *state = NULL, *detail = NULL, *other;
	size_t before, inner;
	bool for_show = false;
	int64_t since = 0;

	log->counts_until = INT64_MIN;
	if (!is_for_show(reader, in, &for_show) || !reader_get(reader, in, "state", json_type_object, false, &state))
		return false;
	if (!state)
		return true;
	before = reader_enter(reader, "state");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (!json_object_object_get_ex(state, states[i].name, &other))
			continue;
		if (found)
			return wrong(reader, NULL, "is both %s and %s", found->name, states[i].name);
		found = &states[i];
	}
	if (!found)
		return wrong(reader, NULL, "must be usable, qualified, readonly, retired, pending or rejected");
	if (!reader_get(reader, state, found->name, json_type_object, true, &detail))
		return false;
	inner = reader_enter(reader, found->name);
	if (!reader_time(reader, detail, "timestamp", &since))
		return false;
	reader_leave(reader, inner);
	reader_leave(reader, before);
	if (!for_show)
		log->counts_until = found->counts ? INT64_MAX : found->retires ? since : INT64_MIN;
	return true;
}

static bool get_interval(struct reader *reader, struct json_object *in, struct ct_log *log)
{
	struct json_object *interval = NULL;
	size_t before;

	log->start = INT64_MIN;
	log->end = INT64_MAX;
	if (!reader_get(reader, in, "temporal_interval", json_type_object, false, &interval))
		return false;
	if (!interval)
		return true;
	before = reader_enter(reader, "temporal_interval");
	if (!reader_time(reader, interval, "start_inclusive", &log->start) ||
	    !reader_time(reader, interval, "end_exclusive", &log->end))
		return false;
	if (log->start >= log->end)
		return wrong(reader, "end_exclusive", "is not after start_inclusive");
	reader_leave(reader, before);
	return true;
}

static bool get_tenures(struct reader *reader, struct json_object *in, struct ct_log *log)
{
	struct json_object *array = NULL;
	size_t before, count;

	if (!reader_get(reader, in, "previous_operators", json_type_array, false, &array))
		return false;
	if (!array)
		return true;
	count = json_object_array_length(array);
	if (count > TENURES_MAX)
		return wrong(reader, "previous_operators", "are more than %d", TENURES_MAX);
	log->tenures = xcalloc(count, sizeof(*log->tenures));
	before = reader_enter(reader, "previous_operators");
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		struct ct_tenure *tenure = &log->tenures[log->tenures_count++];
		size_t outer = reader_enter_item(reader, i);

		if (!json_object_is_type(item, json_type_object))
			return wrong(reader, NULL, "must be an object");
		if (!get_operator(reader, item, &tenure->run_by) || !reader_time(reader, item, "end_time", &tenure->end))
			return false;
		reader_leave(reader, outer);
	}
	reader_leave(reader, before);
	return true;
}

/* --- the list -------------------------------------------------------------------------------------------------------- */

/* logs or tiled_logs of an operator: they differ in how a log is asked, not in its SCTs. */
static bool get_logs(struct reader *reader, struct json_object *in, const char *key, size_t run_by)
{
	struct ct_logs *logs = reader->logs;
	struct json_object *array = NULL;
	size_t before, count;

	if (!reader_get(reader, in, key, json_type_array, false, &array))
		return false;
	count = array ? json_object_array_length(array) : 0;
	if (count > LOGS_MAX - logs->count)
		return wrong(reader, key, "the list has more than %d logs", LOGS_MAX);
	if (count)
		logs->items = xrealloc(logs->items, logs->count + count, sizeof(*logs->items));
	before = reader_enter(reader, key);
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		struct ct_log *log = &logs->items[logs->count];
		size_t outer = reader_enter_item(reader, i);
		bool fine;

		*log = (struct ct_log){.run_by = run_by};
		fine = json_object_is_type(item, json_type_object) || wrong(reader, NULL, "must be an object");
		fine = fine && get_key(reader, item, log) && get_state(reader, item, log) &&
		       get_interval(reader, item, log) && get_tenures(reader, item, log);
		logs->count++; /* whatever it has got by now is freed with the list */
		if (!fine)
			return false;
		reader_leave(reader, outer);
	}
	reader_leave(reader, before);
	return true;
}

static bool get_list(struct reader *reader, struct json_object *root)
{
	struct json_object *operators = NULL;
	int64_t published = 0;
	size_t before;

	if (!reader_time(reader, root, "log_list_timestamp", &published) ||
	    !reader_get(reader, root, "operators", json_type_array, true, &operators))
		return false;
	reader->logs->published = published / 1000;
	before = reader_enter(reader, "operators");
	for (size_t i = 0; i < json_object_array_length(operators); i++) {
		struct json_object *item = json_object_array_get_idx(operators, i);
		size_t outer = reader_enter_item(reader, i), run_by = 0;

		if (!json_object_is_type(item, json_type_object))
			return wrong(reader, NULL, "must be an object");
		if (!get_operator(reader, item, &run_by) || !get_logs(reader, item, "logs", run_by) ||
		    !get_logs(reader, item, "tiled_logs", run_by))
			return false;
		reader_leave(reader, outer);
	}
	/* With it every certificate would be found wanting. */
	if (reader->logs->count == 0)
		return wrong(reader, NULL, "no log is in the list");
	reader_leave(reader, before);
	return true;
}

int ct_logs_new(const char *json, size_t len, struct ct_logs **ret, char **ret_why)
{
	CLEANUP(ct_logs_freep) struct ct_logs *logs = xcalloc(1, sizeof(*logs));
	CLEANUP(json_put) struct json_object *root = NULL;
	struct reader reader = {.logs = logs};

	if (!reader_parse(&reader, json, len, &root) || !get_list(&reader, root)) {
		*ret_why = reader.why;
		return -EBADMSG;
	}
	*ret = TAKE_PTR(logs);
	return 0;
}

void ct_logs_free(struct ct_logs *logs)
{
	if (!logs)
		return;
	for (size_t i = 0; i < logs->count; i++) {
		EVP_PKEY_free(logs->items[i].key);
		free(logs->items[i].tenures);
	}
	for (size_t i = 0; i < logs->operators_count; i++)
		free(logs->operators[i]);
	free(logs->items);
	free(logs->operators);
	free(logs);
}

void ct_logs_freep(struct ct_logs **logs)
{
	ct_logs_free(*logs);
}

size_t ct_logs_count(const struct ct_logs *logs)
{
	return logs->count;
}

int64_t ct_logs_stale_at(const struct ct_logs *logs)
{
	return logs->published + (int64_t)CT_LIST_FRESH_DAYS * 86400;
}
