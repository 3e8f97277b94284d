/* A verification that is told of, as facts (scenario.h).
 *
 * Owns the promise that these facts are what the agent would have had: what its probes do not copy (records.h: certificates
 * beyond PRESENTED_MAX and CHAIN_MAX, or too large ones) is missing here too and makes the facts truncated, and a name that
 * they would have cut is marked as user/capture/decode.c marks it. Trusts nothing of the texts. Pure. */
#include <linux/types.h>

#include "scenario.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "der.h"
#include "records.h"
#include "util.h"

_Static_assert(FACTS_CERTS_MAX >= PRESENTED_MAX + CHAIN_MAX, "each certificate of a scenario has a place in the facts");

/* What a library says that found a chain bad, without a reason: X509_V_ERR_UNSPECIFIED, GNUTLS_CERT_INVALID. */
enum { OPENSSL_UNSPECIFIED = 1, GNUTLS_INVALID = 2, PORT_DIGITS_MAX = 5, UID_DIGITS_MAX = 10 };

bool scenario_verify(const char *word, enum verify_result *ret)
{
	static const struct {
		const char *word;
		enum verify_result result;
	} words[] = {
		{"ok", VERIFY_OK},
		{"failed", VERIFY_FAILED},
		{"failed-ignored", VERIFY_FAILED_IGNORED},
		{"off", VERIFY_OFF},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].word, word) == 0) {
			*ret = words[i].result;
			return true;
		}
	}
	return false;
}

bool scenario_role(const char *word, enum facts_role *ret)
{
	if (strcmp(word, "client") != 0 && strcmp(word, "server") != 0)
		return false;
	*ret = strcmp(word, "client") == 0 ? FACTS_ROLE_CLIENT : FACTS_ROLE_SERVER;
	return true;
}

bool scenario_library(const char *word, enum library_kind *ret)
{
	if (strcmp(word, "openssl") != 0 && strcmp(word, "gnutls") != 0)
		return false;
	*ret = strcmp(word, "openssl") == 0 ? LIBRARY_OPENSSL : LIBRARY_GNUTLS;
	return true;
}

bool scenario_user(const char *text, struct scenario *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long uid;

	if (digits == 0 || text[digits]) {
		ret->user = text;
		return *text;
	}
	uid = digits <= UID_DIGITS_MAX ? strtoul(text, NULL, 10) : ULONG_MAX;
	if (uid >= UINT32_MAX) /* (uid_t)-1 is no user */
		return false;
	ret->has_uid = true;
	ret->uid = (uint32_t)uid;
	return true;
}

static bool port_parse(const char *text, uint16_t *ret)
{
	size_t len = strspn(text, "0123456789");
	unsigned long port = len && len <= PORT_DIGITS_MAX && !text[len] ? strtoul(text, NULL, 10) : 0;

	if (port == 0 || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

bool scenario_peer(const char *text, struct address *ret, uint16_t *ret_port)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');
	size_t len = end ? (size_t)(end - text) : 0;
	struct address address;
	uint16_t port = 0;
	char ip[ADDRESS_TEXT_MAX];

	if (address_parse(text, &address)) {
		*ret = address;
		*ret_port = 0;
		return true;
	}
	if (!end || len >= sizeof(ip))
		return false;
	if (text[0] == '[') {
		memcpy(ip, text + 1, len - 1);
		ip[len - 1] = '\0';
		end++;
	} else {
		memcpy(ip, text, len);
		ip[len] = '\0';
	}
	/* Brackets are for IPv6, which has a colon; without them the first colon ends an IPv4 address. */
	if ((text[0] == '[') != (strchr(ip, ':') != NULL) || !address_parse(ip, &address))
		return false;
	if (*end && (*end != ':' || !port_parse(end + 1, &port)))
		return false;
	*ret = address;
	*ret_port = port;
	return true;
}

/* --- certificates --------------------------------------------------------------------------------------------------- */

/* Stands where the agent would not have had the certificate. */
static const struct certificate not_captured = {.error = "the agent does not capture it: it is too large"};

static bool is_captured(const struct certificate *certificate, enum library_kind library)
{
	struct der_bytes bytes = {certificate->der, certificate->der_len};
	struct der_element whole, tbs, algorithm, signature;

	if (library == LIBRARY_GNUTLS || !der_next(&bytes, &whole))
		return certificate->der_len <= TBS_MAX;
	bytes = (struct der_bytes){whole.content, whole.content_len};
	if (!der_next(&bytes, &tbs) || !der_next(&bytes, &algorithm) || !der_next(&bytes, &signature))
		return certificate->der_len <= TBS_MAX;
	/* The bit string begins with the number of its unused bits. */
	return tbs.whole_len <= TBS_MAX && signature.content_len <= SIGNATURE_MAX + 1;
}

static struct fact_cert *cert_place(struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!memcmp(facts->certs[i].certificate->sha256, certificate->sha256, SHA256_BYTES))
			return &facts->certs[i];
	facts->certs[facts->certs_count].certificate = certificate;
	return &facts->certs[facts->certs_count++];
}

static void list_add(struct certificate *const *certificates, size_t count, size_t max, bool presented, struct facts *facts)
{
	if (count > max) {
		facts->truncated = true;
		count = max;
	}
	for (size_t i = 0; i < count; i++) {
		bool captured = is_captured(certificates[i], facts->library);
		struct fact_cert *cert = cert_place(facts, captured ? certificates[i] : &not_captured);

		facts->truncated |= !captured;
		if (presented)
			cert->presented = true;
		else
			cert->chain = true;
	}
}

static int pem_read(const char *text, size_t len, const char *what, struct certificate ***ret, size_t *ret_count,
		    char **ret_why)
{
	int r = certificates_from_pem(text, len, ret, ret_count);

	if (r == -ENODATA) {
		*ret_why = xasprintf("no PEM certificate in %s", what);
	} else if (r < 0) {
		*ret_why = xasprintf("%s has a PEM block that is broken, or has more than %d bytes", what,
				     (int)CERTIFICATE_DER_MAX);
	} else if (*ret_count > FACTS_CERTS_MAX) {
		*ret_why = xasprintf("%s has %zu certificates, more than the %d of any verification", what, *ret_count,
				     (int)FACTS_CERTS_MAX);
		certificates_free(*ret, *ret_count);
		r = -EINVAL;
	}
	return r < 0 ? -EINVAL : 0;
}

static int certificates_read(const struct scenario *scenario, struct scenario_facts *ret, char **ret_why)
{
	struct certificate **presented, **chain = NULL;
	size_t presented_count, chain_count = 0;
	int r;

	r = pem_read(scenario->chain, scenario->chain_len, "the chain", &presented, &presented_count, ret_why);
	if (r < 0)
		return r;
	if (scenario->application_chain)
		r = pem_read(scenario->application_chain, scenario->application_chain_len, "the application's chain", &chain,
			     &chain_count, ret_why);
	if (r < 0) {
		certificates_free(presented, presented_count);
		return r;
	}
	list_add(presented, presented_count, PRESENTED_MAX, true, &ret->facts);
	list_add(chain, chain_count, CHAIN_MAX, false, &ret->facts);
	ret->certificates = xrealloc(presented, presented_count + chain_count, sizeof(*presented));
	if (chain_count)
		memcpy(ret->certificates + presented_count, chain, chain_count * sizeof(*chain));
	ret->certificates_count = presented_count + chain_count;
	free(chain);
	return 0;
}

/* --- the rest ------------------------------------------------------------------------------------------------------- */

/* Escaped; one that the probes would have cut gets the mark that no name has. NULL for none. */
static char *name_text(const char *name)
{
	size_t len = name ? strnlen(name, NAME_MAX_BYTES - 1) : 0;
	CLEANUP_FREE char *text = len ? text_escape(name, len) : NULL;

	return len < NAME_MAX_BYTES - 1 ? TAKE_PTR(text) : xasprintf("%s\\…", text);
}

/* An address is written as the agent writes it, which has it as bytes. */
static char *host_text(const char *host)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	if (!host || !address_parse(host, &address))
		return name_text(host);
	address_format(&address, text);
	return xstrdup(text);
}

static char *text_of(const char *text)
{
	return text && *text ? text_escape(text, strlen(text)) : NULL;
}

static void verify_set(const struct scenario *scenario, struct facts *facts)
{
	bool failed = scenario->verify == VERIFY_FAILED || scenario->verify == VERIFY_FAILED_IGNORED;
	bool asked = scenario->verify == VERIFY_OK || scenario->verify == VERIFY_FAILED;

	facts->verify = scenario->verify;
	facts->verify_mode = asked ? "peer" : "none";
	if (failed)
		facts->verify_code = facts->library == LIBRARY_GNUTLS ? GNUTLS_INVALID : OPENSSL_UNSPECIFIED;
}

/* Root's name and number are the same everywhere; of any other user only what was said is known. */
static void user_set(const struct scenario *scenario, struct scenario_facts *ret)
{
	bool is_root = scenario->user && strcmp(scenario->user, "root") == 0;

	ret->facts.uid = scenario->has_uid ? scenario->uid : is_root ? 0 : UINT32_MAX;
	if (scenario->user && *scenario->user)
		ret->user = xstrdup(scenario->user);
	else if (scenario->has_uid && scenario->uid == 0)
		ret->user = xstrdup("root");
	ret->facts.user = ret->user;
}

int scenario_facts(const struct scenario *scenario, const struct anchors *anchors, struct scenario_facts *ret,
		   char **ret_why)
{
	struct scenario_facts made = {0};
	struct facts *facts = &made.facts;
	int r;

	facts->role = scenario->role == FACTS_ROLE_UNKNOWN ? FACTS_ROLE_CLIENT : scenario->role;
	facts->library = scenario->library == LIBRARY_NONE ? LIBRARY_OPENSSL : scenario->library;
	r = certificates_read(scenario, &made, ret_why);
	if (r < 0)
		return r;
	verify_set(scenario, facts);
	facts->server_name = made.server_name = name_text(scenario->server_name);
	facts->expected_host = made.host = host_text(scenario->host);
	facts->peer = scenario->peer;
	facts->peer_port = scenario->peer_port;
	/* As the agent has them: a path and a user's name as they are, what the cgroup says escaped. */
	facts->exe = made.exe = scenario->exe && *scenario->exe ? xstrdup(scenario->exe) : NULL;
	facts->unit = made.unit = text_of(scenario->unit);
	facts->container = made.container = text_of(scenario->container);
	user_set(scenario, &made);
	path_prove(facts, anchors);
	*ret = made;
	return 0;
}

void scenario_facts_clear(struct scenario_facts *facts)
{
	certificates_free(facts->certificates, facts->certificates_count);
	free(facts->server_name);
	free(facts->host);
	free(facts->exe);
	free(facts->user);
	free(facts->unit);
	free(facts->container);
	*facts = (struct scenario_facts){0};
}
