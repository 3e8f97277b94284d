/* See denied.h. Owns the cases that wait, until they are taken. */
#include "denied.h"

bool denied_hold(struct denied *denied, struct case_ *c, uint64_t now_ns)
{
	const struct record_verify *verify = &c->capture->verify;

	if (!(verify->flags & VERIFY_DENIED) || verify->flags & (VERIFY_UNNOTICED | VERIFY_NONE_YET | VERIFY_AFTER) ||
	    holds_full(&denied->waiting) || dones_has(&denied->outcomes, &verify->head.id, verify->socket.cookie))
		return false;
	holds_add(&denied->waiting, c->process.pid, verify->session, now_ns, c);
	return true;
}

struct case_ *denied_outcome(struct denied *denied, const struct message *outcome)
{
	dones_add(&denied->outcomes, &outcome->killed.id, outcome->killed.cookie, outcome);
	return holds_take_id(&denied->waiting, &outcome->killed.id);
}

void denied_clear(struct denied *denied)
{
	dones_clear(&denied->outcomes);
}
