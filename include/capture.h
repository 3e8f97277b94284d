/* From the ring to whole verifications: a RECORD_VERIFY and its certificates put together. Runs without privilege. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "certificate.h"
#include "records.h"
#include "siphash.h"

/* One verification as it was captured. certificates[i] belongs to objects[i]; each is owned, and may be unparsed. digests[i]
 * is over the bytes that it was made of, all with one key, if digested. */
struct capture {
	struct record_verify verify;
	struct certificate *certificates[PRESENTED_MAX + CHAIN_MAX];
	uint64_t objects[PRESENTED_MAX + CHAIN_MAX];
	struct siphash_value digests[PRESENTED_MAX + CHAIN_MAX];
	size_t count;
	size_t digested_bytes; /* that the digests are over */
	bool digested;
};
void capture_free(struct capture *capture);

struct capture_ring;

/* on_capture takes over the capture. */
typedef void (*capture_fn)(void *context, struct capture *capture);
typedef void (*closed_fn)(void *context, uint32_t pid, uint64_t session);
/* A packet waits of the socket that the verification with that id, a VERIFY_NONE_YET, has gated. */
typedef void (*held_fn)(void *context, const struct record_id *id);

/* Needs the right to query the map: call it before the privileges go. */
int capture_ring_new(int ring_map_fd, capture_fn on_capture, closed_fn on_closed, held_fn on_held, void *context,
		     struct capture_ring **ret);
void capture_ring_free(struct capture_ring *ring);

int capture_ring_fd(const struct capture_ring *ring); /* readable when there is something */
int capture_ring_drain(struct capture_ring *ring);    /* what is there now; 0 or -errno, -EAGAIN: there may be more */

/* From now on verifications are digested with that key, for capture_key.h; NULL: no more. Those under way are not. */
void capture_ring_key(struct capture_ring *ring, const struct siphash_key *key);

/* Records that made no sense (a wrong size, a certificate of no verification), and verifications given up because their
 * certificates did not come. */
uint64_t capture_ring_malformed(const struct capture_ring *ring);

#endif
