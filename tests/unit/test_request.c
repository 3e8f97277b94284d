/* What the warden does for a judge that is an attacker's: user/agent/request.c. With real processes of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "../../user/agent/request.h"
#include "util.h"
#include "start_of.h"

static const char text[] = "version: 1\n"
			   "name: enforced\n"
			   "mode: enforce\n"
			   "rules:\n"
			   "  - {id: logs, match: [{any: true}], require: {verified: true}}\n"
			   "  - {id: kills, match: [{any: true}], require: {verified: true}, action: kill}\n"
			   "  - {id: ends, match: [{any: true}], require: {verified: true}, action: kill-process}\n";
static const char audited[] = "version: 1\n"
			      "name: audited\n"
			      "rules: [{id: ends, match: [{any: true}], require: {verified: true}, action: kill-process}]\n";
static const char expired[] = "version: 1\n"
			      "name: expired\n"
			      "mode: enforce\n"
			      "expires: \"2020-01-01T00:00:00Z\"\n"
			      "rules: [{id: ends, match: [{any: true}], require: {verified: true}, action: kill-process}]\n";

static struct policies *policies;
static pid_t parent,
	victim; /* the parent waits for the victim: it is no child of this process, as it would be the agent's */
static uint64_t victim_start;

static int setup(void **state)
{
	struct policy_source sources[] = {{.file = "a", .text = text, .len = strlen(text)},
					  {.file = "b", .text = audited, .len = strlen(audited)},
					  {.file = "c", .text = expired, .len = strlen(expired)}};
	struct problems problems = {};
	int ends[2];

	(void)state;
	assert_int_equal(policies_parse(sources, ARRAY_SIZE(sources), &policies, &problems), 0);
	assert_int_equal(pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		pid_t pid = fork();

		if (pid)
			_exit(waitpid(pid, NULL, 0) != pid);
		pid = getpid();
		if (write(ends[1], &pid, sizeof(pid)) == sizeof(pid))
			for (alarm(60);;) /* does not outlive a test that fails */
				pause();
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &victim, sizeof(victim)), sizeof(victim));
	close(ends[0]);
	victim_start = start_of(victim);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kill(parent, SIGKILL);
	kill(victim, SIGKILL);
	waitpid(parent, NULL, 0);
	policies_free(policies);
	return 0;
}

static struct message request(enum action action, const char *ruleset, const char *rule)
{
	struct message message = {.tag = MESSAGE_KILL, .token = 7};

	message.kill.pid = message.kill.tid = (uint32_t)victim;
	message.kill.start_boottime_ns = victim_start;
	message.kill.action = action;
	snprintf(message.kill.ruleset, sizeof(message.kill.ruleset), "%s", ruleset);
	snprintf(message.kill.rule, sizeof(message.kill.rule), "%s", rule);
	return message;
}

static void request_answer(bool audit_only, struct message *message)
{
	const struct message_kill kill = message->kill;
	uint32_t token = message->token;
	const char *why = "";

	message_begin(message, MESSAGE_KILLED);
	message->token = token;
	message->number = kill_check(policies, audit_only, &kill, &why);
	snprintf(message->text, sizeof(message->text), "%s", why);
	message->killed.process.pid = kill.pid;
	message->killed.process.tid = kill.tid;
	message->killed.process.start_boottime_ns = kill.start_boottime_ns;
	request_kill(&kill, false, message);
}

static void check_answer(struct message message, bool audit_only, int error, const char *why)
{
	request_answer(audit_only, &message);
	assert_int_equal(message.tag, MESSAGE_KILLED);
	assert_int_equal(message.token, 7);
	assert_int_equal(message.number, error);
	if (!strstr(message.text, why) || (!error && message.text[0]))
		fail_msg("\"%s\", expected \"%s\"", message.text, why);
	if (error)
		assert_int_equal(kill(victim, 0), 0);
}

static void only_what_a_policy_asks_for(void **state)
{
	static const struct {
		enum action action;
		const char *ruleset, *rule;
	} refused[] = {
		{ACTION_KILL_PROCESS, "enforced", "logs"}, {ACTION_KILL_PROCESS, "enforced", "kills"},
		{ACTION_KILL_PROCESS, "enforced", "none"}, {ACTION_KILL_PROCESS, "enforced", ""},
		{ACTION_KILL_PROCESS, "audited", "ends"},  {ACTION_KILL_PROCESS, "expired", "ends"},
		{ACTION_KILL_PROCESS, "nonesuch", "ends"}, {ACTION_KILL_PROCESS, "", "ends"},
	};
	struct message message;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		check_answer(request(refused[i].action, refused[i].ruleset, refused[i].rule), false, -EPERM,
			     "no policy that enforces");
	check_answer(request(ACTION_KILL_PROCESS, "enforced", "ends"), true, -EPERM, "no policy that enforces");
	check_answer(request(ACTION_LOG, "enforced", "logs"), false, -EINVAL, "no socket");
	check_answer(request((enum action)77, "enforced", "ends"), false, -EINVAL, "no action");

	/* The connection needs its socket. A rule that ends processes may end a connection too: this one is not there. */
	check_answer(request(ACTION_KILL, "enforced", "kills"), false, -EINVAL, "no socket");
	message = request(ACTION_KILL, "enforced", "ends");
	message.kill.socket = (struct record_socket){.cookie = 1, .netns = 1, .family = AF_INET};
	check_answer(message, false, -ESRCH, "network namespace");
	message = request(ACTION_KILL, "enforced", "kills");
	message.kill.socket = (struct record_socket){.cookie = 1, .family = AF_UNIX};
	check_answer(message, false, -EINVAL, "no socket");
}

static void only_that_process(void **state)
{
	struct message message = request(ACTION_KILL_PROCESS, "enforced", "ends");

	(void)state;
	message.kill.start_boottime_ns += 1000000000;
	check_answer(message, false, -ESRCH, "the process has ended");
	message.kill.pid = (uint32_t)getpid();
	message.kill.start_boottime_ns = start_of(getpid());
	check_answer(message, false, -EPERM, "a part of the agent");
	message.kill.pid = (uint32_t)parent;
	message.kill.start_boottime_ns = start_of(parent);
	check_answer(message, false, -EPERM, "a part of the agent");
	message.kill.pid = 1;
	message.kill.start_boottime_ns = start_of(1);
	check_answer(message, false, -EPERM, "pid 1");
}

/* A socket that is not there does not keep the process alive, nor does one of no family that is known. */
static void the_process_is_ended(void **state)
{
	struct message message = request(ACTION_KILL_PROCESS, "enforced", "ends");
	int status = 0;

	(void)state;
	message.kill.socket = (struct record_socket){.cookie = 1, .family = AF_UNIX};
	check_answer(message, false, 0, "");
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	assert_int_equal(kill(victim, 0), -1);
	request_answer(false, &message);
}

static void the_process_is_ended_whatever_its_socket(void **state)
{
	struct message message = request(ACTION_KILL_PROCESS, "enforced", "ends");

	(void)state;
	message.kill.socket = (struct record_socket){.cookie = 1, .netns = 1, .family = AF_INET, .peer_port = 1};
	check_answer(message, false, 0, "");
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	message = request(ACTION_KILL_PROCESS, "enforced", "ends");
	request_answer(false, &message);
	assert_int_equal(message.number, -ESRCH);
	assert_int_equal(message.killed.process.known, 0);
}

static void who_a_process_is(void **state)
{
	struct message answer;

	(void)state;
	message_begin(&answer, MESSAGE_PROCESS_IS);
	answer.process.pid = answer.process.tid = (uint32_t)victim;
	answer.process.start_boottime_ns = victim_start;
	request_process(&answer);
	assert_int_equal(answer.tag, MESSAGE_PROCESS_IS);
	assert_int_equal(answer.process.known, 1);
	assert_int_equal(answer.number, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_what_a_policy_asks_for, setup, teardown),
		cmocka_unit_test_setup_teardown(only_that_process, setup, teardown),
		cmocka_unit_test_setup_teardown(the_process_is_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(the_process_is_ended_whatever_its_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(who_a_process_is, setup, teardown),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
