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
bool capture_key(const struct capture *capture, enum library_kind kind, const struct siphash_key *secret,
		 struct siphash_value *ret);

/* Of the same by that process alone; or by that user with the executable of that digest. The kernel makes the latter while
 * gate_cache_use() says so. */
void capture_key_process(const struct siphash_value *general, const struct record_verify *verify,
			 const struct siphash_key *secret, struct siphash_value *ret);
void capture_key_exe(const struct siphash_value *general, uint32_t uid, const struct siphash_value *exe,
		     const struct siphash_key *secret, struct siphash_value *ret);

/* Of an executable's path, as /proc/PID/exe names it. False: such a path has none. */
bool capture_exe_digest(const char *exe, const struct siphash_key *secret, struct siphash_value *ret);

#endif
