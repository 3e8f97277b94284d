/* `tlswarden run`: the agent in the foreground. Options first, then the configuration file, then what is usual. */
#include <getopt.h>
#include <string.h>

#include "agent.h"
#include "cmd.h"
#include "config.h"
#include "control.h"
#include "util.h"

static char usual_policies[] = "/etc/tlswarden/policies.d";

static const char usage[] =
	"usage: tlswarden run [--config FILE] [--policy PATH]... [--output FILE|-] [--events violations|all]\n"
	"                     [--certificates] [--mode audit|enforce] [--anchors FILE] [--user NAME]\n"
	"                     [--control PATH|none]\n"
	"\n"
	"Watches every verification of a TLS certificate on this host, judges it by the policies, writes events as JSON lines,\n"
	"and ends connections or processes where a policy that enforces says so. Runs until SIGTERM or SIGINT; SIGHUP reloads the\n"
	"policies and the files that they name.\n"
	"\n"
	"  --config FILE    configuration (default: /etc/tlswarden/tlswarden.yaml, if it is there)\n"
	"  --policy PATH    a policy file, or a directory of them; may be given again (default: /etc/tlswarden/policies.d, if\n"
	"                   it is there). Without a policy every verification is logged.\n"
	"  --output FILE|-  where events go: appended to FILE, or standard output (default: -)\n"
	"  --events WHICH   violations (default with a policy), or all\n"
	"  --certificates   events carry the bytes of the certificates, so that `replay` can judge all of it anew\n"
	"  --mode audit     overrides every policy that enforces; --mode enforce leaves it to the policies (default)\n"
	"  --anchors FILE   PEM file with the roots known for proving paths (default: the system's bundle, if it is there)\n"
	"  --user NAME      account of the half that reads certificates (default: tlswarden if it exists, or nobody)\n"
	"  --control PATH   socket over which `status` and `coverage` ask this agent, or none\n"
	"                   (default: /run/tlswarden/control.sock, if no other agent has it)\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 ended by a signal; 1 a policy is invalid; 2 the command line is wrong, or a file cannot be read;\n"
	"3 this machine cannot do it: the message says what is missing; or another agent has the socket that was named.\n";

enum {
	OPTION_CONFIG = 256,
	OPTION_POLICY,
	OPTION_OUTPUT,
	OPTION_EVENTS,
	OPTION_MODE,
	OPTION_ANCHORS,
	OPTION_USER,
	OPTION_CERTIFICATES,
	OPTION_CONTROL
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"policy", required_argument, NULL, OPTION_POLICY},
	{"output", required_argument, NULL, OPTION_OUTPUT},
	{"events", required_argument, NULL, OPTION_EVENTS},
	{"mode", required_argument, NULL, OPTION_MODE},
	{"anchors", required_argument, NULL, OPTION_ANCHORS},
	{"user", required_argument, NULL, OPTION_USER},
	{"certificates", no_argument, NULL, OPTION_CERTIFICATES},
	{"control", required_argument, NULL, OPTION_CONTROL},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct choices {
	const char *config;
	bool has_events, has_mode, help;
};

/* Exactly one of two words. */
static bool word_is(const char *option, const char *value, const char *no, const char *yes, bool *ret)
{
	if (strcmp(value, no) != 0 && strcmp(value, yes) != 0) {
		fprintf(stderr, "tlswarden run: --%s %s: %s or %s is wanted\n", option, value, no, yes);
		return false;
	}
	*ret = strcmp(value, yes) == 0;
	return true;
}

static bool option_take(int option, char *value, struct agent_options *ret, struct choices *choices)
{
	switch (option) {
	case OPTION_CONFIG:
		choices->config = value;
		return true;
	case OPTION_POLICY:
		ret->policy_paths = xrealloc(ret->policy_paths, ret->policy_count + 1, sizeof(*ret->policy_paths));
		ret->policy_paths[ret->policy_count++] = value;
		return true;
	case OPTION_OUTPUT:
		ret->output = value;
		return true;
	case OPTION_EVENTS:
		choices->has_events = true;
		return word_is("events", value, "violations", "all", &ret->all_events);
	case OPTION_MODE:
		choices->has_mode = true;
		return word_is("mode", value, "enforce", "audit", &ret->audit_only);
	case OPTION_CERTIFICATES:
		ret->certificates = true;
		return true;
	case OPTION_ANCHORS:
		ret->anchors = value;
		return true;
	case OPTION_USER:
		ret->user = value;
		return true;
	case OPTION_CONTROL:
		ret->control = value;
		return true;
	case 'h':
		choices->help = true;
		return true;
	default:
		return false;
	}
}

static bool options_take(int argc, char **argv, struct agent_options *ret, struct choices *choices)
{
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		if (!option_take(option, optarg, ret, choices))
			return false;
	if (optind < argc)
		fprintf(stderr, "tlswarden run: %s: what is this? Policies are named with --policy\n", argv[optind]);
	return optind == argc;
}

/* What was not said on the command line. */
static void config_apply(const struct config *config, const struct choices *choices, struct agent_options *ret)
{
	static char *usual[] = {usual_policies};

	if (!ret->policy_count && config->policy_count) {
		ret->policy_paths = xrealloc(ret->policy_paths, config->policy_count, sizeof(*ret->policy_paths));
		memcpy(ret->policy_paths, config->policies, config->policy_count * sizeof(*ret->policy_paths));
		ret->policy_count = config->policy_count;
	}
	if (!ret->policy_count && access(usual_policies, F_OK) == 0) {
		ret->policy_paths = xrealloc(ret->policy_paths, 1, sizeof(*ret->policy_paths));
		ret->policy_paths[0] = usual[0];
		ret->policy_count = 1;
	}
	if (!ret->output)
		ret->output = config->output ? config->output : "-";
	if (!choices->has_events)
		ret->all_events = config->all_events;
	ret->events_open = !choices->has_events && !config->has_events;
	if (!choices->has_mode)
		ret->audit_only = config->audit_only;
	ret->certificates |= config->certificates;
	ret->fail_closed = config->fail_closed;
	ret->gate_timeout_ms = config->gate_timeout_ms;
	ret->gate_max = config->gate_max;
	if (!ret->anchors)
		ret->anchors = config->anchors;
	if (!ret->user)
		ret->user = config->user;
	if (!ret->control)
		ret->control = config->control;
	ret->control_named = ret->control != NULL;
	if (!ret->control)
		ret->control = control_usual_path;
	else if (strcmp(ret->control, "none") == 0)
		ret->control = NULL;
}

int cmd_run(int argc, char **argv)
{
	CLEANUP(config_clear) struct config config;
	struct agent_options options = {};
	struct choices choices = {};
	int code = EXIT_USAGE;

	config_init(&config);
	if (!options_take(argc, argv, &options, &choices)) {
		fputs("Try: tlswarden run --help\n", stderr);
	} else if (choices.help) {
		fputs(usage, stdout);
		code = EXIT_FINE;
	} else {
		if (!choices.config && access(config_usual_path, F_OK) == 0)
			choices.config = config_usual_path;
		code = choices.config ? config_read(choices.config, &config) : EXIT_FINE;
		if (code == EXIT_FINE) {
			config_apply(&config, &choices, &options);
			code = agent_run(&options);
		}
	}
	free(options.policy_paths);
	return code;
}
