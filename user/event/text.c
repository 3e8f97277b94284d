/* An event as one line for a person's eyes: `watch` and the agent in the foreground.
 *
 * Columns: local time, process[pid], peer, name, issuer, verdict. Each begins at its own place, and a text that is too long
 * for its column pushes the next one only as far as it must. Widths count characters; that some are twice as wide on a
 * terminal is let go. Texts of the facts are escaped already, so no control character of an attacker reaches the terminal;
 * the rest is escaped here.
 * Bounds: names are cut at their column's limit: from the left for host names, whose end says whose they are, from the
 * right for others. Addresses and the verdict are never cut. */
#include "gate_event.h"

#include <string.h>
#include <time.h>

#include "object.h"
#include "util.h"
#include "words.h"

/* Where each column starts, and the most characters of a name, an issuer, a process: a usual line takes about 100. */
enum { AT_PROCESS = 13, AT_PEER = 30, AT_NAME = 50, AT_ISSUER = 75, AT_VERDICT = 96 };
enum { NAME_WIDTH = 40, ISSUER_WIDTH = 32, COMM_WIDTH = 24 };

#define RED "\033[1;31m"
#define YELLOW "\033[33m"
#define GREEN "\033[32m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

struct line {
	char *text;
	size_t width; /* characters that show */
};

static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* colour: an escape sequence around text, which has no width; or NULL. */
static void line_add(struct line *line, const char *text, const char *colour)
{
	CLEANUP_FREE char *old = line->text;

	line->text = xasprintf("%s%s%s%s", old ? old : "", colour ? colour : "", text, colour ? PLAIN : "");
	line->width += width_of(text);
}

/* Blanks up to the column at; one if it is passed already. */
static void line_to(struct line *line, size_t at)
{
	CLEANUP_FREE char *blanks = xasprintf("%*s", line->width < at ? (int)(at - line->width) : 1, "");

	line_add(line, blanks, NULL);
}

/* The last width characters of a host name, "…" in front if some are missing. */
static char *tail_cut(const char *text, size_t width)
{
	size_t skip = width_of(text);

	if (skip <= width)
		return xstrdup(text);
	for (skip -= width - 1; skip > 0; skip--)
		do
			text++;
		while (((unsigned char)*text & 0xc0) == 0x80);
	return xasprintf("…%s", text);
}

static char *head_cut(const char *text, size_t width)
{
	const char *end = text;

	if (width_of(text) <= width)
		return xstrdup(text);
	for (; width > 1; width--)
		do
			end++;
		while (((unsigned char)*end & 0xc0) == 0x80);
	return xasprintf("%.*s…", (int)(end - text), text);
}

/* Local time, "12:34:56.789", as the line's first column. */
static void add_time(struct line *line, const struct event_head *head, bool colour)
{
	time_t seconds = head->time_us / 1000000;
	char text[64];
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	snprintf(text, sizeof(text), "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned)(head->time_us / 1000 % 1000));
	line_add(line, text, colour ? DIM : NULL);
}

static char *process_text(const struct event_context *context)
{
	CLEANUP_FREE char *comm = head_cut(context->comm ? context->comm : "?", COMM_WIDTH);

	return context->pid ? xasprintf("%s[%u]", comm, context->pid) : TAKE_PTR(comm);
}

static char *peer_text(const struct address *peer, uint16_t port)
{
	char ip[ADDRESS_TEXT_MAX];

	if (peer->len == 0)
		return xstrdup("?");
	address_format(peer, ip);
	return xasprintf(peer->len == 16 ? "[%s]:%u" : "%s:%u", ip, port);
}

/* The name that the client asked for, or else the one the application checks, or else one that the certificate has. */
static char *name_text(const struct facts *facts)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;
	const char *name = facts->server_name ? facts->server_name : facts->expected_host;

	if (!name && leaf && leaf->parsed && leaf->sans_count)
		name = leaf->sans[0].text;
	if (!name && leaf && leaf->parsed)
		name = leaf->common_name;
	return tail_cut(name ? name : "-", NAME_WIDTH);
}

/* Length of the first value in an RFC 2253 name that text_escape went over, which doubles RFC 2253's own backslashes: so
 * the end is a ',' or '+' with an even number of backslash pairs before it. */
static size_t value_len(const char *value)
{
	size_t backslashes = 0, i;

	for (i = 0; value[i]; i++) {
		if ((value[i] == ',' || value[i] == '+') && (backslashes + 1) / 2 % 2 == 0)
			break;
		backslashes = value[i] == '\\' ? backslashes + 1 : 0;
	}
	return i;
}

/* The first value of that type: RFC 2253 turns a name round, so it is the last one, the most specific. New memory, or
 * NULL. */
static char *name_part(const char *name, const char *type)
{
	size_t type_len = strlen(type);

	while (*name) {
		size_t len = value_len(name);

		if (strncmp(name, type, type_len) == 0 && name[type_len] == '=')
			return xstrndup(name + type_len + 1, len - type_len - 1);
		name += len + (name[len] != '\0');
	}
	return NULL;
}

/* Takes the backslash pairs in front of RFC 2253's special characters away, for reading; in place. */
static void unquote(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] == '\\' && text[2] && strchr(",+\"<>;=# ", text[2]))
			text += 2;
		*out++ = *text++;
	}
	*out = '\0';
}

static char *issuer_text(const struct facts *facts)
{
	const struct certificate *leaf = facts->certs_count ? facts->certs[0].certificate : NULL;
	CLEANUP_FREE char *part = NULL;

	if (!leaf)
		return xstrdup("-");
	if (!leaf->parsed)
		return xstrdup("(unreadable)");
	part = name_part(leaf->issuer, "CN");
	if (!part)
		part = name_part(leaf->issuer, "O");
	if (!part)
		part = xstrdup(*leaf->issuer ? leaf->issuer : "-");
	unquote(part);
	return head_cut(part, ISSUER_WIDTH);
}

/* What happened to the connection of a violation. */
static char *result_text(const struct event_verification *v)
{
	const char *why = v->result_reason ? v->result_reason : "unknown";
	CLEANUP_FREE char *reason = text_escape(why, strlen(why));

	switch (v->result) {
	case RESULT_NONE:
		break;
	case RESULT_WOULD_KILL:
		return xstrdup("would kill");
	case RESULT_KILLED:
		return xstrdup("killed");
	case RESULT_PROCESS_KILLED:
		return xstrdup("process killed");
	case RESULT_REJECTED:
		return xstrdup("rejected");
	case RESULT_FAILED:
		return xasprintf("NOT killed: %s", reason);
	}
	return xstrdup("logged");
}

static void add_violation(struct line *line, const struct event_verification *v, bool colour)
{
	const char *id = v->verdict->violations[v->verdict->strongest].rule;
	CLEANUP_FREE char *rule = text_escape(id, strlen(id)), *result = result_text(v), *text = NULL;

	if (v->verdict->count > 1)
		text = xasprintf("VIOLATION %s and %zu more (%s)", rule, v->verdict->count - 1, result);
	else
		text = xasprintf("VIOLATION %s (%s)", rule, result);
	line_add(line, text, colour ? RED : NULL);
}

static void add_verify(struct line *line, const struct facts *facts, bool colour)
{
	CLEANUP_FREE char *text = NULL;

	switch (facts->verify) {
	case VERIFY_OK:
		line_add(line, "ok", colour ? GREEN : NULL);
		return;
	case VERIFY_FAILED:
		text = xasprintf("failed (code %d)", facts->verify_code);
		break;
	case VERIFY_FAILED_IGNORED:
		text = xasprintf("failed (code %d), ignored", facts->verify_code);
		break;
	case VERIFY_BY_CALLBACK:
		text = xstrdup("custom");
		break;
	case VERIFY_NO_CERTIFICATE:
		text = xasprintf("no certificate (%s)",
				 proof_words.items[facts->proof] ? proof_words.items[facts->proof] : "unknown");
		break;
	case VERIFY_OFF:
	case VERIFY_PENDING: /* as in json.c: the waiting is over, nobody verified */
		break;
	}
	line_add(line, text ? text : "off", colour ? YELLOW : NULL);
}

/* The columns up to the peer's. */
static void add_front(struct line *line, const struct event_head *head, const char *process, const char *peer, bool colour)
{
	add_time(line, head, colour);
	line_to(line, AT_PROCESS);
	line_add(line, process, NULL);
	line_to(line, AT_PEER);
	line_add(line, peer, NULL);
}

char *event_verification_text(const struct event_head *head, const struct event_verification *verification, bool colour)
{
	const struct facts *facts = verification->facts;
	CLEANUP_FREE char *process = process_text(&verification->context), *peer = peer_text(&facts->peer, facts->peer_port);
	CLEANUP_FREE char *name = name_text(facts), *issuer = issuer_text(facts);
	struct line line = {0};

	add_front(&line, head, process, peer, colour);
	line_to(&line, AT_NAME);
	line_add(&line, name, NULL);
	line_to(&line, AT_ISSUER);
	line_add(&line, issuer, NULL);
	line_to(&line, AT_VERDICT);
	if (verification->verdict->count)
		add_violation(&line, verification, colour);
	else
		add_verify(&line, facts, colour);
	if (facts->truncated)
		line_add(&line, " [certificates missing]", colour ? YELLOW : NULL);
	if (facts->resumed)
		line_add(&line, " [resumed]", NULL);
	if (facts->early_data)
		line_add(&line, " [early data]", colour ? YELLOW : NULL);
	if (verification->retroactive)
		line_add(&line, " [verified earlier]", colour ? YELLOW : NULL);
	line_add(&line, "\n", NULL);
	return line.text;
}

static char *gate_result_text(const struct event_gate *gate)
{
	const char *why = gate->result_reason ? gate->result_reason : "unknown";
	CLEANUP_FREE char *reason = text_escape(why, strlen(why));

	if (gate->result == RESULT_FAILED)
		return xasprintf("FAILED: %s", reason);
	return xstrdup(gate->result == RESULT_KILLED ? "killed" : "let go");
}

/* "… 1.1.1.1:853         -                        -                    no verdict in time: killed" */
char *event_gate_text(const struct event_head *head, const struct event_gate *gate, bool colour)
{
	static const char *const reasons[] = {
		[GATE_REASON_TIMEOUT] = "no verdict in time",
		[GATE_REASON_FULL] = "too many wait for a verdict",
		[GATE_REASON_AGENT_ENDED] = "the agent ended before a verdict",
	};
	CLEANUP_FREE char *process = process_text(&gate->context), *peer = peer_text(&gate->peer, gate->peer_port);
	CLEANUP_FREE char *result = gate_result_text(gate), *text = NULL;
	struct line line = {0};

	text = xasprintf("%s: %s (%llu packets, %llu ms)", reasons[gate->reason], result, (unsigned long long)gate->held,
			 (unsigned long long)gate->waited_us / 1000);
	add_front(&line, head, process, peer, colour);
	line_to(&line, AT_NAME);
	line_add(&line, "-", NULL);
	line_to(&line, AT_ISSUER);
	line_add(&line, "-", NULL);
	line_to(&line, AT_VERDICT);
	line_add(&line, text, colour ? RED : NULL);
	line_add(&line, "\n", NULL);
	return line.text;
}

/* "12:34:56.789 tlswarden        policy-loaded       name=resolvers rules=2" */
char *event_agent_text(const struct event_head *head, const char *action, const char *outcome,
		       const struct event_detail *details, size_t count, bool colour)
{
	bool failure = strcmp(outcome, "failure") == 0;
	struct line line = {0};

	add_time(&line, head, colour);
	line_to(&line, AT_PROCESS);
	line_add(&line, "tlswarden", NULL);
	line_to(&line, AT_PEER);
	line_add(&line, action, colour && failure ? RED : NULL);
	if (failure)
		line_add(&line, " (failure)", colour ? RED : NULL);
	if (count)
		line_to(&line, AT_NAME);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *safe = details[i].text ? text_escape(details[i].text, strlen(details[i].text)) : NULL;
		CLEANUP_FREE char *cut = safe ? text_cut(safe, PATH_TEXT_MAX) :
						xasprintf("%lld", (long long)details[i].number);
		CLEANUP_FREE char *pair = xasprintf("%s%s=%s", i ? " " : "", details[i].key, cut);

		line_add(&line, pair, NULL);
	}
	line_add(&line, "\n", NULL);
	return line.text;
}
