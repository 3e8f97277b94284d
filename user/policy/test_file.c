/* Test files (test_file.h): read by the same strict machinery as policies, so that a misspelt key or a wrong type is an error
 * with its place, never a test that silently checks less.
 *
 * Owns the parsed tests, in one arena; keeps nothing of the text. Opens no file. Bounds are those of the YAML reader (node.c)
 * and of single texts. What the expectations mean is in test_case.c. */
#include "test_file.h"

#include <errno.h>
#include <string.h>

#include "policy_internal.h"

/* What is being read: the fields' `out`. */
struct reading {
	struct test_file *file;
	struct test_case *test;
};

static bool is_nothing(const struct node *node)
{
	return strcmp(node_describe(node), "nothing") == 0;
}

/* A number is fine for a user id, or for a container's id of digits alone. */
static const char *label_value(struct parser *parser, const struct node *value, const char *what)
{
	struct node as_text = *value;

	if (value->kind == NODE_SCALAR && strcmp(node_describe(value), "a number") == 0)
		as_text.plain = false;
	return text_value(parser, &as_text, what, TEXT_VALUE_MAX);
}

static bool path_value(struct parser *parser, const struct node *value, const char *what, struct test_path *ret)
{
	const char *path = text_value(parser, value, what, TEXT_VALUE_MAX);

	if (!path)
		return false;
	*ret = (struct test_path){path_resolve(parser, path), value->line, value->column};
	return true;
}

/* --- a test --------------------------------------------------------------------------------------------------------- */

static void parse_name(struct parser *parser, const struct node *value, void *out)
{
	struct test_case *test = ((struct reading *)out)->test;

	test->name = text_value(parser, value, "the name of a test", TEXT_DESCRIPTION_MAX);
	test->line = value->line;
	test->column = value->column;
}

static void parse_chain(struct parser *parser, const struct node *value, void *out)
{
	path_value(parser, value, "chain", &((struct reading *)out)->test->chain);
}

static void parse_application_chain(struct parser *parser, const struct node *value, void *out)
{
	path_value(parser, value, "application_chain", &((struct reading *)out)->test->application_chain);
}

static void parse_peer(struct parser *parser, const struct node *value, void *out)
{
	struct scenario *scenario = &((struct reading *)out)->test->scenario;
	const char *text = text_value(parser, value, "peer", TEXT_LABEL_MAX);

	if (text && !scenario_peer(text, &scenario->peer, &scenario->peer_port))
		complain(parser, value,
			 "peer must be an address like \"192.0.2.1\", \"192.0.2.1:853\" or \"[2001:db8::1]:853\", not "
			 "\"%.64s\"",
			 text);
}

static void parse_server_name(struct parser *parser, const struct node *value, void *out)
{
	if (!is_nothing(value))
		((struct reading *)out)->test->scenario.server_name = text_value(parser, value, "server_name",
										 TEXT_VALUE_MAX);
}

static void parse_host(struct parser *parser, const struct node *value, void *out)
{
	if (!is_nothing(value))
		((struct reading *)out)->test->scenario.host = text_value(parser, value, "host", TEXT_VALUE_MAX);
}

static void parse_verify(struct parser *parser, const struct node *value, void *out)
{
	static const char *const words[] = {
		[VERIFY_OK] = "ok",
		[VERIFY_FAILED] = "failed",
		[VERIFY_FAILED_IGNORED] = "failed-ignored",
		[VERIFY_OFF] = "off",
	};
	int word = word_value(parser, value, "verify", words, ARRAY_SIZE(words));

	if (word >= 0)
		((struct reading *)out)->test->scenario.verify = (enum verify_result)word;
}

static void parse_role(struct parser *parser, const struct node *value, void *out)
{
	static const char *const words[] = {"client", "server"};
	int word = word_value(parser, value, "role", words, ARRAY_SIZE(words));

	if (word >= 0)
		((struct reading *)out)->test->scenario.role = word ? FACTS_ROLE_SERVER : FACTS_ROLE_CLIENT;
}

static void parse_library(struct parser *parser, const struct node *value, void *out)
{
	static const char *const words[] = {"openssl", "gnutls"};
	int word = word_value(parser, value, "library", words, ARRAY_SIZE(words));

	if (word >= 0)
		((struct reading *)out)->test->scenario.library = word ? LIBRARY_GNUTLS : LIBRARY_OPENSSL;
}

static void parse_exe(struct parser *parser, const struct node *value, void *out)
{
	const char *exe = text_value(parser, value, "exe", TEXT_VALUE_MAX);

	if (exe && exe[0] != '/')
		complain(parser, value, "exe must be the program's whole path, like \"/usr/bin/curl\", not \"%.64s\"", exe);
	((struct reading *)out)->test->scenario.exe = exe;
}

static void parse_user(struct parser *parser, const struct node *value, void *out)
{
	const char *user = label_value(parser, value, "user");

	if (user && !scenario_user(user, &((struct reading *)out)->test->scenario))
		complain(parser, value, "user must be a name or a number below 4294967295, not \"%.64s\"", user);
}

static void parse_unit(struct parser *parser, const struct node *value, void *out)
{
	((struct reading *)out)->test->scenario.unit = text_value(parser, value, "unit", TEXT_VALUE_MAX);
}

static void parse_container(struct parser *parser, const struct node *value, void *out)
{
	((struct reading *)out)->test->scenario.container = label_value(parser, value, "container");
}

static void parse_at(struct parser *parser, const struct node *value, void *out)
{
	struct test_case *test = ((struct reading *)out)->test;

	test->has_at = time_value(parser, value, &test->at);
}

/* --- what is expected ------------------------------------------------------------------------------------------------ */

static void parse_verdict(struct parser *parser, const struct node *value, void *out)
{
	static const char *const words[] = {"ok", "log", "kill", "kill-process"};
	int word = word_value(parser, value, "verdict", words, ARRAY_SIZE(words));
	struct test_case *test = ((struct reading *)out)->test;

	_Static_assert(ARRAY_SIZE(words) == ACTION_KILL_PROCESS + 2, "a word for each action, and one for none");
	test->expects_violation = word > 0;
	test->action = word > 0 ? (enum action)(word - 1) : ACTION_LOG;
}

static void parse_rules_expected(struct parser *parser, const struct node *value, void *out)
{
	struct test_case *test = ((struct reading *)out)->test;
	size_t room = value->kind == NODE_LIST ? value->count : 1;

	test->has_rules = true;
	test->rules = arena_alloc(parser->policy->arena, room, sizeof(*test->rules));
	for (const struct node *item = node_first(value); item; item = node_next(value, item)) {
		const char *text = text_value(parser, item, "a rule", 2 * TEXT_LABEL_MAX + 1);

		if (text)
			test->rules[test->rules_count++] = (struct test_rule){
				.text = text, .line = item->line, .column = item->column};
	}
}

static void parse_reason(struct parser *parser, const struct node *value, void *out)
{
	((struct reading *)out)->test->reason = text_value(parser, value, "reason", TEXT_VALUE_MAX);
}

static void parse_expect(struct parser *parser, const struct node *value, void *out)
{
	static const struct field fields[] = {
		{"verdict", parse_verdict, true},
		{"rules", parse_rules_expected, false},
		{"reason", parse_reason, false},
	};
	const struct test_case *test = ((struct reading *)out)->test;
	size_t known = parser->problems->count;

	if (!fields_parse(parser, value, "expect", fields, ARRAY_SIZE(fields), out) || parser->problems->count != known)
		return;
	if (!test->expects_violation && (test->rules_count || test->reason))
		complain(parser, value, "verdict: ok means that no rule is broken: then there are no %s to expect",
			 test->rules_count ? "rules" : "reasons");
	else if (test->expects_violation && test->has_rules && !test->rules_count)
		complain(parser, value, "a verdict other than ok comes of some rule: name it, or leave `rules` out");
}

static void parse_test(struct parser *parser, const struct node *value, struct reading *reading)
{
	static const struct field fields[] = {
		{"name", parse_name, true},
		{"chain", parse_chain, true},
		{"application_chain", parse_application_chain, false},
		{"peer", parse_peer, false},
		{"server_name", parse_server_name, false},
		{"host", parse_host, false},
		{"verify", parse_verify, false},
		{"role", parse_role, false},
		{"library", parse_library, false},
		{"exe", parse_exe, false},
		{"user", parse_user, false},
		{"unit", parse_unit, false},
		{"container", parse_container, false},
		{"at", parse_at, false},
		{"expect", parse_expect, true},
	};

	reading->test->line = value->line;
	reading->test->column = value->column;
	fields_parse(parser, value, "a test", fields, ARRAY_SIZE(fields), reading);
}

static int name_compare(const void *a, const void *b)
{
	const struct test_case *x = *(struct test_case *const *)a, *y = *(struct test_case *const *)b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : x < y ? -1 : x > y;
}

static void check_names(struct parser *parser, const struct test_file *file)
{
	CLEANUP_FREE struct test_case **sorted = xcalloc(file->cases_count + 1, sizeof(struct test_case *));
	size_t count = 0;

	for (size_t i = 0; i < file->cases_count; i++)
		if (file->cases[i].name)
			sorted[count++] = &file->cases[i];
	qsort(sorted, count, sizeof(struct test_case *), name_compare);
	for (size_t i = 1, first = 0; i < count; i++) {
		if (strcmp(sorted[first]->name, sorted[i]->name) != 0) {
			first = i;
			continue;
		}
		problems_add(parser->problems, parser->file, sorted[i]->line, sorted[i]->column,
			     "the name \"%.64s\" is taken already, by the test at %u:%u", sorted[i]->name,
			     sorted[first]->line, sorted[first]->column);
	}
}

/* --- the file ------------------------------------------------------------------------------------------------------- */

static void parse_policies(struct parser *parser, const struct node *value, void *out)
{
	struct test_file *file = ((struct reading *)out)->file;
	size_t room = value->kind == NODE_LIST ? value->count : 1;

	if (room == 0)
		complain(parser, value, "an empty list: which policies are to be tested?");
	file->policies = arena_alloc(parser->policy->arena, room, sizeof(*file->policies));
	for (const struct node *item = node_first(value); item; item = node_next(value, item))
		file->policies_count += path_value(parser, item, "the path of a policy",
						   &file->policies[file->policies_count]);
}

static void parse_anchors(struct parser *parser, const struct node *value, void *out)
{
	path_value(parser, value, "anchors", &((struct reading *)out)->file->anchors);
}

static void parse_tests(struct parser *parser, const struct node *value, void *out)
{
	struct reading *reading = out;
	struct test_file *file = reading->file;

	if (value->kind != NODE_LIST) {
		complain(parser, value, "tests must be a list, not %s", node_describe(value));
		return;
	}
	if (value->count == 0)
		complain(parser, value, "an empty list: nothing is tested");
	file->cases = arena_alloc(parser->policy->arena, value->count, sizeof(*file->cases));
	for (const struct node *item = value->first; item; item = item->next) {
		reading->test = &file->cases[file->cases_count++];
		parse_test(parser, item, reading);
	}
	check_names(parser, file);
}

bool test_file_is(const struct policy_source *source)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	CLEANUP(arena_freep) struct arena *nodes = arena_new();
	struct node *root;

	/* A large policy is not taken apart twice for nothing. */
	if (!memmem(source->text, source->len, "tests", strlen("tests")))
		return false;
	return node_read(source, nodes, &problems, &root) == 0 && node_get(root, "tests");
}

int test_file_parse(const struct policy_source *source, struct test_file **ret, struct problems *problems)
{
	static const struct field fields[] = {
		{"version", parse_version, false},
		{"policies", parse_policies, true},
		{"anchors", parse_anchors, false},
		{"tests", parse_tests, true},
	};
	CLEANUP(arena_freep) struct arena *nodes = arena_new(), *arena = arena_new();
	struct policy owner = {.arena = arena};
	struct parser parser = {.file = source->file, .problems = problems, .policy = &owner};
	struct reading reading = {.file = arena_alloc(arena, 1, sizeof(struct test_file))};
	size_t known = problems->count;
	struct node *root;

	if (node_read(source, nodes, problems, &root) == 0)
		fields_parse(&parser, root, "a test file", fields, ARRAY_SIZE(fields), &reading);
	if (problems->count != known)
		return -EINVAL;
	reading.file->file = arena_strndup(arena, source->file, strlen(source->file));
	reading.file->arena = TAKE_PTR(arena);
	*ret = reading.file;
	return 0;
}

void test_file_free(struct test_file *file)
{
	if (file)
		arena_free(file->arena); /* the file is in it itself */
}
