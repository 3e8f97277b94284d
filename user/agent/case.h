/* One verification on its way through the judge: captured, decoded, judged, acted upon, told. */
#ifndef CASE_H
#define CASE_H

#include "capture.h"
#include "cgroup.h"
#include "channel.h"
#include "decode.h"
#include "done.h"
#include "event.h"
#include "exes.h"
#include "issuers.h"
#include "learned.h"
#include "path.h"
#include "policy.h"
#include "sink.h"
#include "whos.h"

/* What a case needs of its judge; borrowed. */
struct bench {
	const struct policies *policies; /* may have no policy in it, never NULL */
	const struct anchors *anchors;   /* or NULL */
	struct issuers *issuers;         /* remembered; or NULL: none are */
	struct whos *whos;               /* likewise */
	struct exes *exes;               /* likewise */
	struct dones *outcomes;          /* of kills that need not be asked for, or NULL */
	const struct counters *counters;
	struct sink *sink;
	bool audit_only, all_events, certificates;
	const struct siphash_key *secret; /* of the keys by which the kernel remembers verdicts; NULL: it does not */
	const struct message_library *(*library_of)(void *context, uint32_t slot);
	/* Sends a question to the warden and waits for its answer; false if the warden has gone. */
	bool (*ask)(void *context, struct message *question_then_answer);
	/* Sends what has no answer. */
	void (*say)(void *context, const struct message *message);
	void *context;
};

struct case_ {
	struct capture *capture; /* owned */
	struct decoded decoded;
	/* pid, start, uid; the rest once process_asked. exe: what it executed then, also of one that has gone; or empty */
	struct message_process process;
	bool process_asked;
	struct cgroup_place place;      /* as its cgroup is named; the facts have the same, escaped */
	char *unit, *container;         /* or NULL */
	struct message_library library; /* a copy; path empty if the slot is not known */
	struct verdict verdict;
	struct record_socket gated;   /* the socket whose packets wait for this case; cookie 0: none */
	struct siphash_value general; /* the key without who verifies */
	bool has_key;
	bool leaf_alone;              /* a session that was resumed has kept no more: its issuers are remembered ones */
	struct certificate **issuers; /* those, owned */
	size_t issuers_count;
	bool retroactive;  /* verified before these policies were there */
	enum action acted; /* the strongest action that was tried */
	enum action_result result;
	char *result_reason;
	uint64_t latency_verdict_us, latency_action_us;
};

/* enum socket_how, as events have it: static. */
const char *socket_how_name(uint32_t how);

/* Takes over capture, and finds the proven path. */
struct case_ *case_new(const struct bench *bench, struct capture *capture);
void case_free(struct case_ *c);

/* Asks the warden who the process is, unless that is known. */
void case_who(const struct bench *bench, struct case_ *c);
/* What the warden says the process is: its executable may be gone with it, or another by now, and is then the one that has the
 * digest which the probe made, if that is remembered. */
void case_process(const struct bench *bench, struct case_ *c, const struct message_process *process);

/* held: the same connection's, when its handshake ended: what was learned and done then. */
void case_inherit(const struct bench *bench, struct case_ *c, struct case_ *held);

void case_judge(const struct bench *bench, struct case_ *c);
/* Asks for the end of the connection or of the process if the verdict says so, once for each; else lets it go if it is gated. A
 * handshake that nobody has verified yet stays gated if it would be condemned without a verification. */
void case_act(const struct bench *bench, struct case_ *c);
/* Lets go what it gates, if anything: another case has settled it. */
void case_let_go(const struct bench *bench, struct case_ *c);
/* Writes the event, if it is one that is wanted: violations, and what could not be judged whole, always. False: nobody
 * reads any more. */
bool case_tell(const struct bench *bench, struct case_ *c);
/* Instead of telling. */
void case_learn(const struct bench *bench, struct case_ *c, struct learned *learned);

#endif
