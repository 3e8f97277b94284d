/* Reads the ring buffer and assembles verifications.
 *
 * Owns the reader and the verifications whose certificates have not all been read. Sizes in a record were set by our own
 * BPF programs, but are checked all the same: this process must survive anything. The certificates lie in the ring behind
 * their verification, with those of other processors between, so only a few are open at a time. */
#include "capture.h"

#include <errno.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "capture_key.h"
#include "known.h"
#include "util.h"

/* Verifications open at once; at one more the oldest is handed on as it is, marked VERIFY_LOST_CERT. */
enum {
	OPEN_MAX_COUNT = 256,
	DRAIN_MAX = 4096, /* records of one drain; the rest waits for the next, so that a flood holds up nothing else */
};

struct capture_ring {
	struct ring_buffer *reader;
	struct known *known;
	capture_fn on_capture;
	closed_fn on_closed;
	held_fn on_held;
	void *context;
	struct capture *open[OPEN_MAX_COUNT];
	size_t open_count;
	size_t drained; /* records of the drain under way */
	uint64_t malformed;
	struct siphash_key key;
	bool keyed;
};

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	for (size_t i = 0; i < capture->count; i++)
		certificate_free(capture->certificates[i]);
	free(capture);
}

static void capture_hand_on(struct capture_ring *ring, size_t index)
{
	struct capture *capture = ring->open[index];

	ring->open_count--;
	memmove(&ring->open[index], &ring->open[index + 1], (ring->open_count - index) * sizeof(ring->open[0]));
	if (capture->count < capture->verify.certs) {
		capture->verify.flags |= VERIFY_LOST_CERT;
		ring->malformed++;
	}
	ring->on_capture(ring->context, capture);
}

static void verify_text_end(struct record_verify *verify)
{
	verify->comm[sizeof(verify->comm) - 1] = '\0';
	verify->server_name[sizeof(verify->server_name) - 1] = '\0';
	verify->expected_host[sizeof(verify->expected_host) - 1] = '\0';
}

static void on_verify(struct capture_ring *ring, const struct record_verify *record, size_t size)
{
	struct capture *capture;

	if (size < sizeof(*record) || record->presented > PRESENTED_MAX || record->chain > CHAIN_MAX) {
		ring->malformed++;
		return;
	}
	capture = xcalloc(1, sizeof(*capture));
	capture->verify = *record;
	capture->digested = ring->keyed;
	verify_text_end(&capture->verify);
	if (ring->open_count == OPEN_MAX_COUNT)
		capture_hand_on(ring, 0);
	ring->open[ring->open_count++] = capture;
	if (capture->verify.certs == 0)
		capture_hand_on(ring, ring->open_count - 1);
}

/* For each record, known or not: of a known certificate the raw bytes are not kept. */
static void cert_digest(const struct capture_ring *ring, const struct record_cert *record, struct capture *capture)
{
	if (!capture->digested)
		return;
	capture_digest(record, &ring->key, &capture->digests[capture->count]);
	capture->digested_bytes += (size_t)record->tbs_len + record->signature_len;
}

static void on_cert(struct capture_ring *ring, const struct record_cert *record, size_t size)
{
	struct capture *capture = NULL;
	size_t index;

	for (index = ring->open_count; index > 0 && !capture; index--)
		if (!memcmp(&ring->open[index - 1]->verify.head.id, &record->head.id, sizeof(record->head.id)))
			capture = ring->open[index - 1];
	if (!capture) {
		ring->malformed++;
		return;
	}
	if (size < sizeof(*record) || capture->count == ARRAY_SIZE(capture->certificates) ||
	    known_certificate(ring->known, record, size - sizeof(*record), &capture->certificates[capture->count]) < 0) {
		ring->malformed++;
		capture->verify.certs--;
		capture->verify.flags |= VERIFY_LOST_CERT;
	} else {
		cert_digest(ring, record, capture);
		capture->objects[capture->count++] = record->object;
	}
	if (capture->count == capture->verify.certs)
		capture_hand_on(ring, index);
}

static int on_record(void *context, void *data, size_t size)
{
	struct capture_ring *ring = context;
	const struct record_head *head = data;

	if (size < sizeof(*head))
		ring->malformed++;
	else if (head->tag == RECORD_VERIFY)
		on_verify(ring, data, size);
	else if (head->tag == RECORD_CERT)
		on_cert(ring, data, size);
	else if (head->tag == RECORD_CLOSED && size >= sizeof(struct record_closed))
		ring->on_closed(ring->context, head->id.pid_tgid >> 32, ((const struct record_closed *)data)->session);
	else if (head->tag == RECORD_HELD && size >= sizeof(struct record_held))
		ring->on_held(ring->context, &head->id);
	else
		ring->malformed++;
	return ++ring->drained == DRAIN_MAX ? -EAGAIN : 0; /* libbpf has taken the record, and stops */
}

int capture_ring_new(int ring_map_fd, capture_fn on_capture, closed_fn on_closed, held_fn on_held, void *context,
		     struct capture_ring **ret)
{
	struct capture_ring *ring = xcalloc(1, sizeof(*ring));

	ring->on_capture = on_capture;
	ring->on_closed = on_closed;
	ring->on_held = on_held;
	ring->context = context;
	ring->known = known_new();
	ring->reader = ring_buffer__new(ring_map_fd, on_record, ring, NULL);
	if (!ring->reader) {
		int err = -errno;
		known_free(ring->known);
		free(ring);
		return err;
	}
	*ret = ring;
	return 0;
}

void capture_ring_free(struct capture_ring *ring)
{
	if (!ring)
		return;
	while (ring->open_count)
		capture_free(ring->open[--ring->open_count]);
	ring_buffer__free(ring->reader);
	known_free(ring->known);
	free(ring);
}

int capture_ring_fd(const struct capture_ring *ring)
{
	return ring_buffer__epoll_fd(ring->reader);
}

int capture_ring_drain(struct capture_ring *ring)
{
	int consumed;

	ring->drained = 0;
	consumed = ring_buffer__consume(ring->reader);
	return consumed < 0 ? consumed : 0;
}

void capture_ring_key(struct capture_ring *ring, const struct siphash_key *key)
{
	for (size_t i = 0; i < ring->open_count; i++)
		ring->open[i]->digested = false;
	ring->keyed = key != NULL;
	ring->key = key ? *key : (struct siphash_key){0};
}

uint64_t capture_ring_malformed(const struct capture_ring *ring)
{
	return ring->malformed;
}
