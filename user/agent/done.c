/* See done.h. Owns what it holds. */
#include "done.h"

#include <errno.h>
#include <string.h>

#include "util.h"

static void done_clear(struct done *done)
{
	free(done->text);
	free(done->exe);
	free(done->user);
	free(done->cgroup);
	*done = (struct done){};
}

/* Without the room that a message has for the longest names: there may be many. */
void dones_add(struct dones *dones, const struct record_id *id, uint64_t cookie, const struct message *answer)
{
	const struct message_process *process = &answer->killed.process;
	struct done *done = &dones->items[dones->next];

	dones->next = (dones->next + 1) % DONE_MAX;
	dones->count += !done->text;
	done_clear(done);
	*done = (struct done){.id = *id,
			      .cookie = cookie,
			      .number = answer->number,
			      .acted_ns = answer->killed.acted_ns,
			      .pid = process->pid,
			      .tid = process->tid,
			      .uid = process->uid,
			      .known = process->known,
			      .start_boottime_ns = process->start_boottime_ns,
			      .text = xstrdup(answer->text),
			      .exe = xstrdup(process->exe),
			      .user = xstrdup(process->user),
			      .cgroup = xstrdup(process->cgroup)};
}

static void process_give(const struct done *done, struct message_process *ret)
{
	ret->pid = done->pid;
	ret->tid = done->tid;
	ret->uid = done->uid;
	ret->known = done->known;
	ret->start_boottime_ns = done->start_boottime_ns;
	snprintf(ret->exe, sizeof(ret->exe), "%s", done->exe);
	snprintf(ret->user, sizeof(ret->user), "%s", done->user);
	snprintf(ret->cgroup, sizeof(ret->cgroup), "%s", done->cgroup);
}

static void done_give(const struct done *done, struct message *answer)
{
	uint32_t token = answer->token;

	message_begin(answer, MESSAGE_KILLED);
	answer->token = token;
	answer->number = done->number;
	answer->killed.acted_ns = done->acted_ns;
	process_give(done, &answer->killed.process);
	snprintf(answer->text, sizeof(answer->text), "%s", done->text);
}

static bool is_that(const struct done *done, const struct record_id *id, uint64_t cookie)
{
	return done->text && done->cookie == cookie && memcmp(&done->id, id, sizeof(*id)) == 0;
}

bool dones_take(struct dones *dones, const struct record_id *id, uint64_t cookie, struct message *answer)
{
	for (size_t i = 0; i < DONE_MAX && dones->count; i++) {
		struct done *done = &dones->items[i];
		bool given;

		if (!is_that(done, id, cookie))
			continue;
		given = done->number != -ECANCELED;
		if (given)
			done_give(done, answer);
		done_clear(done);
		dones->count--;
		return given;
	}
	return false;
}

bool dones_has(const struct dones *dones, const struct record_id *id, uint64_t cookie)
{
	for (size_t i = 0; i < DONE_MAX && dones->count; i++)
		if (is_that(&dones->items[i], id, cookie))
			return true;
	return false;
}

bool dones_process(const struct dones *dones, const struct record_id *id, uint64_t cookie, struct message_process *ret)
{
	for (size_t i = 0; i < DONE_MAX && dones->count; i++) {
		const struct done *done = &dones->items[i];

		if (!is_that(done, id, cookie) || !done->known)
			continue;
		process_give(done, ret);
		return true;
	}
	return false;
}

void dones_clear(struct dones *dones)
{
	for (size_t i = 0; i < DONE_MAX; i++)
		done_clear(&dones->items[i]);
	dones->count = dones->next = 0;
}
