/* `tlswarden replay EVENTS...`: what would these policies have said to what was logged?
 *
 * Files are opened with the rights of whoever calls; then root's rights go, and only then are lines of the logs, certificates in
 * them and files that the policies name taken apart. Lines are read one by one, so that the size of a log does not matter.
 * A line that is no event of ours is counted, named and passed over. Each verification is judged at its own time. */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd.h"
#include "lines.h"
#include "policy_load.h"
#include "rights.h"
#include "util.h"

enum {
	PROGRESS_LINES = 64,             /* between looks at the clock */
	PROGRESS_NS = 200 * 1000 * 1000, /* between two lines of progress */
};

static const char usage[] =
	"usage: tlswarden replay EVENTS... --policy PATH... [--anchors FILE] [--json]\n"
	"\n"
	"Judges the verifications in logs of `tlswarden run` by other policies, each at its own time, and sums up which rules\n"
	"would fire, how often and for which processes, and what that changes. EVENTS is a file, or - for standard input.\n"
	"\n"
	"  --policy PATH    a policy file, or a directory of them; may be given again\n"
	"  --anchors FILE   PEM file with roots known for proving paths, beside those that the events have\n"
	"  --json           one JSON object instead of text\n"
	"  -h, --help       this text\n"
	"\n"
	"Rules that need the certificates themselves can only be decided for events of run --certificates --events all.\n"
	"\n"
	"Exit status: 0 no rule would fire; 1 some would, or a policy is invalid; 2 the command line is wrong, a file cannot be\n"
	"read, or not one line is an event of tlswarden; 3 root's rights could not be given up.\n";

struct log {
	const char *name; /* as it was given */
	int fd;
	uint64_t size; /* 0: not known */
};

struct choices {
	char **policies;
	size_t policies_count;
	const char *anchors;
	bool json, help;
	struct log *logs;
	size_t logs_count;
};

static void choices_clear(struct choices *choices)
{
	for (size_t i = 0; i < choices->logs_count; i++)
		if (choices->logs[i].fd > STDIN_FILENO)
			close(choices->logs[i].fd);
	free(choices->logs);
	free(choices->policies);
}

static bool options_take(int argc, char **argv, struct choices *ret)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"anchors", required_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	optind = 0; /* 0: glibc starts afresh, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			ret->policies = xrealloc(ret->policies, ret->policies_count + 1, sizeof(*ret->policies));
			ret->policies[ret->policies_count++] = optarg;
			break;
		case 'a':
			ret->anchors = optarg;
			break;
		case 'j':
			ret->json = true;
			break;
		case 'h':
			ret->help = true;
			break;
		default:
			return false;
		}
	}
	if (ret->help)
		return true;
	if (optind == argc)
		fputs("tlswarden replay: no EVENTS: name a log of events, or - for standard input\n", stderr);
	else if (!ret->policies_count)
		fputs("tlswarden replay: no policy: name one with --policy\n", stderr);
	return optind < argc && ret->policies_count;
}

/* By its first bytes; NULL if it is not, or if that cannot be told without taking them. */
static const char *compressed_with(int fd)
{
	static const struct {
		const char *name, *bytes;
	} kinds[] = {
		{"gzip", "\x1f\x8b"},
		{"xz", "\xfd"
		       "7zXZ"},
		{"zstd", "\x28\xb5\x2f\xfd"},
		{"bzip2", "BZh"},
	};
	char bytes[8] = {0};

	if (pread(fd, bytes, sizeof(bytes) - 1, 0) <= 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncmp(bytes, kinds[i].bytes, strlen(kinds[i].bytes)) == 0)
			return kinds[i].name;
	return NULL;
}

static int logs_open(char *const *names, size_t count, struct choices *ret)
{
	ret->logs = xcalloc(count, sizeof(*ret->logs));
	for (size_t i = 0; i < count; i++) {
		struct log log = {.name = names[i], .fd = STDIN_FILENO};
		const char *compressed;
		struct stat stat;

		if (strcmp(names[i], "-") != 0)
			log.fd = open(names[i], O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (log.fd < 0 || fstat(log.fd, &stat) < 0) {
			fprintf(stderr, "tlswarden replay: %s: %s\n", names[i], strerror(errno));
			return EXIT_USAGE;
		}
		log.size = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
		ret->logs[ret->logs_count++] = log;
		compressed = S_ISREG(stat.st_mode) ? compressed_with(log.fd) : NULL;
		if (compressed) {
			fprintf(stderr,
				"tlswarden replay: %s: compressed (%s): unpack it into `tlswarden replay -`, as with zcat\n",
				names[i], compressed);
			return EXIT_USAGE;
		}
	}
	return EXIT_FINE;
}

/* --- progress ------------------------------------------------------------------------------------------------------- */

struct progress {
	bool shown;               /* standard error is a terminal */
	uint64_t total, done;     /* bytes; total 0: not known. done: of the files before */
	uint64_t begin_ns, at_ns; /* monotonic; of the last line of progress */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct progress progress_begin(const struct choices *choices)
{
	struct progress progress = {.shown = isatty(STDERR_FILENO) == 1, .begin_ns = now_ns()};

	for (size_t i = 0; i < choices->logs_count; i++) {
		/* Of all or of none. */
		if (!choices->logs[i].size) {
			progress.total = 0;
			break;
		}
		progress.total += choices->logs[i].size;
	}
	return progress;
}

static void progress_tell(struct progress *progress, const struct replay *replay, uint64_t bytes)
{
	uint64_t now = now_ns();
	double megabytes = (double)(progress->done + bytes) / 1e6;

	if (now - progress->at_ns < PROGRESS_NS)
		return;
	progress->at_ns = now;
	fprintf(stderr, "\r\033[K%.1f MB", megabytes);
	if (progress->total)
		fprintf(stderr, " of %.1f MB", (double)progress->total / 1e6);
	fprintf(stderr, ", %" PRIu64 " events, %" PRIu64 " s", replay->verifications + replay->other,
		(now - progress->begin_ns) / 1000000000);
}

/* --- lines ---------------------------------------------------------------------------------------------------------- */

static void line_replay(struct replay *replay, const struct log *log, struct event_reader *reader, const struct lines *lines,
			const struct line_read *line)
{
	CLEANUP(event_read_clear) struct event_read event = {0};
	enum event_kind kind = EVENT_FOREIGN;
	char *why = NULL;

	replay->lines++;
	if (line->too_long)
		why = xstrdup("longer than any event");
	else
		kind = event_read(reader, line->text, line->len, &event, &why);
	switch (kind) {
	case EVENT_VERIFICATION:
		replay_judge(replay, &event);
		break;
	case EVENT_OTHER:
		replay->other++;
		break;
	case EVENT_TORN:
		replay_pass_over(&replay->torn, log->name, lines->number, why);
		break;
	case EVENT_FOREIGN:
		replay_pass_over(&replay->foreign, log->name, lines->number, why);
		break;
	}
}

static int log_replay(struct replay *replay, const struct log *log, struct event_reader *reader, struct progress *progress)
{
	CLEANUP(lines_clear) struct lines lines = {.fd = log->fd, .max = EVENT_LINE_MAX};
	struct line_read line;
	int r;

	while ((r = lines_next(&lines, &line)) > 0) {
		line_replay(replay, log, reader, &lines, &line);
		if (progress->shown && lines.number % PROGRESS_LINES == 0)
			progress_tell(progress, replay, lines.bytes_read);
	}
	progress->done += lines.bytes_read;
	if (r == 0)
		return EXIT_FINE;
	if (progress->shown)
		fputs("\r\033[K", stderr);
	fprintf(stderr, "tlswarden replay: %s: %s\n", log->name, strerror(-r));
	return EXIT_USAGE;
}

static int replay_run(const struct choices *choices, const struct policy_load *load)
{
	CLEANUP(event_reader_freep) struct event_reader *reader = event_reader_new(load->anchors);
	CLEANUP(replay_clear) struct replay replay = {0};
	struct progress progress = progress_begin(choices);
	int code = EXIT_FINE;

	replay_begin(&replay, load->policies);
	for (size_t i = 0; i < choices->logs_count && code == EXIT_FINE; i++)
		code = log_replay(&replay, &choices->logs[i], reader, &progress);
	if (code != EXIT_FINE)
		return code;
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (choices->json)
		replay_print_json(stdout, &replay);
	else
		replay_print(stdout, &replay);
	if (replay.lines && !replay.verifications && !replay.other) {
		fputs("tlswarden replay: no line of these is an event of tlswarden: are they logs of `tlswarden run`?\n",
		      stderr);
		return EXIT_USAGE;
	}
	return replay.violations ? EXIT_NO : EXIT_FINE;
}

/* --- policies ------------------------------------------------------------------------------------------------------- */

/* The system's bundle is not asked: what the events say must not depend on where they are replayed. */
static int policies_read(const struct choices *choices, struct policy_load *load)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
	CLEANUP(problems_clear) struct problems problems = {0};
	CLEANUP_FREE char *error = NULL;

	if (policy_texts_read(choices->policies, choices->policies_count, &texts, &error) < 0) {
		error_print("replay", error);
		return EXIT_USAGE;
	}
	if (texts.count == 0) {
		fputs("tlswarden replay: there is no *.yaml or *.yml where --policy points to\n", stderr);
		return EXIT_USAGE;
	}
	if (policy_load_parse(&texts, load, &problems) < 0) {
		problems_print(&problems);
		return EXIT_NO;
	}
	return choices->anchors ? policy_load_bundle("replay", choices->anchors, load) : EXIT_FINE;
}

int cmd_replay(int argc, char **argv)
{
	CLEANUP(choices_clear) struct choices choices = {0};
	CLEANUP(policy_load_clear) struct policy_load load = {0};
	int code;

	if (!options_take(argc, argv, &choices)) {
		fputs("Try: tlswarden replay --help\n", stderr);
		return EXIT_USAGE;
	}
	if (choices.help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	certificate_init();
	code = logs_open(argv + optind, (size_t)(argc - optind), &choices);
	if (code == EXIT_FINE)
		code = policies_read(&choices, &load);
	if (code == EXIT_FINE)
		code = rights_drop_or_say("replay");
	if (code == EXIT_FINE)
		code = policy_load_bind_or_say(&load);
	if (code == EXIT_FINE)
		code = replay_run(&choices, &load);
	return code;
}
