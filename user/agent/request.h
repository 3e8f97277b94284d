/* What the judge may ask of the warden: who a process is, and the end of a connection or of a process. */
#ifndef REQUEST_H
#define REQUEST_H

#include "channel.h"
#include "policy.h"

/* Turns a MESSAGE_PROCESS or a MESSAGE_KILL into its answer, having done what it asks for if these policies ask for it now. No
 * field of it is trusted. */
void request_answer(const struct policies *policies, bool audit_only, struct message *message);

#endif
