/* See standing.h. Owns the lock under which the warden changes what is told, never for longer than it takes to write it down: the finder
 * is asked without it.
 *
 * Answers `status` and `coverage`, one JSON object each (docs/coverage.md). The keys are a promise: see CONTROL_FORMAT. */
#include "standing.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../event/object.h"
#include "control.h"
#include "coverage_json.h"
#include "moment.h"
#include "spread.h"
#include "util.h"

struct standing {
	struct standing_options options;
	int64_t since;
	uint64_t since_ns;
	pthread_mutex_t mutex; /* of all below */
	const struct policies *policies;
	struct finder *finder;
	enum gate_state gate;
	char *gate_why;
};

struct standing *standing_new(const struct standing_options *options)
{
	struct standing *standing = xcalloc(1, sizeof(*standing));

	standing->options = *options;
	standing->since = time(NULL);
	standing->since_ns = now_ns();
	pthread_mutex_init(&standing->mutex, NULL);
	return standing;
}

void standing_free(struct standing *standing)
{
	if (!standing)
		return;
	pthread_mutex_destroy(&standing->mutex);
	free(standing->gate_why);
	free(standing);
}

void standing_policies(struct standing *standing, const struct policies *policies)
{
	pthread_mutex_lock(&standing->mutex);
	standing->policies = policies;
	pthread_mutex_unlock(&standing->mutex);
}

void standing_finder(struct standing *standing, struct finder *finder)
{
	pthread_mutex_lock(&standing->mutex);
	standing->finder = finder;
	pthread_mutex_unlock(&standing->mutex);
}

void standing_gate(struct standing *standing, enum gate_state state, const char *why)
{
	pthread_mutex_lock(&standing->mutex);
	standing->gate = state;
	free(standing->gate_why);
	standing->gate_why = *why ? xstrdup(why) : NULL;
	pthread_mutex_unlock(&standing->mutex);
}

/* --- parts ---------------------------------------------------------------------------------------------------------- */

static struct json *agent_part(const struct standing *standing)
{
	struct json *object = object_begin();

	object_text(object, "version", TLSWARDEN_VERSION, ID_TEXT_MAX);
	object_number(object, "pid", getpid());
	object_time(object, "since", standing->since);
	object_count(object, "uptime_s", (now_ns() - standing->since_ns) / 1000000000);
	object_text(object, "state", standing->finder ? "running" : "starting", ID_TEXT_MAX);
	object_text(object, "mode", standing->options.audit_only ? "audit" : "as the policies say", ID_TEXT_MAX);
	return object;
}

/* "audit, as enforce_until has passed": the word, and why it is so. */
static void put_mode(struct json *object, const char *mode)
{
	const char *comma = strchr(mode, ',');
	CLEANUP_FREE char *word = xstrndup(mode, comma ? (size_t)(comma - mode) : strlen(mode));

	object_text(object, "mode", word, ID_TEXT_MAX);
	if (comma)
		object_text(object, "mode_reason", comma + 2, ID_TEXT_MAX);
}

static struct json *policies_part(const struct standing *standing)
{
	struct json *list = array_begin();
	int64_t now = time(NULL);

	for (size_t i = 0; standing->policies && i < policies_count(standing->policies); i++) {
		const struct policy_info info = policies_info(standing->policies, i);
		struct json *object = object_begin();

		object_raw(object, "name", info.name, ID_TEXT_MAX);
		object_raw(object, "file", info.file, PATH_TEXT_MAX);
		put_mode(object, policies_mode(standing->policies, i, standing->options.audit_only, now));
		object_hex(object, "sha256", info.sha256, SHA256_BYTES, false);
		object_count(object, "rules", info.rules);
		if (info.has_enforce_until)
			object_time(object, "enforce_until", info.enforce_until);
		if (info.has_expires)
			object_time(object, "expires", info.expires);
		array_child(list, object);
	}
	return list;
}

static struct json *gate_part(const struct standing *standing)
{
	static const char *const states[] = {[GATE_OFF] = "off", [GATE_ON] = "on", [GATE_UNAVAILABLE] = "unavailable"};
	const struct gate_options *options = &standing->options.gate;
	struct json *object = object_begin();

	object_text(object, "state", states[standing->gate], ID_TEXT_MAX);
	object_raw(object, "reason", standing->gate_why, TEXT_MAX);
	object_text(object, "fail", options->closed ? "closed" : "open", ID_TEXT_MAX);
	object_count(object, "timeout_ms", options->timeout_ms);
	object_count(object, "max", options->max);
	return object;
}

/* Names as in the event agent-stopped. */
static struct json *counters_part(const struct counters *counters)
{
	struct json *object = object_begin(), *cached = object_begin(), *gate = object_begin(), *lost = object_begin();
	struct json *release = object_begin();

	object_count(object, "verifications", counters->verifications);
	object_count(object, "not_tls", counters->not_tls);
	object_count(object, "no_certificate", counters->no_certificate);
	object_count(cached, "allowed", counters->passed);
	object_count(cached, "denied", counters->denied);
	object_child(object, "cached", cached);
	object_count(gate, "sockets", counters->gated);
	object_count(gate, "packets", counters->held);
	object_count(gate, "released", spread_count(&counters->released_us));
	object_count(release, "p50", spread_at(&counters->released_us, 500));
	object_count(release, "p99", spread_at(&counters->released_us, 990));
	object_child(gate, "release_us", release);
	object_child(object, "gate", gate);
	object_count(lost, "verifications", counters->lost_verify);
	object_count(lost, "certificates", counters->lost_cert);
	object_count(lost, "calls", counters->lost_call);
	object_count(lost, "gated", counters->gate_full);
	object_count(lost, "remembered", counters->lost_verified);
	object_count(lost, "notices", counters->lost_notice);
	object_child(object, "lost", lost);
	return object;
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void coverage_freep(struct coverage **coverage)
{
	coverage_free(*coverage);
}

/* NULL: it is not there yet. */
static struct finder *finder_of(struct standing *standing)
{
	struct finder *finder;

	pthread_mutex_lock(&standing->mutex);
	finder = standing->finder;
	pthread_mutex_unlock(&standing->mutex);
	return finder;
}

/* What cannot be told is left out, and the answer says why. */
static void put_coverage(struct standing *standing, struct json *answer, bool with_processes)
{
	CLEANUP(coverage_freep) struct coverage *coverage = NULL;
	struct finder *finder = finder_of(standing);
	int err = finder ? finder_coverage(finder, true, &coverage) : -EAGAIN;
	CLEANUP_FREE char *why = NULL;

	if (err) {
		why = xasprintf("%s", err == -EAGAIN    ? "the agent is starting, ask again" :
				      err == -ETIMEDOUT ? "looking for libraries takes longer than usual, ask again" :
							  strerror(-err));
		object_text(answer, "coverage_unknown", why, TEXT_MAX);
		return;
	}
	object_child(answer, "processes_count", coverage_counts(coverage));
	object_list(answer, "libraries", coverage_libraries(coverage));
	if (with_processes)
		object_list(answer, "processes", coverage_processes(coverage));
	object_child(answer, "attach_us", coverage_times(coverage));
	object_child(answer, "finding", coverage_finding(coverage));
}

static char *answer(struct standing *standing, bool status)
{
	struct json *object = object_begin();

	object_count(object, "control", CONTROL_FORMAT);
	pthread_mutex_lock(&standing->mutex);
	object_child(object, "agent", agent_part(standing));
	if (status) {
		object_list(object, "policies", policies_part(standing));
		object_child(object, "gate", gate_part(standing));
	}
	pthread_mutex_unlock(&standing->mutex);
	if (status && standing->options.counters)
		object_child(object, "counters", counters_part(standing->options.counters));
	put_coverage(standing, object, !status);
	return object_line(object);
}

char *standing_answer(void *context, const char *request)
{
	bool status = strcmp(request, "status") == 0;

	if (!status && strcmp(request, "coverage") != 0)
		return control_error("there is no such request: status and coverage are");
	return answer(context, status);
}
