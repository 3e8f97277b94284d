/* Certificates met before, parsed: hosts see the same few again and again. */
#ifndef KNOWN_H
#define KNOWN_H

#include "capture.h"

struct known;

struct known *known_new(void);
void known_free(struct known *known);

/* The certificate of a record with room bytes of data, parsed now or earlier; the caller holds it. -EPROTO if the record's
 * lengths do not fit its data, -EINVAL if it is empty. */
int known_certificate(struct known *known, const struct record_cert *record, size_t room, struct certificate **ret);

#endif
