/* `tlswarden status`: how the running agent stands. */
#include "status.h"

#include "agent_ask.h"
#include "cmd.h"
#include "util.h"

static const char usage[] =
	"usage: tlswarden status [--json] [--control PATH]\n"
	"\n"
	"Asks the running agent how it stands: its policies and their modes, the gate, the libraries to which it is attached and those\n"
	"to which it is not, with the reason, how long attaching took, and what it has counted and lost. As root.\n"
	"\n"
	"  --json           one JSON object instead of text\n"
	"  --control PATH   the agent's socket (default: what /etc/tlswarden/tlswarden.yaml says, or /run/tlswarden/control.sock)\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 the agent has answered; 2 the command line is wrong; 3 no agent answers, and the message says what to do.\n";

int cmd_status(int argc, char **argv)
{
	struct ask_options options;
	struct json_object *answer = NULL;
	CLEANUP_FREE char *line = NULL;
	int code = ask_options_take(argc, argv, false, &options);

	if (code == EXIT_FINE && options.help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	if (code == EXIT_FINE)
		code = agent_ask("status", options.control, "status", &line, &answer);
	if (code)
		return code;
	if (options.json)
		fputs(line, stdout);
	else
		status_print(stdout, answer);
	json_object_put(answer);
	return EXIT_FINE;
}
