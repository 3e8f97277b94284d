/* Policies for commands that judge offline (policy_load.h). What it reads is bounded by policy_files.h and BUNDLE_MAX; nothing that
 * a policy names is taken apart before the rights are gone. */
#include <linux/types.h>

#include "policy_load.h"

#include <errno.h>
#include <string.h>

#include "exit_codes.h"
#include "path.h"
#include "util.h"

enum { BUNDLE_MAX = 64 << 20 };

void error_print(const char *command, const char *text)
{
	CLEANUP_FREE char *safe = text_escape(text, strlen(text));

	fprintf(stderr, "tlswarden %s: %s\n", command, safe);
}

int policy_load_bundle(const char *command, const char *bundle, struct policy_load *ret)
{
	int r = file_read(bundle ? bundle : anchors_system_file, BUNDLE_MAX, &ret->bundle, &ret->bundle_len);

	if (r == 0 || !bundle)
		return EXIT_FINE;
	fprintf(stderr, "tlswarden %s: %s: %s\n", command, bundle, strerror(-r));
	return EXIT_USAGE;
}

int policy_load_parse(const struct policy_texts *texts, struct policy_load *ret, struct problems *problems)
{
	int r = policies_parse(texts->sources, texts->count, &ret->policies, problems);

	if (r == 0)
		policy_contents_read(ret->policies, &ret->contents);
	return r;
}

static int texts_read(const char *command, char *const *paths, size_t count, struct policy_texts *texts)
{
	for (size_t i = 0; i < count; i++) {
		size_t known = texts->count;
		CLEANUP_FREE char *error = NULL;

		if (policy_texts_read(&paths[i], 1, texts, &error) == 0 && texts->count == known)
			error = xasprintf("%s: no *.yaml or *.yml in it", paths[i]);
		if (error) {
			error_print(command, error);
			return EXIT_USAGE;
		}
	}
	return EXIT_FINE;
}

int policy_load_read(const char *command, char *const *paths, size_t count, const char *bundle, struct policy_load *ret)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
	CLEANUP(problems_clear) struct problems problems = {0};
	int code = texts_read(command, paths, count, &texts);

	if (code != EXIT_FINE)
		return code;
	if (policy_load_parse(&texts, ret, &problems) < 0) {
		problems_print(&problems);
		return EXIT_NO;
	}
	return policy_load_bundle(command, bundle, ret);
}

int policy_load_bind(struct policy_load *load, struct problems *problems)
{
	struct anchors *base = NULL;
	size_t skipped;
	int r = policies_bind(load->policies, load->contents.items, problems);

	if (r < 0)
		return r;
	policy_contents_clear(&load->contents);
	if (load->bundle)
		anchors_new(load->bundle, load->bundle_len, &base, &skipped);
	load->anchors = policies_anchors(load->policies, base);
	anchors_free(base);
	return 0;
}

int policy_load_bind_or_say(struct policy_load *load)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	int r = policy_load_bind(load, &problems);

	problems_print(&problems);
	return r < 0 ? EXIT_NO : EXIT_FINE;
}

void policy_load_clear(struct policy_load *load)
{
	policy_contents_clear(&load->contents);
	anchors_free(load->anchors);
	policies_free(load->policies);
	free(load->bundle);
	*load = (struct policy_load){0};
}
