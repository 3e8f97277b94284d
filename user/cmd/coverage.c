/* `tlswarden coverage`: the processes that speak TLS, covered or not. */
#include <string.h>

#include "agent_ask.h"
#include "cmd.h"
#include "status.h"
#include "util.h"

static const char usage[] =
	"usage: tlswarden coverage [--json] [--all] [--control PATH]\n"
	"\n"
	"Asks the running agent which processes of this host speak TLS, whether it sees what they verify, and if not, why not.\n"
	"Processes of which the same is to be said share a line. As root.\n"
	"\n"
	"  --all            a line for each process\n"
	"  --json           one JSON object instead of text, with each process\n"
	"  --control PATH   the agent's socket (default: what /etc/tlswarden/tlswarden.yaml says, or /run/tlswarden/control.sock)\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 all of them are covered; 1 some are not; 2 the command line is wrong; 3 no agent answers, or it cannot tell\n"
	"now: the message says what to do.\n";

int cmd_coverage(int argc, char **argv)
{
	struct ask_options options;
	struct json_object *answer = NULL;
	CLEANUP_FREE char *line = NULL;
	int code = ask_options_take(argc, argv, true, &options);

	if (code == EXIT_FINE && options.help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	if (code == EXIT_FINE)
		code = agent_ask("coverage", options.control, "coverage", &line, &answer);
	if (code)
		return code;
	if (!answer_get(answer, "processes")) {
		fprintf(stderr, "tlswarden coverage: %s\n", answer_text(answer, "coverage_unknown"));
		code = EXIT_CANNOT;
	} else if (answer_count(answer, "processes_count.not_covered")) {
		code = EXIT_NO;
	}
	if (options.json)
		fputs(line, stdout);
	else if (code != EXIT_CANNOT)
		coverage_print(stdout, answer, options.all);
	json_object_put(answer);
	return code;
}
