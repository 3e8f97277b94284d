/* `tlswarden check PATH…`: the strict check of policy and test files, for people and for CI.
 *
 * All policies are read and parsed together, as `run` would, so that a name used in two files is found; then the files that they
 * name are taken apart. A test file is known by its key `tests`, and is checked with the policies and chains that it names, but
 * not run. Everything is read first, then root's rights are given up. Problems go to standard error, one a line, as compilers
 * write them; one line for each good file goes to standard output. A path that cannot be read does not keep the others from
 * being checked. Needs no privilege. */
#include <linux/types.h>

#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "rights.h"
#include "show.h"
#include "suite.h"
#include "util.h"

static const char usage[] =
	"usage: tlswarden check PATH...\n"
	"\n"
	"Checks policy files and files of policy tests strictly, and the files that they name: trust stores, log lists, CRLs,\n"
	"chains. A PATH is a file, or a directory whose *.yaml and *.yml are checked. Tests are not run: `tlswarden test` does.\n"
	"Each problem is one line, file:line:column: what is wrong, and what was probably meant.\n"
	"\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit status: 0 all is well; 1 there are problems; 2 the command line is wrong, or a file cannot be read; 3 root's rights\n"
	"could not be given up.\n";

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

		print_escaped(info.file);
		fputs(": fine: policy ", stdout);
		print_escaped(info.name);
		printf(", %zu rule%s, mode %s\n", info.rules, info.rules == 1 ? "" : "s",
		       policies_mode(policies, i, false, time(NULL)));
	}
}

static bool policies_check(struct policy_load *load, struct problems *problems)
{
	if (load->policies && policy_load_bind(load, problems) == 0)
		print_policies(load->policies);
	problems_print(problems);
	return problems->count == 0;
}

static bool suite_check(struct suite *suite)
{
	bool bound = suite_bind(suite) == 0;

	for (size_t i = 0; bound && i < suite->file->cases_count; i++) {
		struct scenario_facts facts;

		if (suite_facts(suite, i, &facts) == 0)
			scenario_facts_clear(&facts);
	}
	problems_print(&suite->problems);
	if (suite->problems.count)
		return false;
	print_escaped(suite->file->file);
	printf(": fine: %zu test%s of %zu polic%s\n", suite->file->cases_count, suite->file->cases_count == 1 ? "" : "s",
	       policies_count(suite->load.policies), policies_count(suite->load.policies) == 1 ? "y" : "ies");
	return true;
}

/* Test files to the end, and how many there are; both keep their order. */
static size_t tests_sort(struct policy_texts *texts)
{
	CLEANUP_FREE struct policy_source *tests = xcalloc(texts->count + 1, sizeof(*tests));
	size_t count = 0, policies = 0;

	for (size_t i = 0; i < texts->count; i++) {
		if (test_file_is(&texts->sources[i]))
			tests[count++] = texts->sources[i];
		else
			texts->sources[policies++] = texts->sources[i];
	}
	if (count)
		memcpy(texts->sources + policies, tests, count * sizeof(*tests));
	return count;
}

static int check_texts(struct policy_texts *texts)
{
	CLEANUP(policy_load_clear) struct policy_load load = {0};
	CLEANUP(problems_clear) struct problems problems = {0};
	size_t tests = tests_sort(texts), policies = texts->count - tests;
	CLEANUP_FREE struct suite *suites = xcalloc(tests + 1, sizeof(*suites));
	const struct policy_texts of_policies = {.sources = texts->sources, .count = policies};
	bool good = true;
	int code;

	if (policies)
		policy_load_parse(&of_policies, &load, &problems);
	for (size_t i = 0; i < tests; i++)
		suite_read(&texts->sources[policies + i], &suites[i]);
	code = rights_drop_or_say("check");
	if (code == EXIT_FINE && policies)
		good = policies_check(&load, &problems);
	for (size_t i = 0; i < tests; i++) {
		if (code == EXIT_FINE)
			good &= suite_check(&suites[i]);
		suite_clear(&suites[i]);
	}
	return code != EXIT_FINE ? code : good ? EXIT_FINE : EXIT_NO;
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
	certificate_init();
	for (int i = optind; i < argc; i++) {
		size_t known = texts.count;
		CLEANUP_FREE char *error = NULL;

		if (policy_texts_read(&argv[i], 1, &texts, &error) == 0 && texts.count == known)
			error = xasprintf("%s: no *.yaml or *.yml in it", argv[i]);
		if (error) {
			error_print("check", error);
			unread = true;
		}
	}
	result = check_texts(&texts);
	return unread && result != EXIT_CANNOT ? EXIT_USAGE : result;
}
