/* The configuration file: read by the same strict YAML reader as policies, and as strictly. The administrator's own file:
 * read with privilege, before anything else happens. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "../policy/node.h"
#include "arena.h"
#include "exit_codes.h"
#include "gate_maps.h"
#include "policy.h"
#include "util.h"

const char config_usual_path[] = "/etc/tlswarden/tlswarden.yaml";

enum {
	CONFIG_MAX = 1 << 20,
	GATE_TIMEOUT_MS = 500,
	GATE_TIMEOUT_MIN_MS = 10,
	GATE_TIMEOUT_MAX_MS = 60000,
	GATE_MAX_MAX = 1 << 20, /* some 300 MB of the kernel's memory */
};

void config_init(struct config *config)
{
	*config = (struct config){.gate_timeout_ms = GATE_TIMEOUT_MS, .gate_max = GATE_MAX};
}

void config_clear(struct config *config)
{
	for (size_t i = 0; i < config->policy_count; i++)
		free(config->policies[i]);
	free(config->policies);
	free(config->output);
	free(config->anchors);
	free(config->user);
	free(config->control);
	config_init(config);
}

struct reading {
	const char *path;
	struct problems *problems;
	struct config *config;
};

static void complain(const struct reading *reading, const struct node *node, const char *what)
{
	problems_add(reading->problems, reading->path, node->line, node->column, "%s", what);
}

static void read_path(const struct reading *reading, const struct node *value, char **ret)
{
	if (!node_is_text(value))
		complain(reading, value, "a text is wanted here");
	else
		*ret = xstrndup(value->text, value->len);
}

static void read_policies(const struct reading *reading, const struct node *value)
{
	struct config *config = reading->config;

	for (const struct node *item = node_first(value); item; item = node_next(value, item)) {
		config->policies = xrealloc(config->policies, config->policy_count + 1, sizeof(*config->policies));
		config->policies[config->policy_count] = NULL;
		read_path(reading, item, &config->policies[config->policy_count]);
		if (config->policies[config->policy_count])
			config->policy_count++;
	}
}

static void read_word(const struct reading *reading, const struct node *value, const char *no, const char *yes, bool *ret,
		      const char *complaint)
{
	if (node_is_text(value) && yes && strcmp(value->text, yes) == 0)
		*ret = true;
	else if (!node_is_text(value) || !no || strcmp(value->text, no) != 0)
		complain(reading, value, complaint);
}

static void read_truth(const struct reading *reading, const struct node *value, bool *ret)
{
	bool plain = value->kind == NODE_SCALAR && value->plain;

	if (!plain || (strcmp(value->text, "true") != 0 && strcmp(value->text, "false") != 0))
		complain(reading, value, "true or false is wanted here");
	else
		*ret = strcmp(value->text, "true") == 0;
}

/* Digits, and then the rest. */
static bool read_number(const struct node *value, uint32_t max, uint32_t *ret, const char **ret_rest)
{
	unsigned long long number = 0;
	const char *at = value->text;

	if (value->kind != NODE_SCALAR || !value->plain || *at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		number = number * 10 + (unsigned)(*at - '0');
		if (number > max)
			return false;
	}
	*ret = (uint32_t)number;
	*ret_rest = at;
	return true;
}

static void read_timeout(const struct reading *reading, const struct node *value)
{
	uint32_t number = 0;
	const char *unit = "";
	bool read = read_number(value, GATE_TIMEOUT_MAX_MS, &number, &unit);

	if (read && strcmp(unit, "s") == 0)
		number = number > GATE_TIMEOUT_MAX_MS / 1000 ? GATE_TIMEOUT_MAX_MS + 1 : number * 1000;
	else if (strcmp(unit, "ms") != 0)
		read = false;
	if (!read || number < GATE_TIMEOUT_MIN_MS || number > GATE_TIMEOUT_MAX_MS)
		complain(reading, value, "a time from 10ms to 60s is wanted here, as in 500ms or 2s");
	else
		reading->config->gate_timeout_ms = number;
}

static void read_gate_max(const struct reading *reading, const struct node *value)
{
	uint32_t number = 0;
	const char *rest = "";

	if (!read_number(value, GATE_MAX_MAX, &number, &rest) || *rest || !number)
		complain(reading, value, "a number of sockets from 1 to 1048576 is wanted here");
	else
		reading->config->gate_max = number;
}

static void read_key(const struct reading *reading, const struct node *value)
{
	struct config *config = reading->config;
	const char *key = value->key->text;

	if (strcmp(key, "policies") == 0) {
		read_policies(reading, value);
	} else if (strcmp(key, "output") == 0) {
		read_path(reading, value, &config->output);
	} else if (strcmp(key, "anchors") == 0) {
		read_path(reading, value, &config->anchors);
	} else if (strcmp(key, "user") == 0) {
		read_path(reading, value, &config->user);
	} else if (strcmp(key, "control") == 0) {
		read_path(reading, value, &config->control);
	} else if (strcmp(key, "events") == 0) {
		config->has_events = true;
		read_word(reading, value, "violations", "all", &config->all_events, "violations or all is wanted here");
	} else if (strcmp(key, "mode") == 0) {
		read_word(reading, value, "enforce", "audit", &config->audit_only,
			  "audit, which overrides every policy, or enforce, which leaves it to them, is wanted here");
	} else if (strcmp(key, "fail") == 0) {
		read_word(reading, value, "open", "closed", &config->fail_closed,
			  "open, which lets go what is not judged in time, or closed, which ends it, is wanted here");
	} else if (strcmp(key, "gate_timeout") == 0) {
		read_timeout(reading, value);
	} else if (strcmp(key, "gate_max") == 0) {
		read_gate_max(reading, value);
	} else if (strcmp(key, "certificates") == 0) {
		read_truth(reading, value, &config->certificates);
	} else {
		complain(
			reading, value->key,
			"there is no such key: policies, output, events, certificates, mode, fail, gate_timeout, gate_max, anchors, "
			"control and user are");
	}
}

static void read_document(const struct reading *reading, const struct policy_source *source)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	struct node *root;

	if (node_read(source, arena, reading->problems, &root) == 0) {
		if (root->kind != NODE_MAP)
			complain(reading, root, "a mapping of keys is wanted here");
		for (const struct node *value = root->kind == NODE_MAP ? root->first : NULL; value; value = value->next)
			read_key(reading, value);
	}
}

/* Nothing but comments: every key is optional. */
static bool is_blank(const char *text, size_t len)
{
	const char *end = text + len;

	for (text += strspn(text, " \r\n"); *text == '#'; text += strspn(text, " \r\n"))
		text += strcspn(text, "\n");
	return text == end;
}

int config_read(const char *path, struct config *ret)
{
	struct problems problems = {};
	struct config config;
	struct reading reading = {.path = path, .problems = &problems, .config = &config};
	char *text CLEANUP_FREE = NULL;
	size_t len;
	int err = file_read(path, CONFIG_MAX, &text, &len);

	config_init(&config);
	if (err) {
		fprintf(stderr, "tlswarden: %s: %s\n", path, strerror(-err));
		return EXIT_USAGE;
	}
	if (!is_blank(text, len))
		read_document(&reading, &(struct policy_source){.file = path, .text = text, .len = len});
	for (size_t i = 0; i < problems.count; i++)
		fprintf(stderr, "%s:%u:%u: %s\n", problems.items[i].file, problems.items[i].line, problems.items[i].column,
			problems.items[i].text);
	if (problems.count) {
		config_clear(&config);
		problems_clear(&problems);
		return EXIT_NO;
	}
	*ret = config;
	return EXIT_FINE;
}
