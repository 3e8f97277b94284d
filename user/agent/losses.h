/* What was not seen, not judged or not gated: told when it grows. */
#ifndef LOSSES_H
#define LOSSES_H

#include "sink.h"
#include "records.h"

struct losses {
	struct counters told; /* as of the last event */
	uint64_t malformed, forgotten;
	uint64_t untold; /* events of the gate that came while the judge read none */
	uint64_t malformed_told, forgotten_told, untold_told;
};

/* events-lost, if there are more than were told of. counters: now. False: nobody reads events any more. */
bool losses_tell(struct losses *losses, struct sink *sink, const struct counters *counters);

/* agent-stopped, with what was counted in all. */
bool stopped_tell(struct sink *sink, const struct counters *counters);

#endif
