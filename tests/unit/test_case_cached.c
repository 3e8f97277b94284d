/* Under which key a verdict is remembered, when it may not be, and what waits for an application that has yet to verify. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "case_world.h"

static struct case_world *w;

static int setup(void **state)
{
	(void)state;
	w = world_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* The handshake of an application that may verify by itself. */
static int setup_gnutls(void **state)
{
	setup(state);
	w->library.kind = LIBRARY_GNUTLS;
	return 0;
}

static struct case_ *acted_on(const char *server_name, uint32_t flags)
{
	return world_acted(w, world_capture(w, server_name, flags));
}

/* --- whose key ----------------------------------------------------------------------------------------------------------- */

static void what_none_would_break_is_remembered_for_all(void **state)
{
	const struct siphash_value key = world_key(w, "good.test", VERIFY_GATED);
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, LABORATORY);
	c = acted_on("good.test", VERIFY_GATED);
	world_expect_release(w, CACHED_QUIET, &key);
	assert_int_equal(w->processes, 0);
}

/* By every key that looks at the process; and whom it does not concern is asked for nothing. */
static void each_key_that_looks_at_the_process(void **state)
{
	static const struct {
		const char *entry;
		bool holds;
	} entries[] = {
		{"exe: /usr/bin/curl", true},      {"exe: \"/usr/*/curl\"", true},
		{"exe: /usr/bin/wget", false},     {"user: alice", true},
		{"user: \"1000\"", true},          {"user: [bob, \"1001\"]", false},
		{"unit: a.service", true},         {"unit: b.service", false},
		{"container: aaaaaaaaaaaa", true}, {"container: bbbbbbbbbbbb", false},
	};
	static const char cgroup[] = "0::/system.slice/a.service\n1:name=systemd:/docker/"
				     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

	(void)state;
	w->answer.cgroup = cgroup;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(entries); i++) {
		bool excepts = i % 2, condemned = entries[i / 2].holds != excepts;
		CLEANUP_FREE char *rules = xasprintf(excepts ? "  - {id: r, match: [{any: true}], except: {%s}, " WEAK
							       ", action: kill}\n" :
							       "  - {id: r, match: [{%s}], " WEAK ", action: kill}\n",
						     entries[i / 2].entry);
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, rules);
		c = acted_on("any.test", VERIFY_GATED);
		if (w->kills_count != condemned || w->processes != 1)
			fail_msg("%s: %zu kills, the process was asked for %zu times", rules, w->kills_count, w->processes);
		world_expect_counts(w, condemned, !condemned);
	}
}

/* Nobody says who it is: it is not the laboratory, and a verdict on nobody is nobody else's. */
static void a_process_that_is_not_told_is_not_excepted(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, LABORATORY);
	w->warden_gone = true;
	c = acted_on("bad.test", VERIFY_GATED);
	assert_int_equal(c->result, RESULT_FAILED);
	world_expect_counts(w, 0, 0);
}

/* --- what may not be remembered ------------------------------------------------------------------------------------------ */

enum spoiled { UNPARSED, TRUNCATED, LOST, MISSING, UNREADABLE, UNDIGESTED, TOO_LARGE, STRANGER, SPOILED };

static struct certificate *no_certificate(void)
{
	struct certificate *certificate;

	assert_int_equal(certificate_new((const uint8_t *)"no certificate", 14, &certificate), 0);
	return certificate;
}

static struct capture *capture_spoiled(const char *server_name, enum spoiled spoiled)
{
	struct capture *capture = world_capture(w, server_name, VERIFY_GATED);
	struct record_verify *verify = &capture->verify;

	if (spoiled == UNPARSED) {
		certificate_free(capture->certificates[1]);
		capture->certificates[1] = no_certificate();
	}
	verify->flags |= spoiled == TRUNCATED  ? VERIFY_TRUNCATED :
			 spoiled == LOST       ? VERIFY_LOST_CERT :
			 spoiled == UNREADABLE ? VERIFY_UNREADABLE :
						 0;
	if (spoiled == MISSING)
		verify->presented_object[1] = verify->chain_object[1] = 1;
	if (spoiled == UNDIGESTED)
		capture->digested = false;
	if (spoiled == TOO_LARGE)
		capture->digested_bytes = VERDICT_BYTES_MAX + 1;
	if (spoiled == STRANGER) {
		verify->socket.how = SOCKET_THREAD;
		verify->socket.received = 1 << 20;
	}
	return capture;
}

static void what_is_not_whole_is_let_go_and_not_remembered(void **state)
{
	(void)state;
	world_rules(w, KILLS);
	for (enum spoiled spoiled = 0; spoiled < SPOILED; spoiled++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		c = world_acted(w, capture_spoiled("good.test", spoiled));
		world_expect_release(w, CACHED_NONE, NULL);
		case_free(TAKE_PTR(c));
		/* Not gated: there is nothing to say. */
		struct capture *capture = capture_spoiled("good.test", spoiled);

		capture->verify.flags &= ~(uint32_t)VERIFY_GATED;
		c = world_acted(w, capture);
		world_expect_counts(w, 0, 1);
	}
}

static void what_is_not_whole_is_killed_and_not_remembered(void **state)
{
	(void)state;
	world_rules(w, "  - {id: weak, match: [{server_name: bad.test}], require: {verified: true, key_in: "
		       "[{spki_sha256: \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}, "
		       "{spki_sha256: \"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\"}]}, action: kill}\n");
	for (enum spoiled spoiled = 0; spoiled < STRANGER; spoiled++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		c = world_acted(w, capture_spoiled("bad.test", spoiled));
		world_expect_kill(w, CACHED_NONE, NULL);
		assert_int_equal(c->result, RESULT_KILLED);
	}
}

/* One rule could not be judged: whatever the others say, it may be otherwise next time. */
static void what_is_undecided_is_not_remembered(void **state)
{
	(void)state;
	world_rules(w, LOGS VERIFIES);
	for (size_t i = 0; i < 2; i++) {
		struct capture *capture = world_capture(w, "bad.test", VERIFY_GATED);
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		capture->verify.result = i ? 0 : 1; /* it failed: that condemns it */
		c = case_new(&w->bench, capture);
		c->decoded.facts.without_keys = true;
		case_judge(&w->bench, c);
		case_act(&w->bench, c);
		assert_int_equal(c->verdict.undecided, 1);
		if (i)
			world_expect_kill(w, CACHED_NONE, NULL);
		else
			world_expect_release(w, CACHED_NONE, NULL);
	}
}

/* The thread's last socket received far more than a handshake: it is somebody else's. It waits for a verdict on another. */
static void a_strangers_socket_is_let_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, i ? LABORATORY : KILLS);
		c = world_acted(w, capture_spoiled("bad.test", STRANGER));
		world_expect_release(w, CACHED_NONE, NULL);
		assert_int_equal(c->result, RESULT_FAILED);
		assert_string_equal(c->result_reason, "which socket it is could not be told for certain");
		assert_int_equal(c->capture->verify.socket.cookie, 0);
		case_act(&w->bench, c);
		world_expect_counts(w, 0, 1);
	}
}

/* The process is known for certain, whosever that socket is: it is not named, and does not wait on. */
static void a_strangers_socket_is_let_go_though_the_process_is_ended(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, ENDS);
	w->answer.number = -EPERM;
	w->answer.text = "no";
	c = world_acted(w, capture_spoiled("bad.test", STRANGER));
	assert_int_equal(w->kills_count, 1);
	assert_int_equal(w->kills[0].action, ACTION_KILL_PROCESS);
	assert_int_equal(w->kills[0].socket.cookie, 0);
	assert_int_equal(w->kills[0].cached.kind, CACHED_NONE);
	assert_int_equal(c->result, RESULT_FAILED);
	assert_int_equal(w->releases_count, 1);
	assert_int_equal(w->releases[0].socket.cookie, WORLD_COOKIE);
}

/* Its facts are those of long ago, its key that of what would be verified now. */
static void what_was_verified_earlier_is_not_remembered(void **state)
{
	static const char *const names[] = {"good.test", "bad.test"};

	(void)state;
	world_rules(w, KILLS);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_CASE struct case_ *c = case_new(&w->bench, world_capture(w, names[i], VERIFY_GATED));

		world_forget(w);
		c->retroactive = true;
		case_judge(&w->bench, c);
		case_act(&w->bench, c);
		if (i)
			world_expect_kill(w, CACHED_NONE, NULL);
		else
			world_expect_release(w, CACHED_NONE, NULL);
	}
}

/* --- who has not verified yet -------------------------------------------------------------------------------------------- */

enum { WAITING = VERIFY_NONE_YET | VERIFY_GATED };

/* Nobody has verified, and nobody will. */
static void unverified(struct case_ *c)
{
	c->decoded.facts.verify = VERIFY_OFF;
	case_judge(&w->bench, c);
	case_act(&w->bench, c);
}

static void whom_only_a_verification_saves_waits_for_it(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, VERIFIES);
	c = acted_on("bad.test", WAITING);
	assert_int_equal(c->decoded.facts.verify, VERIFY_PENDING);
	world_expect_counts(w, 0, 0);
	assert_int_equal(c->gated.cookie, WORLD_COOKIE);
	case_act(&w->bench, c);
	world_expect_counts(w, 0, 0);
	unverified(c);
	world_expect_counts(w, 1, 0);
	assert_int_equal(w->kills[0].socket.cookie, WORLD_COOKIE);
	assert_int_equal(c->result, RESULT_KILLED);
}

/* The key is that of a handshake after which nobody has verified yet: the next one that makes it may be about to verify. */
static void to_have_waited_in_vain_is_nobody_elses_verdict(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, VERIFIES);
	c = acted_on("bad.test", WAITING);
	unverified(c);
	world_expect_kill(w, CACHED_NONE, NULL);
}

static void who_needs_no_verification_is_let_go_at_once(void **state)
{
	const struct siphash_value key = world_key(w, "good.test", WAITING);
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, VERIFIES);
	c = acted_on("good.test", WAITING);
	world_expect_release(w, CACHED_QUIET, &key);
	assert_int_equal(w->processes, 0);
	unverified(c);
	world_expect_counts(w, 0, 1); /* nothing is gated any more, and that verdict is nobody else's */
}

/* There will be an event: the kernel may let it pass, but not in silence. */
static void what_will_be_told_of_does_not_pass_in_silence(void **state)
{
	static const char *const rules[] = {VERIFIES_OR_LOGS, VERIFIES};
	const struct siphash_value key = world_key(w, "bad.test", WAITING);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		world_rules(w, rules[i]);
		w->bench.audit_only = i == 1;
		c = acted_on("bad.test", WAITING);
		world_expect_release(w, CACHED_PASS, &key);
		unverified(c);
		assert_int_equal(w->kills_count, 0);
		assert_int_equal(c->result, i ? RESULT_WOULD_KILL : RESULT_NONE);
	}
}

static void who_is_condemned_in_any_case_is_killed_at_once(void **state)
{
	const struct siphash_value key = world_key(w, "bad.test", WAITING);
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, VERIFIES KILLS);
	c = acted_on("bad.test", WAITING);
	world_expect_kill(w, CACHED_DENY, &key);
	unverified(c);
	world_expect_counts(w, 1, 0);
}

/* Policies have changed while it waited. */
static void who_waited_for_a_policy_that_is_gone(void **state)
{
	CLEANUP_CASE struct case_ *c = NULL;

	(void)state;
	world_rules(w, VERIFIES);
	c = acted_on("bad.test", WAITING);
	world_expect_counts(w, 0, 0);
	world_rules(w, VERIFIES_OR_LOGS);
	unverified(c);
	world_expect_counts(w, 0, 1);
	assert_int_equal(w->releases[0].socket.cookie, WORLD_COOKIE);
	assert_int_equal(c->result, RESULT_NONE);
}

/* Whether a missing verification would condemn it depends on who it is: then that is asked, and the verdict is its own. */
static void who_is_excepted_does_not_wait(void **state)
{
	static const char rules[] = "  - {id: r, match: [{any: true}], except: {exe: [\"/opt/lab/*\"]}, "
				    "require: {verified: true}, action: kill}\n";
	const struct siphash_value key = world_key_exe(w, "bad.test", WAITING, "/opt/lab/a");

	(void)state;
	world_rules(w, rules);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_CASE struct case_ *c = NULL;

		world_forget(w);
		w->answer.exe = i ? "/usr/bin/curl" : "/opt/lab/a";
		c = acted_on("bad.test", WAITING);
		assert_int_equal(w->processes, 1);
		if (i)
			world_expect_counts(w, 0, 0);
		else
			world_expect_release(w, CACHED_QUIET, &key);
	}
}

/* --- all together -------------------------------------------------------------------------------------------------------- */

static bool is_let_go(void)
{
	for (size_t i = 0; i < w->releases_count; i++)
		if (w->releases[i].socket.cookie == WORLD_COOKIE)
			return true;
	return false;
}

/* Whatever the flags and rules: what is gated is killed or let go, one of them and once, or it waits for a verification; and
 * nothing is remembered that was not done. */
static void what_is_gated_has_an_end(void **state)
{
	static const char *const rules[] = {LOGS, KILLS, ENDS, LABORATORY, VERIFIES, VERIFIES KILLS};
	static const char *const names[] = {"good.test", "bad.test"};
	const uint32_t all = VERIFY_NONE_YET | VERIFY_AFTER | VERIFY_GATED | VERIFY_PASSED | VERIFY_DENIED | VERIFY_REJECTED;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules) * 4; i++) {
		world_rules(w, rules[i / 4]);
		w->bench.audit_only = i & 1;
		for (uint32_t flags = 0; flags <= all; flags++) {
			CLEANUP_CASE struct case_ *c = NULL;
			bool gated = flags & (VERIFY_GATED | VERIFY_DENIED);

			if (flags & ~all)
				continue;
			world_forget(w);
			c = acted_on(names[i >> 1 & 1], flags);
			if (gated && !w->kills_count && !is_let_go()) {
				assert_true(flags & VERIFY_NONE_YET);
				unverified(c);
			}
			assert_int_equal(gated, is_let_go() || (gated && w->kills_count));
			assert_true(w->kills_count + w->releases_count <= 1);
			assert_true(!w->kills_count || c->verdict.action >= ACTION_KILL);
			assert_true(!w->kills_count || !w->bench.audit_only);
			for (size_t k = 0; k < w->kills_count; k++)
				assert_in_range(w->kills[k].cached.kind, CACHED_NONE, CACHED_DENY);
			for (size_t k = 0; k < w->releases_count; k++)
				assert_int_not_equal(w->releases[k].cached.kind, CACHED_DENY);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_none_would_break_is_remembered_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(each_key_that_looks_at_the_process, setup, teardown),
		cmocka_unit_test_setup_teardown(a_process_that_is_not_told_is_not_excepted, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_whole_is_let_go_and_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_whole_is_killed_and_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_undecided_is_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_strangers_socket_is_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(a_strangers_socket_is_let_go_though_the_process_is_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_verified_earlier_is_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(whom_only_a_verification_saves_waits_for_it, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(to_have_waited_in_vain_is_nobody_elses_verdict, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(who_needs_no_verification_is_let_go_at_once, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(what_will_be_told_of_does_not_pass_in_silence, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(who_is_condemned_in_any_case_is_killed_at_once, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(who_waited_for_a_policy_that_is_gone, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(who_is_excepted_does_not_wait, setup_gnutls, teardown),
		cmocka_unit_test_setup_teardown(what_is_gated_has_an_end, setup_gnutls, teardown),
	};

	certificate_init();
	return cmocka_run_group_tests_name("case_cached", tests, NULL, NULL);
}
