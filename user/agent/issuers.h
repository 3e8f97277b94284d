/* Certificates of CAs that were on proven paths: a session that is resumed may have kept no more than the leaf (tickets of servers,
 * sessions in files), and who signed that leaf is known from an earlier handshake. */
#ifndef ISSUERS_H
#define ISSUERS_H

#include "facts.h"

struct issuers;

enum { ISSUERS_MAX = 1024 }; /* remembered; a newer one takes the place of another */

struct issuers *issuers_new(void);
void issuers_free(struct issuers *issuers);

/* Those of the proven path above the leaf. */
void issuers_note(struct issuers *issuers, const struct facts *facts);
/* Adds to the certificates those that signed the last of them, one above the other, as far as they are known; neither presented nor
 * of the application's chain. They are borrowed until the next issuers_note: *ret_kept has a reference of each, *ret_count of
 * them, the caller's (certificates_free). */
void issuers_add(const struct issuers *issuers, struct facts *facts, struct certificate ***ret_kept, size_t *ret_count);

#endif
