/* Numbers, times and durations of a policy file. Each function gives a value or complains at its place. */
#include <string.h>

#include "policy_internal.h"

/* Longer durations are a slip of the pen; also keeps sums with times far from overflow. */
enum { DURATION_DAYS_MAX = 36500 };

bool time_value(struct parser *parser, const struct node *value, int64_t *ret)
{
	if (value->kind != NODE_SCALAR) {
		complain(parser, value, "%s must be a time like \"2027-01-31T00:00:00Z\", not %s", value->key->text,
			 node_describe(value));
		return false;
	}
	if (timestamp_parse(value->text, ret))
		return true;
	complain(parser, value, "%s must be a time in UTC (RFC 3339) like \"2027-01-31T00:00:00Z\", not \"%.64s\"",
		 value->key->text, value->text);
	return false;
}

/* Seconds that the unit stands for; 0: it is none. */
static int64_t unit_seconds(const char *unit)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (unit[0] == units[i].unit && unit[1] == '\0')
			return units[i].seconds;
	return 0;
}

bool duration_value(struct parser *parser, const struct node *value, int64_t *ret)
{
	const int64_t most = DURATION_DAYS_MAX * 86400LL;
	const char *key = value->key->text;
	int64_t number = 0, unit;
	size_t digits;

	if (value->kind != NODE_SCALAR) {
		complain(parser, value, "%s must be a duration like 30d, not %s", key, node_describe(value));
		return false;
	}
	digits = strspn(value->text, "0123456789");
	for (size_t i = 0; i < digits && number <= most; i++)
		number = 10 * number + (value->text[i] - '0');
	unit = unit_seconds(value->text + digits);
	if (digits == 0 || !unit) {
		complain(parser, value, "%s must be a whole number and a unit (s, m, h, d or w), like 30d, not \"%.64s\"%s",
			 key, value->text, digits && !value->text[digits] ? "; is it days that are meant?" : "");
		return false;
	}
	if (number == 0 || number > most / unit) {
		complain(parser, value, "%s must be from 1s to %dd, not \"%.64s\"", key, DURATION_DAYS_MAX, value->text);
		return false;
	}
	*ret = number * unit;
	return true;
}

unsigned number_value(struct parser *parser, const struct node *value, const char *what, unsigned max)
{
	unsigned long number = 0;

	if (value->kind != NODE_SCALAR || !value->plain) {
		complain(parser, value, "%s must be a number, not %s%s", what, node_describe(value),
			 value->kind == NODE_SCALAR ? " in quotes" : "");
		return 0;
	}
	for (const char *c = value->text; *c && number <= max; c++)
		number = *c >= '0' && *c <= '9' ? 10 * number + (unsigned)(*c - '0') : max + 1UL;
	if (number > 0 && number <= max && value->text[0] != '0')
		return (unsigned)number;
	complain(parser, value, "%s must be a number from 1 to %u, not \"%.64s\"", what, max, value->text);
	return 0;
}
