/* The policies in force and what is exchanged at a reload: user/agent/in_force.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"
#include "../../user/agent/hold.h"
#include "../../user/agent/in_force.h"
#include "path.h"
#include "policy_pack.h"
#include "util.h"

#define RULES(name, require) \
	"version: 1\nname: " name "\nrules:\n  - {id: r, match: [{any: true}], require: {" require "}}\n"
#define NEEDS_STORE(name) RULES(name, "trusted_by: /store.pem")

/* The file that would come from the warden: one policy, and the contents of the one file that it may name. */
static int pack(const char *text, const char *content, size_t len)
{
	struct policy_source source = {.file = "p.yaml", .text = text, .len = strlen(text)};
	struct policy_content item = {.data = content, .len = len, .error = content ? 0 : ENOENT};
	struct policy_texts texts = {.sources = &source, .count = 1};
	struct policy_contents contents = {.items = &item, .count = strstr(text, "/store.pem") ? 1 : 0};
	int fd = policy_pack(&texts, &contents);

	assert_true(fd >= 0);
	return fd;
}

static struct in_force begin(const char *text, const char *content, size_t len)
{
	struct policy_source source = {.file = "p.yaml", .text = text, .len = strlen(text)};
	struct policy_content item = {.data = content, .len = len};
	struct policy_contents contents = {.items = &item, .count = 1};
	struct in_force in_force = {};
	struct problems problems = {};
	struct policies *policies = NULL;

	assert_int_equal(policies_parse(&source, 1, &policies, &problems), 0);
	assert_int_equal(in_force_begin(&in_force, policies, &contents), 0);
	return in_force;
}

static void check_name(const struct in_force *in_force, const char *name)
{
	assert_int_equal(policies_count(in_force->policies), 1);
	assert_string_equal(policies_info(in_force->policies, 0).name, name);
}

/* A case that is held points to the roots by which its path was proven, whatever is reloaded meanwhile. */
static void roots_outlive_a_reload_as_long_as_holds(void **state)
{
	struct fixture_chain chain = fixture_chain("good-leaf.chain.pem");
	size_t len, rogue_len;
	CLEANUP_FREE char *good = fixture_text("good-root.pem", &len), *rogue = fixture_text("rogue-root.pem", &rogue_len);
	struct in_force in_force = begin(NEEDS_STORE("first"), good, len);
	struct facts facts = {.certs_count = chain.count};
	char *why = NULL;
	int fd;

	(void)state;
	for (size_t i = 0; i < chain.count; i++)
		facts.certs[i] = (struct fact_cert){.certificate = chain.certs[i], .presented = true};
	path_prove(&facts, in_force.anchors);
	assert_int_equal(facts.path_count, 3);

	for (size_t i = 0; i < 3; i++) {
		fd = pack(NEEDS_STORE("next"), rogue, rogue_len);
		assert_int_equal(in_force_swap(&in_force, fd, i, &why), 0);
		close(fd);
	}
	check_name(&in_force, "next");
	in_force_tidy(&in_force, HOLD_MS * 1000000ULL - 1);
	assert_string_equal(facts.path[2]->subject, "CN=Good Root,O=Example Trust");
	assert_int_equal(in_force.retired_count, 3);
	in_force_tidy(&in_force, HOLD_MS * 1000000ULL);
	assert_int_equal(in_force.retired_count, 2);
	in_force_tidy(&in_force, HOLD_MS * 1000000ULL + 2);
	assert_int_equal(in_force.retired_count, 0);
	path_prove(&facts, in_force.anchors);
	assert_int_equal(facts.path_count, 2);
	in_force_clear(&in_force);
	fixture_chain_clear(&chain);
}

static void what_is_wrong_changes_nothing(void **state)
{
	static const struct {
		const char *text, *content, *why;
	} wrong[] = {
		{RULES("wrong", "no_such_key: 1"), "", "p.yaml:4:"},
		{NEEDS_STORE("wrong"), NULL, "p.yaml:4:"},
		{NEEDS_STORE("wrong"), "", "p.yaml:4:"},
		{NEEDS_STORE("wrong"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "p.yaml:4:"},
		{"", "", "p.yaml:1:"},
	};
	size_t len;
	CLEANUP_FREE char *good = fixture_text("good-root.pem", &len);
	struct in_force in_force = begin(NEEDS_STORE("first"), good, len);
	const struct policies *policies = in_force.policies;
	const struct anchors *anchors = in_force.anchors;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CLEANUP_FREE char *why = NULL;
		int fd = pack(wrong[i].text, wrong[i].content, wrong[i].content ? strlen(wrong[i].content) : 0);

		assert_true(in_force_swap(&in_force, fd, 0, &why) < 0);
		close(fd);
		assert_non_null(why);
		if (strncmp(why, wrong[i].why, strlen(wrong[i].why)) != 0)
			fail_msg("%zu: %s", i, why);
		assert_ptr_equal(in_force.policies, policies);
		assert_ptr_equal(in_force.anchors, anchors);
	}
	check_name(&in_force, "first");
	in_force_clear(&in_force);
}

/* Contents that are not as many as the policies need, or no file at all: it is the privileged half that is wrong then. */
static void a_file_that_does_not_fit_is_refused(void **state)
{
	static const char text[] = NEEDS_STORE("needs");
	struct policy_source source = {.file = "p.yaml", .text = text, .len = strlen(text)};
	struct policy_texts texts = {.sources = &source, .count = 1};
	struct policy_contents none = {};
	struct in_force in_force = begin(RULES("first", "verified: true"), NULL, 0);
	CLEANUP_FREE char *why = NULL, *other = NULL;
	int fd = policy_pack(&texts, &none);

	(void)state;
	assert_int_equal(in_force_swap(&in_force, fd, 0, &why), -EPROTO);
	close(fd);
	assert_int_equal(in_force_swap(&in_force, -1, 0, &other), -EBADF);
	check_name(&in_force, "first");
	assert_null(in_force.anchors);
	in_force_clear(&in_force);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_outlive_a_reload_as_long_as_holds),
		cmocka_unit_test(what_is_wrong_changes_nothing),
		cmocka_unit_test(a_file_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests_name("in force", tests, NULL, NULL);
}
