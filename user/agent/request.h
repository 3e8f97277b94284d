/* What the judge may ask of the warden about processes and connections, answered. Privileged. */
#ifndef REQUEST_H
#define REQUEST_H

#include "channel.h"
#include "policy.h"

/* Is that kill to be done? 0; -EINVAL, -EPERM and *ret_why (static): no policy that enforces now asks for it. ACTION_LOG, a look, always is. */
int kill_check(const struct policies *policies, bool audit_only, const struct message_kill *kill, const char **ret_why);

/* Does it, unchecked. 0, or -errno and text; *ret: who the process was, and when it was done. */
int kill_do(const struct message_kill *kill, struct message_killed *ret, char text[MESSAGE_TEXT]);

/* MESSAGE_PROCESS or MESSAGE_KILL becomes its answer. */
void request_answer(const struct policies *policies, bool audit_only, struct message *message);

#endif
