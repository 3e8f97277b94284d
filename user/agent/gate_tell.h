/* What the warden says of the gate, as events. Runs without privilege. */
#ifndef GATE_TELL_H
#define GATE_TELL_H

#include "case.h"

/* gate-changed, of a MESSAGE_GATE. False: nobody reads events any more. */
bool gate_tell_state(const struct bench *bench, const struct message *message);

/* gate-timeout, of a MESSAGE_GATE_TIMEOUT; asks who the process is. */
bool gate_tell_timeout(const struct bench *bench, const struct message *message);

#endif
