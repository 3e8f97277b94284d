/* `tlswarden learn`: the agent without a policy, which in the end writes one that accepts what it saw. */
#include <getopt.h>
#include <string.h>

#include "agent.h"
#include "cmd.h"
#include "util.h"

/* A recording that is longer than this is taken for a slip of the hand. */
enum { DAYS_MAX = 366 };

static const char usage[] =
	"usage: tlswarden learn [--for DURATION] [--output FILE|-] [--anchors FILE] [--user NAME]\n"
	"\n"
	"Records what the processes of this host verify, and then writes a policy in audit mode that accepts exactly that: which\n"
	"keys vouched for which names, by whom and how often it was seen. What was not verified with success is not learned, but\n"
	"listed in comments. Nothing is ended. It stops by itself with --for, else by Ctrl-C or SIGTERM, and then writes.\n"
	"\n"
	"  --for DURATION   how long: 90s, 10m, 2h, 1d (default: until it is stopped)\n"
	"  --output FILE|-  where the policy goes: FILE, which must not be there yet, or standard output (default: -)\n"
	"  --anchors FILE   PEM file with the roots known for proving paths (default: the system's bundle, if it is there)\n"
	"  --user NAME      account of the half that reads certificates (default: tlswarden if it exists, or nobody)\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 the policy was written; 2 the command line is wrong, or a file cannot be read or made;\n"
	"3 this machine cannot do it: the message says what is missing.\n";

static const struct option long_options[] = {
	{"for", required_argument, NULL, 'f'},     {"output", required_argument, NULL, 'o'},
	{"anchors", required_argument, NULL, 'a'}, {"user", required_argument, NULL, 'u'},
	{"help", no_argument, NULL, 'h'},          {0},
};

/* "90s", "10m", "2h", "1d": at least a second. */
static bool duration_take(const char *text, uint64_t *ret)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	const uint64_t most = (uint64_t)DAYS_MAX * 86400;
	uint64_t number = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9' && number <= most; c++)
		number = 10 * number + (uint64_t)(*c - '0');
	for (size_t i = 0; number && number <= most && *c && i < ARRAY_SIZE(units); i++) {
		if (*c != units[i].unit || c[1] || number > most / units[i].seconds)
			continue;
		*ret = number * units[i].seconds;
		return true;
	}
	fprintf(stderr, "tlswarden learn: --for %s: a number and a unit are wanted, like 90s, 10m, 2h or 1d; at most %dd\n",
		text, DAYS_MAX);
	return false;
}

static bool option_take(int option, char *value, struct agent_options *ret, bool *ret_help)
{
	switch (option) {
	case 'f':
		return duration_take(value, &ret->learn_seconds);
	case 'o':
		ret->output = value;
		return true;
	case 'a':
		ret->anchors = value;
		return true;
	case 'u':
		ret->user = value;
		return true;
	case 'h':
		*ret_help = true;
		return true;
	default:
		return false;
	}
}

int cmd_learn(int argc, char **argv)
{
	struct agent_options options = {.output = "-", .audit_only = true, .learn = true, .gate_max = 1};
	bool help = false, good = true;
	int option;

	optind = 0;
	while (good && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		good = option_take(option, optarg, &options, &help);
	if (good && optind < argc)
		fprintf(stderr, "tlswarden learn: %s: what is this? The policy's file is named with --output\n",
			argv[optind]);
	if (!good || optind < argc) {
		fputs("Try: tlswarden learn --help\n", stderr);
		return EXIT_USAGE;
	}
	if (help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	return agent_run(&options);
}
