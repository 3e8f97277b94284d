/* See request.h. Privileged: each request is checked again here, as if the judge were an attacker's: that process by pid and
 * start, that socket by its cookie, that rule of a policy which enforces now and asks for that very action. */
#include "request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "connection.h"
#include "process.h"
#include "util.h"

static bool names_socket(const struct message_kill *kill)
{
	return kill->socket.cookie && (kill->socket.family == AF_INET || kill->socket.family == AF_INET6);
}

int kill_check(const struct policies *policies, bool audit_only, const struct message_kill *kill, const char **ret_why)
{
	if (kill->action != ACTION_LOG && kill->action != ACTION_KILL && kill->action != ACTION_KILL_PROCESS) {
		*ret_why = "that is no action";
		return -EINVAL;
	}
	if (kill->action != ACTION_KILL_PROCESS && !names_socket(kill)) {
		*ret_why = "no socket was named";
		return -EINVAL;
	}
	if (kill->action != ACTION_LOG &&
	    !policies_allow(policies, kill->ruleset, kill->rule, (enum action)kill->action, audit_only, time(NULL))) {
		*ret_why = "no policy that enforces asks for it";
		return -EPERM;
	}
	return 0;
}

static struct connection connection_of(const struct message_kill *kill)
{
	return (struct connection){
		.pid = kill->pid, .tid = kill->tid, .start_boottime_ns = kill->start_boottime_ns, .socket = kill->socket};
}

/* The process first: one that loses its connection may end by itself before it is killed, and the log would have to say that it
 * was not. From then on it does nothing more; its connection is then destroyed, rather than closed in good order. */
static int process_kill_with_socket(const struct message_kill *kill, const char **ret_why, bool *ret_ended)
{
	const struct connection connection = connection_of(kill);
	const char *ignored;
	int err = process_kill(kill->pid, kill->start_boottime_ns);

	*ret_ended = names_socket(kill) && connection_end(&connection, &ignored) == 0;
	*ret_why = err == -ESRCH ? "the process has ended" :
		   err == -EPERM ? "it is pid 1, a part of the agent or of the kernel, or the agent lacks CAP_KILL" :
				   strerror(-err);
	return err;
}

static int kill_do(const struct message_kill *kill, struct message_killed *ret, char text[MESSAGE_TEXT])
{
	const struct connection connection = connection_of(kill);
	const char *why = "";
	struct timespec now;
	bool ended = false;
	int err;

	if (kill->action == ACTION_LOG)
		err = connection_look(&connection);
	else if (kill->action == ACTION_KILL)
		err = connection_end(&connection, &why);
	else
		err = process_kill_with_socket(kill, &why, &ended);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ret->acted_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	snprintf(text, MESSAGE_TEXT, "%s%s", err && ended ? "the connection was ended, but not the process: " : "",
		 err ? why : "");
	return err;
}

void request_process(struct message *answer)
{
	process_describe(&answer->process);
}

void request_kill(const struct message_kill *kill, bool known, struct message *answer)
{
	/* First, for a process that loses its connection may end at once. */
	if (!known)
		process_describe(&answer->killed.process);
	if (answer->number == 0)
		answer->number = kill_do(kill, &answer->killed, answer->text);
}
