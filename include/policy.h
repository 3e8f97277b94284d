/* Policies: parsing (strict, with places), and judging facts by them. Pure: no I/O, no clock, no BPF. */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts.h"
#include "verdict.h"

struct policies; /* all policies in force together */

/* One complaint about a file. line and column count from 1. */
struct problem {
	char *file;
	unsigned line, column;
	char *text; /* "what, and what was meant" */
};
struct problems {
	struct problem *items;
	size_t count;
};
void problems_clear(struct problems *problems);
void problems_add(struct problems *problems, const char *file, unsigned line, unsigned column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The text of one policy file, with the name that messages use. */
struct policy_source {
	const char *file;
	const char *text;
	size_t len;
};

/* Parses all sources in their order into one set. Any problem (unknown key, wrong type, a set missing, ids or names that
 * repeat, enforce with fewer than two keys …): -EINVAL, *ret untouched, every problem found is in problems. */
int policies_parse(const struct policy_source *sources, size_t count, struct policies **ret, struct problems *problems);
void policies_free(struct policies *policies);

size_t policies_count(const struct policies *policies);
struct policy_info {
	const char *name, *file;
	bool enforce;       /* as written: mode: enforce; what holds now is told by policies_mode */
	uint8_t sha256[32]; /* of the file's text */
	size_t rules;
	bool has_enforce_until, has_expires;
	int64_t enforce_until, expires; /* seconds since 1970 */
};
struct policy_info policies_info(const struct policies *policies, size_t index);

/* The mode that a policy has at that time: "enforce", "audit", or "audit, as enforce_until has passed" and "none, as expires
 * has passed" for people. Static. audit_only: --mode audit. */
const char *policies_mode(const struct policies *policies, size_t index, bool audit_only, int64_t now);

/* True if this policy enforces at this time and its rule asks for that action: what the privileged half checks before it
 * destroys a socket (which a rule may ask for with kill and kill-process) or ends a process. audit_only: --mode audit. */
bool policies_allow(const struct policies *policies, const char *ruleset, const char *rule, enum action action,
		    bool audit_only, int64_t now);

/* True if some policy enforces at this time and a rule of it kills: then there is something to gate for. */
bool policies_kill(const struct policies *policies, bool audit_only, int64_t now);

/* --- files that policies name -------------------------------------------------------------------------------------- */

enum policy_file_kind { POLICY_TRUST_STORE, POLICY_CT_LOGS, POLICY_CRL };

/* A path, relative ones from the directory of the policy file, and the first place that names it. Each path stands here once
 * for each kind. Borrowed from the policies. */
struct policy_need {
	enum policy_file_kind kind;
	const char *path;
	const char *file;
	unsigned line, column;
};
size_t policies_needs(const struct policies *policies, const struct policy_need **ret);

/* What is in the files: as many as needs, in their order. data NULL: it could not be read, error is the errno. */
struct policy_content {
	const char *data;
	size_t len;
	int error;
};
/* Takes the contents apart; they are not needed afterwards. Must be done once before judging if there are needs. They may be an
 * attacker's (a CRL from the network): only without privilege. -EINVAL: problems say which file is wrong, at the place that
 * names it. */
int policies_bind(struct policies *policies, const struct policy_content *contents, struct problems *problems);

/* The base's certificates and those of all trust stores: what the path search is to know. New, or NULL if there are none. */
struct anchors;
struct anchors *policies_anchors(const struct policies *policies, const struct anchors *base);

/* A time at which a policy changes by itself: it expires, stops enforcing, or a file of it gets too old. */
struct policy_moment {
	int64_t at;
	size_t policy;    /* index, for policies_info */
	const char *text; /* "expires has passed: the policy no longer applies" */
};
size_t policies_moments(const struct policies *policies, const struct policy_moment **ret);

/* --- judging -------------------------------------------------------------------------------------------------------- */

/* True if some rule looks at exe, user, unit or container: then facts must have them before they are judged. */
bool policies_ask_process(const struct policies *policies);
/* Likewise unit or container: two processes of one user with one executable may then be judged differently. */
bool policies_ask_place(const struct policies *policies);

/* Judges. now: seconds since 1970, audit_only: --mode audit. *ret must be cleared by verdict_clear. */
void policies_judge(const struct policies *policies, const struct facts *facts, int64_t now, bool audit_only,
		    struct verdict *ret);

/* The same, telling all that was asked, for people. A finding is one key of a rule: "require", "issuer_in", "@resolver-cas",
 * what was looked at and found, and whether it holds. Texts are owned, escaped, bounded as reasons are. */
struct finding {
	const char *part; /* static: "match", "except", "require", "forbid" */
	size_t entry;     /* of match and except: which entry of the list, from 0 */
	const char *key;  /* static */
	char *asked;      /* "@resolver-cas", "30d" */
	char *found;      /* "no key of @resolver-cas on the proven path (found: CN=… …)" */
	bool holds;       /* match, except: the criterion does; require: it does; forbid: it is not broken */
};
enum explained_outcome {
	EXPLAINED_EXPIRED, /* the policy no longer applies */
	EXPLAINED_NO_MATCH,
	EXPLAINED_EXCEPTED,
	EXPLAINED_FINE,
	EXPLAINED_BROKEN,
	EXPLAINED_UNDECIDED, /* it asks what these facts do not tell (facts.without_der) */
};
struct explained_rule {
	const char *ruleset, *rule, *description; /* borrowed */
	enum action action;
	enum severity severity;
	bool enforced;
	enum explained_outcome outcome;
	struct finding *findings; /* no `require` and `forbid` if it does not apply */
	size_t count;
};
struct explanation {
	struct explained_rule *rules; /* every rule, in the order of judging */
	size_t count;
};
void policies_explain(const struct policies *policies, const struct facts *facts, int64_t now, bool audit_only,
		      struct explanation *ret);
void explanation_clear(struct explanation *explanation);

#endif
