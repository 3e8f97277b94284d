/* More questions to GnuTLS: the server's name, and how a session came about (resumed, with early data, with what kind of
 * certificate, verified by whom).
 *
 * gnutls_server_name_get answers only a server, but a client keeps the name in the same place. Functions that set a field are
 * called, and what they changed is the field. The credentials of a session are a list: gnutls_credentials_get runs along
 * it, on a made-up list of one.
 *
 * The name must be known; all else is optional.
 */
#include "questions.h"

#include <errno.h>
#include <string.h>

enum {
	ENTITY_SERVER = 1, /* GNUTLS_SERVER */
	TYPE_CLIENT = 0,   /* GNUTLS_CTYPE_CLIENT */
	TYPE_SERVER = 1,   /* GNUTLS_CTYPE_SERVER */
	LENGTH_MARK = 7,   /* a byte of the made-up name's length */
	NAME_ROOM = 16,
	TEXT_PATTERN = 251,    /* distinct bytes; the name lies no further behind the start of what holds it */
	EARLY_DATA = 1 << 10,  /* GNUTLS_SFLAGS_EARLY_DATA */
	OTHER_CREDENTIALS = 2, /* a type that the list of one does not have */
};

static void put(uint8_t *object, __u16 at, const void *value, size_t size)
{
	memcpy(object + at, value, size);
}

/* --- the name ------------------------------------------------------------------------------------------------------- */

/* A call of gnutls_server_name_get: always with that session, whatever object is being searched. */
struct name_call {
	int (*function)(void *session, void *data, size_t *length, unsigned *type, unsigned index);
	uint8_t *session;
	size_t room, length; /* of the name: what fits, and what it is said to be */
	uint8_t name[NAME_ROOM];
};

static bool name_get(struct name_call *call, uint8_t *session)
{
	unsigned type;

	call->length = call->room;
	return call->function(session, call->name, &call->length, &type, 0) == 0;
}

static bool reads_name(uint8_t *object, void *arg)
{
	return name_get(arg, object);
}

/* What is too long for the room is told with its final NUL. */
static bool gives_low(uint8_t *object, void *arg)
{
	struct name_call *call = arg;

	(void)object;
	return !name_get(call, call->session) && call->length == LENGTH_MARK + 1;
}

static bool gives_high(uint8_t *object, void *arg)
{
	struct name_call *call = arg;

	(void)object;
	return !name_get(call, call->session) && call->length == (LENGTH_MARK << 8) + 1;
}

/* Every byte of the holder tells where it lies; so the name does. */
static bool text_find(uint8_t *holder, struct name_call *call, struct gnutls_layout *layout)
{
	for (size_t i = 0; i < OBJECT_BYTES; i++)
		holder[i] = (uint8_t)(i % TEXT_PATTERN + 1);
	holder[layout->name_length] = LENGTH_MARK;
	holder[layout->name_length_high] = 0;
	if (!guarded(reads_name, call->session, call, NULL) || call->length != LENGTH_MARK || !call->name[0])
		return false;
	layout->name_text = (__u16)(call->name[0] - 1);
	return memcmp(call->name, holder + layout->name_text, LENGTH_MARK) == 0;
}

bool gnutls_ask_name(struct questions *questions, struct gnutls_layout *layout)
{
	static const char name[] = "gnutls_server_name_get";
	struct name_call call = {.session = questions->object};
	const uint64_t holder = (uint64_t)questions->second;
	const uint32_t server = ENTITY_SERVER;
	void *function;

	if (!question_function(questions, name, &function))
		return false;
	call.function = (int (*)(void *, void *, size_t *, unsigned *, unsigned))function;
	/* Every slot has the int 1 in it, so it is a server, and has whatever it may have. */
	if (!question_answered(questions, name, fault_search(questions->object, reads_name, &call, &layout->session_name)))
		return false;
	put(questions->object, layout->session_name, &holder, sizeof(holder));
	object_fill(questions->second, 0);
	if (!question_answered(questions, name,
			       onehot_search(questions->second, 1, LENGTH_MARK, gives_low, &call, &layout->name_length)) ||
	    !question_answered(
		    questions, name,
		    onehot_search(questions->second, 1, LENGTH_MARK, gives_high, &call, &layout->name_length_high)))
		return false;
	call.room = NAME_ROOM;
	if (!question_answered(questions, name, text_find(questions->second, &call, layout) ? 0 : -ENOENT))
		return false;
	object_fill(questions->object, 0);
	put(questions->object, layout->session_entity, &server, sizeof(server));
	put(questions->object, layout->session_name, &holder, sizeof(holder));
	return question_answered(questions, name,
				 onehot_search(questions->object, 1, 1, reads_name, &call, &layout->session_has_name));
}

/* --- how it came about ------------------------------------------------------------------------------------------------ */

static bool says_yes(uint8_t *object, void *function)
{
	return ((int (*)(void *))function)(object) != 0;
}

static bool has_early(uint8_t *object, void *function)
{
	return ((unsigned (*)(void *))function)(object)&EARLY_DATA;
}

static void ask_flags(struct questions *questions, struct gnutls_layout *layout)
{
	__u16 at;
	void *function;

	if (!question_function(questions, "gnutls_session_get_flags", &function))
		return;
	object_fill(questions->object, 0);
	if (onehot_search(questions->object, 4, UINT32_MAX, has_early, function, &at) < 0)
		return;
	for (int bit = 0; bit < 32; bit++) {
		const uint32_t mask = 1u << bit;

		put(questions->object, at, &mask, sizeof(mask));
		if (!guarded(has_early, questions->object, function, NULL))
			continue;
		layout->session_flags = at;
		layout->flags_early = mask;
		return;
	}
}

static void ask_resumed(struct questions *questions, struct gnutls_layout *layout)
{
	const uint32_t server = ENTITY_SERVER; /* a client is asked for more than the field */
	void *function;

	if (!question_function(questions, "gnutls_session_is_resumed", &function))
		return;
	object_fill(questions->object, 0);
	put(questions->object, layout->session_entity, &server, sizeof(server));
	(void)onehot_search(questions->object, 1, 1, says_yes, function, &layout->session_resumed);
}

struct type_call {
	uint32_t (*function)(void *session, int target);
	int target;
};

static bool returns_type(uint8_t *object, void *arg)
{
	const struct type_call *call = arg;

	return call->function(object, call->target) == MARK_INT;
}

static void ask_types(struct questions *questions, struct gnutls_layout *layout)
{
	struct type_call call;
	void *function;

	if (!question_function(questions, "gnutls_certificate_type_get2", &function))
		return;
	call.function = (uint32_t(*)(void *, int))function;
	object_fill(questions->object, 0);
	call.target = TYPE_CLIENT;
	(void)onehot_search(questions->object, 4, MARK_INT, returns_type, &call, &layout->session_client_type);
	call.target = TYPE_SERVER;
	(void)onehot_search(questions->object, 4, MARK_INT, returns_type, &call, &layout->session_server_type);
}

static bool sets_mark(uint8_t *object, void *function)
{
	((void (*)(void *, uint64_t))function)(object, MARK_POINTER);
	return true;
}

/* The setter writes the mark, or its low half: where? */
static void ask_setter(struct questions *questions, const char *name, unsigned width, __u16 *ret)
{
	const uint64_t mark = MARK_POINTER;
	size_t hits = 0, found = 0;
	void *function;

	if (!question_function(questions, name, &function))
		return;
	object_fill(questions->object, 0);
	if (!guarded(sets_mark, questions->object, function, NULL))
		return;
	for (size_t at = 0; at < OBJECT_BYTES; at += width)
		if (memcmp(questions->object + at, &mark, width) == 0) {
			found = at;
			hits++;
		}
	if (hits == 1)
		*ret = (__u16)found;
}

/* --- its credentials --------------------------------------------------------------------------------------------------- */

struct credentials_call {
	int (*function)(void *session, uint32_t type, void **ret);
	uint8_t *session;
	uint32_t type;
	void *got;
};

static bool walks_list(uint8_t *object, void *arg)
{
	struct credentials_call *call = arg;

	return call->function(object, call->type, &call->got) == 0;
}

static bool gives_credentials(uint8_t *object, void *arg)
{
	struct credentials_call *call = arg;

	(void)object;
	call->got = NULL;
	return call->function(call->session, call->type, &call->got) == 0 && (uint64_t)call->got == MARK_POINTER;
}

static bool walks_on(uint8_t *object, void *arg)
{
	struct credentials_call *call = arg;

	(void)object;
	return walks_list(call->session, call);
}

/* session: the list's slot; second: its only item. */
static void ask_credentials(struct questions *questions, struct gnutls_layout *layout)
{
	struct credentials_call call = {.session = questions->object};
	const uint64_t item = (uint64_t)questions->second, credentials = MARK_POINTER;
	__u16 list, type, object, next;
	void *function;

	if (!question_function(questions, "gnutls_credentials_get", &function))
		return;
	call.function = (int (*)(void *, uint32_t, void **))function;
	if (fault_search(questions->object, walks_list, &call, &list) < 0)
		return;
	object_fill(questions->object, 0);
	put(questions->object, list, &item, sizeof(item));
	object_fill(questions->second, 0); /* an item of type 0 */
	if (onehot_search(questions->second, 8, credentials, gives_credentials, &call, &object) < 0)
		return;
	put(questions->second, object, &credentials, sizeof(credentials));
	call.type = MARK_INT;
	if (onehot_search(questions->second, 4, MARK_INT, gives_credentials, &call, &type) < 0)
		return;
	/* Every slot has the int 1 in it, so its type is not that, and the next one is read. */
	call.type = OTHER_CREDENTIALS;
	if (fault_search(questions->second, walks_on, &call, &next) < 0)
		return;
	layout->session_credentials = list;
	layout->item_type = type;
	layout->item_object = object;
	layout->item_next = next;
}

void gnutls_ask_session(const struct questions *questions, struct gnutls_layout *ret)
{
	char unheard[REASON_MAX]; /* that there is no answer is no reason against the library */
	struct questions aside = *questions;

	aside.reason = unheard;
	ask_resumed(&aside, ret);
	ask_flags(&aside, ret);
	ask_types(&aside, ret);
	ask_setter(&aside, "gnutls_certificate_server_set_request", 4, &ret->session_request);
	ask_setter(&aside, "gnutls_session_set_verify_function", 8, &ret->session_verify);
	ask_setter(&aside, "gnutls_certificate_set_verify_function", 8, &ret->credentials_verify);
	ask_credentials(&aside, ret);
}
