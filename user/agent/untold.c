/* See untold.h. Owns the messages. */
#include "untold.h"

#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util.h"

void untold_clear(struct untold *untold)
{
	free(TAKE_PTR(untold->messages));
	untold->count = 0;
}

static bool judge_reads(const struct untold *untold)
{
	int unread = 0;

	return ioctl(untold->channel, SIOCOUTQ, &unread) < 0 || unread < UNREAD_MAX;
}

void untold_send(struct untold *untold)
{
	size_t sent = 0;

	while (sent < untold->count && judge_reads(untold) &&
	       message_offer(untold->channel, &untold->messages[sent], -1) == 0)
		sent++;
	if (!sent)
		return;
	untold->count -= sent;
	memmove(untold->messages, untold->messages + sent, untold->count * sizeof(*untold->messages));
}

void untold_add(struct untold *untold, const struct message *message)
{
	if (untold->count == UNTOLD_MAX) {
		untold->dropped++;
		return;
	}
	if (!untold->messages)
		untold->messages = xcalloc(UNTOLD_MAX, sizeof(*untold->messages));
	untold->messages[untold->count++] = *message;
	untold_send(untold);
}
