/* The warden's hand: the gate, what the judge asks to be done, and what cannot wait for the judge. Privileged. */
#ifndef ENFORCER_H
#define ENFORCER_H

#include "channel.h"
#include "gate.h"
#include "policy.h"

struct enforcer;

struct enforcer_options {
	struct gate_options gate;
	bool audit_only;
	bool idle; /* nothing is ever enforced or remembered (`learn`) */
};

/* Deals first with what an agent before this one left behind. channel: to the judge, the caller's; so are the probes. */
int enforcer_new(const struct probes *probes, const struct enforcer_options *options, int channel, struct enforcer **ret);
/* The agent is to end: nothing is gated any more. */
void enforcer_stop(struct enforcer *enforcer);
/* What is still gated is let go; but if nobody has judged it, with fail: closed, it stays so: judged false. */
void enforcer_free(struct enforcer *enforcer, bool judged);

/* These policies are in force from now on, until the next; borrowed. The judge is told of the gate, and, unless they are the
 * first, of the connections that are remembered. */
void enforcer_policies(struct enforcer *enforcer, const struct policies *policies);

/* Answers MESSAGE_PROCESS, MESSAGE_KILL, now or later; does MESSAGE_RELEASE, MESSAGE_FORGET. False: it is none of these. */
bool enforcer_message(struct enforcer *enforcer, const struct message *message);

/* The gate as the judge was told of it; *ret_why: of GATE_UNAVAILABLE, else empty, borrowed until the next call of another function. */
enum gate_state enforcer_gate(const struct enforcer *enforcer, const char **ret_why);

int enforcer_fd(const struct enforcer *enforcer); /* readable: call enforcer_notices */
void enforcer_notices(struct enforcer *enforcer);

/* Sockets whose time is up, policies whose time is. Returns in how many milliseconds to call it again. */
unsigned enforcer_tick(struct enforcer *enforcer);

#endif
