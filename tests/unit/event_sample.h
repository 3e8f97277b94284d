/* A verification with everything known, made by hand: what the tests of events begin with, and then change. */
#ifndef EVENT_SAMPLE_H
#define EVENT_SAMPLE_H

#include <string.h>

#include "event.h"

/* The verification, and the memory behind it. */
struct sample {
	struct san sans[2];
	struct certificate leaf, issuer, root;
	struct facts facts;
	struct violation violations[2];
	struct verdict verdict;
	struct event_head head;
	struct event_verification v;
};

static const uint8_t policy_sha256[32] = {0xab, 0xcd};
static const uint8_t build_id[4] = {0xde, 0xad, 0xbe, 0xef};

static inline struct certificate sample_certificate(uint8_t mark, char *subject, char *issuer, char *serial)
{
	struct certificate c = {.parsed = true,
				.subject = subject,
				.issuer = issuer,
				.serial = serial,
				.not_before = 1708257600,
				.not_after = 1739880000,
				.key_algorithm = "RSA",
				.key_bits = 2048,
				.signature_algorithm = "sha256WithRSAEncryption"};

	c.der_len = 1000;
	memset(c.sha256, mark, sizeof(c.sha256));
	memset(c.spki_sha256, mark + 1, sizeof(c.spki_sha256));
	return c;
}

static inline void sample_init(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->sans[0] = (struct san){.kind = SAN_IP, .text = "1.1.1.1"};
	s->sans[1] = (struct san){.kind = SAN_DNS, .text = "test.example"};
	s->leaf = sample_certificate(0x41, "CN=1.1.1.1", "CN=Fina RDC 2020,O=Financijska agencija,C=HR", "0A0B");
	s->leaf.sans = s->sans;
	s->leaf.sans_count = s->leaf.sans_total = 2;
	s->issuer = sample_certificate(0x51, "CN=Fina RDC 2020,O=Financijska agencija,C=HR", "CN=Fina Root CA,C=HR", "02");
	s->root = sample_certificate(0x61, "CN=Fina Root CA,C=HR", "CN=Fina Root CA,C=HR", "01");
	s->facts = (struct facts){
		.role = FACTS_ROLE_CLIENT,
		.library = LIBRARY_OPENSSL,
		.verify = VERIFY_OK,
		.verify_mode = "peer",
		.server_name = "one.one.one.one",
		.expected_host = "one.one.one.one",
		.local = {4, {192, 0, 2, 9}},
		.peer = {4, {1, 1, 1, 1}},
		.local_port = 40112,
		.peer_port = 853,
		.exe = "/usr/bin/curl",
		.user = "alice",
		.uid = 1000,
		.certs = {{&s->leaf, true, true, true}, {&s->issuer, true, true, true}},
		.certs_count = 2,
		.path = {&s->leaf, &s->issuer, &s->root},
		.path_count = 3,
	};
	s->violations[0] = (struct violation){.rule = "old-key",
					      .ruleset = "lab",
					      .reason = "2048 bits",
					      .action = ACTION_LOG,
					      .severity = SEVERITY_LOW,
					      .policy_sha256 = policy_sha256};
	s->violations[1] = (struct violation){.rule = "resolver-issuer",
					      .description = "only these CAs",
					      .ruleset = "public-resolvers",
					      .reason = "no key of @resolver-cas",
					      .action = ACTION_KILL,
					      .severity = SEVERITY_CRITICAL,
					      .enforced = true,
					      .policy_sha256 = policy_sha256};
	s->verdict = (struct verdict){
		.violations = s->violations, .count = 2, .requested = ACTION_KILL, .action = ACTION_KILL, .strongest = 1};
	s->head = (struct event_head){.time_us = 1795309323123456, .sequence = 42, .host = "web1"};
	s->v = (struct event_verification){
		.facts = &s->facts,
		.verdict = &s->verdict,
		.result = RESULT_KILLED,
		.latency_verdict_us = 143,
		.latency_action_us = 201,
		.context = {.pid = 812,
			    .exe = "/usr/bin/curl",
			    .comm = "curl",
			    .start_ticks = 48213377,
			    .unit = "unbound.service",
			    .container = "c0ffee",
			    .library_version = "3.0.22",
			    .library_path = "/usr/lib/libssl.so.3",
			    .build_id = build_id,
			    .build_id_len = sizeof(build_id),
			    .socket_cookie = 4711,
			    .socket_how = "fd"},
	};
}

#endif
