/* The privileged half: sets everything up, and then answers a short table of requests and the signals.
 *
 *   warden (root)                                   judge (nobody, seccomp)
 *     finder thread ── MESSAGE_LIBRARY … ────────────→
 *     SIGHUP ───────── MESSAGE_POLICIES ─────────────→ ring → facts → verdict → event
 *     /proc     ←───── MESSAGE_PROCESS ──────────────
 *     sock_diag ←───── MESSAGE_KILL ─────────────────
 *
 * It never parses a certificate. What the judge asks for is checked again here: that process by pid and start, that socket
 * by its cookie, that rule of a policy which enforces. Anything else ends the judge, and with it the agent. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "channel.h"
#include "destroy.h"
#include "exit_codes.h"
#include "finder.h"
#include "judge.h"
#include "machine.h"
#include "policy_files.h"
#include "policy_pack.h"
#include "process.h"
#include "sandbox.h"
#include "util.h"

enum {
	ANCHORS_MAX = 64 << 20,
	STOP_WAIT_S = 10, /* beyond it a judge that does not end, as nobody reads its output, is killed */
};

static const char system_anchors[] = "/etc/ssl/certs/ca-certificates.crt";

struct warden {
	const struct agent_options *options;
	struct policies *policies; /* the same as the judge's: what may be asked for is looked up here */
	struct probes *probes;
	struct finder *finder;
	sd_event *events;
	int channel;
	pid_t judge;
	bool stopping;
	int exit_code;
	int judge_signal; /* what killed the judge, though it was not to end; or 0 */
};

/* --- requests ------------------------------------------------------------------------------------------------------ */

static int kill_check(const struct warden *warden, const struct message_kill *kill, const char **ret_why)
{
	if (!kill->socket.cookie || (kill->socket.family != AF_INET && kill->socket.family != AF_INET6)) {
		*ret_why = "no socket was named";
		return -EINVAL;
	}
	if (!policies_allow(warden->policies, kill->ruleset, kill->rule, ACTION_KILL, warden->options->audit_only,
			    time(NULL))) {
		*ret_why = "no policy that enforces asks for it";
		return -EPERM;
	}
	return 0;
}

static int kill_do(const struct warden *warden, const struct message_kill *kill, const char **ret_why)
{
	int process CLEANUP_CLOSE = -1, netns CLEANUP_CLOSE = -1, err;

	err = kill_check(warden, kill, ret_why);
	if (err)
		return err;
	process = process_open(kill->pid, kill->tid, kill->start_boottime_ns);
	if (process < 0) {
		*ret_why = process == -ESRCH ? "the process has ended" : strerror(-process);
		return process;
	}
	netns = process_netns_open(process, kill->socket.netns);
	if (netns < 0) {
		*ret_why = "the socket's network namespace is not that of the process";
		return netns;
	}
	err = socket_destroy(netns, &kill->socket);
	*ret_why = err == -ENOENT     ? "the connection had ended already" :
		   err == -EOPNOTSUPP ? "the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)" :
					strerror(-err);
	return err;
}

static void answer(struct warden *warden, struct message *message)
{
	struct message_process asked = message->process;
	struct message_kill kill = message->kill;
	const char *why = NULL;

	if (message->tag == MESSAGE_PROCESS) {
		message->tag = MESSAGE_PROCESS_IS;
	} else {
		message->tag = MESSAGE_KILLED;
		asked = (struct message_process){
			.pid = kill.pid, .tid = kill.tid, .start_boottime_ns = kill.start_boottime_ns, .uid = kill.uid};
	}
	/* First, for a process that loses its connection may end at once. */
	process_describe(&asked, &message->process);
	if (message->tag == MESSAGE_KILLED) {
		message->number = kill_do(warden, &kill, &why);
		snprintf(message->text, sizeof(message->text), "%s", message->number ? why : "");
	}
	message_send(warden->channel, message, -1);
}

static int on_message(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct warden *warden = context;
	struct message message;
	int got = message_receive(fd, false, &message, NULL);

	(void)revents;
	if (got == -EAGAIN)
		return 0;
	if (got == 0) {
		sd_event_source_set_enabled(source, SD_EVENT_OFF); /* its end is seen by on_judge_end */
		return 0;
	}
	if (got < 0 || (message.tag != MESSAGE_PROCESS && message.tag != MESSAGE_KILL)) {
		fprintf(stderr, "tlswarden: the judge asked for something that is not in the table: ending it\n");
		kill(warden->judge, SIGKILL);
		return 0;
	}
	answer(warden, &message);
	return 0;
}

/* --- policies ------------------------------------------------------------------------------------------------------ */

/* An exit code; *ret_why, owned by the caller, is the first problem. */
static int policies_load(const struct agent_options *options, struct policy_texts *texts, struct policies **ret,
			 char **ret_why)
{
	struct problems problems = {};
	int code = EXIT_FINE;

	if (policy_texts_read(options->policy_paths, options->policy_count, texts, ret_why) < 0) {
		fprintf(stderr, "tlswarden: %s\n", *ret_why);
		return EXIT_USAGE;
	}
	if (policies_parse(texts->sources, texts->count, ret, &problems) < 0) {
		problems_print(&problems);
		*ret_why = problems.count ? xasprintf("%s:%u:%u: %s", problems.items[0].file, problems.items[0].line,
						      problems.items[0].column, problems.items[0].text) :
					    xstrdup("it does not parse");
		code = EXIT_NO;
	}
	problems_clear(&problems);
	return code;
}

static int output_open(const char *path)
{
	int fd = strcmp(path, "-") != 0 ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640) :
					  fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		fprintf(stderr, "tlswarden: %s: %s\n", path, strerror(errno));
	return fd;
}

/* A log that was rotated by renaming it is another file now. */
static void output_renew(struct warden *warden)
{
	struct message message = {.tag = MESSAGE_OUTPUT};
	int fd CLEANUP_CLOSE = -1;

	if (strcmp(warden->options->output, "-") == 0)
		return;
	fd = output_open(warden->options->output);
	if (fd < 0 || message_offer(warden->channel, &message, fd) < 0)
		fprintf(stderr, "tlswarden: events go on to the old file\n");
}

static void reload(struct warden *warden)
{
	struct message message = {.tag = MESSAGE_POLICIES};
	struct policy_texts texts = {};
	struct policies *fresh = NULL;
	char *why CLEANUP_FREE = NULL;
	int fd CLEANUP_CLOSE = -1;

	sd_notify(0, "RELOADING=1");
	output_renew(warden);
	if (policies_load(warden->options, &texts, &fresh, &why) == EXIT_FINE) {
		fd = policy_texts_pack(&texts);
		if (fd < 0)
			why = xstrdup(strerror(-fd));
	}
	if (why) {
		message.tag = MESSAGE_POLICY_REJECTED;
		snprintf(message.text, sizeof(message.text), "%s", why);
	}
	/* Both halves change, or none. */
	if (message_offer(warden->channel, &message, fd) < 0) {
		fprintf(stderr, "tlswarden: the judge takes no message, is nobody reading its output? The policies stay\n");
	} else if (!why) {
		policies_free(warden->policies);
		warden->policies = TAKE_PTR(fresh);
	}
	policies_free(fresh);
	policy_texts_clear(&texts);
	sd_notify(0, "READY=1");
}

/* --- signals ------------------------------------------------------------------------------------------------------- */

static int on_stop_due(sd_event_source *source, uint64_t usec, void *context)
{
	struct warden *warden = context;

	(void)source;
	(void)usec;
	fprintf(stderr, "tlswarden: the judge does not end, is nobody reading its output? Killing it\n");
	kill(warden->judge, SIGKILL);
	return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct message stop = {.tag = MESSAGE_STOP};
	struct warden *warden = context;

	(void)source;
	if (info->ssi_signo == SIGHUP) {
		reload(warden);
	} else if (!warden->stopping) {
		warden->stopping = true;
		sd_notify(0, "STOPPING=1");
		if (message_offer(warden->channel, &stop, -1) < 0)
			shutdown(warden->channel, SHUT_WR); /* seen when it has read all that came before */
		sd_event_add_time_relative(warden->events, NULL, CLOCK_MONOTONIC, STOP_WAIT_S * 1000000ULL, 0, on_stop_due,
					   warden);
	}
	return 0;
}

static int on_judge_end(sd_event_source *source, const siginfo_t *info, void *context)
{
	struct warden *warden = context;

	(void)source;
	warden->judge = 0;
	if (info->si_code != CLD_EXITED) {
		fprintf(stderr, "tlswarden: the judge died of signal %d (%s): nothing is judged any more, ending\n",
			info->si_status, strsignal(info->si_status));
		warden->exit_code = EXIT_CANNOT;
		warden->judge_signal = warden->stopping ? 0 : info->si_status;
	} else if (info->si_status != 0) {
		warden->exit_code = EXIT_CANNOT;
	}
	return sd_event_exit(warden->events, 0);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* The text is handed to the judge, which parses it. */
static int anchors_read(const struct agent_options *options, struct judge_setup *setup)
{
	const char *path = options->anchors ? options->anchors : system_anchors;
	char *text = NULL;
	int err = file_read(path, ANCHORS_MAX, &text, &setup->anchors_len);

	setup->anchors_pem = text;
	if (err && options->anchors) {
		fprintf(stderr, "tlswarden: %s: %s\n", path, strerror(-err));
		return EXIT_USAGE;
	}
	return EXIT_FINE;
}

/* A judge that outlives its warden must hold none of its programs and links. */
static void others_close(const int *kept, size_t count)
{
	unsigned first = STDERR_FILENO + 1, next;

	do {
		next = ~0u;
		for (size_t i = 0; i < count; i++)
			if ((unsigned)kept[i] >= first && (unsigned)kept[i] < next)
				next = (unsigned)kept[i];
		if (next > first)
			close_range(first, next - 1, 0);
		first = next + 1;
	} while (next != ~0u);
}

static int judge_start(struct warden *warden, struct judge_setup *setup)
{
	int ends[2];
	int err = channel_new(ends);

	if (err)
		return err;
	warden->judge = fork();
	if (warden->judge == 0) {
		setup->channel = ends[1];
		others_close((const int[]){ends[1], setup->output, setup->ring_map}, 3);
		_exit(judge_main(setup));
	}
	err = warden->judge < 0 ? -errno : 0;
	close(ends[1]);
	warden->channel = ends[0];
	return err;
}

static int loop_prepare(struct warden *warden)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
	int err = sd_event_new(&warden->events);

	for (size_t i = 0; i < ARRAY_SIZE(signals) && err >= 0; i++)
		err = sd_event_add_signal(warden->events, NULL, signals[i], on_signal, warden);
	if (err >= 0)
		err = sd_event_add_child(warden->events, NULL, warden->judge, WEXITED, on_judge_end, warden);
	if (err >= 0)
		err = sd_event_add_io(warden->events, NULL, warden->channel, EPOLLIN, on_message, warden);
	return err < 0 ? err : 0;
}

static int warden_loop(struct warden *warden)
{
	int err = loop_prepare(warden);

	if (!err)
		err = finder_new(warden->probes, warden->channel, &warden->finder);
	if (err) {
		fprintf(stderr, "tlswarden: cannot start: %s\n", strerror(-err));
		return EXIT_CANNOT;
	}
	err = sd_event_loop(warden->events);
	return err < 0 ? EXIT_CANNOT : warden->exit_code;
}

static int judge_prepare(struct warden *warden, struct judge_setup *setup)
{
	const struct agent_options *options = warden->options;

	if (sandbox_user(options->user, &setup->uid, &setup->gid) < 0) {
		fprintf(stderr, "tlswarden: there is no account %s for the unprivileged half: make it, or name another\n",
			options->user ? options->user : "tlswarden, nor nobody,");
		return EXIT_USAGE;
	}
	setup->output = output_open(options->output);
	if (setup->output < 0)
		return EXIT_USAGE;
	setup->text = options->text;
	setup->colour = options->colour;
	setup->all_events = options->all_events;
	setup->audit_only = options->audit_only;
	setup->ring_map = probes_ring_fd(warden->probes);
	setup->counters = probes_counters(warden->probes);
	return anchors_read(options, setup);
}

/* Each library that is attached takes several. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Blocked in every thread and in the judge: sd-event takes them from a descriptor. */
static void signals_block(void)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGHUP);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int warden_start(struct warden *warden, struct policy_texts *texts, char **ret_why)
{
	char host[HOST_NAME_MAX + 1] = "";
	struct judge_setup setup = {.output = -1, .host = host};
	int code = policies_load(warden->options, texts, &warden->policies, ret_why);

	if (code)
		return code;
	if (machine_check(ret_why) < 0 || probes_new(&warden->probes, ret_why) < 0) {
		fprintf(stderr, "tlswarden: cannot run here: %s\n", *ret_why);
		return EXIT_CANNOT;
	}
	gethostname(host, sizeof(host) - 1);
	descriptors_raise();
	signals_block();
	code = judge_prepare(warden, &setup);
	setup.policies = warden->policies; /* the judge's after the fork is its own copy */
	if (!code && judge_start(warden, &setup) < 0)
		code = EXIT_CANNOT;
	if (setup.output >= 0)
		close(setup.output);
	free((char *)setup.anchors_pem);
	return code ? code : warden_loop(warden);
}

/* Whoever keeps the agent must start it again, which is not so with the exit codes: those say that trying again changes
 * nothing. */
static void end_as(int signo)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	signal(signo, SIG_DFL);
	raise(signo);
}

int agent_run(const struct agent_options *options)
{
	struct warden warden = {.options = options, .channel = -1};
	struct policy_texts texts = {};
	char *why CLEANUP_FREE = NULL;
	int code = warden_start(&warden, &texts, &why);

	finder_free(warden.finder);
	if (warden.channel >= 0)
		close(warden.channel);
	if (warden.judge > 0)
		waitpid(warden.judge, NULL, 0); /* it ends when the channel does */
	sd_event_unref(warden.events);
	probes_free(warden.probes);
	policies_free(warden.policies);
	policy_texts_clear(&texts);
	if (warden.judge_signal)
		end_as(warden.judge_signal);
	return code;
}
