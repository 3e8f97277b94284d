/* The names of users. May be called by many threads. */
#ifndef USERS_H
#define USERS_H

#include <stdint.h>

#include "channel.h"

/* As /etc/passwd has it at this moment: a name service over the network would hold up every event. Cut at its room; empty if
 * it has none, or if the file cannot be read. */
void user_name(uint32_t uid, char ret[MESSAGE_USER]);

#endif
