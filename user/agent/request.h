/* What the judge may ask of the warden about processes and connections, answered. Privileged. */
#ifndef REQUEST_H
#define REQUEST_H

#include "channel.h"
#include "policy.h"

/* Is that kill to be done? 0; -EINVAL, -EPERM and *ret_why (static): no policy that enforces now asks for it. ACTION_LOG, a
 * look, always is. */
int kill_check(const struct policies *policies, bool audit_only, const struct message_kill *kill, const char **ret_why);

/* answer: a MESSAGE_PROCESS_IS, or a MESSAGE_KILLED, begun, and of its process pid, tid, uid and start; made whole. The process
 * can make both wait as long as it likes: they are for a thread that has nothing else to do. */
void request_process(struct message *answer);
/* The kill is not checked; if it was, and answer->number is not 0, it is only said whose it was. known: that is there. */
void request_kill(const struct message_kill *kill, bool known, struct message *answer);

#endif
