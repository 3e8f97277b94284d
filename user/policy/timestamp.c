/* RFC 3339 timestamps in UTC as seconds since 1970. Pure: no time zone, no locale, no clock. */
#include <string.h>

#include "policy_internal.h"

static bool number(const char *text, size_t digits, int *ret)
{
	int value = 0;

	for (size_t i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret = value;
	return true;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01; year is 1970 or later. */
static int64_t days_since_1970(int year, int month, int day)
{
	int before = year - 1;
	int64_t days = 365LL * (year - 1970) + (before / 4 - 492) - (before / 100 - 19) + (before / 400 - 4);

	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days + day - 1;
}

bool timestamp_parse(const char *text, int64_t *ret)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	int year, month, day, hour, minute, second;
	const char *rest;

	for (size_t i = 0; form[i]; i++) {
		bool fits = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];

		if (!fits)
			return false;
	}
	rest = text + sizeof(form) - 1;
	if (*rest == '.') {
		size_t digits = strspn(rest + 1, "0123456789");

		if (digits == 0)
			return false;
		rest += 1 + digits;
	}
	if (strcmp(rest, "Z") != 0)
		return false;
	if (!number(text, 4, &year) || !number(text + 5, 2, &month) || !number(text + 8, 2, &day) ||
	    !number(text + 11, 2, &hour) || !number(text + 14, 2, &minute) || !number(text + 17, 2, &second))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 || minute > 59 ||
	    second > 59)
		return false;
	*ret = days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}
