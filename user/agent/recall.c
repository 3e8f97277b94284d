/* See recall.h. Most connections of a host share a few verifications: each is judged once, and only what is condemned is looked at
 * connection by connection. */
#include "recall.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "hold.h"
#include "moment.h"
#include "util.h"
#include "verdict_key.h"

static int compare(const void *a, const void *b)
{
	return memcmp(&((const struct verified_socket *)a)->key, &((const struct verified_socket *)b)->key,
		      sizeof(struct siphash_value));
}

static bool read_all(int fd, void *ret, size_t size)
{
	char *at = ret;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return false;
	while (size) {
		ssize_t got = read(fd, at, size);
		if (got <= 0)
			return false;
		at += got;
		size -= (size_t)got;
	}
	return true;
}

/* The verification as it would have been on that connection. */
static struct case_ *case_of(const struct bench *bench, const struct remembered *remembered,
			     const struct verified_socket *socket)
{
	struct capture *capture = remembered_capture(remembered);
	struct record_verify *verify = &capture->verify;
	struct case_ *c;

	verify->head.id = socket->id;
	verify->start_boottime_ns = socket->start_boottime_ns;
	verify->exec_id = socket->exec_id;
	verify->uid = socket->uid;
	verify->socket = socket->socket;
	verify->flags &= VERDICT_FLAGS;
	capture->digested = false;
	c = case_new(bench, capture);
	/* Long over: what was not verified then never was. */
	if (c->decoded.facts.verify == VERIFY_PENDING)
		c->decoded.facts.verify = VERIFY_OFF;
	c->retroactive = true;
	return c;
}

static bool is_open(const struct bench *bench, const struct verified_socket *socket)
{
	struct message message = {.tag = MESSAGE_KILL};

	message.kill.action = ACTION_LOG;
	message.kill.pid = socket->id.pid_tgid >> 32;
	message.kill.tid = (uint32_t)socket->id.pid_tgid;
	message.kill.start_boottime_ns = socket->start_boottime_ns;
	message.kill.socket = socket->socket;
	return bench->ask(bench->context, &message) && message.tag == MESSAGE_KILLED && message.number == 0;
}

/* Broken by that connection, whose process may be one that is excepted. */
static bool recall_one(const struct bench *bench, const struct remembered *remembered, const struct verified_socket *socket)
{
	struct case_ *c;
	bool told = true;

	if (!is_open(bench, socket))
		return true;
	c = case_of(bench, remembered, socket);
	case_judge(bench, c);
	if (c->verdict.count) {
		case_act(bench, c);
		told = case_tell(bench, c);
	}
	case_free(c);
	return told;
}

static bool breaks_nothing(const struct bench *bench, const struct remembered *remembered,
			   const struct verified_socket *socket)
{
	struct case_ *c = case_of(bench, remembered, socket);
	bool clean;

	/* In doubt about the process it is broken. */
	c->decoded.facts.process_unasked = true;
	policies_judge(bench->policies, &c->decoded.facts, time(NULL), bench->audit_only, &c->verdict);
	clean = c->verdict.count == 0;
	case_free(c);
	return clean;
}

/* A handshake that may still be verified, or that is judged as unverified soon, in any case by the new policies. */
static bool is_held(const struct verified_socket *socket, const struct remembered *remembered)
{
	return remembered && remembered_flags(remembered) & VERIFY_NONE_YET &&
	       now_ns() < socket->id.ktime_ns + HOLD_MS * 1000000ULL;
}

bool recall(const struct bench *bench, const struct memory *memory, int fd, int64_t count, uint64_t *ret_forgotten)
{
	struct verified_socket *sockets CLEANUP_FREE = count > 0 && count <= 2 * VERIFIED_MAX ?
							       xcalloc((size_t)count, sizeof(*sockets)) :
							       NULL;
	const struct remembered *remembered = NULL;
	bool told = true, clean = false;

	if (!sockets || !read_all(fd, sockets, (size_t)count * sizeof(*sockets)))
		return true;
	qsort(sockets, (size_t)count, sizeof(*sockets), compare);
	for (int64_t i = 0; i < count && told; i++) {
		if (i == 0 || compare(&sockets[i - 1], &sockets[i]) != 0) {
			remembered = memory_find(memory, &sockets[i].key);
			clean = remembered && breaks_nothing(bench, remembered, &sockets[i]);
		}
		if (is_held(&sockets[i], remembered))
			continue;
		if (!remembered)
			++*ret_forgotten;
		else if (!clean)
			told = recall_one(bench, remembered, &sockets[i]);
	}
	return told;
}
