/* Fuzz target: lines of a log. What is read from one holds together as facts do, has only texts that are safe to print, and
 * can be judged; what is not says why. */
#include <string.h>

#include "event_read.h"
#include "fuzz.h"
#include "policy.h"

static const char rules[] =
	"version: 1\nname: p\nrules:\n"
	"  - {id: named, match: [{san_dns: \"**.example.com\"}, {server_name: \"**.test\"}], require: {verified: true}}\n"
	"  - {id: proven, match: [{any: true}], require: {issuer_in: [{name: x, spki_sha256: "
	"\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}]}}\n"
	"  - {id: gone, match: [{any: true}], forbid: {key_in: [{name: x, spki_sha256: "
	"\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}]}}\n";

static const struct policies *some_policies(void)
{
	static struct policies *policies;
	const struct policy_source source = {"rules.yaml", rules, sizeof(rules) - 1};
	struct problems problems = {0};

	if (!policies)
		HOLDS(policies_parse(&source, 1, &policies, &problems) == 0);
	return policies;
}

static void check_certificate(const struct facts *facts, const struct certificate *c)
{
	HOLDS(facts->without_der ? !c->x509 && c->der_len == 0 : c->der_len > 0 || facts->truncated);
	if (!c->parsed)
		return;
	HOLDS(is_line(c->subject) && is_line(c->issuer));
	HOLDS(c->sans_count <= SANS_MAX && c->sans_count <= c->sans_total);
	for (size_t i = 0; i < c->sans_count; i++)
		HOLDS(is_line(c->sans[i].text));
}

static bool presented(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].certificate == certificate)
			return true;
	return false;
}

static void check_facts(const struct facts *facts)
{
	HOLDS(facts->certs_count <= FACTS_CERTS_MAX && facts->path_count <= FACTS_CERTS_MAX);
	HOLDS(facts->beside_count <= FACTS_BESIDE_MAX);
	HOLDS(facts->path_count == 0 || (facts->certs_count > 0 && facts->path[0] == facts->certs[0].certificate));
	for (size_t i = 0; i < facts->certs_count; i++)
		check_certificate(facts, facts->certs[i].certificate);
	for (size_t i = 0; i < facts->path_count; i++) {
		check_certificate(facts, facts->path[i]);
		for (size_t j = 0; j < i; j++)
			HOLDS(facts->path[i] != facts->path[j]);
	}
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].proven && facts->path_count)
			HOLDS(presented(facts, facts->certs[i].certificate));
	HOLDS(!facts->server_name || is_line(facts->server_name));
	HOLDS(!facts->expected_host || is_line(facts->expected_host));
	HOLDS(!facts->unit || is_line(facts->unit));
	HOLDS(!facts->container || is_line(facts->container));
}

static void check_line(struct event_reader *reader, const char *line, size_t len)
{
	CLEANUP_FREE char *why = NULL;
	struct event_read event;
	struct verdict verdict;
	enum event_kind kind = event_read(reader, line, len, &event, &why);

	HOLDS((kind == EVENT_TORN || kind == EVENT_FOREIGN) == (why != NULL));
	HOLDS(!why || (is_line(why) && *why));
	if (kind != EVENT_VERIFICATION)
		return;
	HOLDS(!event.process || is_line(event.process));
	HOLDS(!event.exe || is_line(event.exe));
	for (size_t i = 0; i < event.violations_count; i++)
		HOLDS(is_line(event.violations[i].rule) && is_line(event.violations[i].ruleset));
	check_facts(&event.facts);
	policies_judge(some_policies(), &event.facts, event.time_us / 1000000, false, &verdict);
	for (size_t i = 0; i < verdict.count; i++)
		HOLDS(is_line(verdict.violations[i].reason));
	verdict_clear(&verdict);
	event_read_clear(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(NULL);
	const char *at = (const char *)data;

	while (len > 0) {
		const char *end = memchr(at, '\n', len);
		size_t line = end ? (size_t)(end - at) + 1 : len;

		check_line(reader, at, line);
		at += line;
		len -= line;
	}
	return 0;
}
