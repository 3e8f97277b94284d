/* See recall.h. Most connections of a host share a few verifications: each is judged once, and only what is condemned is
 * looked at connection by connection. */
#include "recall.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "hold.h"
#include "moment.h"
#include "util.h"
#include "verdict_key.h"

enum { SLICE = 8 }; /* verifications judged, or connections ended, in one go */

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

void recall_begin(struct recall *recall, int fd, int64_t count)
{
	struct verified_socket *sockets CLEANUP_FREE = count > 0 && count <= 2 * VERIFIED_MAX ?
							       xcalloc((size_t)count, sizeof(*sockets)) :
							       NULL;

	recall_end(recall);
	if (!sockets || !read_all(fd, sockets, (size_t)count * sizeof(*sockets)))
		return;
	qsort(sockets, (size_t)count, sizeof(*sockets), compare);
	recall->sockets = TAKE_PTR(sockets);
	recall->count = count;
}

void recall_end(struct recall *recall)
{
	free(recall->sockets);
	*recall = (struct recall){};
}

bool recall_is_under_way(const struct recall *recall)
{
	return recall->sockets != NULL;
}

bool recall_go_on(struct recall *recall, const struct bench *bench, const struct memory *memory, uint64_t *ret_forgotten)
{
	const struct remembered *remembered = NULL;
	bool told = true, clean = false, first = true;

	for (int dear = 0; recall->at < recall->count && dear < SLICE && told; recall->at++) {
		const struct verified_socket *socket = &recall->sockets[recall->at];

		if (first || compare(socket - 1, socket) != 0) {
			remembered = memory_find(memory, &socket->key);
			clean = remembered && breaks_nothing(bench, remembered, socket);
			dear += remembered != NULL;
			first = false;
		}
		if (is_held(socket, remembered))
			continue;
		if (!remembered)
			++*ret_forgotten;
		if (!remembered || clean)
			continue;
		told = recall_one(bench, remembered, socket);
		dear++;
	}
	if (recall->at == recall->count)
		recall_end(recall);
	return told;
}
