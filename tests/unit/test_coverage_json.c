/* What the agent says of itself over the control socket: that it is JSON whatever processes call themselves, and whose keys are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <json-c/json.h>

#include "../../user/agent/coverage_json.h"
#include "../../user/agent/standing.h"
#include "control.h"
#include "records.h"
#include "util.h"

static void expect(struct json *object, const char *expected)
{
	CLEANUP_FREE char *line = object_line(object), *wanted = xasprintf("%s\n", expected);

	assert_string_equal(line, wanted);
}

static char hostile_path[] = "/tmp/a\n\"\x1b[31m\xff\\libcrypto.so.3";
static char plain_path[] = "/lib/libcrypto.so.3";
static char why[] = "accessor X\tdid not answer";

static struct coverage_file files[] = {
	{.path = plain_path,
	 .device = 1,
	 .inode = 2,
	 .state = COVERAGE_ATTACHED,
	 .parts = PART_CRYPTO | PART_SSL,
	 .slot = 3,
	 .version = "3.0.22",
	 .build_id = {0x4c, 0xa7},
	 .build_id_len = 2,
	 .attach_us = -1,
	 .processes = 7},
	{.path = hostile_path, .state = COVERAGE_UNSUPPORTED, .reason = why, .attach_us = -1},
	{.path = plain_path, .state = COVERAGE_FOREIGN, .name = "Go's crypto/x509", .attach_us = -1},
	{.path = plain_path, .state = COVERAGE_SILENT, .parts = PART_GNUTLS, .slot = 4, .attach_us = 0},
	{.path = plain_path, .state = COVERAGE_INCOMPLETE, .parts = PART_CRYPTO, .attach_us = -1},
};

static void libraries(void **state)
{
	const struct coverage coverage = {.files = files, .files_count = 2};

	(void)state;
	expect(coverage_libraries(&coverage),
	       "[{\"name\":\"openssl\",\"version\":\"3.0.22\",\"path\":\"/lib/libcrypto.so.3\",\"state\":\"attached\",\"build_id\":"
	       "\"4ca7\",\"device\":1,\"inode\":2,\"processes\":7,\"slot\":3},"
	       "{\"path\":\"/tmp/a\\\\x0a\\\"\\\\x1b[31m\\\\xff\\\\\\\\libcrypto.so.3\",\"state\":\"unsupported\",\"reason\":\"accessor "
	       "X\\\\x09did not answer\",\"device\":0,\"inode\":0,\"processes\":0}]");
	expect(coverage_libraries(&(struct coverage){}), "[]");
}

/* Where the finder gives no reason, there still is one. */
static void each_state_has_a_reason(void **state)
{
	static const char *const names[] = {"openssl", NULL, "Go's crypto/x509", "gnutls", "openssl"};
	const struct coverage coverage = {.files = files, .files_count = ARRAY_SIZE(files)};
	CLEANUP_FREE char *line = object_line(coverage_libraries(&coverage));
	struct json_object *list = json_tokener_parse(line), *value;

	(void)state;
	assert_int_equal(json_object_array_length(list), ARRAY_SIZE(files));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct json_object *file = json_object_array_get_idx(list, i);

		assert_int_equal(json_object_object_get_ex(file, "reason", &value), files[i].state != COVERAGE_ATTACHED);
		assert_int_equal(json_object_object_get_ex(file, "name", &value), names[i] != NULL);
		if (names[i])
			assert_string_equal(json_object_get_string(value), names[i]);
		assert_int_equal(json_object_object_get_ex(file, "attach_us", &value), files[i].attach_us >= 0);
	}
	json_object_put(list);
}

static void processes(void **state)
{
	uint32_t one[] = {0}, several[] = {1, 0, 1};
	char exe[] = "/opt/\x01";
	struct coverage_process list[] = {
		{.pid = 10, .name = "nginx", .exe = plain_path, .files = one, .files_count = 1, .covered = true},
		{.pid = 11, .name = "e\nvil", .exe = exe, .files = several, .files_count = 3},
		{.pid = 12, .name = "", .files = several, .files_count = 1, .bits32 = true},
	};
	const struct coverage coverage = {.files = files,
					  .files_count = ARRAY_SIZE(files),
					  .processes = list,
					  .processes_count = ARRAY_SIZE(list),
					  .processes_unread = 4};
	static const char evil[] =
		"{\"path\":\"/tmp/a\\\\x0a\\\"\\\\x1b[31m\\\\xff\\\\\\\\libcrypto.so.3\",\"state\":\"unsupported\"}";
	static const char good[] =
		"{\"name\":\"openssl\",\"version\":\"3.0.22\",\"path\":\"/lib/libcrypto.so.3\",\"state\":\"attached\"}";
	CLEANUP_FREE char *expected = xasprintf(
		"[{\"pid\":10,\"name\":\"nginx\",\"executable\":\"/lib/libcrypto.so.3\",\"covered\":true,\"uses\":[%s]},"
		"{\"pid\":11,\"name\":\"e\\\\x0avil\",\"executable\":\"/opt/\\\\x01\",\"covered\":false,\"uses\":[%s,%s,%s],"
		"\"reasons\":[\"accessor X\\\\x09did not answer\"]},"
		"{\"pid\":12,\"name\":\"\",\"covered\":false,\"uses\":[%s],\"reasons\":[\"it is a 32-bit process, whose "
		"libraries get no probes\"]}]",
		good, evil, good, evil, evil);

	(void)state;
	expect(coverage_processes(&coverage), expected);
	expect(coverage_counts(&coverage), "{\"covered\":1,\"not_covered\":2,\"unread\":4}");
}

static struct policies *policies_of(const char *text)
{
	const struct policy_source source = {.file = "p.yaml", .text = text, .len = strlen(text)};
	struct problems problems = {};
	struct policies *policies;

	assert_int_equal(policies_parse(&source, 1, &policies, &problems), 0);
	problems_clear(&problems);
	return policies;
}

static const char text[] = "version: 1\nname: one\nmode: enforce\nenforce_until: \"2020-01-01T00:00:00Z\"\n"
			   "rules:\n  - id: a\n    match: [{any: true}]\n    require: {verified: true}\n    action: kill\n";

/* Before there is a finder. */
static void the_agent(void **state)
{
	const struct counters counters = {.verifications = 5, .lost_call = 6};
	const struct standing_options options = {.gate = {.closed = true, .timeout_ms = 500, .max = 9},
						 .counters = &counters};
	struct standing *standing = standing_new(&options);
	struct policies *policies = policies_of(text);
	CLEANUP_FREE char *empty = standing_answer(standing, "status"), *answer = NULL, *coverage = NULL, *unknown = NULL;
	static const char *const parts[] = {
		"{\"control\":1,\"agent\":{\"version\":\"",
		"\"state\":\"starting\",\"mode\":\"as the policies say\"},\"policies\":[{\"name\":\"one\",\"file\":\"p.yaml\",\"mode\":"
		"\"audit\",\"mode_reason\":\"as enforce_until has passed\",\"sha256\":\"",
		"\"rules\":1,\"enforce_until\":\"2020-01-01T00:00:00Z\"}],\"gate\":{\"state\":\"unavailable\",\"reason\":\"no "
		"cgroup\",\"fail\":\"closed\",\"timeout_ms\":500,\"max\":9},\"counters\":{\"verifications\":5,",
		"\"calls\":6,",
		"\"coverage_unknown\":\"the agent is starting, ask again\"}\n",
	};
	const char *at;

	(void)state;
	assert_non_null(strstr(empty, "\"policies\":[]"));
	assert_non_null(strstr(empty, "\"gate\":{\"state\":\"off\",\"fail\""));
	standing_policies(standing, policies);
	standing_gate(standing, GATE_UNAVAILABLE, "no cgroup");
	at = answer = standing_answer(standing, "status");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		at = strstr(at, parts[i]);
		if (!at)
			fail_msg("\"%s\" is missing in %s", parts[i], answer);
		at += strlen(parts[i]);
	}
	assert_string_equal(at, "");
	coverage = standing_answer(standing, "coverage");
	assert_null(strstr(coverage, "policies\""));
	assert_non_null(strstr(coverage, "\"coverage_unknown\""));
	unknown = standing_answer(standing, "sta\"tus");
	assert_string_equal(unknown, "{\"control\":1,\"error\":\"there is no such request: status and coverage are\"}\n");
	standing_free(standing);
	standing_free(NULL);
	policies_free(policies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libraries),
		cmocka_unit_test(each_state_has_a_reason),
		cmocka_unit_test(processes),
		cmocka_unit_test(the_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
