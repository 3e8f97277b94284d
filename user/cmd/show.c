/* Printing for people (show.h). Everything goes to standard output; nothing here decides what is printed. */
#include "show.h"

#include <string.h>
#include <time.h>

#include "util.h"

void time_text(int64_t seconds, char out[TIME_TEXT_MAX])
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (seconds == INT64_MIN || seconds == INT64_MAX || !gmtime_r(&time, &tm) ||
	    !strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, TIME_TEXT_MAX, "unreadable");
}

void print_cut(const char *escaped, size_t max)
{
	size_t len = strnlen(escaped, max + 1);
	bool cut = len > max;

	if (cut)
		for (len = max; len > 0 && ((unsigned char)escaped[len] & 0xc0) == 0x80; len--)
			;
	fwrite(escaped, 1, len, stdout);
	if (cut)
		fputs("…", stdout);
}

void print_escaped(const char *text)
{
	CLEANUP_FREE char *safe = text_escape(text, strlen(text));

	fputs(safe, stdout);
}

bool colour_wanted(void)
{
	const char *terminal = getenv("TERM"), *none = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !(none && *none);
}

void print_coloured(bool on, enum colour colour, const char *text)
{
	static const char *const codes[] = {
		[COLOUR_BAD] = "\033[1;31m",
		[COLOUR_GOOD] = "\033[32m",
		[COLOUR_DIM] = "\033[2m",
		[COLOUR_BOLD] = "\033[1m",
	};

	printf("%s%s%s", on ? codes[colour] : "", text, on ? "\033[0m" : "");
}
