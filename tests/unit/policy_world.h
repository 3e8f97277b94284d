/* A small world for tests of judging: facts made by hand, and one rule at a time to judge them by. */
#ifndef POLICY_WORLD_H
#define POLICY_WORLD_H

#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy.h"
#include "util.h"

/* Keys of certificates are 32 times the same byte; these are the pins of some. */
#define PIN_1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define PIN_2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define PIN_3 "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
#define PIN_9 "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="
#define KEY(pin) "[{name: \"key of " pin "\", spki_sha256: \"" pin "\"}]"
#define HEX_2 "4242424242424242424242424242424242424242424242424242424242424242"
#define FORBID_LEAF "forbid: {key_in: " KEY(PIN_1) "}"

enum { NOW = 1800000000 }; /* 2027-01-15T08:00:00Z */

/* A leaf (key 1), its issuer (key 2), both presented; and a root (key 3) that is found as an anchor. */
struct world {
	struct certificate leaf, issuer, root;
	struct san sans[4];
	struct facts facts;
};

static inline void certificate_set(struct certificate *certificate, uint8_t byte, const char *name)
{
	*certificate = (struct certificate){.parsed = true, .subject = (char *)name, .common_name = (char *)name + 3};
	memset(certificate->spki_sha256, byte, SHA256_BYTES);
	memset(certificate->sha256, 0x40 + byte, SHA256_BYTES);
}

static inline void world_set(struct world *w)
{
	memset(w, 0, sizeof(*w));
	certificate_set(&w->leaf, 1, "CN=leaf.test");
	certificate_set(&w->issuer, 2, "CN=Issuer");
	certificate_set(&w->root, 3, "CN=Root");
	w->leaf.sans = w->sans;
	w->facts = (struct facts){
		.role = FACTS_ROLE_CLIENT,
		.library = LIBRARY_OPENSSL,
		.verify_mode = "peer",
		.server_name = "www.example.com",
		.peer = {4, {192, 0, 2, 1}},
		.peer_port = 853,
		.exe = "/usr/bin/curl",
		.user = "alice",
		.uid = 1000,
		.certs = {{&w->leaf, true, false, true}, {&w->issuer, true, true, true}},
		.certs_count = 2,
		.path = {&w->leaf, &w->issuer, &w->root},
		.path_count = 3,
	};
}

static inline void add_san(struct world *w, enum san_kind kind, const char *text)
{
	struct san *san = &w->sans[w->leaf.sans_count++];

	*san = (struct san){.kind = kind, .text = (char *)text};
	if (kind == SAN_IP)
		assert_true(address_parse(text, &san->address));
	w->leaf.sans_total = w->leaf.sans_count;
}

static inline struct policies *parse(const char *text)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	const struct policy_source source = {"f", text, strlen(text)};
	struct policies *policies = NULL;

	if (policies_parse(&source, 1, &policies, &problems) < 0)
		fail_msg("%s: %u:%u %s", text, problems.items[0].line, problems.items[0].column, problems.items[0].text);
	return policies;
}

/* The reason of the only violation of a rule with this body, or NULL if there is none. */
static inline char *reason_of(const struct world *w, const char *body)
{
	CLEANUP_FREE char *text = xasprintf("version: 1\nname: p\nrules:\n  - {id: r, %s}\n", body);
	struct policies *policies = parse(text);
	struct verdict verdict;
	char *reason = NULL;

	policies_judge(policies, &w->facts, NOW, false, &verdict);
	assert_true(verdict.count <= 1);
	if (verdict.count == 1)
		reason = xstrdup(verdict.violations[0].reason);
	verdict_clear(&verdict);
	assert_int_equal(verdict.count, 0);
	policies_free(policies);
	return reason;
}

static inline void expect(const struct world *w, const char *body, const char *reason)
{
	CLEANUP_FREE char *found = reason_of(w, body);

	if (!reason && found)
		fail_msg("%s: %s", body, found);
	if (!reason)
		return;
	assert_non_null(found);
	assert_string_equal(found, reason);
}

/* Does an entry match, as an entry of match? And does it, as one of except, excuse? */
static inline void entry_try(const struct world *w, const char *entry, bool *ret_matches, bool *ret_excuses)
{
	CLEANUP_FREE char *match = xasprintf("match: [%s], " FORBID_LEAF, entry);
	CLEANUP_FREE char *except = xasprintf("match: [{any: true}], except: %s, " FORBID_LEAF, entry);
	CLEANUP_FREE char *broken = reason_of(w, match), *excused = reason_of(w, except);

	*ret_matches = broken != NULL;
	*ret_excuses = excused == NULL;
}

/* They agree. */
static inline bool entry_matches(const struct world *w, const char *entry)
{
	bool matches, excuses;

	entry_try(w, entry, &matches, &excuses);
	assert_int_equal(matches, excuses);
	return matches;
}

/* They do not: whoever gains by it, it is not the certificate's owner. */
static inline bool in_doubt(const struct world *w, const char *entry)
{
	bool matches, excuses;

	entry_try(w, entry, &matches, &excuses);
	return matches && !excuses;
}

#endif
