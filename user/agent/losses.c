/* See losses.h. Runs without privilege; the counters are the kernel half's, and move while they are read. */
#include <linux/types.h>

#include "losses.h"

#include "util.h"

bool losses_tell(struct losses *losses, struct sink *sink, const struct counters *counters)
{
	const struct counters now = *counters, told = losses->told;
	const struct event_detail details[] = {
		{.key = "lost.verifications", .number = (int64_t)now.lost_verify},
		{.key = "lost.certificates", .number = (int64_t)now.lost_cert},
		{.key = "lost.calls", .number = (int64_t)now.lost_call},
		{.key = "lost.malformed", .number = (int64_t)losses->malformed},
		/* Sockets that were not gated, as there was no room; connections that later policies will not look at. */
		{.key = "lost.gated", .number = (int64_t)now.gate_full},
		{.key = "lost.remembered", .number = (int64_t)(now.lost_verified + losses->forgotten)},
		{.key = "lost.events", .number = (int64_t)losses->untold},
	};

	if (now.lost_verify == told.lost_verify && now.lost_cert == told.lost_cert && now.lost_call == told.lost_call &&
	    now.gate_full == told.gate_full && now.lost_verified == told.lost_verified &&
	    losses->malformed == losses->malformed_told && losses->forgotten == losses->forgotten_told &&
	    losses->untold == losses->untold_told)
		return true;
	losses->told = now;
	losses->malformed_told = losses->malformed;
	losses->forgotten_told = losses->forgotten;
	losses->untold_told = losses->untold;
	return sink_agent(sink, "events-lost", "failure", details, ARRAY_SIZE(details));
}

bool stopped_tell(struct sink *sink, const struct counters *counters)
{
	const struct event_detail details[] = {
		{.key = "verifications", .number = (int64_t)counters->verifications},
		{.key = "not_tls", .number = (int64_t)counters->not_tls},
		{.key = "no_certificate", .number = (int64_t)counters->no_certificate},
		{.key = "cached.allowed", .number = (int64_t)counters->passed},
		{.key = "cached.denied", .number = (int64_t)counters->denied},
		{.key = "gate.sockets", .number = (int64_t)counters->gated},
		{.key = "gate.packets", .number = (int64_t)counters->held},
		{.key = "gate.released", .number = (int64_t)spread_count(&counters->released_us)},
		{.key = "gate.release_us.p50", .number = (int64_t)spread_at(&counters->released_us, 500)},
		{.key = "gate.release_us.p99", .number = (int64_t)spread_at(&counters->released_us, 990)},
		{.key = "lost.verifications", .number = (int64_t)counters->lost_verify},
		{.key = "lost.certificates", .number = (int64_t)counters->lost_cert},
		{.key = "lost.calls", .number = (int64_t)counters->lost_call},
		{.key = "lost.gated", .number = (int64_t)counters->gate_full},
		{.key = "lost.notices", .number = (int64_t)counters->lost_notice},
	};

	return sink_agent(sink, "agent-stopped", "success", details, ARRAY_SIZE(details));
}
