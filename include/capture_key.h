/* The key of a captured verification, made of the bytes that were sent: what the probe makes of the bytes that it read
 * (bpf/verdict.h) is the same only if they were the same. See verdict_key.h. Runs without privilege. */
#ifndef CAPTURE_KEY_H
#define CAPTURE_KEY_H

#include <linux/types.h>
#include <stdbool.h>

#include "capture.h"
#include "layout.h"

/* The digest of one certificate, whose record's lengths have been checked. */
void capture_digest(const struct record_cert *record, const struct siphash_key *secret, struct siphash_value *ret);

/* The key of what capture holds now: once its socket was taken from it, that of a verification on an unknown one. secret: that
 * of the digests. False: it can have none, since certificates are missing, are more than VERDICT_BYTES_MAX or were not
 * digested, or since its socket cannot be the one (capture_socket_fits). */
bool capture_key(const struct capture *capture, enum library_kind kind, const struct siphash_key *secret, bool with_process,
		 struct siphash_value *ret);

#endif
