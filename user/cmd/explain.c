/* `tlswarden explain`: what would the policies say of this chain, and why?
 *
 * Judges by the agent's own code, unprivileged: files are read first, then root's rights are given up, and only then is what a
 * stranger wrote taken apart. Prints what was looked at, each rule, and the verdict. */
#include <linux/types.h>

#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "explain_print.h"
#include "policy_load.h"
#include "rights.h"
#include "scenario.h"
#include "show.h"
#include "timestamp.h"
#include "util.h"

enum { PEM_MAX = 8 << 20 };

static const char usage[] =
	"usage: tlswarden explain --policy PATH... --chain FILE.pem [OPTION]...\n"
	"\n"
	"Judges a certificate chain as the agent would, and shows for each rule whether it matches, what it asks, and what was\n"
	"found. Whatever is not said is not known: a rule that matches on it does not match.\n"
	"\n"
	"  --policy PATH             a policy file, or a directory of them; may be given again\n"
	"  --chain FILE              what the peer presents: PEM, leaf first\n"
	"  --application-chain FILE  the chain that the application's library built, PEM, leaf first\n"
	"  --anchors FILE            PEM file with the roots known for proving paths (default: the system's bundle, if it is\n"
	"                            there)\n"
	"  --server-name NAME        the name that the client asked for (SNI)\n"
	"  --host NAME               the name or address that the application told its library to check\n"
	"  --peer IP[:PORT]          an IPv6 address with a port is written [2001:db8::1]:853\n"
	"  --verify RESULT           the application's own: ok (default), failed, failed-ignored (it went on), or off\n"
	"  --role ROLE               client (default): the peer is a server; server: the peer is a client\n"
	"  --library LIBRARY         openssl (default) or gnutls\n"
	"  --exe PATH                the program; --user NAME|UID, --unit NAME, --container ID: where it runs\n"
	"  --at TIME                 as of when, like 2027-01-31T00:00:00Z (default: now)\n"
	"  --mode audit              overrides every policy that enforces; --mode enforce leaves it to the policies (default)\n"
	"  --verbose                 all of everything, also of rules that do not match\n"
	"  -h, --help                this text\n"
	"\n"
	"Exit status: 0 no rule is broken; 1 one is, or a policy is invalid; 2 the command line is wrong, or a file cannot be\n"
	"read; 3 root's rights could not be given up.\n";

enum {
	OPTION_POLICY = 256,
	OPTION_CHAIN,
	OPTION_APPLICATION_CHAIN,
	OPTION_ANCHORS,
	OPTION_SERVER_NAME,
	OPTION_HOST,
	OPTION_PEER,
	OPTION_VERIFY,
	OPTION_ROLE,
	OPTION_LIBRARY,
	OPTION_EXE,
	OPTION_USER,
	OPTION_UNIT,
	OPTION_CONTAINER,
	OPTION_AT,
	OPTION_MODE,
	OPTION_VERBOSE,
};

static const struct option long_options[] = {
	{"policy", required_argument, NULL, OPTION_POLICY},
	{"chain", required_argument, NULL, OPTION_CHAIN},
	{"application-chain", required_argument, NULL, OPTION_APPLICATION_CHAIN},
	{"anchors", required_argument, NULL, OPTION_ANCHORS},
	{"server-name", required_argument, NULL, OPTION_SERVER_NAME},
	{"host", required_argument, NULL, OPTION_HOST},
	{"peer", required_argument, NULL, OPTION_PEER},
	{"verify", required_argument, NULL, OPTION_VERIFY},
	{"role", required_argument, NULL, OPTION_ROLE},
	{"library", required_argument, NULL, OPTION_LIBRARY},
	{"exe", required_argument, NULL, OPTION_EXE},
	{"user", required_argument, NULL, OPTION_USER},
	{"unit", required_argument, NULL, OPTION_UNIT},
	{"container", required_argument, NULL, OPTION_CONTAINER},
	{"at", required_argument, NULL, OPTION_AT},
	{"mode", required_argument, NULL, OPTION_MODE},
	{"verbose", no_argument, NULL, OPTION_VERBOSE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct request {
	char **policies; /* owned; the paths are borrowed */
	size_t policies_count;
	const char *chain, *application_chain, *anchors;
	struct scenario scenario;
	struct explain_style style;
	int64_t at;
	bool audit_only, help;
};

static void request_clear(struct request *request)
{
	free(request->policies);
}

static bool wanted(bool good, const char *option, const char *value, const char *what)
{
	if (!good)
		fprintf(stderr, "tlswarden explain: --%s %s: %s is wanted\n", option, value, what);
	return good;
}

static bool mode_take(const char *value, struct request *request)
{
	request->audit_only = strcmp(value, "audit") == 0;
	return wanted(request->audit_only || strcmp(value, "enforce") == 0, "mode", value, "audit or enforce");
}

/* Options that are taken as they are: where the value goes, or NULL. */
static const char **text_place(int option, struct request *request)
{
	switch (option) {
	case OPTION_CHAIN:
		return &request->chain;
	case OPTION_APPLICATION_CHAIN:
		return &request->application_chain;
	case OPTION_ANCHORS:
		return &request->anchors;
	case OPTION_SERVER_NAME:
		return &request->scenario.server_name;
	case OPTION_HOST:
		return &request->scenario.host;
	case OPTION_EXE:
		return &request->scenario.exe;
	case OPTION_UNIT:
		return &request->scenario.unit;
	case OPTION_CONTAINER:
		return &request->scenario.container;
	default:
		return NULL;
	}
}

static bool option_take(int option, char *value, struct request *request)
{
	struct scenario *scenario = &request->scenario;
	const char **place = text_place(option, request);

	if (place) {
		*place = value;
		return option != OPTION_EXE || wanted(value[0] == '/', "exe", value, "the program's whole path");
	}
	switch (option) {
	case OPTION_POLICY:
		request->policies = xrealloc(request->policies, request->policies_count + 1, sizeof(*request->policies));
		request->policies[request->policies_count++] = value;
		return true;
	case OPTION_PEER:
		return wanted(scenario_peer(value, &scenario->peer, &scenario->peer_port), "peer", value,
			      "IP, IP:PORT or [IPv6]:PORT");
	case OPTION_VERIFY:
		return wanted(scenario_verify(value, &scenario->verify), "verify", value,
			      "ok, failed, failed-ignored or off");
	case OPTION_ROLE:
		return wanted(scenario_role(value, &scenario->role), "role", value, "client or server");
	case OPTION_LIBRARY:
		return wanted(scenario_library(value, &scenario->library), "library", value, "openssl or gnutls");
	case OPTION_USER:
		return wanted(scenario_user(value, scenario), "user", value, "a name, or a number below 4294967295");
	case OPTION_AT:
		return wanted(timestamp_parse(value, &request->at), "at", value, "a time in UTC like 2027-01-31T00:00:00Z");
	case OPTION_MODE:
		return mode_take(value, request);
	case OPTION_VERBOSE:
		request->style.verbose = true;
		return true;
	case 'h':
		request->help = true;
		return true;
	default:
		return false;
	}
}

static bool request_take(int argc, char **argv, struct request *request)
{
	int option;

	optind = 0; /* 0: glibc starts afresh, whatever was parsed before */
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		if (!option_take(option, optarg, request))
			return false;
	if (request->help)
		return true;
	if (optind < argc)
		fprintf(stderr, "tlswarden explain: %s: what is this? The chain is named with --chain\n", argv[optind]);
	else if (!request->policies_count || !request->chain)
		fprintf(stderr, "tlswarden explain: --%s is missing\n", request->chain ? "policy" : "chain");
	return optind == argc && request->policies_count && request->chain;
}

static bool pem_read(const char *path, char **ret, size_t *ret_len)
{
	int r = path ? file_read(path, PEM_MAX, ret, ret_len) : 0;

	if (r < 0)
		fprintf(stderr, "tlswarden explain: %s: %s\n", path, strerror(-r));
	return r == 0;
}

static int judge(const struct request *request, const struct policy_load *load, const struct facts *facts)
{
	struct explanation explanation;
	struct verdict verdict;
	int code;

	policies_explain(load->policies, facts, request->at, request->audit_only, &explanation);
	policies_judge(load->policies, facts, request->at, request->audit_only, &verdict);
	explain_print_facts(facts, request->at, &request->style);
	explain_print_rules(&explanation, &request->style);
	explain_print_verdict(&verdict, &request->style);
	code = verdict.count ? EXIT_NO : EXIT_FINE;
	verdict_clear(&verdict);
	explanation_clear(&explanation);
	return code;
}

static int explain(struct request *request)
{
	CLEANUP(policy_load_clear) struct policy_load load = {0};
	CLEANUP(scenario_facts_clear) struct scenario_facts facts = {0};
	CLEANUP_FREE char *chain = NULL, *application_chain = NULL, *why = NULL;
	struct scenario *scenario = &request->scenario;
	int code;

	if (!pem_read(request->chain, &chain, &scenario->chain_len) ||
	    !pem_read(request->application_chain, &application_chain, &scenario->application_chain_len))
		return EXIT_USAGE;
	code = policy_load_read("explain", request->policies, request->policies_count, request->anchors, &load);
	if (code == EXIT_FINE)
		code = rights_drop_or_say("explain");
	if (code == EXIT_FINE)
		code = policy_load_bind_or_say(&load);
	if (code != EXIT_FINE)
		return code;
	scenario->chain = chain;
	scenario->application_chain = application_chain;
	if (scenario_facts(scenario, load.anchors, &facts, &why) < 0) {
		fprintf(stderr, "tlswarden explain: %s: %s\n", request->chain, why);
		return EXIT_USAGE;
	}
	return judge(request, &load, &facts.facts);
}

int cmd_explain(int argc, char **argv)
{
	CLEANUP(request_clear) struct request request = {.at = time(NULL), .style.colour = colour_wanted()};

	if (!request_take(argc, argv, &request)) {
		fputs("Try: tlswarden explain --help\n", stderr);
		return EXIT_USAGE;
	}
	if (request.help) {
		fputs(usage, stdout);
		return EXIT_FINE;
	}
	certificate_init();
	return explain(&request);
}
