/* `match` and `except`: does an entry hold for these facts? Pure.
 *
 * What each key looks at:
 *   server_name   the SNI, or the name that the application told the library to check; either one
 *   san_dns       the names the leaf claims (name_set.c): its dNSNames, and its subject's common names, which clients
 *                 accept if it has no dNSName (OpenSSL, when told to, even then)
 *   san_ip        the leaf's iPAddresses; its dNSNames and common names that are IP literals, which clients accept that
 *                 give the library an address as a name; such a literal may begin with a wildcard
 *   issuer_in     the keys of the proven path above the leaf. Not what was merely sent: a peer must not choose which rules
 *                 apply to it by throwing in somebody's certificate
 *   exe           a glob (path_glob.c). The kernel's " (deleted)" behind the path of a replaced program does not count
 *   user          a name, or a number: the uid
 *   verify        what came of the application's own verification (decode.c)
 *   unit, container   globs; a container also by the first 12 or more digits of its id, as container tools show it
 *
 * Certificates are an attacker's, who would like rules not to match, and exceptions to match. So in doubt a criterion holds
 * in `match`, and not in `except`: san_dns and san_ip, if the leaf has more names than are listed (SANS_MAX), a
 * subjectAltName that is broken, or cannot be read at all, for other libraries read what OpenSSL does not; a common name
 * beside a dNSName or iPAddress; and issuer_in, if the path may be longer than what could be proven, because the peer sent
 * more than is looked at. What the agent itself has lost (facts.lost) is no doubt: a full ring must not make every rule
 * match. A name with odd bytes matches nothing. In `match` an issuer's key counts in whatever encoding it comes, and on any
 * path that was tried: who makes certificates of his own for a CA's name and key chooses both.
 *
 * While GnuTLS has not verified yet (VERIFY_PENDING), neither the result is known nor the name that the application will have
 * checked: what depends on them does not hold in `match`, and holds in `except`, so that nobody is condemned too early. All is
 * judged anew when the answer comes. */
#include <string.h>

#include "path_glob.h"
#include "policy_internal.h"

/* Names of one leaf that are looked at as addresses with a wildcard; more are claimed to match. */
enum { WILD_ADDRESSES_MAX = 16 };

enum { SHORT_ID_LEN = 12 };

static const struct certificate *leaf_of(const struct facts *facts)
{
	return facts->certs_count ? facts->certs[0].certificate : NULL;
}

static bool claims_name(const struct set *set, const char *text)
{
	return names_claimed(set->names, text);
}

/* The end of an address whose first number has a wildcard in it, ".1.1.1"; NULL if the text is nothing like that. OpenSSL,
 * and whoever compares text, takes 1.1.1.1 for a name that "*.1.1.1" stands for, if given it as a name. */
static const char *wild_address(const char *text)
{
	size_t len = strspn(text, "*0123456789");

	if (text[len] != '.' || !memchr(text, '*', len) || text[len + strspn(text + len, ".0123456789")] != '\0')
		return NULL;
	return text + len;
}

/* Any number in place of the first: too many rather than too few. */
static bool claims_wild_address(const struct set *set, const char *end)
{
	struct address address;
	char name[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%u%.16s", i, end);
		if (!address_parse(name, &address))
			return false;
		if (networks_have(set->networks, set->count, &address))
			return true;
	}
	return false;
}

static bool claims_address(const struct set *set, const char *text)
{
	const char *end = wild_address(text);
	struct address address;

	if (end)
		return claims_wild_address(set, end);
	return address_parse(text, &address) && networks_have(set->networks, set->count, &address);
}

/* Any common name of the subject. common_name is the last one, but OpenSSL accepts every one, so the others are taken out of
 * the subject's text. Splitting it without regard to quoting finds too many rather than too few, and a value that needed
 * quoting is no name. */
static bool common_name_holds(const struct certificate *leaf, bool (*claims)(const struct set *, const char *),
			      const struct set *set)
{
	if (leaf->common_name && claims(set, leaf->common_name))
		return true;
	for (const char *p = leaf->subject; p && *p;) {
		size_t len = strcspn(p, ",+");
		char name[DNS_NAME_MAX + 2];

		if (len > 3 && len - 3 < sizeof(name) && strncmp(p, "CN=", 3) == 0) {
			memcpy(name, p + 3, len - 3);
			name[len - 3] = '\0';
			if (claims(set, name))
				return true;
		}
		p += len + (p[len] != '\0');
	}
	return false;
}

/* There may be names that are not listed. */
static bool unlisted(const struct certificate *leaf)
{
	return leaf->sans_total > leaf->sans_count || leaf->error;
}

static bool san_dns_holds(const struct set *set, const struct certificate *leaf, bool doubt)
{
	bool any = false;

	if (doubt && unlisted(leaf))
		return true;
	for (size_t i = 0; i < leaf->sans_count; i++) {
		const struct san *san = &leaf->sans[i];

		if (san->kind != SAN_DNS)
			continue;
		any = true;
		if (!san->odd && claims_name(set, san->text))
			return true;
	}
	return (!any || doubt) && common_name_holds(leaf, claims_name, set);
}

static bool san_ip_holds(const struct set *set, const struct certificate *leaf, bool doubt)
{
	bool any = false;
	size_t wild = 0;

	if (doubt && unlisted(leaf))
		return true;
	for (size_t i = 0; i < leaf->sans_count; i++) {
		const struct san *san = &leaf->sans[i];

		if (san->kind == SAN_IP) {
			any = true;
			if (networks_have(set->networks, set->count, &san->address))
				return true;
		} else if (san->kind == SAN_DNS && !san->odd) {
			wild += wild_address(san->text) != NULL;
			if (wild > WILD_ADDRESSES_MAX)
				return doubt;
			if (claims_address(set, san->text))
				return true;
		}
	}
	return (!any || doubt) && common_name_holds(leaf, claims_address, set);
}

/* What a leaf claims that cannot be read: anything, unless it is not there because the agent lost it. */
static bool san_holds(const struct set *set, const struct facts *facts, bool dns, bool doubt)
{
	const struct certificate *leaf = leaf_of(facts);

	if (!leaf)
		return false;
	if (!leaf->parsed)
		return doubt && (leaf->der_len || !facts->lost);
	return dns ? san_dns_holds(set, leaf, doubt) : san_ip_holds(set, leaf, doubt);
}

static bool server_name_holds(const struct set *set, const struct facts *facts)
{
	return (facts->server_name && names_match(set->names, facts->server_name)) ||
	       (facts->expected_host && names_match(set->names, facts->expected_host));
}

static bool exe_holds(const struct set *set, const char *exe)
{
	static const char suffix[] = " (deleted)";
	size_t len = exe ? strlen(exe) : 0;
	CLEANUP_FREE char *path = NULL;

	if (!exe)
		return false;
	if (len >= sizeof(suffix) && strcmp(exe + len - (sizeof(suffix) - 1), suffix) == 0)
		path = xstrndup(exe, len - (sizeof(suffix) - 1));
	for (size_t i = 0; i < set->count; i++) {
		if (glob_match(set->strings[i].text, exe) || (path && glob_match(set->strings[i].text, path)))
			return true;
	}
	return false;
}

static bool user_holds(const struct set *set, const struct facts *facts)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", (unsigned)facts->uid);
	for (size_t i = 0; i < set->count; i++) {
		const char *text = set->strings[i].text;

		/* No system lets a user's name be a number, so there is nothing to confuse. */
		if (strcmp(text, uid) == 0 || (facts->user && strcmp(text, facts->user) == 0))
			return true;
	}
	return false;
}

static bool unit_holds(const struct set *set, const char *unit)
{
	for (size_t i = 0; unit && i < set->count; i++) {
		if (glob_match(set->strings[i].text, unit))
			return true;
	}
	return false;
}

static bool container_holds(const struct set *set, const char *container)
{
	for (size_t i = 0; container && i < set->count; i++) {
		const char *text = set->strings[i].text;
		size_t len = strlen(text);

		if (glob_match(text, container))
			return true;
		if (len >= SHORT_ID_LEN && strspn(text, "0123456789abcdef") == len && strncmp(container, text, len) == 0)
			return true;
	}
	return false;
}

static bool word_holds(const struct set *set, const char *word)
{
	for (size_t i = 0; word && i < set->count; i++) {
		if (strcmp(set->strings[i].text, word) == 0)
			return true;
	}
	return false;
}

static bool issuer_is(const struct set *set, const struct certificate *issuer, bool doubt)
{
	return keys_find(set, issuer->spki_sha256) || (doubt && keys_find(set, issuer->key_sha256));
}

static bool issuer_holds(const struct set *set, const struct facts *facts, bool doubt)
{
	for (size_t i = 1; !facts->truncated && i < facts->path_count; i++) {
		if (issuer_is(set, facts->path[i], doubt))
			return true;
	}
	for (size_t i = 0; doubt && i < facts->certs_count; i++) {
		if (facts->certs[i].tried && issuer_is(set, facts->certs[i].certificate, doubt))
			return true;
	}
	return doubt && (facts->truncated ? !facts->lost : facts->path_cut);
}

static const char *const roles[] = {[FACTS_ROLE_CLIENT] = "client", [FACTS_ROLE_SERVER] = "server"};
static const char *const libraries[] = {[LIBRARY_OPENSSL] = "openssl", [LIBRARY_GNUTLS] = "gnutls"};
/* VERIFY_PENDING is none of them. */
static const char *const verifies[] = {
	[VERIFY_OK] = "ok",   [VERIFY_FAILED] = "failed",      [VERIFY_FAILED_IGNORED] = "failed-ignored",
	[VERIFY_OFF] = "off", [VERIFY_BY_CALLBACK] = "custom", [VERIFY_NO_CERTIFICATE] = "none",
};

static bool asks_process(enum criterion_kind kind)
{
	return kind == MATCH_EXE || kind == MATCH_USER || kind == MATCH_UNIT || kind == MATCH_CONTAINER;
}

bool criterion_holds(const struct criterion *criterion, const struct facts *facts, bool doubt)
{
	const struct set *set = criterion->set;
	bool pending = facts->verify == VERIFY_PENDING;

	if (facts->process_unasked && asks_process(criterion->kind))
		return doubt;
	switch (criterion->kind) {
	case MATCH_ANY:
		return true;
	case MATCH_SERVER_NAME:
		return server_name_holds(set, facts) || (!doubt && pending && !facts->expected_host);
	case MATCH_SAN_DNS:
		return san_holds(set, facts, true, doubt);
	case MATCH_SAN_IP:
		return san_holds(set, facts, false, doubt);
	case MATCH_PEER_IP:
		return networks_have(set->networks, set->count, &facts->peer);
	case MATCH_PEER_PORT:
		return ports_have(set, facts->peer_port);
	case MATCH_EXE:
		return exe_holds(set, facts->exe);
	case MATCH_USER:
		return user_holds(set, facts);
	case MATCH_UNIT:
		return unit_holds(set, facts->unit);
	case MATCH_CONTAINER:
		return container_holds(set, facts->container);
	case MATCH_ROLE:
		return facts->role < ARRAY_SIZE(roles) && word_holds(set, roles[facts->role]);
	case MATCH_LIBRARY:
		return facts->library < ARRAY_SIZE(libraries) && word_holds(set, libraries[facts->library]);
	case MATCH_ISSUER_IN:
		return issuer_holds(set, facts, doubt);
	case MATCH_VERIFY:
		return pending ? !doubt : facts->verify < ARRAY_SIZE(verifies) && word_holds(set, verifies[facts->verify]);
	}
	return false;
}

bool entries_match(const struct entries *entries, const struct facts *facts, bool doubt)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->items[i];
		size_t holding = 0;

		while (holding < entry->count && criterion_holds(&entry->criteria[holding], facts, doubt))
			holding++;
		if (holding == entry->count)
			return true;
	}
	return false;
}
