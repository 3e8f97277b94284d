/* `tlswarden test PATH…`: unit tests of policies, for people and for CI.
 *
 * Judges each chain by the agent's own code, unprivileged: all files are read first, then root's rights are given up, and only
 * then are certificates taken apart. A test file that is broken, or names something that is, fails as a whole. Standard output
 * has a line for each failure and what was found; problems with files go to standard error, as compilers write them. */
#include <linux/types.h>

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd.h"
#include "explain_print.h"
#include "rights.h"
#include "show.h"
#include "suite.h"
#include "util.h"

static const char usage[] =
	"usage: tlswarden test [--verbose] PATH...\n"
	"\n"
	"Runs unit tests of policies: each names a certificate chain and what the policies must say of it. A PATH is a test file,\n"
	"or a directory, whose *.yaml and *.yml with a key `tests` are run. A test fails if the verdict, or the set of broken\n"
	"rules, is not the expected one. The verdict is what the broken rules ask for, whether their policy audits or enforces.\n"
	"\n"
	"  --verbose    a line for each test, also for those that pass\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit status: 0 all passed; 1 a test failed, or a file is invalid; 2 the command line is wrong, or a file cannot be read;\n"
	"3 root's rights could not be given up.\n";

enum { REASONS_SHOWN = 20 };

struct run {
	bool verbose, colour;
	int64_t now;
	size_t passed, failed, broken; /* broken: test files that could not be run */
};

/* --- one test ------------------------------------------------------------------------------------------------------- */

static void print_place(const char *file, const struct test_case *test)
{
	print_escaped(file);
	printf(":%u:%u: ", test->line, test->column);
}

static const struct explained_rule *explained_find(const struct explanation *explanation, const struct test_rule *rule)
{
	for (size_t i = 0; i < explanation->count; i++)
		if (strcmp(explanation->rules[i].rule, rule->rule) == 0 &&
		    strcmp(explanation->rules[i].ruleset, rule->ruleset) == 0)
			return &explanation->rules[i];
	return NULL;
}

/* What is broken, and why what should be is not. */
static void print_reasons(const struct test_case *test, const struct verdict *verdict, const struct explanation *explanation)
{
	for (size_t i = 0; i < verdict->count && i < REASONS_SHOWN; i++) {
		const struct violation *violation = &verdict->violations[i];

		fputs("  broken:   ", stdout);
		print_escaped(violation->ruleset);
		putchar('/');
		print_escaped(violation->rule);
		printf(": %s\n", violation->reason);
	}
	if (verdict->count > REASONS_SHOWN)
		printf("  and %zu more\n", verdict->count - REASONS_SHOWN);
	for (size_t i = 0; i < test->rules_count; i++) {
		const struct explained_rule *rule = explained_find(explanation, &test->rules[i]);
		CLEANUP_FREE char *why = rule ? explain_why_not(rule) : NULL;

		if (!why)
			continue;
		fputs("  not:      ", stdout);
		print_escaped(test->rules[i].ruleset);
		putchar('/');
		print_escaped(test->rules[i].rule);
		printf(": %s\n", why);
	}
}

static void case_judge(struct run *run, const struct suite *suite, const struct test_case *test, const struct facts *facts)
{
	CLEANUP_FREE char *expected = NULL, *got = NULL;
	int64_t at = test->has_at ? test->at : run->now;
	struct explanation explanation;
	struct verdict verdict;
	bool holds;

	policies_judge(suite->load.policies, facts, at, false, &verdict);
	holds = test_case_holds(test, &verdict, &expected, &got);
	if (holds)
		run->passed++;
	else
		run->failed++;
	if (!holds || run->verbose) {
		print_place(suite->file->file, test);
		print_coloured(run->colour, holds ? COLOUR_GOOD : COLOUR_BAD, holds ? "ok" : "FAIL");
		fputs(": ", stdout);
		print_escaped(test->name);
		putchar('\n');
	}
	if (!holds) {
		printf("  expected: %s\n  got:      %s\n", expected, got);
		policies_explain(suite->load.policies, facts, at, false, &explanation);
		print_reasons(test, &verdict, &explanation);
		explanation_clear(&explanation);
	}
	verdict_clear(&verdict);
}

/* A chain that is no PEM fails its test, and no other. */
static void case_run(struct run *run, struct suite *suite, size_t index)
{
	const struct test_case *test = &suite->file->cases[index];
	struct scenario_facts facts;

	if (suite_facts(suite, index, &facts) == 0) {
		case_judge(run, suite, test, &facts.facts);
		scenario_facts_clear(&facts);
		return;
	}
	run->failed++;
	problems_print(&suite->problems);
	problems_clear(&suite->problems);
}

static void suite_run(struct run *run, struct suite *suite)
{
	if (suite_bind(suite) < 0) {
		problems_print(&suite->problems);
		run->broken++;
		return;
	}
	for (size_t i = 0; i < suite->file->cases_count; i++)
		case_run(run, suite, i);
}

/* --- all of them ---------------------------------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Takes out what is no test file: policies lie beside their tests. */
static void keep_tests(struct policy_texts *texts, size_t from)
{
	size_t kept = from;

	for (size_t i = from; i < texts->count; i++) {
		struct policy_source source = texts->sources[i];

		if (test_file_is(&source)) {
			texts->sources[kept++] = source;
			continue;
		}
		free((char *)source.file);
		free((char *)source.text);
	}
	texts->count = kept;
}

/* False if some path cannot be read: the others are. */
static bool texts_read(char *const *paths, size_t count, struct policy_texts *texts)
{
	bool all = true;

	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *error = NULL;
		size_t known = texts->count;
		bool read = policy_texts_read(&paths[i], 1, texts, &error) == 0;

		if (read && is_directory(paths[i]))
			keep_tests(texts, known);
		if (read && texts->count == known)
			error = xasprintf("%s: no test file in it", paths[i]);
		if (!error)
			continue;
		error_print("test", error);
		all = false;
	}
	return all;
}

static int test_texts(const struct policy_texts *texts, struct run *run)
{
	CLEANUP_FREE struct suite *suites = xcalloc(texts->count + 1, sizeof(*suites));
	int code;

	for (size_t i = 0; i < texts->count; i++)
		suite_read(&texts->sources[i], &suites[i]);
	code = rights_drop_or_say("test");
	for (size_t i = 0; i < texts->count; i++) {
		if (code == EXIT_FINE)
			suite_run(run, &suites[i]);
		suite_clear(&suites[i]);
	}
	if (code != EXIT_FINE)
		return code;
	printf("%zu passed, %zu failed", run->passed, run->failed);
	if (run->broken)
		printf(", %zu test file%s invalid", run->broken, run->broken == 1 ? "" : "s");
	putchar('\n');
	return run->failed || run->broken ? EXIT_NO : EXIT_FINE;
}

static int parse_options(int argc, char **argv, bool *ret_help, bool *ret_verbose)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"verbose", no_argument, NULL, 'v'},
		{0},
	};
	int c;

	optind = 0; /* 0: glibc starts afresh, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c != 'h' && c != 'v')
			return -EINVAL;
		*(c == 'h' ? ret_help : ret_verbose) = true;
	}
	return 0;
}

int cmd_test(int argc, char **argv)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
	struct run run = {.now = time(NULL), .colour = colour_wanted()};
	bool help = false, all;
	int code;

	if (parse_options(argc, argv, &help, &run.verbose) < 0 || (!help && optind == argc)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	certificate_init();
	all = texts_read(argv + optind, (size_t)(argc - optind), &texts);
	code = test_texts(&texts, &run);
	return all || code == EXIT_CANNOT ? code : EXIT_USAGE;
}
