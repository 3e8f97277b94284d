/* The questions to GnuTLS: role, peer's certificates, transport and the hellos' randoms of a session. Those that are about how
 * it came about are in gnutls_session.c.
 *
 * gnutls_certificate_get_peers first asks gnutls_auth_get_type, through its PLT, whether certificates are in use: that
 * import is bound to a function that says yes. What is left reads two fields of the session, the second a pointer to the
 * list. Which pointer it is the fault search tells, and one-hot searches the rest.
 */
#include "questions.h"

#include <errno.h>
#include <string.h>

enum {
	CREDENTIALS_CERTIFICATE = 1, /* GNUTLS_CRD_CERTIFICATE */
	ENTITY_CLIENT = 2,           /* GNUTLS_CLIENT (GNUTLS_SERVER is 1) */
	INVALID_REQUEST = -50,       /* GNUTLS_E_INVALID_REQUEST: a client has no server name to get */
	RANDOM_BYTES = 32,
};

static unsigned always_certificate(void)
{
	return CREDENTIALS_CERTIFICATE;
}

const struct binding gnutls_bindings[] = {
	{"memcpy", memcpy, false},   {"memmove", memmove, false},
	{"memset", memset, false},   {"memcmp", memcmp, false},
	{"strlen", strlen, false},   {"strcmp", strcmp, false},
	{"strncmp", strncmp, false}, {"gnutls_auth_get_type", always_certificate, true},
};
const size_t gnutls_bindings_count = ARRAY_SIZE(gnutls_bindings);

/* A call of gnutls_certificate_get_peers: with that session, whatever object is being searched. */
struct peers {
	const void *(*function)(void *session, unsigned *count);
	uint8_t *session;
};

static bool reads_peers(uint8_t *object, void *arg)
{
	const struct peers *peers = arg;
	unsigned count;

	return peers->function(object, &count) != NULL;
}

static bool returns_list(uint8_t *object, void *arg)
{
	const struct peers *peers = arg;
	unsigned count;

	(void)object;
	return (uint64_t)peers->function(peers->session, &count) == MARK_POINTER;
}

static bool returns_count(uint8_t *object, void *arg)
{
	const struct peers *peers = arg;
	unsigned count = 0;

	(void)object;
	(void)peers->function(peers->session, &count);
	return count == MARK_INT;
}

static bool ask_peers(struct questions *questions, struct gnutls_layout *layout)
{
	static const char name[] = "gnutls_certificate_get_peers";
	uint64_t info = (uint64_t)questions->second, list = MARK_POINTER;
	struct peers peers = {.session = questions->object};
	void *function;

	if (!question_function(questions, name, &function))
		return false;
	peers.function = (const void *(*)(void *, unsigned *))function;
	if (!question_answered(questions, name,
			       fault_search(questions->object, reads_peers, &peers, &layout->session_auth_info)))
		return false;
	/* Every other slot still has the int 1 in it, wherever the type may be. */
	memcpy(questions->object + layout->session_auth_info, &info, sizeof(info));
	object_fill(questions->second, 0);
	if (!question_answered(
		    questions, name,
		    onehot_search(questions->second, 8, MARK_POINTER, returns_list, &peers, &layout->auth_list)) ||
	    !question_answered(questions, name,
			       onehot_search(questions->second, 4, MARK_INT, returns_count, &peers, &layout->auth_count)))
		return false;
	memcpy(questions->second + layout->auth_list, &list, sizeof(list));
	object_fill(questions->object, 0);
	memcpy(questions->object + layout->session_auth_info, &info, sizeof(info));
	return question_answered(questions, name,
				 onehot_search(questions->object, 4, CREDENTIALS_CERTIFICATE, returns_list, &peers,
					       &layout->session_auth_type));
}

static bool sets_pull(uint8_t *object, void *function)
{
	((void (*)(void *, uint64_t))function)(object, MARK_POINTER);
	return true;
}

/* The setter writes the mark: where? */
static bool ask_pull(struct questions *questions, struct gnutls_layout *layout)
{
	static const char name[] = "gnutls_transport_set_pull_function";
	size_t hits = 0;
	void *function;

	if (!question_function(questions, name, &function))
		return false;
	object_fill(questions->object, 0);
	(void)guarded(sets_pull, questions->object, function, NULL);
	for (size_t at = 0; at < OBJECT_BYTES; at += 8) {
		uint64_t now;

		memcpy(&now, questions->object + at, sizeof(now));
		if (now == MARK_POINTER) {
			layout->session_pull = (__u16)at;
			hits++;
		}
	}
	return question_answered(questions, name, hits == 1 ? 0 : hits ? -EMLINK : -ENOENT);
}

static bool refuses_client(uint8_t *object, void *function)
{
	char name[1];
	size_t len = sizeof(name);
	unsigned type;

	return ((int (*)(void *, void *, size_t *, unsigned *, unsigned))function)(object, name, &len, &type, 1) ==
	       INVALID_REQUEST;
}

static bool ask_entity(struct questions *questions, struct gnutls_layout *layout)
{
	static const char name[] = "gnutls_server_name_get";
	void *function;

	if (!question_function(questions, name, &function))
		return false;
	object_fill(questions->object, 0);
	return question_answered(
		questions, name,
		onehot_search(questions->object, 4, ENTITY_CLIENT, refuses_client, function, &layout->session_entity));
}

struct datum {
	uint8_t *data;
	unsigned size;
};

struct randoms {
	void (*function)(void *session, struct datum *client, struct datum *server);
	struct datum client, server;
};

static bool gives_randoms(uint8_t *object, void *arg)
{
	struct randoms *randoms = arg;

	randoms->function(object, &randoms->client, &randoms->server);
	return true;
}

/* They are embedded: the accessor gives their addresses. Optional: without an answer they are not known. */
static void ask_randoms(const struct questions *questions, struct gnutls_layout *layout)
{
	char unheard[REASON_MAX]; /* that there is no answer is no reason against the library */
	struct questions aside = *questions;
	struct randoms randoms = {0};
	uint64_t client, server;
	void *function;

	aside.reason = unheard;
	if (!question_function(&aside, "gnutls_session_get_random", &function))
		return;
	randoms.function = (void (*)(void *, struct datum *, struct datum *))function;
	object_fill(questions->object, 0);
	if (!guarded(gives_randoms, questions->object, &randoms, NULL))
		return;
	client = (uint64_t)randoms.client.data - (uint64_t)questions->object;
	server = (uint64_t)randoms.server.data - (uint64_t)questions->object;
	if (randoms.client.size != RANDOM_BYTES || randoms.server.size != RANDOM_BYTES || client > OFFSET_MAX ||
	    server > OFFSET_MAX)
		return;
	layout->session_client_random = (__u16)client;
	layout->session_server_random = (__u16)server;
}

static bool ask_text(struct questions *questions, struct gnutls_layout *layout)
{
	const Elf64_Phdr *segment;
	uint64_t address;

	if (!elf_file_function(questions->elf, "gnutls_handshake", &address))
		return false;
	segment = elf_file_segment(questions->elf, address, PF_X);
	if (!segment)
		return false;
	layout->text_start = (__s64)(segment->p_vaddr - address);
	layout->text_end = (__s64)(segment->p_vaddr + segment->p_memsz - address);
	return true;
}

bool gnutls_ask(struct questions *questions, struct gnutls_layout *ret, char version[VERSION_MAX])
{
	static const struct accessor transport = {"gnutls_transport_get_ptr", 8,
						  offsetof(struct gnutls_layout, session_transport)};

	if (!question_version(questions, "gnutls_check_version", 0, version, VERSION_MAX) || !ask_text(questions, ret) ||
	    !ask_peers(questions, ret) || !ask_entity(questions, ret) || !ask_pull(questions, ret) ||
	    !question_accessors(questions, &transport, 1, ret))
		return false;
	if (!gnutls_ask_name(questions, ret))
		return false;
	ask_randoms(questions, ret);
	gnutls_ask_session(questions, ret);
	return true;
}
