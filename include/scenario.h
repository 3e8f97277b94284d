/* A verification that is told of instead of seen: what `explain` and `test` judge. The facts that come of it are those that the
 * agent would have had of the same connection. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "facts.h"
#include "path.h"

/* All borrowed; NULL or zero: not known. */
struct scenario {
	const char *chain; /* PEM text: what the peer presents, leaf first */
	size_t chain_len;
	const char *application_chain; /* PEM text: the chain that the application built, or NULL */
	size_t application_chain_len;
	const char *server_name; /* SNI */
	const char *host;        /* that the application told its library to check */
	struct address peer;
	uint16_t peer_port;
	enum verify_result verify; /* VERIFY_OK unless said otherwise; the mode follows from it */
	enum facts_role role;      /* client unless said otherwise */
	enum library_kind library; /* openssl unless said otherwise */
	const char *exe, *user, *unit, *container;
	bool has_uid;
	uint32_t uid;
};

/* What the values of options and of test files stand for: "ok", "failed", "failed-ignored", "off". False: no such word. */
bool scenario_verify(const char *word, enum verify_result *ret);
bool scenario_role(const char *word, enum facts_role *ret);      /* "client", "server" */
bool scenario_library(const char *word, enum library_kind *ret); /* "openssl", "gnutls" */
/* A name, or a number, which is a uid; text is borrowed. False: the number is none of a user. */
bool scenario_user(const char *text, struct scenario *ret);
/* "IP", "IP:PORT" or "[IPv6]:PORT". */
bool scenario_peer(const char *text, struct address *ret, uint16_t *ret_port);

/* Facts that own what they point to, the proven path found. */
struct scenario_facts {
	struct facts facts;
	struct certificate **certificates;
	size_t certificates_count;
	char *server_name, *host, *exe, *user, *unit, *container; /* escaped or not, as the agent's: exe and user are not */
};

/* -EINVAL, and *ret_why owned by the caller: a chain is no PEM, or has more than FACTS_CERTS_MAX certificates. What the agent would
 * not have captured (more than 16 certificates, one of more than 32 KiB) makes the facts truncated, as there. */
int scenario_facts(const struct scenario *scenario, const struct anchors *anchors, struct scenario_facts *ret,
		   char **ret_why);
void scenario_facts_clear(struct scenario_facts *facts);

#endif
