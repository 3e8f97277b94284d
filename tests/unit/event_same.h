/* A line of the log read back, and compared with the facts that it was made of. Include after cmocka.h. */
#ifndef EVENT_SAME_H
#define EVENT_SAME_H

#include <string.h>

#include "event_read.h"
#include "policy.h"
#include "util.h"

/* A line that must be a verification. Read twice: what the reader remembers of the first time changes nothing. */
static inline struct event_read read_back(const char *line, const struct anchors *anchors)
{
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(anchors);
	struct event_read event = {0};
	char *why = NULL;

	for (size_t i = 0; i < 2; i++) {
		event_read_clear(&event);
		if (event_read(reader, line, strlen(line), &event, &why) != EVENT_VERIFICATION)
			fail_msg("%s in %s", why, line);
		assert_null(why);
	}
	return event;
}

/* Of units the facts have the escaped text, and the context what the kernel says. */
static const char *const some_units[] = {NULL, "a.service", "b.service", "a\\\\x2d.service"};
static const char *const raw_units[] = {NULL, "a.service", "b.service", "a\\x2d.service"};

static inline const char *raw_unit(const char *unit)
{
	for (size_t i = 0; i < ARRAY_SIZE(some_units); i++)
		if (some_units[i] == unit)
			return raw_units[i];
	return NULL;
}

static inline char *line_of(const struct facts *facts, bool certificates)
{
	const struct event_head head = {.time_us = 1795309323123456, .sequence = 1, .host = "web1"};
	const struct verdict nothing = {0};
	struct event_verification v = {.facts = facts, .verdict = &nothing, .certificates = certificates};

	v.context.exe = facts->exe;
	v.context.unit = raw_unit(facts->unit);
	v.context.container = facts->container;
	return event_verification_json(&head, &v);
}

static inline void same_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a)
		assert_string_equal(a, b);
}

static inline void same_certificate(const struct certificate *a, const struct certificate *b)
{
	assert_memory_equal(a->sha256, b->sha256, SHA256_BYTES);
	assert_int_equal(a->parsed, b->parsed);
	same_text(a->error, b->error);
	if (!a->parsed)
		return;
	assert_memory_equal(a->spki_sha256, b->spki_sha256, SHA256_BYTES);
	assert_int_equal(a->has_twin, b->has_twin);
	assert_memory_equal(a->twin_sha256, b->twin_sha256, SHA256_BYTES);
	same_text(a->subject, b->subject);
	same_text(a->issuer, b->issuer);
	same_text(a->common_name, b->common_name);
	same_text(a->organization, b->organization);
	same_text(a->serial, b->serial);
	same_text(a->key_algorithm, b->key_algorithm);
	same_text(a->signature_algorithm, b->signature_algorithm);
	same_text(a->signature_digest, b->signature_digest);
	assert_int_equal(a->key_bits, b->key_bits);
	assert_int_equal(a->not_before, b->not_before);
	assert_int_equal(a->not_after, b->not_after);
}

static inline void same_leaf(const struct certificate *a, const struct certificate *b)
{
	if (!a->parsed)
		return;
	assert_int_equal(a->sans_count, b->sans_count);
	assert_int_equal(a->sans_total, b->sans_total);
	for (size_t i = 0; i < a->sans_count; i++) {
		same_text(a->sans[i].text, b->sans[i].text);
		assert_int_equal(a->sans[i].kind, b->sans[i].kind);
		assert_int_equal(a->sans[i].odd, b->sans[i].odd);
		assert_true(address_equal(&a->sans[i].address, &b->sans[i].address));
	}
}

static inline void same_facts(const struct facts *a, const struct facts *b)
{
	assert_int_equal(a->role, b->role);
	assert_int_equal(a->library, b->library);
	assert_int_equal(a->verify, b->verify);
	assert_int_equal(a->verify_code, b->verify_code);
	same_text(a->verify_mode, b->verify_mode);
	assert_int_equal(a->proof, b->proof);
	assert_int_equal(a->resumed, b->resumed);
	assert_int_equal(a->early_data, b->early_data);
	same_text(a->server_name, b->server_name);
	same_text(a->expected_host, b->expected_host);
	assert_true(address_equal(&a->local, &b->local) && address_equal(&a->peer, &b->peer));
	assert_int_equal(a->peer_port, b->peer_port);
	assert_int_equal(a->local_port, b->local_port);
	same_text(a->exe, b->exe);
	same_text(a->user, b->user);
	same_text(a->unit, b->unit);
	same_text(a->container, b->container);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->truncated, b->truncated);
	assert_int_equal(a->truncated && a->lost, b->lost);
	assert_int_equal(a->path_cut, b->path_cut);
	assert_int_equal(a->certs_count, b->certs_count);
	assert_int_equal(a->path_count, b->path_count);
	assert_int_equal(a->beside_count, b->beside_count);
	for (size_t i = 0; i < a->certs_count; i++) {
		same_certificate(a->certs[i].certificate, b->certs[i].certificate);
		assert_int_equal(a->certs[i].presented, b->certs[i].presented);
		assert_int_equal(a->certs[i].chain, b->certs[i].chain);
		assert_int_equal(a->certs[i].proven, b->certs[i].proven);
	}
	for (size_t i = 0; i < a->path_count; i++)
		same_certificate(a->path[i], b->path[i]);
	for (size_t i = 0; i < a->beside_count; i++)
		same_certificate(a->beside[i], b->beside[i]);
	if (a->certs_count)
		same_leaf(a->certs[0].certificate, b->certs[0].certificate);
}

static inline void same_verdict(const struct policies *policies, const struct facts *a, const struct facts *b)
{
	CLEANUP(verdict_clear) struct verdict left = {0}, right = {0};

	policies_judge(policies, a, 1795309323, false, &left);
	policies_judge(policies, b, 1795309323, false, &right);
	assert_int_equal(left.count, right.count);
	assert_int_equal(left.undecided, right.undecided);
	for (size_t i = 0; i < left.count; i++) {
		assert_string_equal(left.violations[i].rule, right.violations[i].rule);
		assert_string_equal(left.violations[i].reason, right.violations[i].reason);
	}
}

#endif
