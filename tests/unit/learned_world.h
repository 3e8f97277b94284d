/* For tests of `learn`: what was learned as text, and what the policy in it says of facts. Include after cmocka.h. */
#ifndef LEARNED_WORLD_H
#define LEARNED_WORLD_H

#include "learned.h"
#include "policy_world.h"

static const struct learned_session session = {.host = "web1", .from = NOW, .to = NOW + 600};

static inline char *written(const struct learned *learned, const struct learned_session *of)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(learned_write(learned, of, out), 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

/* How many rules these facts break; none may be undecided or enforced. */
static inline size_t broken(const struct policies *policies, const struct facts *facts)
{
	struct verdict verdict;
	size_t count;

	policies_judge(policies, facts, NOW, false, &verdict);
	count = verdict.count;
	verdict_clear(&verdict);
	return count;
}

static inline char *reason_text(const struct policies *policies, const struct facts *facts)
{
	struct verdict verdict;
	char *text;

	policies_judge(policies, facts, NOW, false, &verdict);
	text = xasprintf("%s: %s", verdict.count ? verdict.violations[0].rule : "",
			 verdict.count ? verdict.violations[0].reason : "");
	verdict_clear(&verdict);
	return text;
}

static inline void assert_accepted(const struct policies *policies, const struct facts *facts, const char *policy)
{
	CLEANUP_FREE char *why = NULL;

	if (broken(policies, facts) == 0)
		return;
	why = reason_text(policies, facts);
	fail_msg("name %s, host %s: %s\n%s", facts->server_name, facts->expected_host, why, policy);
}

static inline void assert_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in:\n%s", part, text);
}

#endif
