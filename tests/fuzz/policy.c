/* Fuzz target: policy files. The input is one or several of them, parted by 0xff, which UTF-8 never has. Either the policies
 * are good, and judge; or each complaint has a place in its file and is one line. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "path.h"
#include "policy.h"

enum { FILES_MAX = 4 };

static const char *const files[FILES_MAX] = {"a.yaml", "b.yaml", "c.yaml", "d.yaml"};

/* What the files hold that a policy names: made with the openssl command, and as good in a hundred years. */
static const char store[] = "-----BEGIN CERTIFICATE-----\n"
			    "MIIBajCCARygAwIBAgIUA74PGnAaMi+0B6pEMloz6Rf7v2cwBQYDK2VwMBIxEDAO\n"
			    "BgNVBAMMB0Z1enogQ0EwHhcNMjYxMTIyMDYwOTM2WhcNNDYxMTE3MDYwOTM2WjAS\n"
			    "MRAwDgYDVQQDDAdGdXp6IENBMCowBQYDK2VwAyEAxflj+pTAboADzYNfmezRDKG8\n"
			    "1GFpYCTl59IrN1S1BoKjgYMwgYAwHQYDVR0OBBYEFCbTqjmzRW3i6v3QDGDvFjjv\n"
			    "Ww24MB8GA1UdIwQYMBaAFCbTqjmzRW3i6v3QDGDvFjjvWw24MA8GA1UdEwEB/wQF\n"
			    "MAMBAf8wCwYDVR0PBAQDAgEGMCAGA1UdEQQZMBeCD3d3dy5leGFtcGxlLmNvbYcE\n"
			    "AQEBATAFBgMrZXADQQDUI6oqX/5/3eQANCgYkN9h3X/EEOJLAbBh0Hx12GRVSake\n"
			    "frvfUqfHYVOzRWayTppXxNa5LtvtMqiIhk5uB84E\n"
			    "-----END CERTIFICATE-----\n";
static const char crl[] = "-----BEGIN X509 CRL-----\n"
			  "MIG9MHECAQEwBQYDK2VwMBIxEDAOBgNVBAMMB0Z1enogQ0EXDTI2MTEyMjA2MDkz\n"
			  "NloXDTQ2MDEyMTA2MDkzNlowIzAhAgIKCxcNMjQwMTAxMDAwMDAwWjAMMAoGA1Ud\n"
			  "FQQDCgEBoA4wDDAKBgNVHRQEAwIBATAFBgMrZXADQQDjpcCpujjx/dF3JrlsUQRX\n"
			  "F9IKAC5t1MRkU4iCJ3xytXjVynpfrnfqdEChb5RVDOnsTFittRPBCbJZo0Zr/sAM\n"
			  "-----END X509 CRL-----\n";
static const char logs[] = "{\"version\":\"1.1\",\"log_list_timestamp\":\"2026-01-01T00:00:00Z\",\"operators\":[]}";

static size_t split(const uint8_t *data, size_t len, struct policy_source sources[FILES_MAX])
{
	const char *at = (const char *)data;
	size_t count = 0;

	for (;;) {
		const char *end = count < FILES_MAX - 1 && len ? memchr(at, 0xff, len) : NULL;

		sources[count] = (struct policy_source){files[count], at, end ? (size_t)(end - at) : len};
		count++;
		if (!end)
			return count;
		len -= (size_t)(end + 1 - at);
		at = end + 1;
	}
}

/* Certificates as judging sees them, made by hand: two of a chain. */
static struct facts some_facts(struct certificate certificates[2], struct san *san)
{
	static const char *const names[] = {"CN=www.example.com", "CN=Issuer,O=Example"};

	*san = (struct san){.kind = SAN_DNS, .text = (char *)"www.example.com"};
	for (size_t i = 0; i < 2; i++) {
		certificates[i] = (struct certificate){
			.parsed = true,
			.subject = (char *)names[i],
			.issuer = (char *)names[1],
			.common_name = (char *)names[i] + 3,
			.serial = (char *)"1F",
			.not_before = 1700000000,
			.not_after = 1900000000,
			.key_algorithm = "RSA",
			.key_bits = 2048,
			.signature_algorithm = "sha256WithRSAEncryption",
			.signature_digest = i ? "SHA1" : "SHA256",
			.path_len = -1,
		};
		memset(certificates[i].spki_sha256, (int)i + 1, SHA256_BYTES);
		memset(certificates[i].key_sha256, (int)i + 1, SHA256_BYTES);
		memset(certificates[i].sha256, (int)i + 65, SHA256_BYTES);
	}
	certificates[0].sans = san;
	certificates[0].sans_count = certificates[0].sans_total = 1;
	return (struct facts){
		.role = FACTS_ROLE_CLIENT,
		.library = LIBRARY_OPENSSL,
		.verify_mode = "peer",
		.server_name = "www.example.com",
		.peer = {4, {1, 1, 1, 1}},
		.peer_port = 853,
		.exe = "/usr/bin/curl",
		.user = "alice",
		.certs = {{&certificates[0], true, true, true}, {&certificates[1], true, false, true}},
		.certs_count = 2,
		.path = {&certificates[0], &certificates[1]},
		.path_count = 2,
		.without_der = true, /* nobody shall ask for bytes that are not there */
	};
}

static void check_verdict(const struct policies *policies, const struct verdict *verdict, int64_t now, bool audit)
{
	enum action strongest = ACTION_LOG, done = ACTION_LOG;

	HOLDS(verdict->count == 0 || verdict->strongest < verdict->count);
	for (size_t i = 0; i < verdict->count; i++) {
		const struct violation *v = &verdict->violations[i];

		HOLDS(is_line(v->reason) && v->reason[0] && is_line(v->rule) && is_line(v->ruleset));
		HOLDS(!audit || !v->enforced);
		/* What the judging half asks for is what the privileged half allows. */
		HOLDS(policies_allow(policies, v->ruleset, v->rule, v->action, audit, now) == v->enforced);
		strongest = v->action > strongest ? v->action : strongest;
		done = v->enforced && v->action > done ? v->action : done;
	}
	HOLDS(verdict->requested == strongest && verdict->action == done);
}

/* The same rules are broken as the verdict says, in the same order. */
static void check_explained(const struct policies *policies, const struct facts *facts, int64_t now, bool audit,
			    const struct verdict *verdict)
{
	struct explanation explanation;
	size_t broken = 0, undecided = 0;

	policies_explain(policies, facts, now, audit, &explanation);
	for (size_t i = 0; i < explanation.count; i++) {
		const struct explained_rule *rule = &explanation.rules[i];

		undecided += rule->outcome == EXPLAINED_UNDECIDED;
		for (size_t f = 0; f < rule->count; f++)
			HOLDS(is_line(rule->findings[f].asked) && is_line(rule->findings[f].found));
		if (rule->outcome != EXPLAINED_BROKEN)
			continue;
		HOLDS(broken < verdict->count);
		HOLDS(strcmp(rule->rule, verdict->violations[broken].rule) == 0);
		HOLDS(strcmp(rule->ruleset, verdict->violations[broken].ruleset) == 0);
		broken++;
	}
	HOLDS(broken == verdict->count && undecided == verdict->undecided);
	explanation_clear(&explanation);
}

static void judge(const struct policies *policies, const struct facts *facts)
{
	static const int64_t times[] = {-62167219200, 0, 1800000000, 253402300799}; /* first and last: years 0 and 9999 */

	for (size_t i = 0; i < ARRAY_SIZE(times) * 2; i++) {
		struct verdict verdict;

		policies_judge(policies, facts, times[i / 2], i % 2, &verdict);
		check_verdict(policies, &verdict, times[i / 2], i % 2);
		check_explained(policies, facts, times[i / 2], i % 2, &verdict);
		verdict_clear(&verdict);
	}
}

/* By facts from a log, and by those of a certificate that is there. */
static void judge_all(const struct policies *policies)
{
	struct anchors *anchors = policies_anchors(policies, NULL);
	struct certificate **real = NULL, made[2];
	struct facts facts;
	struct san san;
	size_t count;

	facts = some_facts(made, &san);
	judge(policies, &facts);
	HOLDS(certificates_from_pem(store, sizeof(store) - 1, &real, &count) == 0 && count == 1);
	facts.certs[0].certificate = real[0];
	facts.certs_count = 1;
	facts.without_der = facts.without_keys = false;
	path_prove(&facts, anchors);
	judge(policies, &facts);
	certificates_free(real, count);
	anchors_free(anchors);
}

/* Hands over the files that are named; good: as they should be, else one is missing. */
static bool bind(struct policies *policies, bool good, const struct policy_source *sources, size_t count)
{
	static const struct policy_content contents[] = {
		[POLICY_TRUST_STORE] = {store, sizeof(store) - 1, 0},
		[POLICY_CT_LOGS] = {logs, sizeof(logs) - 1, 0},
		[POLICY_CRL] = {crl, sizeof(crl) - 1, 0},
	};
	CLEANUP(problems_clear) struct problems problems = {0};
	const struct policy_need *needs = NULL;
	size_t needs_count = policies_needs(policies, &needs);
	CLEANUP_FREE struct policy_content *given = xcalloc(needs_count + 1, sizeof(*given));
	int r;

	if (needs_count == 0)
		return good;
	for (size_t i = 0; i < needs_count; i++) {
		HOLDS(needs[i].path && *needs[i].path && needs[i].line >= 1 && needs[i].column >= 1);
		given[i] = contents[needs[i].kind];
	}
	if (!good)
		given[needs_count / 2] = (struct policy_content){.error = ENOENT};
	r = policies_bind(policies, given, &problems);
	HOLDS((r == 0) == (problems.count == 0) && (good || r == -EINVAL));
	problems_check(&problems, sources, count);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policy_source sources[FILES_MAX];
	size_t count = split(data, len, sources);
	const struct policy_moment *moments = NULL;

	for (int good = 0; good < 2; good++) {
		struct policies *policies = NULL;
		int r = policies_parse(sources, count, &policies, &problems);

		HOLDS(r == 0 || (r == -EINVAL && !policies));
		HOLDS((r == 0) == (problems.count == 0));
		problems_check(&problems, sources, count);
		if (r < 0)
			return 0;
		HOLDS(policies_count(policies) == count);
		for (size_t i = 0; i < count; i++) {
			struct policy_info info = policies_info(policies, i);

			HOLDS(info.name && *info.name && is_line(info.name) && strcmp(info.file, files[i]) == 0);
		}
		if (bind(policies, good, sources, count)) {
			for (size_t i = policies_moments(policies, &moments); i-- > 0;)
				HOLDS(moments[i].policy < count && is_line(moments[i].text));
			judge_all(policies);
		}
		policies_free(policies);
	}
	return 0;
}
