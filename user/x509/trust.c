/* RFC 5280 path validation against a trust store (trust.h).
 *
 * A search finds paths from the leaf to an anchor; OpenSSL judges each of them, whole and alone, and the first that it finds
 * good is the answer. Left to itself OpenSSL builds one path, by names and key identifiers: certificates of the same name in
 * front of the right one would hide it. Here every link's signature is checked first, so that only paths that somebody
 * signed are judged, and others are tried if one fails.
 *
 * The peer decides how many certificates there are and what they say; what he can cost is bounded: CHECKS_MAX signatures in the
 * search, STEPS_MAX visits, JUDGED_MAX signatures in judging, NAMES_MAX names against name constraints for a path,
 * CRL_ISSUER_CHECKS_MAX signatures to find who signed a CRL; policies are bounded by OpenSSL. Beyond any of them that path, or
 * the whole, is not trusted. No file is read, no default store, no configuration. */
#include "trust.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "path.h"

enum {
	CHECKS_MAX = 64,
	STEPS_MAX = 1024,
	JUDGED_MAX = 128,
	NAMES_MAX = 1 << 17,
	CRL_ISSUER_CHECKS_MAX = 64,
	DEAR_CHECKS = 8, /* checks that one with a dear key counts for */
};

struct trust_store {
	struct anchors *anchors;
	X509_STORE *store; /* the same certificates, as OpenSSL wants them */
};

enum link { LINK_NAME_DIFFERS, LINK_NOT_SIGNED, LINK_PROVEN };

struct search {
	const struct trust_store *store;
	const struct crls *crls;
	const struct facts *facts;
	int64_t at;
	const struct certificate *path[FACTS_CERTS_MAX];
	size_t path_count;
	struct {
		const struct certificate *subject, *issuer;
		enum link link;
	} links[CHECKS_MAX];
	size_t links_count, checks, steps, judged, crl_issuer_checks;
	bool exhausted;
	bool complete;  /* why and depth are of a path that reached an anchor: the first such one */
	size_t reached; /* else of the longest that did not */
	const char *why;
	size_t depth;
};

static size_t cost_of(const struct certificate *issuer)
{
	return issuer->dear_key ? DEAR_CHECKS : 1;
}

static bool same(const struct certificate *a, const struct certificate *b)
{
	return memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
}

/* --- what OpenSSL asks ---------------------------------------------------------------------------------------------- */

static bool is_signer(struct search *search, X509 *x, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	size_t cost = 1;

	for (size_t i = 0; i < search->facts->certs_count; i++)
		if (search->facts->certs[i].certificate->x509 == issuer)
			cost = cost_of(search->facts->certs[i].certificate);
	search->crl_issuer_checks += cost;
	return key && search->crl_issuer_checks <= CRL_ISSUER_CHECKS_MAX && X509_verify(x, key) == 1;
}

/* Whether issuer comes after x: on the path that is judged, as the search found it; else, for who signed a CRL, by names,
 * identifiers and signature. */
static int is_issuer(X509_STORE_CTX *ctx, X509 *x, X509 *issuer)
{
	X509_STORE_CTX *parent = X509_STORE_CTX_get0_parent_ctx(ctx);
	struct search *search = X509_STORE_CTX_get_app_data(parent ? parent : ctx);

	if (!parent) {
		for (size_t i = 0; i + 1 < search->path_count; i++)
			if (search->path[i]->x509 == x && search->path[i + 1]->x509 == issuer)
				return 1;
		return 0;
	}
	if (X509_check_issued(issuer, x) != X509_V_OK)
		return 0;
	return x == issuer || is_signer(search, x, issuer);
}

/* Errors of asking a CRL. One of them is also of a certificate: then there is no CRL at hand. */
static bool is_revocation(int error, X509_STORE_CTX *ctx)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
	case X509_V_ERR_CERT_REVOKED:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
		return true;
	case X509_V_ERR_INVALID_EXTENSION:
		return X509_STORE_CTX_get0_current_crl(ctx);
	default:
		return false;
	}
}

/* An anchor is trusted because it is in the store: no CRL is needed for it. OpenSSL asks for one all the same. */
static int pass_anchor(int ok, X509_STORE_CTX *ctx)
{
	int depth = X509_STORE_CTX_get_error_depth(ctx), count = sk_X509_num(X509_STORE_CTX_get0_chain(ctx));

	if (ok || depth != count - 1 || !is_revocation(X509_STORE_CTX_get_error(ctx), ctx))
		return ok;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

/* --- the store ------------------------------------------------------------------------------------------------------ */

int trust_store_new(const char *pem, size_t len, struct trust_store **ret, size_t *ret_skipped)
{
	CLEANUP(trust_store_freep) struct trust_store *store = xcalloc(1, sizeof(*store));
	struct certificate *const *list;
	size_t skipped, count;
	int r = anchors_new(pem, len, &store->anchors, &skipped);

	if (r < 0)
		return r;
	list = anchors_list(store->anchors, &count);
	if (count == 0)
		return -ENODATA;
	store->store = X509_STORE_new();
	if (!store->store)
		abort(); /* as util.h has it: no memory */
	X509_STORE_set_check_issued(store->store, is_issuer);
	X509_STORE_set_verify_cb(store->store, pass_anchor);
	for (size_t i = 0; i < count; i++)
		if (X509_STORE_add_cert(store->store, list[i]->x509) != 1)
			abort();
	*ret_skipped = skipped;
	*ret = TAKE_PTR(store);
	return 0;
}

void trust_store_free(struct trust_store *store)
{
	if (!store)
		return;
	X509_STORE_free(store->store);
	anchors_free(store->anchors);
	free(store);
}

void trust_store_freep(struct trust_store **store)
{
	trust_store_free(*store);
}

struct certificate *const *trust_store_certificates(const struct trust_store *store, size_t *ret_count)
{
	return anchors_list(store->anchors, ret_count);
}

/* --- judging one path ----------------------------------------------------------------------------------------------- */

static void fail(struct search *search, const char *why, size_t depth)
{
	if (!search->complete)
		search->complete = true, search->why = why, search->depth = depth;
}

/* Neither too many signatures nor, which OpenSSL bounds for each pair only, too many names. */
static bool affordable(struct search *search)
{
	size_t names = 0;

	for (size_t i = 1; i < search->path_count; i++) {
		search->judged += cost_of(search->path[i]);
		for (size_t j = 0; j < i; j++)
			names += certificate_permits_cost(search->path[i], search->path[j]);
		if (names > NAMES_MAX) {
			fail(search, "more names than are compared with its name constraints", i);
			return false;
		}
	}
	if (search->judged > JUDGED_MAX)
		search->exhausted = true;
	return !search->exhausted;
}

/* What may stand between leaf and anchor; and, where CRLs are asked, all others, of which one may have signed a CRL. */
static STACK_OF(X509) * between(const struct search *search)
{
	STACK_OF(X509) *stack = sk_X509_new_null();
	bool fine = stack;

	for (size_t i = 1; fine && i + 1 < search->path_count; i++)
		fine = sk_X509_push(stack, search->path[i]->x509) > 0;
	for (size_t i = 1; fine && search->crls && i < search->facts->certs_count; i++)
		if (search->facts->certs[i].certificate->x509)
			fine = sk_X509_push(stack, search->facts->certs[i].certificate->x509) > 0;
	if (!fine)
		abort(); /* as util.h has it: no memory */
	return stack;
}

static void set_up(const struct search *search, X509_STORE_CTX *ctx)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK);
	if (search->crls)
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
							   X509_V_FLAG_EXTENDED_CRL_SUPPORT | X509_V_FLAG_USE_DELTAS);
	X509_VERIFY_PARAM_set_purpose(param, search->facts->role == FACTS_ROLE_SERVER ? X509_PURPOSE_SSL_CLIENT :
											X509_PURPOSE_SSL_SERVER);
	/* RFC 5280 6.1.1 c. Without it a certificate that demands an explicit policy is never good to OpenSSL. */
	if (X509_VERIFY_PARAM_add0_policy(param, OBJ_nid2obj(NID_any_policy)) != 1)
		abort();                            /* as util.h has it: no memory */
	X509_VERIFY_PARAM_set_auth_level(param, 0); /* weak keys and hashes are for other rules */
	X509_VERIFY_PARAM_set_depth(param, FACTS_CERTS_MAX);
	X509_VERIFY_PARAM_set_time(param, (time_t)search->at);
}

static const char *text_of(int error)
{
	switch (error) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED:
		return "it could not be checked";
	case X509_V_ERR_OUT_OF_MEM:
		/* There is memory, or the process would have ended: this is OpenSSL's bound. */
		return "more certificate policies than are checked";
	default:
		return X509_verify_cert_error_string(error);
	}
}

static bool judge(struct search *search)
{
	X509_STORE_CTX *ctx;
	STACK_OF(X509) * untrusted;
	STACK_OF(X509_CRL) *crls = NULL;
	bool good;

	if (!affordable(search))
		return false;
	ctx = X509_STORE_CTX_new();
	untrusted = between(search);
	if (!ctx || X509_STORE_CTX_init(ctx, search->store->store, search->path[0]->x509, untrusted) != 1 ||
	    X509_STORE_CTX_set_app_data(ctx, search) != 1)
		abort();
	if (search->crls) {
		crls = crls_stack(search->crls);
		X509_STORE_CTX_set0_crls(ctx, crls);
	}
	set_up(search, ctx);
	good = X509_verify_cert(ctx) == 1 && sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) == (int)search->path_count;
	if (!good) {
		int depth = X509_STORE_CTX_get_error_depth(ctx);

		fail(search, text_of(X509_STORE_CTX_get_error(ctx)), depth > 0 ? (size_t)depth : 0);
	}
	X509_STORE_CTX_free(ctx);
	sk_X509_free(untrusted);
	sk_X509_CRL_free(crls);
	ERR_clear_error();
	return good;
}

/* --- the search ----------------------------------------------------------------------------------------------------- */

/* Backtracking comes by again, so answers are kept. */
static enum link link_of(struct search *search, const struct certificate *subject, const struct certificate *issuer)
{
	enum link link;

	if (!certificate_names_chain(subject, issuer))
		return LINK_NAME_DIFFERS;
	for (size_t i = 0; i < search->links_count; i++)
		if (search->links[i].subject == subject && search->links[i].issuer == issuer)
			return search->links[i].link;
	search->checks += cost_of(issuer);
	if (search->checks > CHECKS_MAX) {
		search->exhausted = true;
		return LINK_NAME_DIFFERS;
	}
	link = certificate_issued_by(subject, issuer) ? LINK_PROVEN : LINK_NOT_SIGNED;
	search->links[search->links_count].subject = subject;
	search->links[search->links_count].issuer = issuer;
	search->links[search->links_count++].link = link;
	return link;
}

/* Going on with a CA that is on the path already, in this certificate or another one, would go in a circle. */
static bool on_path(const struct search *search, const struct certificate *candidate)
{
	for (size_t i = 0; i < search->path_count; i++) {
		const struct certificate *there = search->path[i];

		if (same(there, candidate) || (memcmp(there->spki_sha256, candidate->spki_sha256, SHA256_BYTES) == 0 &&
					       strcmp(there->subject, candidate->subject) == 0))
			return true;
	}
	return false;
}

/* What is likely to be good is tried first; what is not, for the reason it gives. */
static bool is_fit(const struct search *search, const struct certificate *issuer)
{
	return issuer->may_sign && issuer->not_before <= search->at && search->at <= issuer->not_after;
}

static bool climb(struct search *search);

/* Goes on through candidate if it signed what is on top; *ret_named: it has the right name. True if a good path was found,
 * which is then search->path. */
static bool go_on(struct search *search, const struct certificate *candidate, bool anchor, bool *ret_named, bool *ret_linked)
{
	enum link link;

	if (search->exhausted || !candidate->x509 || on_path(search, candidate))
		return false;
	link = link_of(search, search->path[search->path_count - 1], candidate);
	*ret_named |= link != LINK_NAME_DIFFERS;
	if (link != LINK_PROVEN)
		return false;
	*ret_linked = true;
	search->path[search->path_count++] = candidate;
	if (anchor ? judge(search) : climb(search))
		return true;
	search->path_count--;
	return false;
}

static bool is_among(struct certificate *const *list, size_t count, const struct certificate *certificate)
{
	for (size_t i = 0; i < count; i++)
		if (same(list[i], certificate))
			return true;
	return false;
}

/* The path ends here, at no anchor: what OpenSSL would say of it. */
static void dead_end(struct search *search, bool named)
{
	const struct certificate *top = search->path[search->path_count - 1];
	int error = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;

	if (search->complete || search->path_count <= search->reached)
		return;
	if (link_of(search, top, top) == LINK_PROVEN)
		error = search->path_count == 1 ? X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT :
						  X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
	else if (named)
		error = X509_V_ERR_CERT_SIGNATURE_FAILURE;
	search->reached = search->path_count;
	search->why = text_of(error);
	search->depth = search->path_count - 1;
}

/* From the certificate on top upwards: fit issuers before others, and of those anchors, then what is on the proven path
 * (path.h), then the rest. Recursion is no deeper than FACTS_CERTS_MAX. */
static bool climb(struct search *search)
{
	const struct certificate *top = search->path[search->path_count - 1];
	const struct facts *facts = search->facts;
	bool named = false, linked = false;
	struct certificate *const *found;
	size_t count;

	if (++search->steps > STEPS_MAX)
		search->exhausted = true;
	if (search->exhausted)
		return false;
	if (search->path_count == FACTS_CERTS_MAX) {
		fail(search, text_of(X509_V_ERR_CERT_CHAIN_TOO_LONG), search->path_count - 1);
		return false;
	}
	found = anchors_find(search->store->anchors, top, &count);
	for (int fit = 1; fit >= 0; fit--) {
		for (size_t i = 0; i < count; i++)
			if (is_fit(search, found[i]) == fit && go_on(search, found[i], true, &named, &linked))
				return true;
		for (int proven = 1; proven >= 0; proven--)
			for (size_t i = 1; i < facts->certs_count; i++) {
				const struct certificate *candidate = facts->certs[i].certificate;

				if (facts->certs[i].proven == proven && is_fit(search, candidate) == fit &&
				    !is_among(found, count, candidate) && go_on(search, candidate, false, &named, &linked))
					return true;
			}
	}
	if (!linked)
		dead_end(search, named);
	return false;
}

/* A leaf that is itself in the store is a path of one. */
static bool is_anchored(struct search *search)
{
	struct certificate *const *list;
	size_t count;

	list = anchors_list(search->store->anchors, &count);
	for (size_t i = 0; i < count; i++) {
		if (!same(list[i], search->path[0]))
			continue;
		search->path[0] = list[i];
		if (judge(search))
			return true;
		search->path[0] = search->facts->certs[0].certificate;
	}
	return false;
}

/* Why there is nothing to judge; NULL if there is. */
static const char *unfit(const struct facts *facts)
{
	if (facts->without_der)
		return "the certificates' bytes are not known";
	if (facts->truncated)
		return "certificates are missing";
	if (facts->certs_count == 0)
		return "there is no certificate";
	if (!facts->certs[0].certificate->x509)
		return "the leaf is not an X.509 certificate";
	return NULL;
}

bool trust_check(const struct trust_store *store, const struct crls *crls, const struct facts *facts, int64_t at,
		 struct trust_result *ret)
{
	struct search search = {.store = store, .crls = crls, .facts = facts, .at = at};

	*ret = (struct trust_result){.why = unfit(facts)};
	if (ret->why)
		return false;
	search.path[0] = facts->certs[0].certificate;
	search.path_count = 1;
	ret->trusted = is_anchored(&search) || climb(&search);
	if (ret->trusted) {
		memcpy(ret->chain, search.path, sizeof(ret->chain));
		ret->chain_count = search.path_count;
	} else {
		ret->why = search.exhausted && !search.complete ? "more certificates than are tried" : search.why;
		ret->depth = search.depth;
	}
	return ret->trusted;
}
