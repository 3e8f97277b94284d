/* See request.h. Privileged: each request is checked again here, as if the judge were an attacker's: that process by pid and
 * start, that socket by its cookie, that rule of a policy which enforces now and asks for that very action. */
#include "request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "destroy.h"
#include "process.h"
#include "util.h"

static bool names_socket(const struct message_kill *kill)
{
	return kill->socket.cookie && (kill->socket.family == AF_INET || kill->socket.family == AF_INET6);
}

static int kill_check(const struct policies *policies, bool audit_only, const struct message_kill *kill,
		      const char **ret_why)
{
	if (kill->action != ACTION_KILL && kill->action != ACTION_KILL_PROCESS) {
		*ret_why = "that is no action";
		return -EINVAL;
	}
	if (kill->action == ACTION_KILL && !names_socket(kill)) {
		*ret_why = "no socket was named";
		return -EINVAL;
	}
	if (!policies_allow(policies, kill->ruleset, kill->rule, (enum action)kill->action, audit_only, time(NULL))) {
		*ret_why = "no policy that enforces asks for it";
		return -EPERM;
	}
	return 0;
}

/* The network namespace that the socket is in: a descriptor. */
static int socket_netns(const struct message_kill *kill, const char **ret_why)
{
	int process CLEANUP_CLOSE = process_open(kill->pid, kill->tid, kill->start_boottime_ns), netns;

	if (process < 0) {
		*ret_why = process == -ESRCH ? "the process has ended" : strerror(-process);
		return process;
	}
	netns = process_netns_open(process, kill->socket.netns);
	if (netns < 0)
		*ret_why = "the socket's network namespace is not that of the process";
	return netns;
}

static int socket_kill(const struct message_kill *kill, const char **ret_why)
{
	int netns CLEANUP_CLOSE = socket_netns(kill, ret_why), err;

	if (netns < 0)
		return netns;
	err = socket_destroy(netns, &kill->socket);
	*ret_why = err == -ENOENT     ? "the connection had ended already" :
		   err == -EOPNOTSUPP ? "the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)" :
					strerror(-err);
	return err;
}

/* The process first: one that loses its connection may end by itself before it is killed, and the log would have to say that it
 * was not. From then on it does nothing more; its connection is then destroyed, rather than closed in good order. */
static int process_kill_with_socket(const struct message_kill *kill, const char **ret_why, bool *ret_ended)
{
	const char *ignored;
	int netns CLEANUP_CLOSE = names_socket(kill) ? socket_netns(kill, &ignored) : -1;
	int err = process_kill(kill->pid, kill->start_boottime_ns);

	*ret_ended = netns >= 0 && socket_destroy(netns, &kill->socket) == 0;
	*ret_why = err == -ESRCH ? "the process has ended" :
		   err == -EPERM ? "it is pid 1, a part of the agent or of the kernel, or the agent lacks CAP_KILL" :
				   strerror(-err);
	return err;
}

static int kill_do(const struct policies *policies, bool audit_only, const struct message_kill *kill, char *text,
		   size_t size)
{
	const char *why = "";
	bool ended = false;
	int err = kill_check(policies, audit_only, kill, &why);

	if (!err && kill->action == ACTION_KILL)
		err = socket_kill(kill, &why);
	else if (!err)
		err = process_kill_with_socket(kill, &why, &ended);
	snprintf(text, size, "%s%s", err && ended ? "the connection was ended, but not the process: " : "", err ? why : "");
	return err;
}

void request_answer(const struct policies *policies, bool audit_only, struct message *message)
{
	struct message_process asked = message->process;
	struct message_kill kill = message->kill;
	bool is_kill = message->tag == MESSAGE_KILL;

	if (is_kill)
		asked = (struct message_process){
			.pid = kill.pid, .tid = kill.tid, .start_boottime_ns = kill.start_boottime_ns, .uid = kill.uid};
	message->tag = is_kill ? MESSAGE_KILLED : MESSAGE_PROCESS_IS;
	/* First, for a process that loses its connection may end at once. */
	process_describe(&asked, &message->process);
	if (is_kill)
		message->number = kill_do(policies, audit_only, &kill, message->text, sizeof(message->text));
}
