/* The privileged half: sets everything up, and then answers a short table of requests and the signals.
 *
 *   warden (root)                                   judge (nobody, seccomp)
 *     finder thread ── MESSAGE_LIBRARY … ────────────→
 *     SIGHUP ───────── MESSAGE_POLICIES ─────────────→ ring → facts → verdict → event
 *     policies  ←───── MESSAGE_POLICIES_TAKEN ───────
 *     enforcer  ←───── MESSAGE_PROCESS, _KILL, _RELEASE
 *
 * It never parses a certificate: what is in the files that policies name is read here and taken apart by the judge. What the
 * judge asks for is checked again (enforcer.c, request.c). Anything else ends the judge, and with it the agent. */
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
#include "control.h"
#include "enforcer.h"
#include "exit_codes.h"
#include "finder.h"
#include "judge.h"
#include "load.h"
#include "machine.h"
#include "output.h"
#include "path.h"
#include "policy_pack.h"
#include "sandbox.h"
#include "standing.h"
#include "util.h"

enum {
	ANCHORS_MAX = 64 << 20,
	TICK_ACCURACY_US = 10000,
	STOP_WAIT_S = 10, /* beyond it a judge that does not end, as nobody reads its output, is killed */
};

struct warden {
	const struct agent_options *options;
	struct policies *policies; /* the same as the judge's, not bound: what may be asked for is looked up here */
	struct policies *offered;  /* the judge has not said yet whether it takes them; or NULL */
	bool awaiting;             /* its answer about policies, at the start or after an offer */
	bool reload_again;         /* was asked for meanwhile */
	struct probes *probes;
	struct finder *finder;
	struct enforcer *enforcer;
	struct control *control;   /* NULL: nobody can ask */
	struct standing *standing; /* what is told to those who do */
	sd_event *events;
	int channel;
	pid_t judge;
	bool stopping;
	int exit_code;
	bool judge_done;  /* it has judged all that there was */
	int judge_signal; /* what killed the judge, though it was not to end; or 0 */
	struct stat made; /* the file that `learn` made; st_ino 0: none */
};

/* --- policies ------------------------------------------------------------------------------------------------------ */

static void reload(struct warden *warden)
{
	struct message message = {.tag = MESSAGE_POLICIES};
	CLEANUP(load_clear) struct load load = {};
	char *why CLEANUP_FREE = NULL;
	int fd CLEANUP_CLOSE = -1;

	/* One offer at a time; the next is of what is there when this one is answered. */
	warden->reload_again = warden->awaiting;
	if (warden->awaiting)
		return;
	sd_notify(0, "RELOADING=1");
	if (load_read(warden->options->policy_paths, warden->options->policy_count, &load, &why) == EXIT_FINE) {
		/* A directory that was emptied, or is not mounted, must not end all enforcement without a word. */
		if (policies_count(load.policies) == 0 && policies_count(warden->policies) > 0)
			why = xstrdup("there is no policy any more: nothing that ends in .yaml or .yml");
	}
	if (!why) {
		fd = policy_pack(&load.texts, &load.contents);
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
		warden->offered = TAKE_PTR(load.policies);
		warden->awaiting = true;
		return;
	}
	sd_notify(0, "READY=1");
}

/* The first policies are in force, and the ring is read: now there may be something in it. */
static void probes_start(struct warden *warden)
{
	int err = warden->stopping ? 0 : finder_new(warden->probes, warden->channel, &warden->finder);

	standing_finder(warden->standing, warden->finder);
	if (!err)
		return;
	fprintf(stderr, "tlswarden: cannot start: %s\n", strerror(-err));
	warden->exit_code = EXIT_CANNOT;
	sd_event_exit(warden->events, 0);
}

/* Of which the control socket tells. */
static void gate_note(struct warden *warden)
{
	const char *why;
	enum gate_state state = enforcer_gate(warden->enforcer, &why);

	standing_gate(warden->standing, state, why);
}

/* err: the judge could not take the policies offered, and has said why in an event. */
static void on_taken(struct warden *warden, int err)
{
	bool first = !warden->offered;
	struct policies *old = NULL;

	warden->awaiting = false;
	if (!first && !err) {
		old = warden->policies;
		warden->policies = TAKE_PTR(warden->offered);
	}
	if (!err) {
		enforcer_policies(warden->enforcer, warden->policies);
		standing_policies(warden->standing, warden->policies);
		gate_note(warden);
	}
	policies_free(old);
	policies_free(TAKE_PTR(warden->offered));
	if (first)
		probes_start(warden);
	else
		sd_notify(0, "READY=1");
	if (warden->reload_again && !warden->stopping)
		reload(warden);
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

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
	if (got > 0 && message.tag == MESSAGE_POLICIES_TAKEN && warden->awaiting) {
		on_taken(warden, (int)message.number);
	} else if (got <= 0 || !enforcer_message(warden->enforcer, &message)) {
		fprintf(stderr, "tlswarden: the judge asked for something that is not in the table: ending it\n");
		kill(warden->judge, SIGKILL);
	}
	return 0;
}

static int on_notices(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct warden *warden = context;

	(void)source;
	(void)fd;
	(void)revents;
	enforcer_notices(warden->enforcer);
	return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
	struct warden *warden = context;
	unsigned wait_ms = enforcer_tick(warden->enforcer);

	(void)usec;
	gate_note(warden);
	sd_event_source_set_time_relative(source, wait_ms * 1000ULL);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
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
	if (info->ssi_signo == SIGHUP && !warden->options->learn) {
		output_renew(warden->options->output, warden->channel);
		reload(warden);
	} else if (!warden->stopping) {
		warden->stopping = true;
		enforcer_stop(warden->enforcer);
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
	warden->judge_done = info->si_code == CLD_EXITED && info->si_status == 0;
	if (info->si_code != CLD_EXITED) {
		fprintf(stderr, "tlswarden: the judge died of signal %d (%s): nothing is judged any more, ending\n",
			info->si_status, strsignal(info->si_status));
		warden->exit_code = EXIT_CANNOT;
		warden->judge_signal = warden->stopping ? 0 : info->si_status;
	} else if (info->si_status != 0) {
		warden->exit_code = info->si_status == EXIT_NO ? EXIT_NO : EXIT_CANNOT;
	}
	return sd_event_exit(warden->events, 0);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* The text is handed to the judge, which parses it. */
static int anchors_read(const struct agent_options *options, struct judge_setup *setup)
{
	const char *path = options->anchors ? options->anchors : anchors_system_file;
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
	if (err >= 0)
		err = sd_event_add_io(warden->events, NULL, enforcer_fd(warden->enforcer), EPOLLIN, on_notices, warden);
	if (err >= 0)
		err = sd_event_add_time_relative(warden->events, NULL, CLOCK_MONOTONIC, 0, TICK_ACCURACY_US, on_tick,
						 warden);
	return err < 0 ? err : 0;
}

static struct gate_options gate_options_of(const struct agent_options *options)
{
	return (struct gate_options){
		.closed = options->fail_closed, .timeout_ms = options->gate_timeout_ms, .max = options->gate_max};
}

static int warden_loop(struct warden *warden)
{
	const struct agent_options *options = warden->options;
	const struct enforcer_options enforcer = {
		.gate = gate_options_of(options),
		.audit_only = options->audit_only,
		.idle = options->learn || options->text,
	};
	const struct standing_options standing = {
		.audit_only = options->audit_only, .gate = enforcer.gate, .counters = probes_counters(warden->probes)};
	int err = enforcer_new(warden->probes, &enforcer, warden->channel, &warden->enforcer);

	warden->standing = standing_new(&standing);
	if (!err)
		err = control_start(warden->control, standing_answer, warden->standing);
	if (!err)
		err = loop_prepare(warden);
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
	setup->output = options->learn && strcmp(options->output, "-") != 0 ? output_make(options->output, &warden->made) :
									      output_open(options->output);
	if (setup->output < 0)
		return EXIT_USAGE;
	setup->text = options->text;
	setup->colour = options->colour;
	setup->all_events = options->all_events;
	setup->events_open = options->events_open;
	setup->audit_only = options->audit_only;
	setup->certificates = options->certificates;
	setup->learn = options->learn;
	setup->learn_seconds = options->learn_seconds;
	setup->progress = isatty(STDERR_FILENO);
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

/* Before anything is loaded, so that a second agent by mistake does nothing. */
static int control_prepare(struct warden *warden)
{
	const struct agent_options *options = warden->options;
	char *why CLEANUP_FREE = NULL;
	int err = options->control ? control_open(options->control, &warden->control, &why) : 0;

	if (!err)
		return EXIT_FINE;
	if (!options->control_named) {
		fprintf(stderr,
			"tlswarden: %s: `status` and `coverage` will not reach this agent; name another socket with --control\n",
			why);
		return EXIT_FINE;
	}
	fprintf(stderr, "tlswarden: cannot run: %s%s\n", why,
		err == -EADDRINUSE ? ": end it, or name another socket with --control" : "");
	return err == -EADDRINUSE ? EXIT_CANNOT : EXIT_USAGE;
}

static int machine_prepare(struct warden *warden, char **ret_why)
{
	const struct gate_options gate = gate_options_of(warden->options);
	int err = machine_check(ret_why), code = err ? EXIT_CANNOT : control_prepare(warden);

	if (code == EXIT_FINE)
		err = probes_new(gate_room(&gate), &warden->probes, ret_why);
	if (err)
		fprintf(stderr, "tlswarden: cannot run here: %s\n", *ret_why);
	return err ? EXIT_CANNOT : code;
}

static int warden_start(struct warden *warden, struct load *load, char **ret_why)
{
	char host[HOST_NAME_MAX + 1] = "";
	struct judge_setup setup = {.output = -1, .host = host, .contents = &load->contents};
	int code = load_read(warden->options->policy_paths, warden->options->policy_count, load, ret_why);

	if (!code)
		code = machine_prepare(warden, ret_why);
	if (code)
		return code;
	gethostname(host, sizeof(host) - 1);
	descriptors_raise();
	signals_block();
	code = judge_prepare(warden, &setup);
	warden->policies = setup.policies = TAKE_PTR(load->policies); /* the judge's after the fork is its own copy */
	warden->awaiting = true;
	if (!code && judge_start(warden, &setup) < 0)
		code = EXIT_CANNOT;
	if (setup.output >= 0)
		close(setup.output);
	free((char *)setup.anchors_pem);
	load_clear(load);
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
	CLEANUP(load_clear) struct load load = {};
	char *why CLEANUP_FREE = NULL;
	int code = warden_start(&warden, &load, &why);

	control_free(warden.control);
	standing_free(warden.standing);
	finder_free(warden.finder);
	enforcer_free(warden.enforcer, warden.judge_done);
	if (warden.channel >= 0)
		close(warden.channel);
	if (warden.judge > 0)
		waitpid(warden.judge, NULL, 0); /* it ends when the channel does */
	sd_event_unref(warden.events);
	if (code != EXIT_FINE)
		output_unmake(options->output, &warden.made);
	probes_free(warden.probes);
	policies_free(warden.policies);
	policies_free(warden.offered);
	if (warden.judge_signal)
		end_as(warden.judge_signal);
	return code;
}
