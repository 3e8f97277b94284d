/* A verification as one line of JSON: Elastic Common Schema 8.17 where it has a field, ours under `tlswarden`.
 *
 * Pure: facts, verdict and context in, text out. Texts of the facts and of the verdict are escaped already; paths, and
 * whatever else is bytes of the host, are escaped here. Order and names of keys are the documented ones; a key whose value
 * is unknown is left out, but for tls.client.server_name: null there says that the client named no server.
 * Digests are upper-case hex as ECS wants them, a policy's is lower-case as sha256sum(1) writes it.
 * Bounds: EVENT_LINE_MAX holds because every text is cut (object.h) and every list has its own bound below. */
#include "event.h"

#include <string.h>

#include "chain.h"
#include "object.h"
#include "parties.h"
#include "util.h"
#include "words.h"

static const struct violation *strongest(const struct verdict *verdict)
{
	return verdict->count ? &verdict->violations[verdict->strongest] : NULL;
}

/* What became of the connection (ECS event.type of the category "network"): denied; allowed, though a rule was broken; or
 * no decision about it at all. */
static const char *event_type(const struct event_verification *v)
{
	if (v->result == RESULT_KILLED || v->result == RESULT_PROCESS_KILLED || v->result == RESULT_REJECTED)
		return "denied";
	return v->verdict->count ? "allowed" : "info";
}

/* The outcome is the verification's: did this peer pass? */
static const char *event_outcome(const struct event_verification *v)
{
	if (v->verdict->count)
		return "failure";
	switch (v->facts->verify) {
	case VERIFY_OK:
		return "success";
	case VERIFY_FAILED:
	case VERIFY_FAILED_IGNORED:
		return "failure";
	case VERIFY_OFF:
	case VERIFY_BY_CALLBACK:
	case VERIFY_NO_CERTIFICATE:
	case VERIFY_PENDING:
		break;
	}
	return "unknown";
}

static struct json *event_block(const struct event_head *head, const struct event_verification *v)
{
	const struct violation *violation = strongest(v->verdict);
	struct json *event = object_begin();

	object_text(event, "kind", violation ? "alert" : "event", ID_TEXT_MAX);
	object_list_of_one(event, "category", "network");
	object_list_of_one(event, "type", event_type(v));
	object_text(event, "action", violation ? "policy-violation" : "peer-verified", ID_TEXT_MAX);
	object_text(event, "outcome", event_outcome(v), ID_TEXT_MAX);
	object_count(event, "sequence", head->sequence);
	if (violation)
		object_number(event, "severity", violation->severity);
	return event;
}

static void put_parties(struct json *object, const struct event_verification *v)
{
	const struct facts *facts = v->facts;
	const struct event_context *context = &v->context;
	const struct connection connection = {.role = facts->role,
					      .local = &facts->local,
					      .peer = &facts->peer,
					      .local_port = facts->local_port,
					      .peer_port = facts->peer_port,
					      .server_name = facts->server_name,
					      .context = context};

	object_child(object, "process",
		     process_json(context, context->exe ? context->exe : facts->exe, facts->uid, facts->user));
	put_workload(object, context);
	put_connection(object, &connection);
}

static struct json *x509_block(const struct certificate *leaf)
{
	struct json *x509 = object_begin(), *names = array_begin();

	object_text(x509, "serial_number", leaf->serial, TEXT_MAX);
	for (size_t i = 0; i < leaf->sans_count && i < SANS_SHOWN; i++)
		array_text(names, leaf->sans[i].text, SAN_TEXT_MAX);
	object_child(x509, "alternative_names", names);
	object_text(x509, "public_key_algorithm", leaf->key_algorithm, ID_TEXT_MAX);
	if (leaf->key_bits)
		object_count(x509, "public_key_size", leaf->key_bits);
	object_text(x509, "signature_algorithm", leaf->signature_algorithm, ID_TEXT_MAX);
	return x509;
}

/* The leaf, into tls.server or tls.client; of one that does not parse only the hash is known. */
static void put_leaf(struct json *side, const struct facts *facts)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;
	struct json *hash = object_begin();

	if (leaf && leaf->parsed) {
		object_text(side, "subject", leaf->subject, TEXT_MAX);
		object_text(side, "issuer", leaf->issuer, TEXT_MAX);
		object_time(side, "not_before", leaf->not_before);
		object_time(side, "not_after", leaf->not_after);
	}
	if (leaf)
		object_hex(hash, "sha256", leaf->sha256, leaf->parsed || leaf->der_len ? sizeof(leaf->sha256) : 0, true);
	object_child(side, "hash", hash);
	if (leaf && leaf->parsed)
		object_child(side, "x509", x509_block(leaf));
}

/* certificates: NULL, or an array, which it takes: into the block that has the leaf. */
static struct json *tls_block(const struct facts *facts, struct json *certificates)
{
	struct json *tls = object_begin(), *client = object_begin(), *server = object_begin();
	struct json *peer = facts->role == FACTS_ROLE_SERVER ? client : server;

	if (facts->server_name)
		object_text(client, "server_name", facts->server_name, TEXT_MAX);
	else
		object_null(client, "server_name");
	put_leaf(peer, facts);
	if (certificates)
		object_child(peer, "certificate_chain", certificates);
	object_child(tls, "client", client);
	object_child(tls, "server", server);
	if (facts->resumed)
		object_flag(tls, "resumed", true);
	return tls;
}

static struct json *rule_block(const struct violation *violation)
{
	struct json *rule = object_begin();

	if (violation) {
		object_text(rule, "id", violation->rule, ID_TEXT_MAX);
		object_text(rule, "name", violation->description, TEXT_MAX);
		object_text(rule, "ruleset", violation->ruleset, ID_TEXT_MAX);
	}
	return rule;
}

static struct json *library_block(const struct event_verification *v)
{
	struct json *library = object_begin();

	object_text(library, "name", library_words.items[v->facts->library], ID_TEXT_MAX);
	object_raw(library, "version", v->context.library_version, ID_TEXT_MAX);
	object_raw(library, "path", v->context.library_path, PATH_TEXT_MAX);
	object_hex(library, "build_id", v->context.build_id, v->context.build_id_len, false);
	return library;
}

static struct json *verify_block(const struct facts *facts)
{
	struct json *verify = object_begin();

	object_text(verify, "result", verify_words.items[facts->verify], ID_TEXT_MAX);
	object_number(verify, "code", facts->verify_code);
	object_text(verify, "mode", facts->verify_mode, ID_TEXT_MAX);
	object_text(verify, "expected_host", facts->expected_host, TEXT_MAX);
	return verify;
}

/* What took the place of a certificate. */
static struct json *peer_block(const struct facts *facts)
{
	struct json *peer = object_begin();

	if (facts->verify == VERIFY_NO_CERTIFICATE)
		object_text(peer, "proof", proof_words.items[facts->proof], ID_TEXT_MAX);
	return peer;
}

static struct json *violations_block(const struct verdict *verdict)
{
	struct json *list = array_begin();

	for (size_t i = 0; i < verdict->count && i < VIOLATIONS_SHOWN; i++) {
		const struct violation *violation = &verdict->violations[i];
		struct json *entry = object_begin();

		object_text(entry, "rule", violation->rule, ID_TEXT_MAX);
		object_text(entry, "ruleset", violation->ruleset, ID_TEXT_MAX);
		object_text(entry, "reason", violation->reason, TEXT_MAX);
		object_text(entry, "action", action_names[violation->action], ID_TEXT_MAX);
		array_child(list, entry);
	}
	return list;
}

static struct json *policy_block(const struct violation *violation)
{
	struct json *policy = object_begin();

	if (violation) {
		object_text(policy, "name", violation->ruleset, ID_TEXT_MAX);
		object_text(policy, "mode", violation->enforced ? "enforce" : "audit", ID_TEXT_MAX);
		object_hex(policy, "sha256", violation->policy_sha256, SHA256_BYTES, false);
	}
	return policy;
}

static struct json *action_block(const struct event_verification *v)
{
	struct json *action = object_begin();

	if (v->verdict->count)
		object_text(action, "requested", action_names[v->verdict->requested], ID_TEXT_MAX);
	object_text(action, "result", result_words.items[v->result], ID_TEXT_MAX);
	if (v->result == RESULT_FAILED)
		object_raw(action, "reason", v->result_reason, TEXT_MAX);
	return action;
}

static void put_left_out(struct json *object, const char *key, size_t total, size_t shown)
{
	if (total > shown)
		object_count(object, key, total - shown);
}

/* What is not there, and why: a rule that cannot be sure looks at it. */
static void put_gaps(struct json *own, const struct facts *facts)
{
	if (facts->truncated)
		object_flag(own, "truncated", true);
	if (facts->truncated && facts->lost)
		object_flag(own, "certificates_lost", true);
	if (facts->path_cut)
		object_flag(own, "path_cut", true);
}

/* What the list of names alone does not tell. */
static void put_names(struct json *own, const struct certificate *leaf)
{
	size_t shown = leaf->sans_count;
	bool odd = false;

	if (shown > SANS_SHOWN)
		shown = SANS_SHOWN;
	for (size_t i = 0; i < shown; i++)
		odd |= san_guess(leaf->sans[i].text) != leaf->sans[i].kind;
	if (odd) {
		struct json *kinds = array_begin();

		for (size_t i = 0; i < shown; i++)
			array_text(kinds, san_words.items[leaf->sans[i].kind], ID_TEXT_MAX);
		object_child(own, "alternative_name_kinds", kinds);
	}
	put_left_out(own, "alternative_names_left_out", leaf->sans_total, shown);
}

static struct json *tlswarden_block(const struct event_verification *v)
{
	const struct facts *facts = v->facts;
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;
	struct json *own = object_begin(), *latency = object_begin();

	object_text(own, "role", role_words.items[facts->role], ID_TEXT_MAX);
	object_child(own, "library", library_block(v));
	object_child(own, "verify", verify_block(facts));
	object_child(own, "peer", peer_block(facts));
	if (facts->early_data)
		object_flag(own, "early_data", true);
	object_child(own, "chain", chain_json(facts));
	put_gaps(own, facts);
	if (leaf && leaf->parsed)
		put_names(own, leaf);
	object_child(own, "socket", socket_json(&v->context));
	object_child(own, "violations", violations_block(v->verdict));
	put_left_out(own, "violations_left_out", v->verdict->count, VIOLATIONS_SHOWN);
	object_child(own, "policy", policy_block(strongest(v->verdict)));
	object_child(own, "action", action_block(v));
	if (v->retroactive)
		object_flag(own, "retroactive", true);
	if (v->process_gone)
		object_flag(own, "process_gone", true);
	object_count(latency, "verdict", v->latency_verdict_us);
	if (v->latency_action_us)
		object_count(latency, "action", v->latency_action_us);
	object_child(own, "latency_us", latency);
	object_count(own, "lost_before", v->lost_before);
	return own;
}

static struct json *whole_event(const struct event_head *head, const struct event_verification *v, bool with_certificates)
{
	struct json *object = object_event(head, event_block(head, v));
	struct json *certificates = with_certificates ? certificates_json(v->facts) : NULL, *own = tlswarden_block(v);

	if (v->certificates && v->facts->certs_count && !certificates)
		object_flag(own, "certificates_left_out", true);
	put_parties(object, v);
	object_child(object, "tls", tls_block(v->facts, certificates));
	object_child(object, "rule", rule_block(strongest(v->verdict)));
	object_child(object, "tlswarden", own);
	return object;
}

char *event_verification_json(const struct event_head *head, const struct event_verification *verification)
{
	char *line = object_line(whole_event(head, verification, verification->certificates));

	if (verification->certificates && strlen(line) > EVENT_LINE_MAX) {
		free(line);
		line = object_line(whole_event(head, verification, false));
	}
	return line;
}
