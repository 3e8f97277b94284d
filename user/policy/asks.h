/* The keys of require and forbid, one function each: true if it is as it should be. found: what was found if not, or if
 * inquiry->tell. The tables that name them are in asks.c. */
#ifndef ASKS_H
#define ASKS_H

#include "policy_internal.h"

typedef bool ask_fn(struct inquiry *inquiry, const struct rule *rule, struct reason *found);

ask_fn require_key_in, require_issuer_in, require_verified, require_trusted_by, require_name_matches, require_ct,
	require_max_lifetime, require_min_remaining, require_min_rsa_bits, require_min_ec_bits, require_not_before_until;
ask_fn forbid_key_in, forbid_cert_sha256_in, forbid_serial_in, forbid_signature, forbid_crl;

#endif
