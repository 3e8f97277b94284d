/* What many rules cost: the time of one verdict with 100, 10,000 and 100,000 rules, and of loading 100,000.
 *
 * Names, networks and keys are drawn at random, from a fixed seed. The facts (a leaf with up to four names, its issuer, a root)
 * are drawn alike for each number of rules, and HITS in a hundred ask for something that one of its rules is about. Machines
 * drift: each round measures every case once, in turns, over all facts, so that a case finds the caches as another left them;
 * ratios are made within a round. Printed are medians, with the quartiles in brackets. Loading is measured in a process of its
 * own each time, for its peak of memory.
 *
 * A third kind of policy: 100,000 rules that share one set of names. */
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../../user/policy/policy_internal.h"
#include "rules_world.h"

enum {
	FACTS = 4096,
	HITS = 10, /* per cent */
	ROUNDS = 41,
	LOADS = 5,
	LINEAR_FACTS = 20,
	RULES_MOST = 100000,
	NOW = 1800000000,
};

static struct policies *parse(const char *text, size_t len)
{
	const struct policy_source source = {"bench.yaml", text, len};
	struct problems problems = {0};
	struct policies *policies = NULL;

	if (policies_parse(&source, 1, &policies, &problems) == 0)
		return policies;
	fprintf(stderr, "%u:%u %s\n", problems.items[0].line, problems.items[0].column, problems.items[0].text);
	exit(1);
}

/* --- figures ---------------------------------------------------------------------------------------------------------------- */

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double quartile(const double *values, size_t count, unsigned which)
{
	double sorted[ROUNDS];

	memcpy(sorted, values, count * sizeof(double));
	qsort(sorted, count, sizeof(double), double_compare);
	return sorted[(count - 1) * which / 4];
}

static void print_figure(const char *what, const double *values, size_t count, const char *unit)
{
	printf("  %-58s %8.3f %s  [%.3f, %.3f]\n", what, quartile(values, count, 2), unit, quartile(values, count, 1),
	       quartile(values, count, 3));
}

/* --- verdicts --------------------------------------------------------------------------------------------------------------- */

struct bench {
	size_t rules, violations, hits;
	struct policies *policies;
	struct verification *facts; /* FACTS of them; those that hit come last */
	double all[ROUNDS], missed[ROUNDS], hit[ROUNDS];
};

/* Microseconds for one verdict of facts from to to - 1. */
static double judge(const struct bench *bench, size_t from, size_t to, size_t *violations)
{
	double start = seconds(CLOCK_PROCESS_CPUTIME_ID);

	for (size_t i = from; i < to; i++) {
		struct verdict verdict;

		policies_judge(bench->policies, &bench->facts[i].facts, NOW, false, &verdict);
		*violations += verdict.count;
		verdict_clear(&verdict);
	}
	return (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) / (double)(to - from) * 1e6;
}

static void bench_prepare(struct bench *bench)
{
	CLEANUP_FREE struct about *abouts = xcalloc(bench->rules, sizeof(*abouts));
	CLEANUP_FREE char *text = NULL;
	size_t len;

	text = policy_text(bench->rules, abouts, &len);
	bench->policies = parse(text, len);
	bench->facts = xcalloc(FACTS, sizeof(*bench->facts));
	bench->hits = FACTS * HITS / 100;
	for (size_t i = 0; i < FACTS; i++)
		make_verification(&bench->facts[i], i < FACTS - bench->hits ? NULL : &abouts[below((unsigned)bench->rules)]);
}

static void bench_round(struct bench *bench, size_t round)
{
	size_t misses = FACTS - bench->hits;

	bench->violations = 0;
	bench->missed[round] = judge(bench, 0, misses, &bench->violations);
	bench->hit[round] = judge(bench, misses, FACTS, &bench->violations);
	bench->all[round] = (bench->missed[round] * (double)misses + bench->hit[round] * (double)bench->hits) / FACTS;
}

static void print_ratio(const char *what, const double *large, const double *small)
{
	double ratios[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		ratios[i] = large[i] / small[i];
	print_figure(what, ratios, ROUNDS, "times");
}

/* Asking every rule, as it would be without an index. */
static void print_linear(const struct bench *bench)
{
	double times[LINEAR_FACTS];

	for (size_t i = 0; i < LINEAR_FACTS; i++) {
		const struct facts *facts = &bench->facts[i * (FACTS / LINEAR_FACTS)].facts;
		const struct policy *policy = bench->policies->items[0];
		double start = seconds(CLOCK_PROCESS_CPUTIME_ID);

		for (size_t r = 0; r < policy->rules_count; r++) {
			struct inquiry inquiry = {.facts = facts, .now = NOW};
			char *reason = NULL;

			if (entries_match(&policy->rules[r].match, facts, true))
				rule_judge(&inquiry, &policy->rules[r], &reason);
			free(reason);
			inquiry_clear(&inquiry);
		}
		times[i] = (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6;
	}
	print_figure("asking all 100,000, for comparison", times, LINEAR_FACTS, "us");
}

static void bench_verdicts(void)
{
	static struct bench benches[] = {{.rules = 100}, {.rules = 10000}, {.rules = RULES_MOST}};
	double slope[ROUNDS];

	for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
		bench_prepare(&benches[i]);
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
			bench_round(&benches[(i + round) % ARRAY_SIZE(benches)], round);
	printf("One verdict (%d verifications, %d rounds, %d %% of them aimed at a rule):\n", FACTS, ROUNDS, HITS);
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++) {
		const struct bench *bench = &benches[i];

		printf("  %zu rules, %.1f violations in 100 verdicts\n", bench->rules,
		       100.0 * (double)bench->violations / FACTS);
		print_figure("  all", bench->all, ROUNDS, "us");
		print_figure("  those that are about no rule", bench->missed, ROUNDS, "us");
		print_figure("  those that are", bench->hit, ROUNDS, "us");
	}
	print_ratio("10,000 rules to 100", benches[1].all, benches[0].all);
	print_ratio("100,000 rules to 100", benches[2].all, benches[0].all);
	print_ratio("  those that are about no rule", benches[2].missed, benches[0].missed);
	print_ratio("  those that are", benches[2].hit, benches[0].hit);
	for (size_t i = 0; i < ROUNDS; i++)
		slope[i] = (benches[2].all[i] - benches[0].all[i]) * 1e6 / (RULES_MOST - 100);
	print_figure("slope: for each rule more", slope, ROUNDS, "ps");
	print_linear(&benches[2]);
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++) {
		policies_free(benches[i].policies);
		free(benches[i].facts);
	}
}

/* --- loading ---------------------------------------------------------------------------------------------------------------- */

struct load {
	double cpu, wall, peak; /* seconds, MB beyond what was there before */
};

/* In a process of its own. */
static struct load load_once(const char *text, size_t len)
{
	struct load load = {0};
	int ends[2], status;
	pid_t pid;

	malloc_trim(0); /* so that the child cannot do with what is free already */
	if (pipe(ends) < 0 || (pid = fork()) < 0) {
		perror("load");
		exit(1);
	}
	if (pid == 0) {
		double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
		struct rusage before, after;

		getrusage(RUSAGE_SELF, &before);
		policies_free(parse(text, len));
		load.cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		load.wall = seconds(CLOCK_MONOTONIC) - wall;
		getrusage(RUSAGE_SELF, &after);
		load.peak = (double)(after.ru_maxrss - before.ru_maxrss) / 1024;
		_exit(write(ends[1], &load, sizeof(load)) != sizeof(load));
	}
	close(ends[1]);
	if (read(ends[0], &load, sizeof(load)) != sizeof(load) || waitpid(pid, &status, 0) != pid || status != 0)
		exit(1);
	close(ends[0]);
	return load;
}

static void bench_loading(const char *what, const char *text, size_t len)
{
	double cpu[LOADS], wall[LOADS], peak[LOADS];

	for (size_t i = 0; i < LOADS; i++) {
		struct load load = load_once(text, len);

		cpu[i] = load.cpu;
		wall[i] = load.wall;
		peak[i] = load.peak;
	}
	printf("Loading %d rules%s (%.1f MB of text, %d times, and freeing them):\n", RULES_MOST, what, (double)len / 1e6,
	       LOADS);
	print_figure("processor time", cpu, LOADS, "s");
	print_figure("time", wall, LOADS, "s");
	print_figure("peak of memory, without the text", peak, LOADS, "MB");
}

static void bench_shared(bool forbids)
{
	size_t len, violations = 0;
	CLEANUP_FREE char *text = shared_text(RULES_MOST, forbids, &len);
	struct bench bench = {.rules = RULES_MOST, .facts = xcalloc(2, sizeof(struct verification))};
	double outside[ROUNDS], inside[ROUNDS];

	bench_loading(forbids ? " that forbid a key each and share one set of names" : " that share one set of names", text,
		      len);
	bench.policies = parse(text, len);
	make_verification(&bench.facts[0], NULL);
	make_verification(&bench.facts[1], NULL);
	bench.facts[1].facts.server_name = "host.shared.example";
	for (size_t i = 0; i < ROUNDS; i++) {
		outside[i] = judge(&bench, 0, 1, &violations);
		inside[i] = judge(&bench, 1, 2, &violations);
	}
	print_figure("verdict on a name outside of the set", outside, ROUNDS, "us");
	print_figure(forbids ? "verdict on a name of the set, with none of the keys" :
			       "verdict on a name of the set, which breaks all the rules",
		     inside, ROUNDS, "us");
	policies_free(bench.policies);
	free(bench.facts);
}

static void bench_load_mixed(void)
{
	CLEANUP_FREE struct about *abouts = xcalloc(RULES_MOST, sizeof(*abouts));
	CLEANUP_FREE char *text = NULL;
	size_t len;

	text = policy_text(RULES_MOST, abouts, &len);
	bench_loading("", text, len);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	world_start();
	bench_load_mixed();
	bench_verdicts();
	bench_shared(false);
	bench_shared(true);
	return 0;
}
