/* What of the facts each match key looked at, in words: for `explain`. Decides nothing. */
#include <string.h>

#include "policy_internal.h"

enum { NAMES_SHOWN = 8 };

static void add_quoted(struct reason *reason, const char *text, const char *otherwise)
{
	if (text)
		reason_add(reason, "\"%s\"", text);
	else
		reason_add(reason, "%s", otherwise);
}

static void found_server_name(const struct facts *facts, struct reason *reason)
{
	add_quoted(reason, facts->server_name, "no server name was asked for");
	if (facts->expected_host)
		reason_add(reason, "; the application expects \"%s\"", facts->expected_host);
}

static const struct certificate *readable_leaf(const struct facts *facts, struct reason *reason)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;

	if (!leaf)
		reason_add(reason, "there is no certificate");
	else if (!leaf->parsed)
		reason_add(reason, "the leaf cannot be read");
	return leaf && leaf->parsed ? leaf : NULL;
}

/* The names of the leaf of that kind, and what else makes one doubt. */
static void found_sans(const struct facts *facts, enum san_kind kind, struct reason *reason)
{
	const struct certificate *leaf = readable_leaf(facts, reason);
	size_t shown = 0, total = 0;

	if (!leaf)
		return;
	for (size_t i = 0; i < leaf->sans_count; i++) {
		if (leaf->sans[i].kind != kind)
			continue;
		if (total++ < NAMES_SHOWN) {
			reason_add(reason, "%s\"%s\"%s", shown ? ", " : "", leaf->sans[i].text,
				   leaf->sans[i].odd ? " (odd bytes: matches nothing)" : "");
			shown++;
		}
	}
	if (total > shown)
		reason_add(reason, " and %zu more", total - shown);
	if (total == 0)
		reason_add(reason, "the leaf has no such name");
	if (leaf->common_name)
		reason_add(reason, "; common name \"%s\"", leaf->common_name);
	if (leaf->sans_total > leaf->sans_count)
		reason_add(reason, "; %zu names are not listed", leaf->sans_total - leaf->sans_count);
	if (leaf->error)
		reason_add(reason, "; %s", leaf->error);
}

static void found_issuers(const struct facts *facts, struct reason *reason)
{
	if (!path_proven(facts)) {
		reason_add(reason, "nothing is proven");
		return;
	}
	if (facts->path_count < 2)
		reason_add(reason, "no issuer is proven");
	for (size_t i = 1; i < facts->path_count && i <= NAMES_SHOWN; i++) {
		char pin[PIN_CHARS + 1];

		pin_encode(facts->path[i]->spki_sha256, pin);
		reason_add(reason, "%s", i > 1 ? ", " : "");
		reason_add_subject(reason, facts->path[i]);
		reason_add(reason, " %s", pin);
	}
	if (facts->path_cut)
		reason_add(reason, "; the path may be longer than what was searched");
}

static void found_peer(const struct facts *facts, struct reason *reason)
{
	char text[ADDRESS_TEXT_MAX];

	if (facts->peer.len == 0) {
		reason_add(reason, "the peer is not known");
		return;
	}
	address_format(&facts->peer, text);
	reason_add(reason, "%s", text);
}

void criterion_found(const struct criterion *criterion, const struct facts *facts, struct reason *reason)
{
	static const char *const roles[] = {
		[FACTS_ROLE_UNKNOWN] = "the role is not known",
		[FACTS_ROLE_CLIENT] = "client",
		[FACTS_ROLE_SERVER] = "server",
	};

	static const char *const verifies[] = {
		[VERIFY_OK] = "ok",           [VERIFY_FAILED] = "failed",      [VERIFY_FAILED_IGNORED] = "failed-ignored",
		[VERIFY_OFF] = "off",         [VERIFY_BY_CALLBACK] = "custom", [VERIFY_NO_CERTIFICATE] = "none",
		[VERIFY_PENDING] = "not yet",
	};

	switch (criterion->kind) {
	case MATCH_ANY:
		reason_add(reason, "always");
		break;
	case MATCH_SERVER_NAME:
		found_server_name(facts, reason);
		break;
	case MATCH_SAN_DNS:
		found_sans(facts, SAN_DNS, reason);
		break;
	case MATCH_SAN_IP:
		found_sans(facts, SAN_IP, reason);
		break;
	case MATCH_PEER_IP:
		found_peer(facts, reason);
		break;
	case MATCH_PEER_PORT:
		if (facts->peer_port)
			reason_add(reason, "%u", facts->peer_port);
		else
			reason_add(reason, "the port is not known");
		break;
	case MATCH_EXE:
		add_quoted(reason, facts->exe, "the program is not known");
		break;
	case MATCH_USER:
		add_quoted(reason, facts->user, "no name");
		if (facts->uid != UINT32_MAX)
			reason_add(reason, ", uid %u", facts->uid);
		break;
	case MATCH_UNIT:
		add_quoted(reason, facts->unit, "no unit is known");
		break;
	case MATCH_CONTAINER:
		add_quoted(reason, facts->container, "no container");
		break;
	case MATCH_ROLE:
		reason_add(reason, "%s", roles[facts->role]);
		break;
	case MATCH_LIBRARY:
		reason_add(reason, "%s",
			   facts->library == LIBRARY_OPENSSL ? "openssl" :
			   facts->library == LIBRARY_GNUTLS  ? "gnutls" :
							       "the library is not known");
		break;
	case MATCH_ISSUER_IN:
		found_issuers(facts, reason);
		break;
	case MATCH_VERIFY:
		reason_add(reason, "%s", verifies[facts->verify]);
		break;
	}
}
