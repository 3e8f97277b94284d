/* Words of events (words.h): one table for each enum, so that what is written can be read back. Pure. */
#include "words.h"

#include <string.h>

#include "util.h"

#define WORDS(table)                     \
	{                                \
		table, ARRAY_SIZE(table) \
	}

static const char *const results[] = {
	[RESULT_NONE] = "none",         [RESULT_WOULD_KILL] = "would-kill",
	[RESULT_KILLED] = "killed",     [RESULT_PROCESS_KILLED] = "process-killed",
	[RESULT_REJECTED] = "rejected", [RESULT_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(results) == RESULT_FAILED + 1, "a result without a name");
const struct words result_words = WORDS(results);

static const char *const gate_reasons[] = {
	[GATE_REASON_TIMEOUT] = "timeout",
	[GATE_REASON_FULL] = "full",
	[GATE_REASON_AGENT_ENDED] = "agent-ended",
};
const struct words gate_words = WORDS(gate_reasons);

/* VERIFY_PENDING reads "off": an event is written when the waiting is over, and then nobody has verified. */
static const char *const verifications[] = {
	[VERIFY_OK] = "ok",       [VERIFY_FAILED] = "failed",      [VERIFY_FAILED_IGNORED] = "failed-ignored",
	[VERIFY_OFF] = "off",     [VERIFY_BY_CALLBACK] = "custom", [VERIFY_NO_CERTIFICATE] = "none",
	[VERIFY_PENDING] = "off",
};
_Static_assert(ARRAY_SIZE(verifications) == VERIFY_PENDING + 1, "a verify result without a name");
const struct words verify_words = WORDS(verifications);

static const char *const proofs[] = {
	[PROOF_CERTIFICATE] = NULL,         [PROOF_UNKNOWN] = "unknown",     [PROOF_PSK] = "psk",
	[PROOF_RAW_KEY] = "raw-public-key", [PROOF_ANONYMOUS] = "anonymous",
};
_Static_assert(ARRAY_SIZE(proofs) == PROOF_ANONYMOUS + 1, "a proof without a name");
const struct words proof_words = WORDS(proofs);

static const char *const roles[] = {
	[FACTS_ROLE_UNKNOWN] = "unknown",
	[FACTS_ROLE_CLIENT] = "client",
	[FACTS_ROLE_SERVER] = "server",
};
const struct words role_words = WORDS(roles);

static const char *const libraries[] = {
	[LIBRARY_NONE] = NULL,
	[LIBRARY_OPENSSL] = "openssl",
	[LIBRARY_GNUTLS] = "gnutls",
};
const struct words library_words = WORDS(libraries);

const struct words action_words = {action_names, ACTION_KILL_PROCESS + 1};

static const char *const modes[] = {"peer", "none", "unknown"};
const struct words mode_words = WORDS(modes);

static const char *const san_kinds[] = {
	[SAN_DNS] = "dns", [SAN_IP] = "ip",          [SAN_EMAIL] = "email",
	[SAN_URI] = "uri", [SAN_DIRECTORY] = "name", [SAN_OTHER] = "other",
};
_Static_assert(ARRAY_SIZE(san_kinds) == SAN_OTHER + 1, "a kind of name without a word");
const struct words san_words = WORDS(san_kinds);

int word_find(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (words->items[i] && strcmp(words->items[i], word) == 0)
			return (int)i;
	return -1;
}

enum san_kind san_guess(const char *text)
{
	struct address address;

	if (address_parse(text, &address))
		return SAN_IP;
	if (strstr(text, "://"))
		return SAN_URI;
	if (strchr(text, '@'))
		return SAN_EMAIL;
	return strchr(text, '=') ? SAN_DIRECTORY : SAN_DNS;
}
