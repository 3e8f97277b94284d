/* Reasons: one readable line of bounded length, put together from texts that are escaped already. What does not fit is
 * cut between two characters, and "…" says so. */
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "policy_internal.h"

static const char ellipsis[] = "…";

enum { ELLIPSIS_BYTES = sizeof(ellipsis) - 1, SUBJECT_BYTES_MAX = 96 };

/* The longest start of the text of at most max bytes that does not end inside a UTF-8 sequence. */
static size_t whole_characters(const char *text, size_t max)
{
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

void reason_add(struct reason *reason, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	size_t room = REASON_MAX_BYTES - ELLIPSIS_BYTES - reason->len;
	va_list args;
	size_t len;

	if (reason->full)
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = xstrdup("?");
	va_end(args);
	len = strlen(text);
	if (len > room) {
		reason->full = true;
		len = whole_characters(text, room);
	}
	memcpy(reason->text + reason->len, text, len);
	reason->len += len;
	if (reason->full) {
		memcpy(reason->text + reason->len, ellipsis, ELLIPSIS_BYTES);
		reason->len += ELLIPSIS_BYTES;
	}
	reason->text[reason->len] = '\0';
}

void reason_add_subject(struct reason *reason, const struct certificate *certificate)
{
	const char *prefix = "", *text = certificate->subject;
	size_t len;

	if (!certificate->parsed) {
		reason_add(reason, "(a certificate that is not X.509)");
		return;
	}
	if (certificate->common_name) {
		prefix = "CN=";
		text = certificate->common_name;
	}
	if (!text || !*text) {
		reason_add(reason, "(an empty name)");
		return;
	}
	len = strlen(text);
	if (len <= SUBJECT_BYTES_MAX)
		reason_add(reason, "%s%s", prefix, text);
	else
		reason_add(reason, "%s%.*s%s", prefix, (int)whole_characters(text, SUBJECT_BYTES_MAX), text, ellipsis);
}

void reason_add_time(struct reason *reason, int64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[40];
	struct tm tm;

	if (gmtime_r(&time, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		reason_add(reason, "%s", text);
	else
		reason_add(reason, "(an unreadable time)");
}

void reason_add_duration(struct reason *reason, int64_t seconds)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
	unsigned shown = 0;

	for (size_t i = 0; i < ARRAY_SIZE(units) && shown < 2; i++) {
		int64_t number = seconds / units[i].seconds;

		seconds %= units[i].seconds;
		if (number == 0 && !(shown == 0 && i + 1 == ARRAY_SIZE(units)))
			continue;
		reason_add(reason, "%s%lld%s", shown ? " " : "", (long long)number, units[i].unit);
		shown++;
	}
}

void reason_add_key(struct reason *reason, const struct key *key)
{
	char pin[PIN_CHARS + 1];

	pin_encode(key->pin, pin);
	if (key->name)
		reason_add(reason, "\"%s\"", key->name);
	else
		reason_add(reason, "%s", pin);
}
