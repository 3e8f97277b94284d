/* tlswarden: names the sub-commands and hands over. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "cmd.h"
#include "library.h"
#include "util.h"

static const struct command {
	const char *name, *what;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", "the agent: watch, judge, log, and end connections", cmd_run},
	{"watch", "a readable line for each verification on this host; no policy needed", cmd_watch},
	{"check", "strict check of policy and test files", cmd_check},
	{"test", "unit tests of policies", cmd_test},
	{"explain", "what the policies would say of a chain, and why", cmd_explain},
	{"pin", "the pins of a certificate file or of a live host", cmd_pin},
	{"learn", "a policy in audit mode that accepts what this host's processes verify", cmd_learn},
	{"replay", "what policies would have said to logged events", cmd_replay},
	{"status", "how the running agent stands: libraries, policies, counters", cmd_status},
	{"coverage", "which processes speak TLS, covered or not, and why not", cmd_coverage},
};

static void usage(FILE *out)
{
	fputs("usage: tlswarden COMMAND [OPTION]...\n\n"
	      "Sees which certificates the processes of this host accept, judges them by policy, and ends what must not be.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\n  --version, --help; tlswarden COMMAND --help tells more of each\n\n"
	      "Exit status: 0 fine; 1 the answer is no; 2 the command line is wrong or a file cannot be read;\n"
	      "3 this machine cannot do it, and the message says what is missing.\n",
	      out);
}

/* An answer that nobody got is no answer: a full disk must not look like a fine one. */
static int told(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fputs("tlswarden: not all of it could be written to standard output\n", stderr);
	return code == EXIT_FINE ? EXIT_CANNOT : code;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	/* How the agent asks and checks a library in a process of its own: see user/library/child.c. */
	if (!strcmp(name, "ask-library"))
		return library_answer_main();
	if (!strcmp(name, "check-library"))
		return library_check_main(argc > 2 ? argv[2] : "");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name))
			return told(commands[i].run(argc - 1, argv + 1));
	if (!strcmp(name, "--version")) {
		puts("tlswarden " TLSWARDEN_VERSION);
		return EXIT_FINE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return EXIT_FINE;
	}
	if (*name)
		fprintf(stderr, "tlswarden: there is no command %s\n\n", name);
	usage(stderr);
	return EXIT_USAGE;
}
