/* The two halves of an OpenSSL: a libcrypto and the libssl that works with it. */
#ifndef COMPANION_H
#define COMPANION_H

#include "libraries.h"

/* The other half of file, which is one: beside it, or mapped by the same process. NULL: not met, or not answered yet;
 * then this is called again when it has. */
struct catalog_file *companion_find(struct libraries *libraries, struct catalog_file *file);
/* May what one says decide how the other is read? The other is read in all processes that map it. */
bool companion_trusts(const struct catalog_file *file, const struct catalog_file *other);

#endif
