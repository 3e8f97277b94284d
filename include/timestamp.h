/* RFC 3339 timestamps in UTC. Pure: no time zone, no locale, no clock. */
#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

/* "2027-01-31T00:00:00Z" (a fraction of a second is allowed, and dropped; the year is 1970 or later) as seconds since 1970. */
bool timestamp_parse(const char *text, int64_t *ret);

#endif
