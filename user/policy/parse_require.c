/* `require` and `forbid`: what each key takes. What it means is in require.c and forbid.c. */
#include <string.h>

#include "policy_internal.h"

enum { SCTS_MAX = CT_SCTS_MAX, KEY_BITS_MAX = 65536 };

/* The pin rule of RFC 7469 4.3: who enforces a single key locks himself out when it is lost. A name stands for any number of
 * keys. */
static void check_backup(struct parser *parser, struct set *set)
{
	if (!parser->policy->enforce || set->broken || set->single || set->weak_told || set->count >= 2 ||
	    set->issuer_names_count > 0)
		return;
	set->weak_told = true;
	problems_add(parser->problems, parser->file, set->line, set->column,
		     "%s is required in mode enforce, but has one key: add a backup key, or write {single: true, keys: […]}",
		     set->label);
}

/* Names of issuers prove nothing by themselves: anybody can make a CA of any name. */
static void check_no_names(struct parser *parser, const struct node *value, const struct set *set)
{
	if (set->issuer_names_count > 0)
		complain(
			parser, value,
			"%s has entries that go by organization or common_name: those count only in issuer_in beside trusted_by",
			set->label);
}

static void parse_key_in(struct parser *parser, const struct node *value, void *out)
{
	struct set *set = set_value(parser, SET_KEYS, value);

	((struct rule *)out)->require.key_in = set;
	if (!set)
		return;
	check_backup(parser, set);
	check_no_names(parser, value, set);
}

static void parse_issuer_in(struct parser *parser, const struct node *value, void *out)
{
	struct set *set = set_value(parser, SET_KEYS, value);

	((struct rule *)out)->require.issuer_in = set;
	if (set)
		check_backup(parser, set);
}

static void parse_at(struct parser *parser, const struct node *value, void *out)
{
	static const char *const places[] = {"leaf"};

	((struct rule *)out)->require.at_leaf = word_value(parser, value, "at", places, ARRAY_SIZE(places)) == 0;
}

/* A key that can only be true. */
static bool parse_true(struct parser *parser, const struct node *value)
{
	if (truth_value(parser, value, value->key->text) == 0)
		complain(parser, value, "%s: false asks for nothing: leave it out", value->key->text);
	return true;
}

static void parse_verified(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->require.verified = parse_true(parser, value);
}

static void parse_name_matches(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->require.name_matches = parse_true(parser, value);
}

/* --- trusted_by ------------------------------------------------------------------------------------------------------ */

static void parse_store(struct parser *parser, const struct node *value, void *out)
{
	((struct trusted_by *)out)->store = store_value(parser, value);
}

static void parse_store_crl(struct parser *parser, const struct node *value, void *out)
{
	((struct trusted_by *)out)->crl = crl_list_value(parser, value);
}

static void parse_trusted_by(struct parser *parser, const struct node *value, void *out)
{
	static const struct field fields[] = {
		{"store", parse_store, true},
		{"crl", parse_store_crl, false},
	};
	struct trusted_by *by = arena_alloc(parser->policy->arena, 1, sizeof(*by));

	if (value->kind == NODE_MAP)
		fields_parse(parser, value, "trusted_by", fields, ARRAY_SIZE(fields), by);
	else
		parse_store(parser, value, by);
	((struct rule *)out)->require.trusted_by = by;
}

/* --- ct ----------------------------------------------------------------------------------------------------------------- */

static void parse_scts(struct parser *parser, const struct node *value, void *out)
{
	((struct transparency *)out)->scts = number_value(parser, value, "scts", SCTS_MAX);
}

static void parse_operators(struct parser *parser, const struct node *value, void *out)
{
	((struct transparency *)out)->operators = number_value(parser, value, "operators", SCTS_MAX);
}

static void parse_logs(struct parser *parser, const struct node *value, void *out)
{
	((struct transparency *)out)->logs = need_value(parser, POLICY_CT_LOGS, value);
}

static void parse_ct(struct parser *parser, const struct node *value, void *out)
{
	static const struct field fields[] = {
		{"scts", parse_scts, true},
		{"operators", parse_operators, false},
		{"logs", parse_logs, true},
	};
	struct transparency *ct = arena_alloc(parser->policy->arena, 1, sizeof(*ct));

	ct->operators = 1;
	if (!fields_parse(parser, value, "ct", fields, ARRAY_SIZE(fields), ct))
		return;
	if (ct->scts && ct->operators > ct->scts)
		complain(parser, node_get(value, "operators"), "%u operators of %u SCTs: each SCT has one operator",
			 ct->operators, ct->scts);
	((struct rule *)out)->require.ct = ct;
}

/* --- quantities -------------------------------------------------------------------------------------------------------- */

static void parse_max_lifetime(struct parser *parser, const struct node *value, void *out)
{
	duration_value(parser, value, &((struct rule *)out)->require.max_lifetime);
}

static void parse_min_remaining(struct parser *parser, const struct node *value, void *out)
{
	duration_value(parser, value, &((struct rule *)out)->require.min_remaining);
}

static void parse_min_rsa_bits(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->require.min_rsa_bits = number_value(parser, value, "min_rsa_bits", KEY_BITS_MAX);
}

static void parse_min_ec_bits(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->require.min_ec_bits = number_value(parser, value, "min_ec_bits", KEY_BITS_MAX);
}

static void parse_not_before_until(struct parser *parser, const struct node *value, void *out)
{
	struct rule *rule = out;

	rule->require.has_not_before_until = time_value(parser, value, &rule->require.not_before_until);
}

static void check_require(struct parser *parser, const struct node *value, const struct rule *rule)
{
	const struct set *issuers = rule->require.issuer_in;

	if (value->count == 0)
		complain(parser, value, "require is empty");
	if (node_get(value, "at") && !node_get(value, "key_in"))
		complain(parser, node_get(value, "at")->key, "at says where key_in looks, but there is no key_in");
	if (issuers && issuers->issuer_names_count > 0 && !node_get(value, "trusted_by"))
		complain(parser, node_get(value, "issuer_in"),
			 "%s has entries that go by organization or common_name: those count only with trusted_by",
			 issuers->label);
}

void parse_require(struct parser *parser, const struct node *value, void *out)
{
	static const struct field fields[] = {
		{"key_in", parse_key_in, false},
		{"at", parse_at, false},
		{"issuer_in", parse_issuer_in, false},
		{"verified", parse_verified, false},
		{"trusted_by", parse_trusted_by, false},
		{"name_matches", parse_name_matches, false},
		{"ct", parse_ct, false},
		{"max_lifetime", parse_max_lifetime, false},
		{"min_remaining", parse_min_remaining, false},
		{"min_rsa_bits", parse_min_rsa_bits, false},
		{"min_ec_bits", parse_min_ec_bits, false},
		{"leaf_not_before_until", parse_not_before_until, false},
	};

	if (fields_parse(parser, value, "require", fields, ARRAY_SIZE(fields), out))
		check_require(parser, value, out);
}

/* --- forbid -------------------------------------------------------------------------------------------------------------- */

static void parse_forbid_key_in(struct parser *parser, const struct node *value, void *out)
{
	struct set *set = set_value(parser, SET_KEYS, value);

	((struct rule *)out)->forbid.key_in = set;
	if (set)
		check_no_names(parser, value, set);
}

static void parse_cert_sha256_in(struct parser *parser, const struct node *value, void *out)
{
	struct set *set = set_value(parser, SET_STRINGS, value);

	((struct rule *)out)->forbid.cert_sha256_in = set;
	if (set)
		set_decode_digests(parser, value, set);
}

static void parse_serial_in(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->forbid.serial_in = set_value(parser, SET_SERIALS, value);
}

static void parse_signature(struct parser *parser, const struct node *value, void *out)
{
	static const char *const words[] = {"md5", "sha1"};

	if (value->kind == NODE_LIST && value->count == 0)
		complain(parser, value, "an empty list forbids nothing");
	for (const struct node *item = node_first(value); item; item = node_next(value, item)) {
		int word = word_value(parser, item, "signature", words, ARRAY_SIZE(words));

		if (word >= 0)
			((struct rule *)out)->forbid.signatures |= word == 0 ? SIGNATURE_MD5 : SIGNATURE_SHA1;
	}
}

static void parse_crl(struct parser *parser, const struct node *value, void *out)
{
	((struct rule *)out)->forbid.crl = crl_list_value(parser, value);
}

void parse_forbid(struct parser *parser, const struct node *value, void *out)
{
	static const struct field fields[] = {
		{"key_in", parse_forbid_key_in, false},
		{"cert_sha256_in", parse_cert_sha256_in, false},
		{"serial_in", parse_serial_in, false},
		{"signature", parse_signature, false},
		{"crl", parse_crl, false},
	};

	if (fields_parse(parser, value, "forbid", fields, ARRAY_SIZE(fields), out) && value->count == 0)
		complain(parser, value, "forbid is empty");
}
