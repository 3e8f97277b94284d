/* Writes what was learned as a policy that a person reads, corrects and keeps (learned.h).
 *
 * Trusts no text. Into the policy itself go names that name_check() has accepted, addresses, pins, numbers, and labels of
 * letters and digits (learned_group.c); names of keys are quoted. All else stands in comments, escaped so that each is one
 * line. Nothing depends on the order in which things were learned but the name shown of a key that several certificates have. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "learned_internal.h"

enum {
	PROGRAMS_SHOWN = 3, /* of a group or name; how many more there are is said */
	HOST_MAX = 64,
	TIME_MAX = 32,
};

struct writer {
	FILE *out;
	const struct learned *learned;
	const struct learned_session *session;
	struct learned_groups groups;
	struct learned_use *issuers; /* of all servers, each once */
	size_t issuers_count;
};

static const char *time_text(int64_t seconds, char out[TIME_MAX])
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (seconds == INT64_MIN || seconds == INT64_MAX || !gmtime_r(&time, &tm) || tm.tm_year > 9999 - 1900 ||
	    !strftime(out, TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, TIME_MAX, "an unreadable time");
	return out;
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* Escaped text as a double-quoted scalar, in which its backslashes are doubled. */
static void write_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static bool is_clients(const struct learned_group *group)
{
	return !group->peers[0]->name && !group->peers[0]->address.len;
}

/* --- when and by whom ------------------------------------------------------------------------------------------------- */

static int runs_order(const void *a, const void *b)
{
	const struct learned_runs *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->program->text, y->program->text);
}

/* Of several peers together: the runs are new memory. */
struct total {
	uint64_t count, other_runs;
	int64_t first, last;
	bool openssl, gnutls;
	struct learned_runs *runs;
	size_t runs_count;
};

static void total_clear(struct total *total)
{
	free(total->runs);
}

static void total_add(struct total *total, const struct learned_times *times)
{
	total->count += times->count;
	total->other_runs += times->other_runs;
	total->first = times->first < total->first ? times->first : total->first;
	total->last = times->last > total->last ? times->last : total->last;
	total->openssl |= times->openssl;
	total->gnutls |= times->gnutls;
	for (size_t i = 0; i < times->runs_count; i++) {
		size_t at = 0;

		while (at < total->runs_count && total->runs[at].program != times->runs[i].program)
			at++;
		if (at == total->runs_count)
			total->runs[total->runs_count++].program = times->runs[i].program;
		total->runs[at].count += times->runs[i].count;
	}
}

static void total_of(const struct learned_peer *const *peers, size_t count, struct total *ret)
{
	size_t most = 0;

	*ret = (struct total){.first = INT64_MAX, .last = INT64_MIN};
	for (size_t i = 0; i < count; i++)
		most += peers[i]->times.runs_count;
	ret->runs = xcalloc(most + 1, sizeof(*ret->runs));
	for (size_t i = 0; i < count; i++)
		total_add(ret, &peers[i]->times);
	qsort(ret->runs, ret->runs_count, sizeof(*ret->runs), runs_order);
}

/* ", by /usr/bin/curl (12), /usr/bin/git (2) and 3 more" */
static void write_programs(FILE *out, const struct total *total)
{
	size_t shown = 0;

	for (; shown < PROGRAMS_SHOWN && shown < total->runs_count; shown++)
		fprintf(out, "%s%s (%ju)", shown ? ", " : ", by ", total->runs[shown].program->text,
			(uintmax_t)total->runs[shown].count);
	if (total->runs_count > PROGRAMS_SHOWN)
		fprintf(out, " and %zu more", total->runs_count - PROGRAMS_SHOWN);
	if (total->other_runs)
		fprintf(out, "%s (%ju)", total->runs_count ? " and others" : ", by others", (uintmax_t)total->other_runs);
}

static void write_span(FILE *out, int64_t first, int64_t last)
{
	char from[TIME_MAX], to[TIME_MAX];

	fprintf(out, "; %s", time_text(first, from));
	if (last != first)
		fprintf(out, " to %s", time_text(last, to));
}

/* --- sets ------------------------------------------------------------------------------------------------------------- */

static void write_key(FILE *out, const char *indent, const struct learned_use *use)
{
	char pin[PIN_CHARS + 1], until[TIME_MAX];
	const char *what = use->as_leaf && use->as_issuer ? "a leaf's own key, which signed others too" :
			   use->as_leaf                   ? "the leaf's own key" :
			   use->depth == 1                ? "signed the leaf" :
							    "above the one that signed the leaf";

	pin_encode(use->key->spki_sha256, pin);
	fprintf(out, "%s- {", indent);
	if (*use->key->name) {
		fputs("name: ", out);
		write_quoted(out, use->key->name);
		fputs(", ", out);
	}
	fprintf(out, "spki_sha256: \"%s\"} # %s; until %s\n", pin, what, time_text(use->key->not_after, until));
}

static void write_key_set(FILE *out, const char *label, const struct learned_use *uses, size_t count)
{
	fprintf(out, "    %s:\n", label);
	if (count == 1)
		fputs("      single: true # no second key was seen: add a backup before you enforce\n      keys:\n", out);
	for (size_t i = 0; i < count; i++)
		write_key(out, count == 1 ? "        " : "      ", &uses[i]);
}

static void write_key_sets(const struct writer *writer)
{
	if (!writer->groups.count)
		return;
	fputs("  keys:\n", writer->out);
	for (size_t i = 0; i < writer->groups.count; i++) {
		const struct learned_group *group = &writer->groups.items[i];

		write_key_set(writer->out, group->label, group->uses, group->uses_count);
	}
	if (!writer->issuers_count)
		return;
	fputs("    # All keys above that vouched for a server.\n", writer->out);
	write_key_set(writer->out, "issuers-seen", writer->issuers, writer->issuers_count);
}

/* The leaves change more often than who signs them: only for those who want to pin them. */
static void write_leaves(FILE *out, const struct learned_peer *peer)
{
	for (size_t i = 0; i < peer->leaves_count; i++) {
		const struct learned_leaf *leaf = &peer->leaves[i];
		char pin[PIN_CHARS + 1], until[TIME_MAX];

		pin_encode(leaf->spki_sha256, pin);
		fprintf(out, "      #   leaf key \"%s\", %s %u bits, until %s\n", pin,
			leaf->algorithm ? leaf->algorithm : "unknown", leaf->bits, time_text(leaf->not_after, until));
	}
}

/* Names, or addresses. */
static void write_peer_sets(const struct writer *writer, const char *kind, bool names)
{
	FILE *out = writer->out;
	bool any = false;

	for (size_t i = 0; i < writer->groups.count; i++) {
		const struct learned_group *group = &writer->groups.items[i];

		if (is_clients(group) || (group->peers[0]->name != NULL) != names)
			continue;
		fprintf(out, "%s    %s:\n", any ? "" : kind, group->label);
		any = true;
		for (size_t k = 0; k < group->count; k++) {
			const struct learned_peer *peer = group->peers[k];
			CLEANUP(total_clear) struct total total;
			char address[ADDRESS_TEXT_MAX];

			total_of(&peer, 1, &total);
			address_format(&peer->address, address);
			fprintf(out, "      - \"%s\" # %ju time%s", names ? peer->name : address, (uintmax_t)total.count,
				plural(total.count));
			write_programs(out, &total);
			write_span(out, total.first, total.last);
			fputc('\n', out);
			if (group->as_issuer)
				write_leaves(out, peer);
		}
	}
}

/* --- rules ------------------------------------------------------------------------------------------------------------ */

static void write_group_comment(FILE *out, const struct learned_group *group)
{
	CLEANUP(total_clear) struct total total;

	total_of(group->peers, group->count, &total);
	fprintf(out, "  # %ju verification%s, ok by %s", (uintmax_t)total.count, plural(total.count),
		total.openssl && total.gnutls ? "OpenSSL and GnuTLS" :
		total.openssl                 ? "OpenSSL" :
		total.gnutls                  ? "GnuTLS" :
						"its library");
	write_programs(out, &total);
	write_span(out, total.first, total.last);
	fputc('\n', out);
	if (group->as_leaf)
		fputs("  # Nobody who vouches for a leaf is known here: it signed itself, or its CA was neither sent nor is it among the\n"
		      "  # known roots (--anchors), so its own key is pinned. That lasts until it gets another.\n",
		      out);
}

static void write_require(FILE *out, const struct learned_group *group)
{
	if (!group->as_leaf)
		fprintf(out, "    require: {issuer_in: \"@%s\"}\n", group->label);
	else
		fprintf(out, "    require: {key_in: \"@%s\"%s}\n", group->label, group->as_issuer ? "" : ", at: leaf");
}

static void write_rule(FILE *out, const struct learned_group *group)
{
	const struct learned_peer *first = group->peers[0];

	write_group_comment(out, group);
	fprintf(out, "  - id: %s\n    description: ", group->label);
	if (is_clients(group))
		fputs("who may vouch for the clients of servers here\n    match: [{role: server}]\n", out);
	else if (first->name)
		fprintf(out, "who may vouch for %s\n    match: [{server_name: \"@%s\", role: client}]\n",
			group->count == 1 ? "this name" : "these names", group->label);
	else
		fprintf(out,
			"who may vouch for what is reached at %s without a name\n"
			"    match: [{peer_ip: \"@%s\", peer_port: %u, role: client}]\n",
			group->count == 1 ? "this address" : "these addresses", group->label, (unsigned)first->port);
	write_require(out, group);
}

static void write_rest(const struct writer *writer)
{
	FILE *out = writer->out;
	bool any = false;

	fputs("  # All servers that were not met while this was recorded. It is the widest rule here: it accepts any name from any of\n"
	      "  # these CAs; and it is what speaks up first when a program begins to talk to somebody new.\n"
	      "  - id: everything-else\n"
	      "    description: what was not seen must come from a CA that was\n"
	      "    match: [{role: client}]\n",
	      out);
	for (size_t i = 0; i < writer->groups.count; i++) {
		const struct learned_group *group = &writer->groups.items[i];

		if (is_clients(group))
			continue;
		fputs(any ? "" : "    except:\n", out);
		any = true;
		if (group->peers[0]->name)
			fprintf(out, "      - {server_name: \"@%s\"}\n", group->label);
		else
			fprintf(out, "      - {peer_ip: \"@%s\", peer_port: %u}\n", group->label,
				(unsigned)group->peers[0]->port);
	}
	if (writer->issuers_count)
		fputs("    require: {issuer_in: \"@issuers-seen\"}\n", out);
	else
		fputs("    # No CA was seen, so this asks only that the program did verify.\n    require: {verified: true}\n",
		      out);
}

/* --- comments --------------------------------------------------------------------------------------------------------- */

static const char *const refusal_texts[REFUSALS] = {
	[REFUSAL_FAILED] = "the verification failed",
	[REFUSAL_IGNORED] = "the verification failed, and the process went on",
	[REFUSAL_OFF] = "the library was not asked to verify (some programs look at the result themselves)",
	[REFUSAL_CUSTOM] = "the application's own function decided, and not the library",
	[REFUSAL_BARE] = "the peer showed no certificate",
	[REFUSAL_PENDING] = "what came of the verification is not known",
	[REFUSAL_MISSING] = "nothing is proven: certificates are missing",
	[REFUSAL_UNREADABLE] = "nothing is proven: the leaf cannot be read",
	[REFUSAL_ROLE] = "which side of the connection verified is not known",
	[REFUSAL_NOBODY] = "neither a name nor an address is known",
	[REFUSAL_FULL] = "there was more than is kept",
};

static void write_losses(const struct writer *writer)
{
	const struct learned_session *session = writer->session;
	const struct {
		uint64_t count;
		const char *what;
	} losses[] = {
		{session->lost_verifications, "verifications were lost, as too many came at once"},
		{session->lost_certificates, "certificates were lost, as too many came at once"},
		{session->lost_calls, "calls could not be followed to their end"},
		{session->lost_malformed, "records could not be read"},
		{session->lost_mappings, "programs or libraries may have begun unseen"},
		{session->unsupported, "libraries or programs have no probes: see `tlswarden coverage`"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(losses); i++)
		if (losses[i].count)
			fprintf(writer->out, "#   not seen      %ju: %s\n", (uintmax_t)losses[i].count, losses[i].what);
}

static void write_head(const struct writer *writer, const char *host)
{
	const struct learned *learned = writer->learned;
	uint64_t refused = learned->verifications - learned->taken;
	char from[TIME_MAX], to[TIME_MAX];
	FILE *out = writer->out;

	fprintf(out,
		"# What the processes of this host verified, learned by `tlswarden learn`.\n"
		"#\n"
		"#   host          %s\n"
		"#   from          %s\n"
		"#   to            %s\n"
		"#   verifications %ju: %ju learned, %ju not\n",
		host, time_text(writer->session->from, from), time_text(writer->session->to, to),
		(uintmax_t)learned->verifications, (uintmax_t)learned->taken, (uintmax_t)refused);
	fprintf(out, "#   learned       %zu name%s, %zu address%s without a name%s\n", learned->names.count,
		plural(learned->names.count), learned->nameless, learned->nameless == 1 ? "" : "es",
		learned->clients ? ", certificates of clients" : "");
	for (size_t i = 0; i < REFUSALS; i++)
		if (learned->refused[i])
			fprintf(out, "#   not learned   %ju: %s\n", (uintmax_t)learned->refused[i], refusal_texts[i]);
	write_losses(writer);
	fputs("#\n"
	      "# It accepts what was verified with success, by the keys that vouched for it. Every rule only logs: to end connections,\n"
	      "# set `mode: enforce`, and `action: kill` in the rules that shall. Who reads it may take keys out: without the keys\n"
	      "# further above, only the intermediate CAs that were seen are accepted, until a server moves to another. What was not\n"
	      "# learned stands at the end.\n",
	      out);
}

/* "learned-web1-2026-11-22" */
static void write_name(const struct writer *writer)
{
	const char *host = writer->session->host && *writer->session->host ? writer->session->host : "host";
	char day[TIME_MAX], label[HOST_MAX + 1];
	size_t len = 0;

	for (; len < HOST_MAX && host[len]; len++) {
		char c = host[len];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
			     c == '-';

		label[len] = plain ? c : '-';
	}
	label[len] = '\0';
	time_text(writer->session->to, day);
	fprintf(writer->out, "\nversion: 1\nname: \"learned-%s-%.10s\"\nmode: audit\n", label, day);
}

static void write_refusal(FILE *out, const struct learned_refusal *refusal)
{
	fprintf(out, "#\n# %s, by %s: %ju time%s, %s", refusal->who, refusal->program, (uintmax_t)refusal->count,
		plural(refusal->count), refusal_texts[refusal->why]);
	write_span(out, refusal->first, refusal->last);
	fputc('\n', out);
	if (refusal->subject)
		fprintf(out, "#   %s\n#   issued by %s\n", refusal->subject, refusal->issuer);
}

static void write_refusals(const struct writer *writer)
{
	const struct learned *learned = writer->learned;
	FILE *out = writer->out;

	if (!learned->refusals.count)
		return;
	fputs("\n# Not learned: no rule above accepts these because of what was seen. Decide on each. The certificate shown is the one\n"
	      "# that was seen first.\n",
	      out);
	for (size_t i = 0; i < learned->refusals.count; i++)
		write_refusal(out, learned->refusals.items[i]);
	if (learned->refusals_unlisted)
		fprintf(out, "#\n# And %ju more verification%s of others, not listed.\n",
			(uintmax_t)learned->refusals_unlisted, plural(learned->refusals_unlisted));
}

/* --- all of it -------------------------------------------------------------------------------------------------------- */

static int key_order(const void *a, const void *b)
{
	const struct learned_use *x = a, *y = b;

	return memcmp(x->key->spki_sha256, y->key->spki_sha256, SHA256_BYTES);
}

static void issuers_collect(struct writer *writer)
{
	size_t most = 0, count = 0, kept = 0;

	for (size_t i = 0; i < writer->groups.count; i++)
		most += writer->groups.items[i].uses_count;
	writer->issuers = xcalloc(most + 1, sizeof(*writer->issuers));
	for (size_t i = 0; i < writer->groups.count; i++) {
		const struct learned_group *group = &writer->groups.items[i];

		for (size_t k = 0; k < group->uses_count && !is_clients(group); k++)
			if (group->uses[k].as_issuer)
				writer->issuers[count++] = group->uses[k];
	}
	qsort(writer->issuers, count, sizeof(*writer->issuers), key_order);
	for (size_t i = 0; i < count; i++) {
		struct learned_use *last = kept ? &writer->issuers[kept - 1] : NULL;
		const struct learned_use *use = &writer->issuers[i];

		if (!last || key_order(last, use) != 0) {
			writer->issuers[kept] = *use;
			writer->issuers[kept++].as_leaf = false;
		} else if (use->depth < last->depth) {
			last->depth = use->depth;
		}
	}
	writer->issuers_count = kept;
	learned_uses_sort(writer->issuers, kept);
}

int learned_write(const struct learned *learned, const struct learned_session *session, FILE *out)
{
	struct writer writer = {.out = out, .learned = learned, .session = session, .groups = learned_group(learned)};
	CLEANUP_FREE char *escaped = text_escape(session->host ? session->host : "",
						 session->host ? strlen(session->host) : 0);
	CLEANUP_FREE char *host = learned_cut(escaped);

	issuers_collect(&writer);
	write_head(&writer, host);
	write_name(&writer);
	if (writer.groups.count)
		fputs("\nsets:\n", out);
	write_key_sets(&writer);
	write_peer_sets(&writer, "  names:\n", true);
	write_peer_sets(&writer, "  networks:\n", false);
	fputs("\nrules:\n", out);
	for (size_t i = 0; i < writer.groups.count; i++)
		write_rule(out, &writer.groups.items[i]);
	write_rest(&writer);
	write_refusals(&writer);
	free(writer.issuers);
	learned_groups_clear(&writer.groups);
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
