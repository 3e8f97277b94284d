/* Events as `watch` shows them: columns, cuts, verdicts, and nothing that an attacker could do to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event_sample.h"
#include "util.h"

static void assert_line(const struct sample *s, bool colour, const char *want)
{
	CLEANUP_FREE char *line = event_verification_text(&s->head, &s->v, colour);

	assert_string_equal(line, want);
}

static void watch_lines_have_columns(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	assert_line(&s, false,
		    "01:02:03.123 curl[812]        1.1.1.1:853         one.one.one.one          "
		    "Fina RDC 2020        VIOLATION resolver-issuer and 1 more (killed)\n");
	s.v.retroactive = true;
	assert_line(&s, false,
		    "01:02:03.123 curl[812]        1.1.1.1:853         one.one.one.one          "
		    "Fina RDC 2020        VIOLATION resolver-issuer and 1 more (killed) [verified earlier]\n");
	s.v.retroactive = false;
	s.verdict.count = 1;
	s.verdict.strongest = 0;
	s.v.result = RESULT_NONE;
	assert_line(&s, true,
		    "\033[2m01:02:03.123\033[0m curl[812]        1.1.1.1:853         one.one.one.one          "
		    "Fina RDC 2020        \033[1;31mVIOLATION old-key (logged)\033[0m\n");
	s.verdict.count = 0;
	s.facts.peer = (struct address){16, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	s.facts.server_name = NULL;
	s.facts.expected_host = "checked.example";
	assert_line(&s, false,
		    "01:02:03.123 curl[812]        [2001:db8::1]:853   checked.example          "
		    "Fina RDC 2020        ok\n");
	s.facts.expected_host = NULL;
	s.facts.peer = (struct address){0};
	s.facts.verify = VERIFY_FAILED;
	s.facts.verify_code = 20;
	s.facts.truncated = true;
	s.v.context.comm = "a-process-of-15";
	s.v.context.pid = 4194304;
	assert_line(&s, false,
		    "01:02:03.123 a-process-of-15[4194304] ?           1.1.1.1                  "
		    "Fina RDC 2020        failed (code 20) [certificates missing]\n");
}

static void watch_verdicts(void **state)
{
	static const struct {
		size_t violations;
		enum action_result result;
		enum verify_result verify;
		const char *end;
	} cases[] = {
		{0, RESULT_NONE, VERIFY_OK, " ok\n"},
		{0, RESULT_NONE, VERIFY_OFF, " off\n"},
		{0, RESULT_NONE, VERIFY_PENDING, " off\n"},
		{0, RESULT_NONE, VERIFY_BY_CALLBACK, " custom\n"},
		{0, RESULT_NONE, VERIFY_NO_CERTIFICATE, " no certificate (unknown)\n"},
		{0, RESULT_NONE, VERIFY_FAILED, " failed (code 20)\n"},
		{0, RESULT_NONE, VERIFY_FAILED_IGNORED, " failed (code 20), ignored\n"},
		{1, RESULT_NONE, VERIFY_OK, " VIOLATION old-key (logged)\n"},
		{1, RESULT_WOULD_KILL, VERIFY_OK, " VIOLATION old-key (would kill)\n"},
		{1, RESULT_KILLED, VERIFY_OK, " VIOLATION old-key (killed)\n"},
		{1, RESULT_PROCESS_KILLED, VERIFY_OK, " VIOLATION old-key (process killed)\n"},
		{1, RESULT_REJECTED, VERIFY_OK, " VIOLATION old-key (rejected)\n"},
		{1, RESULT_FAILED, VERIFY_OK, " VIOLATION old-key (NOT killed: it\\x0ahas gone)\n"},
	};
	struct sample s;

	(void)state;
	sample_init(&s);
	s.verdict.strongest = 0;
	s.facts.verify_code = 20;
	s.v.result_reason = "it\nhas gone";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *line = NULL;
		size_t len = strlen(cases[i].end);

		s.verdict.count = cases[i].violations;
		s.v.result = cases[i].result;
		s.facts.verify = cases[i].verify;
		line = event_verification_text(&s.head, &s.v, false);
		assert_true(strlen(line) > len);
		assert_string_equal(line + strlen(line) - len, cases[i].end);
	}
}

/* The issuer's own name, though other parts of the name may look like one. */
static void watch_issuer_is_the_common_name(void **state)
{
	static const struct {
		char *issuer;
		const char *shown;
	} cases[] = {
		{"CN=Good CA,O=x", "Good CA"},
		{"O=Acme\\\\,CN=Forged,CN=Real", "Real"},
		{"O=back\\\\\\\\,CN=Real", "Real"},
		{"OU=a+CN=Second,O=x", "Second"},
		{"CN=Acme\\\\, Inc.,O=x", "Acme, Inc."},
		{"XCN=no,O=Only Organization", "Only Organization"},
		{"C=HR", "C=HR"},
		{"CN=,O=x", ""},
		{"", "-"},
		{"CN=a name much longer than any column could be", "a name much longer than any col…"},
		{"CN=\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "éééééééé"},
	};
	struct sample s;

	(void)state;
	sample_init(&s);
	s.verdict.count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_FREE char *want = NULL;
		size_t pad = 0;

		for (const char *c = cases[i].shown; *c; c++)
			pad += (*c & 0xc0) != 0x80;
		pad = pad < 21 ? 21 - pad : 1;
		want = xasprintf("01:02:03.123 curl[812]        1.1.1.1:853         one.one.one.one          %s%*sok\n",
				 cases[i].shown, (int)pad, "");
		s.leaf.issuer = cases[i].issuer;
		assert_line(&s, false, want);
	}
}

static void watch_survives_what_is_not_known(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	s.verdict.count = 0;
	s.facts = (struct facts){.verify = VERIFY_OFF};
	s.v.context = (struct event_context){0};
	assert_line(&s, false,
		    "01:02:03.123 ?                ?                   -                        "
		    "-                    off\n");
	s.leaf = (struct certificate){.error = "not DER"};
	s.facts.certs[0].certificate = &s.leaf;
	s.facts.certs_count = 1;
	s.facts.server_name = "a-very-long-label-that-hides.the-owner.of.the-name.example.com";
	assert_line(&s, false,
		    "01:02:03.123 ?                ?                   …hides.the-owner.of.the-name.example.com "
		    "(unreadable) off\n");
}

static void agent_lines(void **state)
{
	static const struct event_detail details[] = {{"name", "public\nresolvers", 0}, {"rules", NULL, 2}};
	struct event_head head = {.time_us = 1795309323123456};
	CLEANUP_FREE char *loaded = event_agent_text(&head, "policy-loaded", "success", details, 2, false);
	CLEANUP_FREE char *failed = event_agent_text(&head, "sink-failed", "failure", NULL, 0, false);
	CLEANUP_FREE char *red = event_agent_text(&head, "sink-failed", "failure", NULL, 0, true);

	(void)state;
	assert_string_equal(loaded, "01:02:03.123 tlswarden        policy-loaded       name=public\\x0aresolvers rules=2\n");
	assert_string_equal(failed, "01:02:03.123 tlswarden        sink-failed (failure)\n");
	assert_non_null(strstr(red, "\033[1;31m"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watch_lines_have_columns),
		cmocka_unit_test(watch_verdicts),
		cmocka_unit_test(watch_issuer_is_the_common_name),
		cmocka_unit_test(watch_survives_what_is_not_known),
		cmocka_unit_test(agent_lines),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
