/* `status` and `coverage` for people: what is said, in which order, and that nothing goes beyond the page or gets lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../user/cmd/columns.h"
#include "../../user/cmd/status.h"
#include "util.h"

static char *status_of(const char *json)
{
	struct json_object *answer = json_tokener_parse(json);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(answer);
	status_print(out, answer);
	fclose(out);
	json_object_put(answer);
	return text;
}

static char *coverage_of(const char *json, bool all)
{
	struct json_object *answer = json_tokener_parse(json);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(answer);
	coverage_print(out, answer, all);
	fclose(out);
	json_object_put(answer);
	return text;
}

/* No line is wider than the page, or ends in a space. */
static void fits(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		CLEANUP_FREE char *line = xstrndup(text, len);

		if (text_width(line) > PAGE_WIDTH || (len && text[len - 1] == ' '))
			fail_msg("%zu wide: \"%s\"", text_width(line), line);
		assert_int_equal(text[len], '\n');
		text += len + 1;
	}
}

static void expect(const char *text, const char *expected)
{
	fits(text);
	assert_string_equal(text, expected);
}

/* In this order. */
static void expect_words(const char *text, const char *const words[], size_t count)
{
	const char *at = text;

	fits(text);
	for (size_t i = 0; i < count; i++) {
		at = strstr(at, words[i]);
		if (!at)
			fail_msg("\"%s\" is missing, or not where it should be, in:\n%s", words[i], text);
		at += strlen(words[i]);
	}
}

/* --- columns -------------------------------------------------------------------------------------------------------- */

static char *row(const struct column *columns, size_t count, const char *const texts[])
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	columns_print(out, columns, count, texts);
	fclose(out);
	return text;
}

static void columns_wrap(void **state)
{
	static const struct column columns[] = {
		{.width = 4, .right = true}, {.gap = 1, .width = 6}, {.gap = 2, .width = 8, .hang = 2}};
	static const struct {
		const char *texts[3], *expected;
	} cases[] = {
		{{"1", "abc", "fine"}, "   1 abc     fine\n"},
		{{"", "", ""}, "\n"},
		{{"12", "", ""}, "  12\n"},
		{{"12345", "a", "b"}, "1234 a       b\n   5\n"},
		{{"1", "abcdef", "12345678"}, "   1 abcdef  12345678\n"},
		{{"1", "abcdef gh", "no: it has nothing"},
		 "   1 abcdef  no: it\n     gh        has\n               nothin\n               g\n"},
		/* Characters, not bytes; and neither they nor escapes are torn. */
		{{"", "äöüäöüß", ""}, "     äöüäöü\n     ß\n"},
		{{"", "abc\\x1b\\x1b", ""}, "     abc\n     \\x1b\n     \\x1b\n"},
		{{"", "abcde\\\\x", ""}, "     abcde\n     \\\\x\n"},
		{{"", "a      b", ""}, "     a\n     b\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *text = row(columns, ARRAY_SIZE(columns), cases[i].texts);

		assert_string_equal(text, cases[i].expected);
	}
}

static void too_narrow(void **state)
{
	static const struct column columns[] = {{.width = 1, .hang = 5}, {.gap = 1, .width = 2, .right = true}};
	CLEANUP_FREE char *text = row(columns, 2, (const char *[]){"\\x1b", "a bcd"});

	(void)state;
	assert_string_equal(text, "\\x1b  a\n  bc\n   d\n");
}

static void durations(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {{0, "0 µs"},        {999, "999 µs"},    {1000, "1.0 ms"},
		     {12345, "12.3 ms"}, {1000000, "1.0 s"}, {93000000, "93.0 s"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *text = duration_text(cases[i].us);

		assert_string_equal(text, cases[i].text);
	}
}

/* --- status --------------------------------------------------------------------------------------------------------- */

static const char whole[] =
	"{\"control\":1,"
	"\"agent\":{\"version\":\"0.3.0\",\"pid\":42,\"since\":\"2026-11-22T12:00:00Z\",\"uptime_s\":11520,\"state\":\"running\","
	"\"mode\":\"as the policies say\"},"
	"\"policies\":[{\"name\":\"one\",\"file\":\"/etc/one.yaml\",\"mode\":\"enforce\",\"sha256\":\"00ff\",\"rules\":1},"
	"{\"name\":\"two\",\"file\":\"/etc/two.yaml\",\"mode\":\"none\",\"mode_reason\":\"as expires has "
	"passed\",\"sha256\":\"0123\",\"rules\":12}],"
	"\"gate\":{\"state\":\"on\",\"fail\":\"open\",\"timeout_ms\":500,\"max\":16384},"
	"\"counters\":{\"verifications\":7,\"not_tls\":2,\"no_certificate\":0,\"cached\":{\"allowed\":3,\"denied\":1},"
	"\"gate\":{\"sockets\":4,\"packets\":5},\"lost\":{\"verifications\":0,\"calls\":6}},"
	"\"processes_count\":{\"covered\":3,\"not_covered\":1,\"unread\":0},"
	"\"libraries\":[{\"name\":\"openssl\",\"version\":\"3.0.22\",\"path\":\"/lib/libcrypto.so.3\",\"state\":\"attached\","
	"\"build_id\":\"4ca7\",\"processes\":1},"
	"{\"path\":\"/opt/libcrypto.so.3\",\"state\":\"unsupported\",\"reason\":\"it does not answer\",\"processes\":0},"
	"{\"name\":\"gnutls\",\"version\":\"3.7.9\",\"path\":\"/lib/libgnutls.so.30\",\"state\":\"attached\",\"processes\":2,"
	"\"attach_us\":12345}],"
	"\"attach_us\":{\"count\":1,\"p50\":12345,\"p99\":12345,\"most\":12345}}";

static void whole_status(void **state)
{
	CLEANUP_FREE char *text = status_of(whole);

	(void)state;
	expect(text, "tlswarden 0.3.0, process 42, running since 2026-11-22T12:00:00Z (3 h 12 min)\n"
		     "Mode: as the policies say\n"
		     "Gate: on: what is not judged within 500 ms is let go (fail: open)\n"
		     "\n"
		     "Policies: 2\n"
		     "  one: enforce, 1 rule\n"
		     "      /etc/one.yaml\n"
		     "      sha256 00ff\n"
		     "  two: none, as expires has passed, 12 rules\n"
		     "      /etc/two.yaml\n"
		     "      sha256 0123\n"
		     "\n"
		     "Libraries attached: 2\n"
		     "  /lib/libcrypto.so.3\n"
		     "      openssl 3.0.22, 1 process, attached beforehand\n"
		     "      build id 4ca7\n"
		     "  /lib/libgnutls.so.30\n"
		     "      gnutls 3.7.9, 2 processes, attached 12.3 ms after its first mapping\n"
		     "\n"
		     "Not covered: 1\n"
		     "  /opt/libcrypto.so.3\n"
		     "      it does not answer\n"
		     "      libcrypto.so.3, 0 processes\n"
		     "\n"
		     "Processes that speak TLS: 4, 1 of them not covered: see `tlswarden coverage`\n"
		     "Attached after a first mapping: 1 time, within 12.3 ms (half of them), 12.3 ms (99 %), 12.3 ms (all)\n"
		     "Verifications: 7 judged, 3 allowed and 1 refused by remembered verdicts\n"
		     "Beside them: 2 verifications that were not for TLS, 4 connections that waited at the gate, 5 packets\n"
		     "    held back\n"
		     "Lost: 6 calls whose beginning was not seen\n");
}

/* The agent is starting; the gate cannot be had; and no key at all. */
static void little_is_known(void **state)
{
	static const char *const starting[] = {"starting since", "Gate: unavailable: no cgroup", "Policies: 0",
					       "the agent is starting, ask again"};
	CLEANUP_FREE char *first = status_of(
		"{\"agent\":{\"state\":\"starting\",\"uptime_s\":90000},\"policies\":[],\"gate\":{"
		"\"state\":\"unavailable\",\"reason\":\"no cgroup\"},\"coverage_unknown\":\"the agent is "
		"starting, ask again\"}");
	CLEANUP_FREE char *nothing = status_of("{}"), *wrong = NULL;

	(void)state;
	expect_words(first, starting, ARRAY_SIZE(starting));
	assert_null(strstr(first, "Libraries"));
	fits(nothing);
	/* Not what the agent says: shown as nothing, rather than believed. */
	wrong = status_of("{\"agent\":[],\"policies\":{},\"libraries\":[1,\"x\",null,{\"path\":7}],\"counters\":5}");
	fits(wrong);
}

static void long_texts(void **state)
{
	char path[1001] = "", *json CLEANUP_FREE = NULL, *text CLEANUP_FREE = NULL;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	json = xasprintf(
		"{\"policies\":[{\"name\":\"%s\",\"file\":\"/%s\"}],\"libraries\":[{\"path\":\"/%s\",\"name\":\"%s\",\"reason\":\"%s\"}]}",
		path, path, path, path, path);
	text = status_of(json);
	fits(text);
	size_t shown = 0;
	for (const char *c = text; *c; c++)
		shown += *c == 'p';
	assert_true(shown >= 5 * (sizeof(path) - 1));
}

/* --- coverage ------------------------------------------------------------------------------------------------------- */

#define OPENSSL "{\"name\":\"openssl\",\"version\":\"3.0.22\",\"path\":\"/lib/libcrypto.so.3\"}"
#define LIBSSL "{\"name\":\"openssl\",\"path\":\"/lib/libssl.so.3\"}"
#define GNUTLS "{\"name\":\"gnutls\",\"version\":\"3.7.9\",\"path\":\"/lib/libgnutls.so.30\"}"

static const char some[] =
	"{\"control\":1,\"processes_count\":{\"covered\":4,\"not_covered\":2,\"unread\":3},\"processes\":["
	"{\"pid\":300,\"name\":\"nginx\",\"executable\":\"/usr/sbin/nginx\",\"covered\":true,\"uses\":[" OPENSSL "," LIBSSL
	"]},"
	"{\"pid\":100,\"name\":\"nginx\",\"executable\":\"/usr/sbin/nginx\",\"covered\":true,\"uses\":[" OPENSSL "," LIBSSL
	"]},"
	"{\"pid\":50,\"name\":\"goapp\",\"executable\":\"/opt/goapp\",\"covered\":false,\"uses\":[{\"name\":\"Go's "
	"crypto/x509\",\"path\":\"/opt/goapp\"}],\"reasons\":[\"it verifies certificates by code of its own\"]},"
	"{\"pid\":200,\"name\":\"nginx\",\"executable\":\"/opt/nginx\",\"covered\":true,\"uses\":[" OPENSSL "]},"
	"{\"pid\":60,\"name\":\"old\",\"executable\":\"/opt/old\",\"covered\":false,\"uses\":[{\"path\":\"/opt/libcrypto.so.3\"}],"
	"\"reasons\":[\"it is a 32-bit process\",\"it does not answer\"]},"
	"{\"pid\":70,\"name\":\"wget\",\"covered\":true,\"uses\":[" GNUTLS "," OPENSSL "]}]}";

static void grouped(void **state)
{
	CLEANUP_FREE char *text = coverage_of(some, false);

	(void)state;
	expect(text, "2 of 6 processes that speak TLS are not covered.\n"
		     "3 could not be looked at: they had ended, or /proc refused.\n"
		     "\n"
		     "       pid  process                 uses                        covered\n"
		     "        50  goapp                   Go's crypto/x509            no: it verifies certificates by code\n"
		     "                                                                  of its own\n"
		     "        60  old                     libcrypto.so.3              no: it is a 32-bit process, it does\n"
		     "                                                                  not answer\n"
		     "       100  nginx ×3                openssl 3.0.22              yes\n"
		     "        70  wget                    gnutls 3.7.9, openssl       yes\n"
		     "                                    3.0.22\n");
}

static void each_process(void **state)
{
	static const char *const words[] = {"   100  nginx ", "   200  nginx ", "   300  nginx ", "    70  wget"};
	CLEANUP_FREE char *text = coverage_of(some, true);

	(void)state;
	expect_words(text, words, ARRAY_SIZE(words));
	assert_null(strstr(text, "×"));
}

static void few_processes(void **state)
{
	CLEANUP_FREE char *none = coverage_of("{\"processes\":[],\"processes_count\":{\"covered\":0,\"not_covered\":0}}",
					      false);
	CLEANUP_FREE char *one = coverage_of("{\"processes_count\":{\"covered\":0,\"not_covered\":1}}", false);
	CLEANUP_FREE char *all = coverage_of("{\"processes_count\":{\"covered\":9,\"not_covered\":0}}", false);

	(void)state;
	expect(none, "No process that runs now speaks TLS, as far as the agent can tell.\n");
	expect(one, "1 of 1 process that speaks TLS is not covered.\n");
	expect(all, "All 9 processes that speak TLS are covered.\n");
}

/* Two hundred workers are one line; and of many processes none is lost. */
static void many_processes(void **state)
{
	enum { COUNT = 5000 };
	char *json = NULL, *text CLEANUP_FREE = NULL, *every CLEANUP_FREE = NULL;
	size_t len, lines = 0;
	FILE *out = open_memstream(&json, &len);

	(void)state;
	fprintf(out, "{\"processes_count\":{\"covered\":%d,\"not_covered\":0},\"processes\":[", COUNT);
	for (int i = 0; i < COUNT; i++)
		fprintf(out, "%s{\"pid\":%d,\"name\":\"w%d\",\"covered\":true,\"uses\":[" OPENSSL "]}", i ? "," : "",
			COUNT - i, i % 25);
	fputs("]}", out);
	fclose(out);
	text = coverage_of(json, false);
	every = coverage_of(json, true);
	free(json);
	for (const char *c = every; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, COUNT + 3);
	lines = 0;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 25 + 3);
	assert_non_null(strstr(text, "w7 ×200"));
	fits(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_wrap),   cmocka_unit_test(too_narrow),      cmocka_unit_test(durations),
		cmocka_unit_test(whole_status),   cmocka_unit_test(little_is_known), cmocka_unit_test(long_texts),
		cmocka_unit_test(grouped),        cmocka_unit_test(each_process),    cmocka_unit_test(few_processes),
		cmocka_unit_test(many_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
