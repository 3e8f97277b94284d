/* `tlswarden check PATH…`: the strict check of policy files, for people and for CI.
 *
 * All paths are read and parsed together, as `run` would, so that a name used in two files is found. Problems go to
 * standard error, one a line, as compilers write them; one line for each good policy goes to standard output. A path that
 * cannot be read does not keep the others from being checked. Needs no privilege. */
#include <getopt.h>
#include <linux/types.h>
#include <string.h>

#include "cmd.h"
#include "policy_files.h"
#include "util.h"

static const char usage[] =
	"usage: tlswarden check PATH...\n"
	"\n"
	"Checks policy files strictly. A PATH is a file, or a directory whose *.yaml and *.yml are checked.\n"
	"Each problem is one line, file:line:column: what is wrong, and what was probably meant.\n"
	"\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit status: 0 all is well; 1 there are problems; 2 the command line is wrong, or a file cannot be read.\n";

static int parse_options(int argc, char **argv, bool *ret_help)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	int c;

	optind = 0; /* 0: glibc starts afresh, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c != 'h')
			return -1;
		*ret_help = true;
	}
	return 0;
}

static void print_policies(const struct policies *policies)
{
	for (size_t i = 0; i < policies_count(policies); i++) {
		struct policy_info info = policies_info(policies, i);

		printf("%s: fine: policy %s, %zu rule%s, mode %s\n", info.file, info.name, info.rules,
		       info.rules == 1 ? "" : "s", info.enforce ? "enforce" : "audit");
	}
}

static int check_texts(const struct policy_texts *texts)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	struct policies *policies;

	if (policies_parse(texts->sources, texts->count, &policies, &problems) == 0) {
		print_policies(policies);
		policies_free(policies);
		return EXIT_FINE;
	}
	for (size_t i = 0; i < problems.count; i++) {
		const struct problem *problem = &problems.items[i];

		fprintf(stderr, "%s:%u:%u: %s\n", problem->file, problem->line, problem->column, problem->text);
	}
	return EXIT_NO;
}

int cmd_check(int argc, char **argv)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
	bool help = false, unread = false;
	int result;

	if (parse_options(argc, argv, &help) < 0 || (!help && optind == argc)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	for (int i = optind; i < argc; i++) {
		size_t known = texts.count;
		CLEANUP_FREE char *error = NULL;

		if (policy_texts_read(&argv[i], 1, &texts, &error) == 0 && texts.count == known)
			error = xasprintf("%s: no *.yaml or *.yml in it", argv[i]);
		if (error) {
			fprintf(stderr, "tlswarden check: %s\n", error);
			unread = true;
		}
	}
	result = check_texts(&texts);
	return unread ? EXIT_USAGE : result;
}
