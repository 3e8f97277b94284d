/* The judge's word on library files. */
#ifndef LIBRARY_TELL_H
#define LIBRARY_TELL_H

#include "channel.h"
#include "sink.h"

/* MESSAGE_LIBRARY, MESSAGE_DETACHED or MESSAGE_UNSUPPORTED as an event. False: the reader has gone. */
bool library_tell(struct sink *sink, const struct message *message);

#endif
