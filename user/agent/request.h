/* What the judge may ask of the warden about processes and connections, answered. Privileged. */
#ifndef REQUEST_H
#define REQUEST_H

#include "channel.h"
#include "policy.h"

/* Is that kill to be done? 0; -EINVAL, -EPERM and *ret_why (static): no policy that enforces now asks for it. ACTION_LOG, a
 * look, always is. */
int kill_check(const struct policies *policies, bool audit_only, const struct message_kill *kill, const char **ret_why);

/* MESSAGE_PROCESS or MESSAGE_KILL becomes its answer. A kill is not checked; if it was, and number is not 0, it is only said
 * whose it was. known: whose it is, if that need not be looked for, or NULL. The process can make this wait as long as it likes: for a thread that has nothing else to do. */
void request_do(struct message *message, const struct message_process *known);

#endif
