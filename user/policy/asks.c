/* The keys of require and forbid in two tables: is a key asked for in a rule, what does it ask, does it hold. A rule is judged by
 * going through both. */
#include "asks.h"

#include <string.h>

/* --- what is asked -------------------------------------------------------------------------------------------------------- */

#define ASKED(name, condition)                               \
	static bool name##_is_asked(const struct rule *rule) \
	{                                                    \
		return condition;                            \
	}

ASKED(key_in, rule->require.key_in)
ASKED(issuer_in, rule->require.issuer_in)
ASKED(verified, rule->require.verified)
ASKED(trusted_by, rule->require.trusted_by)
ASKED(name_matches, rule->require.name_matches)
ASKED(ct, rule->require.ct)
ASKED(max_lifetime, rule->require.max_lifetime > 0)
ASKED(min_remaining, rule->require.min_remaining > 0)
ASKED(min_rsa_bits, rule->require.min_rsa_bits > 0)
ASKED(min_ec_bits, rule->require.min_ec_bits > 0)
ASKED(not_before_until, rule->require.has_not_before_until)
ASKED(no_key_in, rule->forbid.key_in)
ASKED(no_cert_sha256_in, rule->forbid.cert_sha256_in)
ASKED(no_serial_in, rule->forbid.serial_in)
ASKED(no_signature, rule->forbid.signatures != 0)
ASKED(no_crl, rule->forbid.crl)

static void say_key_in(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%s%s", rule->require.key_in->label, rule->require.at_leaf ? ", at: leaf" : "");
}

static void say_issuer_in(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%s", rule->require.issuer_in->label);
}

static void say_true(const struct rule *rule, struct reason *asked)
{
	(void)rule;
	reason_add(asked, "true");
}

static void say_crl(const struct crl_list *list, struct reason *asked)
{
	for (size_t i = 0; i < list->count; i++)
		reason_add(asked, "%s%s", i ? ", " : "", list->files[i]->as.path);
}

static void say_trusted_by(const struct rule *rule, struct reason *asked)
{
	const struct trusted_by *by = rule->require.trusted_by;

	reason_add(asked, "%s (%s)", by->store->label, by->store->file->as.path);
	if (by->crl) {
		reason_add(asked, ", with the CRLs ");
		say_crl(by->crl, asked);
	}
}

static void say_ct(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "SCTs: %u, operators: %u, logs of %s", rule->require.ct->scts, rule->require.ct->operators,
		   rule->require.ct->logs->as.path);
}

static void say_max_lifetime(const struct rule *rule, struct reason *asked)
{
	reason_add_duration(asked, rule->require.max_lifetime);
}

static void say_min_remaining(const struct rule *rule, struct reason *asked)
{
	reason_add_duration(asked, rule->require.min_remaining);
}

static void say_min_rsa_bits(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%u", rule->require.min_rsa_bits);
}

static void say_min_ec_bits(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%u", rule->require.min_ec_bits);
}

static void say_not_before_until(const struct rule *rule, struct reason *asked)
{
	reason_add_time(asked, rule->require.not_before_until);
}

static void say_no_key_in(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%s", rule->forbid.key_in->label);
}

static void say_no_cert_sha256_in(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%s", rule->forbid.cert_sha256_in->label);
}

static void say_no_serial_in(const struct rule *rule, struct reason *asked)
{
	reason_add(asked, "%s", rule->forbid.serial_in->label);
}

static void say_no_signature(const struct rule *rule, struct reason *asked)
{
	unsigned both = SIGNATURE_MD5 | SIGNATURE_SHA1;

	reason_add(asked, "%s",
		   rule->forbid.signatures == both         ? "md5, sha1" :
		   rule->forbid.signatures & SIGNATURE_MD5 ? "md5" :
							     "sha1");
}

static void say_no_crl(const struct rule *rule, struct reason *asked)
{
	say_crl(rule->forbid.crl, asked);
}

/* --- the tables ----------------------------------------------------------------------------------------------------------- */

/* part, key, is it asked, what is asked, does it hold, needs DER, needs keys. In the order in which reasons are given. */
const struct ask asks[] = {
	{"require", "key_in", key_in_is_asked, say_key_in, require_key_in, false, false},
	{"require", "issuer_in", issuer_in_is_asked, say_issuer_in, require_issuer_in, false, false},
	{"require", "verified", verified_is_asked, say_true, require_verified, false, false},
	{"require", "trusted_by", trusted_by_is_asked, say_trusted_by, require_trusted_by, true, false},
	{"require", "name_matches", name_matches_is_asked, say_true, require_name_matches, false, false},
	{"require", "ct", ct_is_asked, say_ct, require_ct, true, false},
	{"require", "max_lifetime", max_lifetime_is_asked, say_max_lifetime, require_max_lifetime, false, false},
	{"require", "min_remaining", min_remaining_is_asked, say_min_remaining, require_min_remaining, false, false},
	{"require", "min_rsa_bits", min_rsa_bits_is_asked, say_min_rsa_bits, require_min_rsa_bits, false, true},
	{"require", "min_ec_bits", min_ec_bits_is_asked, say_min_ec_bits, require_min_ec_bits, false, true},
	{"require", "leaf_not_before_until", not_before_until_is_asked, say_not_before_until, require_not_before_until,
	 false, false},
	{"forbid", "key_in", no_key_in_is_asked, say_no_key_in, forbid_key_in, false, false},
	{"forbid", "cert_sha256_in", no_cert_sha256_in_is_asked, say_no_cert_sha256_in, forbid_cert_sha256_in, false, false},
	{"forbid", "serial_in", no_serial_in_is_asked, say_no_serial_in, forbid_serial_in, false, false},
	{"forbid", "signature", no_signature_is_asked, say_no_signature, forbid_signature, false, true},
	{"forbid", "crl", no_crl_is_asked, say_no_crl, forbid_crl, true, false},
};
const size_t asks_count = ARRAY_SIZE(asks);

/* An issuer's name counts on a validated path only, and a name may be among those that the log left out. */
bool ask_decidable(const struct ask *ask, const struct rule *rule, const struct facts *facts)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;

	if ((ask->needs_der && facts->without_der) || (ask->needs_keys && facts->without_keys))
		return false;
	if (!facts->without_der)
		return true;
	if (ask->holds == require_issuer_in)
		return rule->require.issuer_in->issuer_names_count == 0;
	return ask->holds != require_name_matches || !leaf || leaf->sans_total == leaf->sans_count;
}

enum rule_answer rule_judge(struct inquiry *inquiry, const struct rule *rule, char **ret_reason)
{
	enum rule_answer answer = RULE_FINE;
	struct reason whole;

	whole.len = 0;
	whole.full = false;
	for (size_t i = 0; i < asks_count; i++) {
		struct reason found;

		if (!asks[i].is_asked(rule))
			continue;
		if (!ask_decidable(&asks[i], rule, inquiry->facts)) {
			answer = answer == RULE_FINE ? RULE_UNDECIDED : answer;
			continue;
		}
		found.len = 0;
		found.full = false;
		found.text[0] = '\0';
		if (asks[i].holds(inquiry, rule, &found))
			continue;
		answer = RULE_BROKEN;
		reason_add(&whole, "%s%s", whole.len ? "; " : "", found.text);
	}
	if (answer == RULE_BROKEN)
		*ret_reason = xstrdup(whole.text);
	return answer;
}
