/* How the agent stands, for people (status.h). Whatever the agent did not tell is left out. */
#include "status.h"

#include <inttypes.h>
#include <string.h>

#include "agent_ask.h"
#include "columns.h"
#include "util.h"

enum { INDENT = 2, HANG = 4 };

char *duration_text(uint64_t us)
{
	if (us < 1000)
		return xasprintf("%" PRIu64 " µs", us);
	if (us < 1000000)
		return xasprintf("%.1f ms", (double)us / 1000);
	return xasprintf("%.1f s", (double)us / 1000000);
}

char *library_text(struct json_object *library)
{
	const char *name = answer_text(library, "name"), *version = answer_text(library, "version");
	const char *path = answer_text(library, "path"), *base = strrchr(path, '/');

	if (!*name)
		return xstrdup(base && base[1] ? base + 1 : path);
	return xasprintf("%s%s%s", name, *version ? " " : "", version);
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static char *uptime_text(uint64_t seconds)
{
	if (seconds < 60)
		return xasprintf("%" PRIu64 " s", seconds);
	if (seconds < 3600)
		return xasprintf("%" PRIu64 " min", seconds / 60);
	if (seconds < 86400)
		return xasprintf("%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
	return xasprintf("%" PRIu64 " d %" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
}

static void print_agent(FILE *out, struct json_object *answer)
{
	CLEANUP_FREE char *up = uptime_text(answer_count(answer, "agent.uptime_s"));
	CLEANUP_FREE char *first = xasprintf("tlswarden %s, process %" PRIu64 ", %s since %s (%s)",
					     answer_text(answer, "agent.version"), answer_count(answer, "agent.pid"),
					     answer_text(answer, "agent.state"), answer_text(answer, "agent.since"), up);
	CLEANUP_FREE char *mode = xasprintf("Mode: %s", answer_text(answer, "agent.mode"));

	paragraph_print(out, 0, HANG, first);
	paragraph_print(out, 0, HANG, mode);
}

static void print_gate(FILE *out, struct json_object *answer)
{
	const char *state = answer_text(answer, "gate.state"), *why = answer_text(answer, "gate.reason");
	bool closed = strcmp(answer_text(answer, "gate.fail"), "closed") == 0, on = strcmp(state, "on") == 0;
	CLEANUP_FREE char *terms = xasprintf("what is not judged within %" PRIu64 " ms is %s (fail: %s)",
					     answer_count(answer, "gate.timeout_ms"), closed ? "ended" : "let go",
					     closed ? "closed" : "open");
	CLEANUP_FREE char *text = xasprintf("Gate: %s%s%s", state, on || *why ? ": " : "", on ? terms : *why ? why : "");

	paragraph_print(out, 0, HANG, text);
}

static void print_policies(FILE *out, struct json_object *answer)
{
	struct json_object *list = answer_get(answer, "policies");

	fprintf(out, "\nPolicies: %zu\n", answer_length(list));
	for (size_t i = 0; i < answer_length(list); i++) {
		struct json_object *policy = json_object_array_get_idx(list, i);
		const char *reason = answer_text(policy, "mode_reason");
		uint64_t rules = answer_count(policy, "rules");
		CLEANUP_FREE char *first = xasprintf("%s: %s%s%s, %" PRIu64 " rule%s", answer_text(policy, "name"),
						     answer_text(policy, "mode"), *reason ? ", " : "", reason, rules,
						     plural(rules));
		CLEANUP_FREE char *sha256 = xasprintf("sha256 %s", answer_text(policy, "sha256"));

		paragraph_print(out, INDENT, HANG, first);
		paragraph_print(out, INDENT + HANG, 0, answer_text(policy, "file"));
		paragraph_print(out, INDENT + HANG, 0, sha256);
	}
}

static bool is_attached(struct json_object *library)
{
	return strcmp(answer_text(library, "state"), "attached") == 0;
}

/* "12 processes, attached 12.3 ms after its first mapping" */
static char *attachment_text(struct json_object *library)
{
	uint64_t processes = answer_count(library, "processes");
	CLEANUP_FREE char *time = duration_text(answer_count(library, "attach_us"));

	if (!is_attached(library))
		return xasprintf("%" PRIu64 " process%s", processes, processes == 1 ? "" : "es");
	return xasprintf("%" PRIu64 " process%s, attached %s%s", processes, processes == 1 ? "" : "es",
			 answer_get(library, "attach_us") ? time : "beforehand",
			 answer_get(library, "attach_us") ? " after its first mapping" : "");
}

static void print_library(FILE *out, struct json_object *library)
{
	const char *build_id = answer_text(library, "build_id"), *reason = answer_text(library, "reason");
	CLEANUP_FREE char *what = library_text(library), *attachment = attachment_text(library);
	CLEANUP_FREE char *line = xasprintf("%s, %s", what, attachment);
	CLEANUP_FREE char *id = xasprintf("build id %s", build_id);

	paragraph_print(out, INDENT, HANG, answer_text(library, "path"));
	if (*reason)
		paragraph_print(out, INDENT + HANG, 0, reason);
	paragraph_print(out, INDENT + HANG, 0, line);
	if (*build_id)
		paragraph_print(out, INDENT + HANG, 0, id);
}

static void print_libraries(FILE *out, struct json_object *answer, bool attached)
{
	struct json_object *list = answer_get(answer, "libraries");
	size_t count = 0;

	for (size_t i = 0; i < answer_length(list); i++)
		count += is_attached(json_object_array_get_idx(list, i)) == attached;
	fprintf(out, "\n%s: %zu\n", attached ? "Libraries attached" : "Not covered", count);
	for (size_t i = 0; i < answer_length(list); i++)
		if (is_attached(json_object_array_get_idx(list, i)) == attached)
			print_library(out, json_object_array_get_idx(list, i));
}

static void print_times(FILE *out, struct json_object *answer)
{
	uint64_t count = answer_count(answer, "attach_us.count");
	CLEANUP_FREE char *p50 = duration_text(answer_count(answer, "attach_us.p50"));
	CLEANUP_FREE char *p99 = duration_text(answer_count(answer, "attach_us.p99"));
	CLEANUP_FREE char *most = duration_text(answer_count(answer, "attach_us.most"));
	CLEANUP_FREE char *text = xasprintf("Attached after a first mapping: %" PRIu64
					    " time%s, within %s (half of them), %s (99 %%), %s "
					    "(all)",
					    count, plural(count), p50, p99, most);

	if (count)
		paragraph_print(out, 0, HANG, text);
}

static void print_processes(FILE *out, struct json_object *answer)
{
	uint64_t covered = answer_count(answer, "processes_count.covered");
	uint64_t others = answer_count(answer, "processes_count.not_covered");
	CLEANUP_FREE char *text = xasprintf("Processes that speak TLS: %" PRIu64 ", %s%.0" PRIu64 "%s", covered + others,
					    others ? "" : "all of them covered", others,
					    others ? " of them not covered: see `tlswarden coverage`" : "");

	fputc('\n', out);
	paragraph_print(out, 0, HANG, covered + others ? text : "Processes that speak TLS: none now");
}

/* "17 verifications, 2 calls": what is not zero; empty if nothing is. New memory. */
static char *counts_text(struct json_object *counts, const char *const words[][2], size_t count)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < count; i++) {
		uint64_t number = answer_count(counts, words[i][0]);
		CLEANUP_FREE char *before = text;

		text = number ? xasprintf("%s%s%" PRIu64 " %s", before, *before ? ", " : "", number, words[i][1]) :
				TAKE_PTR(before);
	}
	return text;
}

static void print_counters(FILE *out, struct json_object *answer)
{
	static const char *const lost[][2] = {
		{"lost.verifications", "verifications unseen"},
		{"lost.certificates", "certificates"},
		{"lost.calls", "calls whose beginning was not seen"},
		{"lost.gated", "connections for which the gate had no room"},
		{"lost.remembered", "connections that later policies will not look at"},
		{"lost.notices", "notices"},
	};
	static const char *const others[][2] = {
		{"not_tls", "verifications that were not for TLS"},
		{"no_certificate", "handshakes without a certificate"},
		{"gate.sockets", "connections that waited at the gate"},
		{"gate.packets", "packets held back"},
	};
	struct json_object *counters = answer_get(answer, "counters");
	CLEANUP_FREE char *more = counts_text(counters, others, ARRAY_SIZE(others));
	CLEANUP_FREE char *losses = counts_text(counters, lost, ARRAY_SIZE(lost));
	CLEANUP_FREE char *first = xasprintf(
		"Verifications: %" PRIu64 " judged, %" PRIu64 " allowed and %" PRIu64 " refused by remembered verdicts",
		answer_count(counters, "verifications"), answer_count(counters, "cached.allowed"),
		answer_count(counters, "cached.denied"));
	CLEANUP_FREE char *second = xasprintf("Beside them: %s", more), *third = xasprintf("Lost: %s", losses);

	paragraph_print(out, 0, HANG, first);
	if (*more)
		paragraph_print(out, 0, HANG, second);
	paragraph_print(out, 0, HANG, *losses ? third : "Lost: nothing");
}

void status_print(FILE *out, struct json_object *answer)
{
	const char *unknown = answer_text(answer, "coverage_unknown");

	print_agent(out, answer);
	print_gate(out, answer);
	print_policies(out, answer);
	if (*unknown) {
		fputc('\n', out);
		paragraph_print(out, 0, HANG, unknown);
	} else {
		print_libraries(out, answer, true);
		print_libraries(out, answer, false);
		print_processes(out, answer);
		print_times(out, answer);
	}
	if (answer_get(answer, "counters"))
		print_counters(out, answer);
}
