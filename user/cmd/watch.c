/* `tlswarden watch`: the agent without a policy, for reading along: one line a verification. */
#include <getopt.h>
#include <string.h>

#include "agent.h"
#include "cmd.h"
#include "util.h"

static const char usage[] =
	"usage: tlswarden watch [--policy PATH]... [--color auto|always|never]\n"
	"\n"
	"Shows each verification of a TLS certificate on this host as it happens: time, process, peer, name, issuer, verdict.\n"
	"Needs no policy; with one, violations are shown too, and nothing is ever ended. Stop it with Ctrl-C.\n"
	"\n"
	"  --policy PATH   a policy file or a directory of them, judged in audit mode; may be given again\n"
	"  --color WHEN    auto (default: on a terminal), always or never\n"
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 ended by a signal; 1 a policy is invalid; 2 the command line is wrong, or a file cannot be read;\n"
	"3 this machine cannot do it: the message says what is missing.\n";

static const struct option long_options[] = {
	{"policy", required_argument, NULL, 'p'},
	{"color", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static bool colour_take(const char *when, bool *ret)
{
	if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
		*ret = strcmp(when, "always") == 0;
	else if (strcmp(when, "auto") != 0)
		return false;
	return true;
}

static bool option_take(int option, char *value, struct agent_options *ret, bool *ret_help)
{
	switch (option) {
	case 'p':
		ret->policy_paths = xrealloc(ret->policy_paths, ret->policy_count + 1, sizeof(*ret->policy_paths));
		ret->policy_paths[ret->policy_count++] = value;
		return true;
	case 'c':
		if (colour_take(value, &ret->colour))
			return true;
		fprintf(stderr, "tlswarden watch: --color %s: auto, always or never is wanted\n", value);
		return false;
	case 'h':
		*ret_help = true;
		return true;
	default:
		return false;
	}
}

int cmd_watch(int argc, char **argv)
{
	struct agent_options options = {.output = "-", .text = true, .all_events = true, .audit_only = true, .gate_max = 1};
	bool help = false, good = true;
	int option, code = EXIT_USAGE;

	options.colour = isatty(STDOUT_FILENO);
	optind = 0;
	while (good && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		good = option_take(option, optarg, &options, &help);
	if (!good || optind < argc) {
		fputs("Try: tlswarden watch --help\n", stderr);
	} else if (help) {
		fputs(usage, stdout);
		code = EXIT_FINE;
	} else {
		code = agent_run(&options);
	}
	free(options.policy_paths);
	return code;
}
