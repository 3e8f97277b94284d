/* The certificates of a verification, as its event lists them. Private to user/event. */
#ifndef EVENT_CHAIN_H
#define EVENT_CHAIN_H

#include "object.h"

/* tlswarden.chain: an array, possibly empty. */
struct json *chain_json(const struct facts *facts);
/* The DER of each of its entries as base64, in the same order; "" for one whose bytes are not known. NULL: there are none, or
 * they are more than fits into a line. */
struct json *certificates_json(const struct facts *facts);

#endif
