/* Globs over paths of programs, as fnmatch(3) without flags has them: `*` any run of characters, `/` included, so that
 * `/opt/lab/` and a star is everything beneath that directory; `?` any one byte; `[a-z]`, `[!a-z]` one byte of, or not
 * of, a class; a backslash takes the next character's meaning away. A leading dot is nothing special. Bytes are compared,
 * whatever the locale. Classes by name ([[:digit:]]) are refused: read as a list of characters they would mean something else.
 *
 * Written here because fnmatch(3) may take exponential time. This one goes back to the last star only, so its time is
 * bounded by the product of the two lengths; that is enough, since what an earlier star could match a later one can. */
#include "path_glob.h"

#include <stddef.h>

/* Behind the class that opens at p ('['), or NULL if it does not end. A ']' that comes first is a member. */
static const char *class_end(const char *p)
{
	p++;
	if (*p == '!' || *p == '^')
		p++;
	for (const char *first = p; *p && (*p != ']' || p == first); p++) {
		if (*p == '\\' && *++p == '\0')
			return NULL;
	}
	return *p ? p + 1 : NULL;
}

static unsigned char member(const char **p)
{
	if (**p == '\\')
		(*p)++;
	return (unsigned char)*(*p)++;
}

static bool class_has(const char *p, const char *end, unsigned char c)
{
	bool negated, found = false;

	p++;
	negated = *p == '!' || *p == '^';
	if (negated)
		p++;
	while (p < end - 1) {
		unsigned char low = member(&p), high = low;

		if (*p == '-' && p + 1 < end - 1) {
			p++;
			high = member(&p);
		}
		if (c >= low && c <= high)
			found = true;
	}
	return found != negated;
}

/* Whether a class has something like [:digit:], [=a=] or [.a.] in it. */
static bool class_is_named(const char *p, const char *end)
{
	for (p++; p < end - 1; p++) {
		if (*p == '[' && (p[1] == ':' || p[1] == '=' || p[1] == '.'))
			return true;
		if (*p == '\\')
			p++;
	}
	return false;
}

const char *glob_closed(const char *pattern)
{
	for (const char *p = pattern; *p;) {
		if (*p == '[') {
			const char *end = class_end(p);

			if (!end)
				return "the '[' is not closed";
			if (class_is_named(p, end))
				return "classes like [:digit:] have no name here: write [0-9]";
			p = end;
			continue;
		}
		if (*p == '\\' && *++p == '\0')
			return "a backslash at the end quotes nothing";
		p++;
	}
	return NULL;
}

const char *glob_check(const char *pattern)
{
	if (*pattern != '/' && *pattern != '*' && *pattern != '?' && *pattern != '[')
		return "the path of a program begins with '/'; a pattern begins with '/' or '*'";
	return glob_closed(pattern);
}

/* One element of the pattern that is no star, against one byte. Gives where the pattern goes on, or NULL. */
static const char *element_match(const char *p, unsigned char c)
{
	const char *end;

	switch (*p) {
	case '\0':
		return NULL;
	case '?':
		return p + 1;
	case '[':
		end = class_end(p);
		return end && class_has(p, end, c) ? end : NULL;
	default:
		return member(&p) == c ? p : NULL;
	}
}

bool glob_match(const char *pattern, const char *text)
{
	const char *p = pattern, *t = text, *star = NULL, *resume = NULL;

	while (*t) {
		const char *next;

		if (*p == '*') {
			star = ++p;
			resume = t;
			continue;
		}
		next = element_match(p, (unsigned char)*t);
		if (next) {
			p = next;
			t++;
		} else if (star) {
			p = star;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}
