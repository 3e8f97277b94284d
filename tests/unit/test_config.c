/* The agent's configuration file: what is usual, what is taken, and what is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "config.h"
#include "exit_codes.h"
#include "gate_maps.h"
#include "util.h"

/* An exit code; *ret_said is what went to standard error. */
static int read_text(const char *text, size_t len, struct config *ret, char **ret_said)
{
	int file CLEANUP_CLOSE = memfd_create("config", MFD_CLOEXEC), said CLEANUP_CLOSE = memfd_create("said", MFD_CLOEXEC);
	int before CLEANUP_CLOSE = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d", file);
	size_t said_len;
	int code;

	assert_int_equal(write(file, text, len), len);
	fflush(stderr);
	assert_true(dup2(said, STDERR_FILENO) >= 0);
	code = config_read(path, ret);
	fflush(stderr);
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	lseek(said, 0, SEEK_SET);
	assert_int_equal(fd_read_all(said, 1 << 20, ret_said, &said_len), 0);
	return code;
}

static struct config taken(const char *text)
{
	CLEANUP_FREE char *said = NULL;
	struct config config;
	int code;

	config_init(&config);
	code = read_text(text, strlen(text), &config, &said);
	if (code != EXIT_FINE || said[0])
		fail_msg("%s: %d, %s", text, code, said);
	return config;
}

/* With a complaint of that place, "LINE:COLUMN: ", that has these words in it; and *ret untouched. */
static void refused_with(const char *text, size_t len, const char *place, const char *words)
{
	CLEANUP_FREE char *said = NULL;
	struct config config, before;

	memset(&config, 0xee, sizeof(config));
	before = config;
	if (read_text(text, len, &config, &said) != EXIT_NO)
		fail_msg("%s: taken", text);
	if (!strstr(said, place) || !strstr(said, words))
		fail_msg("%s: %s, expected \"%s\" and \"%s\"", text, said, place, words);
	assert_memory_equal(&config, &before, sizeof(config));
}

static void refused(const char *text, const char *place, const char *words)
{
	refused_with(text, strlen(text), place, words);
}

static void what_is_usual(void **state)
{
	static const char *const texts[] = {
		"", "\n\n", "# gate_timeout: 1s\n", "  # a\n\n# b", "events: violations\n", "fail: open\nmode: enforce\n"};
	struct config config;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		config = taken(texts[i]);
		assert_int_equal(config.gate_timeout_ms, 500);
		assert_int_equal(config.gate_max, GATE_MAX);
		assert_false(config.fail_closed || config.audit_only || config.all_events || config.certificates);
		assert_null(config.output);
		assert_null(config.control);
		assert_int_equal(config.policy_count, 0);
		config_clear(&config);
	}
	memset(&config, 0xee, sizeof(config));
	config_init(&config);
	assert_int_equal(config.gate_timeout_ms, 500);
	assert_int_equal(config.gate_max, GATE_MAX);
	assert_false(config.fail_closed);
}

static void what_it_says_is_taken(void **state)
{
	struct config config = taken("policies: [a.yaml, /etc/b]\n"
				     "output: \"/var/log/e\"\n"
				     "events: all\n"
				     "certificates: true\n"
				     "mode: audit\n"
				     "fail: closed\n"
				     "gate_timeout: 2s\n"
				     "gate_max: 100\n"
				     "anchors: /a.pem\n"
				     "user: nobody\n"
				     "control: /run/x.sock\n");

	(void)state;
	assert_int_equal(config.policy_count, 2);
	assert_string_equal(config.policies[0], "a.yaml");
	assert_string_equal(config.policies[1], "/etc/b");
	assert_string_equal(config.output, "/var/log/e");
	assert_string_equal(config.anchors, "/a.pem");
	assert_string_equal(config.user, "nobody");
	assert_string_equal(config.control, "/run/x.sock");
	assert_true(config.has_events && config.all_events && config.certificates && config.audit_only &&
		    config.fail_closed);
	assert_int_equal(config.gate_timeout_ms, 2000);
	assert_int_equal(config.gate_max, 100);
	config_clear(&config);
	assert_int_equal(config.gate_timeout_ms, 500);
	assert_null(config.policies);
}

static void times(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} good[] = {
		{"10ms", 10}, {"11ms", 11},        {"500ms", 500}, {"0500ms", 500}, {"60000ms", 60000},
		{"1s", 1000}, {"  2s  # a", 2000}, {"60s", 60000}, {"060s", 60000}, {"59999ms", 59999},
	};
	static const char *const bad[] = {
		"0ms",
		"9ms",
		"0s",
		"61s",
		"60001ms",
		"500",
		"0",
		"\"500ms\"",
		"'2s'",
		"-1s",
		"-500ms",
		"+1s",
		"1.5s",
		".5s",
		"1e3ms",
		"0x10ms",
		"5 m",
		"5m",
		"5 s",
		"500 ms",
		"1h",
		"1d",
		"ms",
		"s",
		"\"\"",
		"1S",
		"500MS",
		"500us",
		"500mss",
		"1s1ms",
		"4294967296ms",
		"4294967297s",
		"18446744073709551616s",
		"18446744073709552116ms",
		"99999999999999999999999999999999s",
		"5000000s",
		"[500ms]",
		"{a: 500ms}",
		"null",
		"~",
		"true",
		".inf",
		"\u0665\u0660\u0660ms",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CLEANUP_FREE char *text = xasprintf("gate_timeout: %s\n", good[i].text);
		struct config config = taken(text);

		assert_int_equal(config.gate_timeout_ms, good[i].ms);
		config_clear(&config);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP_FREE char *text = xasprintf("# c\ngate_timeout: %s\n", bad[i]);

		refused(text, ":2:15: ", "from 10ms to 60s");
	}
	refused("gate_timeout:\n", ":1:", "from 10ms to 60s");
}

static void numbers_of_sockets(void **state)
{
	static const struct {
		const char *text;
		uint32_t number;
	} good[] = {{"1", 1}, {"2", 2}, {"16384", 16384}, {"1048576", 1048576}, {"0001", 1}, {"1048575", 1048575}};
	static const char *const bad[] = {
		"0",
		"00",
		"-1",
		"+1",
		"1048577",
		"4294967295",
		"4294967296",
		"4294967297",
		"18446744073709551617",
		"1.0",
		"1e3",
		"0x10",
		"\"100\"",
		"'100'",
		"100k",
		"1 000",
		"1,000",
		"1_000",
		"[100]",
		"{a: 1}",
		"many",
		"null",
		"~",
		"\"\"",
		"100ms",
		"99999999999999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CLEANUP_FREE char *text = xasprintf("gate_max: %s\n", good[i].text);
		struct config config = taken(text);

		assert_int_equal(config.gate_max, good[i].number);
		config_clear(&config);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP_FREE char *text = xasprintf("\ngate_max: %s\n", bad[i]);

		refused(text, ":2:11: ", "from 1 to 1048576");
	}
	refused("gate_max:\n", ":1:", "from 1 to 1048576");
}

static void words(void **state)
{
	static const struct {
		const char *key, *good[2], *bad[8], *complaint;
	} examples[] = {
		{"fail",
		 {"open", "closed"},
		 {"Open", "opened", "close", "yes", "true", "\"\"", "[open]", "0"},
		 "open, which"},
		{"mode",
		 {"enforce", "audit"},
		 {"Audit", "enforced", "log", "no", "false", "\"\"", "{a: b}", "1"},
		 "audit, which"},
		{"events",
		 {"violations", "all"},
		 {"none", "ALL", "any", "yes", "true", "\"\"", "[all]", "1"},
		 "violations or all"},
		{"certificates",
		 {"false", "true"},
		 {"yes", "no", "1", "True", "\"true\"", "on", "[true]", "~"},
		 "true or false"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(examples[i].good); k++) {
			CLEANUP_FREE char *text = xasprintf("%s: %s\n", examples[i].key, examples[i].good[k]);
			struct config config = taken(text);

			assert_int_equal(config.fail_closed, i == 0 && k);
			assert_int_equal(config.audit_only, i == 1 && k);
			assert_int_equal(config.all_events, i == 2 && k);
			assert_int_equal(config.has_events, i == 2);
			assert_int_equal(config.certificates, i == 3 && k);
			config_clear(&config);
		}
		for (size_t k = 0; k < ARRAY_SIZE(examples[i].bad); k++) {
			CLEANUP_FREE char *text = xasprintf("%s: %s\n", examples[i].key, examples[i].bad[k]);

			refused(text, ":1:", examples[i].complaint);
		}
	}
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
	static const char nul[] = "fail: closed\0\n";

	(void)state;
	refused("output: /a\ngate_timout: 1s\n", ":2:1: ", "no such key");
	refused("gate_timeout: 1s\ngate_timeout: 1s\n", ":2:", "gate_timeout");
	refused("fail: closed\nfail: open\n", ":2:", "fail");
	refused("- fail\n", ":1:1: ", "mapping");
	refused("fail\n", ":1:1: ", "mapping");
	refused("output: [a]\n", ":1:9: ", "text");
	refused("policies: [a, [b]]\n", ":1:", "text");
	refused("fail: {\n", ":", "");
	refused("gate_max: 1\n\tfail: open\n", ":", "");
	refused("a: &x 1\nb: *x\n", ":", "");
	refused_with(nul, sizeof(nul) - 1, ":", "");
	/* All of it. */
	refused("gate_max: 0\ngate_timeout: 0s\nfail: 1\n", ":1:11: ", "from 1 to");
	refused("gate_max: 0\ngate_timeout: 0s\nfail: 1\n", ":2:15: ", "from 10ms");
	refused("gate_max: 0\ngate_timeout: 0s\nfail: 1\n", ":3:7: ", "open, which");
}

static void a_file_that_is_not_there(void **state)
{
	int before CLEANUP_CLOSE = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0),
		   null CLEANUP_CLOSE = open("/dev/null", O_WRONLY);
	struct config config, kept;
	int code;

	(void)state;
	memset(&config, 0xee, sizeof(config));
	kept = config;
	fflush(stderr);
	assert_true(dup2(null, STDERR_FILENO) >= 0);
	code = config_read("/proc/self/fd/none", &config);
	fflush(stderr);
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	assert_int_equal(code, EXIT_USAGE);
	assert_memory_equal(&config, &kept, sizeof(config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_usual),
		cmocka_unit_test(what_it_says_is_taken),
		cmocka_unit_test(times),
		cmocka_unit_test(numbers_of_sockets),
		cmocka_unit_test(words),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(a_file_that_is_not_there),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
