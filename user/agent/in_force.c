/* See in_force.h. Runs without privilege.
 *
 * Held cases point into the anchors by which their path was proven, and are judged again when they are let go: anchors are kept
 * HOLD_MS longer than the policies they came with. Policies are not: a verdict that points into them is made anew. */
#include "in_force.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "hold.h"
#include "load.h"
#include "path.h"
#include "policy_pack.h"
#include "util.h"

struct retired {
	struct anchors *anchors;
	uint64_t until_ns;
};

int in_force_begin(struct in_force *in_force, struct policies *policies, const struct policy_contents *contents)
{
	CLEANUP(problems_clear) struct problems problems = {};
	int err = policies_bind(policies, contents->items, &problems);

	in_force->policies = policies;
	problems_print(&problems);
	if (!err)
		in_force->anchors = policies_anchors(policies, in_force->system);
	return err;
}

static void policies_freep(struct policies **policies)
{
	policies_free(*policies);
}

static int unpack(int fd, struct policies **ret, char **ret_why)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {};
	CLEANUP(policy_contents_clear) struct policy_contents contents = {};
	CLEANUP(problems_clear) struct problems problems = {};
	CLEANUP(policies_freep) struct policies *fresh = NULL;
	const struct policy_need *needs;
	int err = fd < 0 ? -EBADF : policy_unpack(fd, &texts, &contents);

	if (!err)
		err = policies_parse(texts.sources, texts.count, &fresh, &problems);
	if (!err && policies_needs(fresh, &needs) != contents.count)
		err = -EPROTO;
	if (!err)
		err = policies_bind(fresh, contents.items, &problems);
	if (err) {
		problems_print(&problems);
		*ret_why = problems_first(&problems, strerror(-err));
		return err;
	}
	*ret = TAKE_PTR(fresh);
	return 0;
}

static void anchors_retire(struct in_force *in_force, uint64_t now_ns)
{
	struct retired retired = {.anchors = in_force->anchors, .until_ns = now_ns + HOLD_MS * 1000000ULL};

	if (!in_force->anchors)
		return;
	in_force->retired = xrealloc(in_force->retired, in_force->retired_count + 1, sizeof(*in_force->retired));
	in_force->retired[in_force->retired_count++] = retired;
	in_force->anchors = NULL;
}

int in_force_swap(struct in_force *in_force, int fd, uint64_t now_ns, char **ret_why)
{
	struct policies *fresh;
	int err = unpack(fd, &fresh, ret_why);

	if (err)
		return err;
	anchors_retire(in_force, now_ns);
	policies_free(in_force->policies);
	in_force->policies = fresh;
	in_force->anchors = policies_anchors(fresh, in_force->system);
	in_force->looked = 0;
	return 0;
}

void in_force_tidy(struct in_force *in_force, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < in_force->retired_count; i++)
		if (in_force->retired[i].until_ns > now_ns)
			in_force->retired[kept++] = in_force->retired[i];
		else
			anchors_free(in_force->retired[i].anchors);
	in_force->retired_count = kept;
}

void in_force_clear(struct in_force *in_force)
{
	in_force_tidy(in_force, UINT64_MAX);
	free(in_force->retired);
	anchors_free(in_force->anchors);
	anchors_free(in_force->system);
	policies_free(in_force->policies);
	*in_force = (struct in_force){};
}

/* --- events --------------------------------------------------------------------------------------------------------- */

static bool tell_policy(const struct bench *bench, const char *action, const struct policy_info *info, const char *why)
{
	char sha256[2 * SHA256_BYTES + 1];
	bool over = info->has_enforce_until && time(NULL) >= info->enforce_until;
	bool enforce = info->enforce && !bench->audit_only && !over;
	struct event_detail details[] = {
		{.key = "policy.name", .text = info->name},
		{.key = "policy.file", .text = info->file},
		{.key = "policy.mode", .text = enforce ? "enforce" : "audit"},
		{.key = "policy.sha256", .text = sha256},
		{.key = "policy.rules", .number = (int64_t)info->rules},
		{.key = "reason", .text = why},
	};

	hex_encode(info->sha256, SHA256_BYTES, false, sha256);
	return sink_agent(bench->sink, action, "success", details, ARRAY_SIZE(details) - (why ? 0 : 1));
}

bool tell_loaded(const struct bench *bench)
{
	bool read = true;

	for (size_t i = 0; i < policies_count(bench->policies) && read; i++) {
		struct policy_info info = policies_info(bench->policies, i);

		read = tell_policy(bench, "policy-loaded", &info, NULL);
	}
	return read;
}

bool tell_rejected(const struct bench *bench, const char *why)
{
	struct event_detail details[] = {
		{.key = "reason", .text = why},
		{.key = "policy.in_force", .number = (int64_t)policies_count(bench->policies)},
	};

	return sink_agent(bench->sink, "policy-rejected", "failure", details, ARRAY_SIZE(details));
}

bool tell_moments(const struct bench *bench, struct in_force *in_force, int64_t now)
{
	const struct policy_moment *moments;
	size_t count = policies_moments(bench->policies, &moments);
	const struct message forget = {.tag = MESSAGE_FORGET};
	int64_t before = in_force->looked;
	bool read = true, passed = false;

	in_force->looked = now;
	for (size_t i = 0; i < count && read; i++) {
		struct policy_info info = policies_info(bench->policies, moments[i].policy);

		if (moments[i].at <= before || moments[i].at > now)
			continue;
		passed = true;
		read = tell_policy(bench, "policy-expired", &info, moments[i].text);
	}
	if (passed)
		bench->say(bench->context, &forget);
	return read;
}
