/* A line of the log as what it was about (event_read.h).
 *
 * Trusts nothing of it. Bounds: EVENT_LINE_MAX bytes, DEPTH_MAX levels of JSON (ours have five), and every list as long as
 * json.c writes it at most; beyond any of them the line is foreign. json-c hashes keys with a seed of its own, so that a
 * line cannot make it slow. */
#include "event_read.h"

#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#include "fields.h"
#include "read_chain.h"
#include "util.h"

enum { DEPTH_MAX = 16 };

void event_read_clear(struct event_read *event)
{
	for (size_t i = 0; i < event->violations_count; i++) {
		free(event->violations[i].rule);
		free(event->violations[i].ruleset);
	}
	free(event->violations);
	for (size_t i = 0; i < event->texts_count; i++)
		free(event->texts[i]);
	free(event->texts);
	certificates_free(event->certificates, event->certificates_count);
	free(event->process);
	free(event->exe);
	*event = (struct event_read){0};
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void read_process(struct reading *reading, struct json_object *root)
{
	struct event_read *event = reading->event;
	struct facts *facts = &event->facts;
	const char *uid = field_text(reading, root, "process.user.id"), *exe;
	char *end;

	exe = field_text(reading, root, "process.executable");
	event->process = copy(field_text(reading, root, "process.name"));
	event->exe = copy(exe);
	facts->exe = reading_keep_raw(reading, exe);
	facts->user = reading_keep_raw(reading, field_text(reading, root, "process.user.name"));
	facts->unit = reading_keep(reading, field_text(reading, root, "service.name"));
	facts->container = reading_keep(reading, field_text(reading, root, "container.id"));
	facts->uid = UINT32_MAX;
	if (uid) {
		unsigned long long number = strtoull(uid, &end, 10);

		if (strspn(uid, "0123456789") == 0 || *end || number >= UINT32_MAX)
			reading_fails(reading, "process.user.id", "not a number of a user");
		else
			facts->uid = (uint32_t)number;
	}
}

static void read_endpoint(struct reading *reading, struct json_object *root, const char *side, struct address *ret_address,
			  uint16_t *ret_port)
{
	struct json_object *object = field_object(reading, root, side);
	const char *ip = field_text(reading, object, "ip");
	int64_t port = 0;

	if (ip && !address_parse(ip, ret_address))
		reading_fails(reading, side, "ip is not an address");
	field_number(reading, object, "port", 1, UINT16_MAX, &port);
	*ret_port = (uint16_t)port;
}

/* The source is the TLS client, whichever end of the connection was ours. */
static void read_connection(struct reading *reading, struct json_object *root)
{
	struct facts *facts = &reading->event->facts;
	bool server = facts->role == FACTS_ROLE_SERVER;

	read_endpoint(reading, root, server ? "source" : "destination", &facts->peer, &facts->peer_port);
	read_endpoint(reading, root, server ? "destination" : "source", &facts->local, &facts->local_port);
	facts->server_name = reading_keep(reading, field_text(reading, root, "tls.client.server_name"));
}

static void read_verify(struct reading *reading, struct json_object *root)
{
	struct facts *facts = &reading->event->facts;
	struct json_object *own = field_object(reading, root, "tlswarden");
	int64_t code = 0;
	int mode;

	facts->role = (enum facts_role)field_word(reading, own, "role", &role_words, FACTS_ROLE_UNKNOWN);
	facts->library = (enum library_kind)field_word(reading, own, "library.name", &library_words, LIBRARY_NONE);
	facts->verify = (enum verify_result)field_word(reading, own, "verify.result", &verify_words, -1);
	if ((int)facts->verify < 0)
		reading_fails(reading, "tlswarden.verify.result", "it is missing");
	mode = field_word(reading, own, "verify.mode", &mode_words, -1);
	facts->verify_mode = mode < 0 ? NULL : mode_words.items[mode];
	facts->proof = (enum peer_proof)field_word(reading, own, "peer.proof", &proof_words, PROOF_CERTIFICATE);
	facts->resumed = field_flag(reading, root, "tls.resumed");
	facts->early_data = field_flag(reading, own, "early_data");
	field_number(reading, own, "verify.code", INT_MIN, INT_MAX, &code);
	facts->verify_code = (int)code;
	facts->expected_host = reading_keep(reading, field_text(reading, own, "verify.expected_host"));
}

static void read_violations(struct reading *reading, struct json_object *root)
{
	struct event_read *event = reading->event;
	struct json_object *list = field_array(reading, root, "tlswarden.violations", VIOLATIONS_SHOWN);
	size_t count = list ? json_object_array_length(list) : 0;
	int64_t left_out = 0;

	event->violations = xcalloc(count, sizeof(*event->violations));
	for (size_t i = 0; i < count && !reading->why; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *rule = field_text(reading, item, "rule"), *ruleset = field_text(reading, item, "ruleset");
		int action = field_word(reading, item, "action", &action_words, -1);

		if (!rule || !ruleset || action < 0)
			reading_fails(reading, "tlswarden.violations", "rule, ruleset or action is missing");
		else
			event->violations[event->violations_count++] = (struct logged_violation){
				xstrdup(rule), xstrdup(ruleset), (enum action)action};
	}
	if (field_number(reading, root, "tlswarden.violations_left_out", 0, INT32_MAX, &left_out))
		event->violations_left_out = (uint64_t)left_out;
}

static void read_verification(struct reading *reading, struct json_object *root)
{
	int64_t seconds = 0, micros = 0;

	if (!field_time(reading, root, "@timestamp", &seconds, &micros))
		reading_fails(reading, "@timestamp", "it is missing");
	reading->event->time_us = seconds * 1000000 + micros;
	read_verify(reading, root);
	read_process(reading, root);
	read_connection(reading, root);
	read_violations(reading, root);
	if (!reading->why)
		chain_read(reading, root);
}

/* What kind of event it is by its head. */
static enum event_kind kind_of(struct reading *reading, struct json_object *root)
{
	const char *action = field_text(reading, root, "event.action"),
		   *dataset = field_text(reading, root, "event.dataset");

	if (!field_text(reading, root, "ecs.version") || !action)
		return EVENT_FOREIGN;
	if (dataset && strcmp(dataset, "tlswarden.agent") == 0)
		return EVENT_OTHER;
	/* A connection without a verification to judge. */
	if (strcmp(action, "gate-timeout") == 0)
		return field_object(reading, root, "tlswarden.gate") ? EVENT_OTHER : EVENT_FOREIGN;
	if (strcmp(action, "peer-verified") != 0 && strcmp(action, "policy-violation") != 0)
		return EVENT_FOREIGN;
	return field_object(reading, root, "tlswarden") ? EVENT_VERIFICATION : EVENT_FOREIGN;
}

static enum event_kind object_read(struct event_reader *reader, struct json_object *root, struct event_read *ret,
				   char **ret_why)
{
	struct event_read event = {0};
	struct reading reading = {.reader = reader, .event = &event};
	enum event_kind kind = kind_of(&reading, root);

	if (kind == EVENT_VERIFICATION)
		read_verification(&reading, root);
	if (kind == EVENT_FOREIGN && !reading.why)
		reading.why = xstrdup("JSON, but no event of tlswarden");
	if (reading.why) {
		*ret_why = reading.why;
		event_read_clear(&event);
		return EVENT_FOREIGN;
	}
	if (kind == EVENT_VERIFICATION)
		*ret = event;
	return kind;
}

static void tokener_cleanup(struct json_tokener **tokener)
{
	json_tokener_free(*tokener);
}

static void object_cleanup(struct json_object **object)
{
	json_object_put(*object);
}

/* EVENT_OTHER if it is JSON. */
static enum event_kind line_parse(const char *line, size_t len, struct json_object **ret, char **ret_why)
{
	CLEANUP(tokener_cleanup) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	enum json_tokener_error error;
	bool cut;

	if (!tokener)
		abort(); /* memory, as util.h has it */
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*ret = json_tokener_parse_ex(tokener, line, (int)len);
	error = json_tokener_get_error(tokener);
	cut = error == json_tokener_continue;
	/* A number or a word is only known to be whole by what follows it. */
	if (cut) {
		*ret = json_tokener_parse_ex(tokener, " ", 1);
		error = json_tokener_get_error(tokener);
	}
	if (error == json_tokener_success && json_object_is_type(*ret, json_type_object))
		return EVENT_OTHER;
	if (error == json_tokener_error_depth || error == json_tokener_success) {
		*ret_why = xstrdup(error == json_tokener_success ? "JSON, but no object" :
								   "JSON that is nested deeper than an event");
		return EVENT_FOREIGN;
	}
	*ret_why = cut ? xstrdup("no JSON: it ends in the middle") :
			 xasprintf("no JSON: %s at byte %zu", json_tokener_error_desc(error),
				   json_tokener_get_parse_end(tokener));
	return EVENT_TORN;
}

enum event_kind event_read(struct event_reader *reader, const char *line, size_t len, struct event_read *ret, char **ret_why)
{
	CLEANUP(object_cleanup) struct json_object *root = NULL;
	enum event_kind kind;

	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len > EVENT_LINE_MAX) {
		*ret_why = xstrdup("longer than any event");
		return EVENT_FOREIGN;
	}
	if (len == 0) {
		*ret_why = xstrdup("no JSON: an empty line");
		return EVENT_TORN;
	}
	kind = line_parse(line, len, &root, ret_why);
	return kind == EVENT_OTHER ? object_read(reader, root, ret, ret_why) : kind;
}
