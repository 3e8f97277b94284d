/* Name patterns, compiled into two sorted lists, so that one lookup costs a binary search for each label of the name.
 *
 * What a certificate claims. A certificate for `*.example.com` is good for www.example.com, whoever asks; a rule about
 * www.example.com must therefore see it. So a certificate's name and a pattern match if there is any name that both
 * stand for. The left-most label may be `*`, and, since OpenSSL accepts it unless told not to, have a `*` somewhere
 * (`w*.example.com`); it stands for one label. A `*` in any other label is an ordinary character: no client gives it a
 * meaning. Where this is not exact it errs towards a match: several stars in a label count as one, and beyond GLOBS_MAX
 * names to compare with a partial wildcard, it claims them.
 *
 * Names are an attacker's (up to SANS_MAX of them in a certificate); patterns are the administrator's. A name with a byte
 * outside of printable ASCII, with a backslash (it was escaped: it had such a byte), with an empty label or of more than
 * DNS_NAME_MAX characters matches nothing. It is never shortened to something that might match. */
#include "name_set.h"

#include <stdint.h>
#include <string.h>

#include "address.h"
#include "name_keys.h"
#include "util.h"

enum { GLOBS_MAX = 64 };

/* What patterns there are for one text; base.kinds is a set of these. */
enum { KIND_EXACT = 1, KIND_ONE = 2, KIND_MANY = 4 };

struct base {
	const char *text;
	unsigned kinds;
};

/* An exact name by the name above it: what a wildcard above the same name may stand for. */
struct child {
	const char *parent;
	const char *name;
	size_t label_len;
};

struct names {
	struct base *bases; /* sorted by text, each once */
	size_t bases_count;
	struct child *children; /* sorted by parent */
	size_t children_count;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Lower case, without the final dot. False if no pattern can match such a name. */
static bool normalize(const char *text, char out[DNS_NAME_MAX + 1])
{
	size_t len = strnlen(text, DNS_NAME_MAX + 2);

	if (len > 1 && text[len - 1] == '.')
		len--;
	if (len == 0 || len > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c >= 0x7f || c == '\\')
			return false;
		if (c == '.' && (i == 0 || i + 1 == len || text[i - 1] == '.'))
			return false;
		out[i] = lower(text[i]);
	}
	out[len] = '\0';
	return true;
}

/* The name without its first label; NULL if there is no more. */
static const char *parent_of(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : NULL;
}

static const char *label_check(const char *label, size_t len)
{
	if (len == 0)
		return "a name cannot have an empty label";
	if (len > DNS_LABEL_MAX)
		return "a label has more than 63 characters";
	for (size_t i = 0; i < len; i++) {
		char c = lower(label[i]);

		if ((unsigned char)c >= 0x80)
			return "write an international name as A-labels (xn--…)";
		if (c == '*')
			return "a wildcard must be the whole first label: *.example.com or **.example.com";
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return "a name consists of letters, digits, '-', '_' and dots";
	}
	return NULL;
}

static size_t wildcard_len(const char *pattern)
{
	if (strncmp(pattern, "**.", 3) == 0)
		return 3;
	return strncmp(pattern, "*.", 2) == 0 ? 2 : 0;
}

const char *name_check(const char *pattern)
{
	const char *name = pattern + wildcard_len(pattern);
	size_t len = strlen(name);
	struct address address;
	const char *why;

	if (strcmp(pattern, "*") == 0 || strcmp(pattern, "**") == 0)
		return "a wildcard needs a name behind it: *.example.com";
	if (address_parse(pattern, &address))
		return "this is an IP address: use san_ip or peer_ip";
	if (len > 1 && name[len - 1] == '.')
		len--;
	if (len > DNS_NAME_MAX)
		return "a name has at most 253 characters";
	for (size_t start = 0; start <= len;) {
		const char *dot = memchr(name + start, '.', len - start);
		size_t end = dot ? (size_t)(dot - name) : len;

		why = label_check(name + start, end - start);
		if (why)
			return why;
		start = end + 1;
	}
	return NULL;
}

static int base_compare(const void *a, const void *b)
{
	return strcmp(((const struct base *)a)->text, ((const struct base *)b)->text);
}

static int child_compare(const void *a, const void *b)
{
	return strcmp(((const struct child *)a)->parent, ((const struct child *)b)->parent);
}

static size_t bases_merge(struct base *bases, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && strcmp(bases[kept - 1].text, bases[i].text) == 0)
			bases[kept - 1].kinds |= bases[i].kinds;
		else
			bases[kept++] = bases[i];
	}
	return kept;
}

struct names *names_new(struct arena *arena, const char *const *patterns, size_t count)
{
	struct names *names = arena_alloc(arena, 1, sizeof(*names));

	names->bases = arena_alloc(arena, count, sizeof(*names->bases));
	names->children = arena_alloc(arena, count, sizeof(*names->children));
	for (size_t i = 0; i < count; i++) {
		size_t wildcard = wildcard_len(patterns[i]);
		char text[DNS_NAME_MAX + 1];
		struct base *base;

		if (!normalize(patterns[i] + wildcard, text))
			continue; /* not reached with a pattern that name_check() accepts */
		base = &names->bases[names->bases_count++];
		base->text = arena_strndup(arena, text, strlen(text));
		base->kinds = wildcard == 0 ? KIND_EXACT : wildcard == 2 ? KIND_ONE : KIND_MANY;
		if (base->kinds == KIND_EXACT) {
			struct child *child = &names->children[names->children_count++];
			const char *parent = parent_of(base->text);

			child->name = base->text;
			child->parent = parent ? parent : "";
			child->label_len = strcspn(base->text, ".");
		}
	}
	qsort(names->bases, names->bases_count, sizeof(*names->bases), base_compare);
	names->bases_count = bases_merge(names->bases, names->bases_count);
	qsort(names->children, names->children_count, sizeof(*names->children), child_compare);
	return names;
}

static unsigned kinds_at(const struct names *names, const char *text)
{
	const struct base key = {.text = text};
	const struct base *found;

	found = bsearch(&key, names->bases, names->bases_count, sizeof(key), base_compare);
	return found ? found->kinds : 0;
}

/* A pattern for one or more labels beneath this name or one above it. */
static bool many_above(const struct names *names, const char *name)
{
	for (; name; name = parent_of(name)) {
		if (kinds_at(names, name) & KIND_MANY)
			return true;
	}
	return false;
}

static bool normal_match(const struct names *names, const char *name)
{
	const char *parent = parent_of(name);

	if (kinds_at(names, name) & KIND_EXACT)
		return true;
	if (!parent)
		return false;
	return (kinds_at(names, parent) & KIND_ONE) || many_above(names, parent);
}

bool names_match(const struct names *names, const char *text)
{
	char name[DNS_NAME_MAX + 1];

	return normalize(text, name) && normal_match(names, name);
}

/* label, which has a star, stands for this one: what is before the first star and behind the last one fits. */
static bool label_fits(const char *label, size_t len, const char *other, size_t other_len)
{
	const char *first = memchr(label, '*', len), *last = memrchr(label, '*', len);
	size_t head = (size_t)(first - label), tail = len - (size_t)(last - label) - 1;

	if (other_len < head + tail)
		return false;
	return memcmp(other, label, head) == 0 && memcmp(other + other_len - tail, last + 1, tail) == 0;
}

/* The exact names right beneath parent that the label stands for. */
static bool children_fit(const struct names *names, const char *parent, const char *label, size_t len)
{
	size_t low = 0, high = names->children_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(names->children[middle].parent, parent) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i < names->children_count && strcmp(names->children[i].parent, parent) == 0; i++) {
		const struct child *child = &names->children[i];

		if (i - low >= GLOBS_MAX || label_fits(label, len, child->name, child->label_len))
			return true;
	}
	return false;
}

bool names_claimed(const struct names *names, const char *text)
{
	char name[DNS_NAME_MAX + 1];
	const char *parent;
	size_t label_len;

	if (!normalize(text, name))
		return false;
	label_len = strcspn(name, ".");
	if (!memchr(name, '*', label_len))
		return normal_match(names, name);
	parent = parent_of(name);
	if (children_fit(names, parent ? parent : "", name, label_len))
		return true;
	return parent && ((kinds_at(names, parent) & KIND_ONE) || many_above(names, parent));
}

/* --- keys --------------------------------------------------------------------------------------------------------------- */

/* From the end to the start, so that one pass over a name gives the hashes of all names above it, too. */
static uint64_t hash_add(uint64_t hash, char c)
{
	return (hash ^ (unsigned char)c) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t hash_of(const char *name)
{
	uint64_t hash = 0;

	for (size_t i = strlen(name); i > 0; i--)
		hash = hash_add(hash, name[i - 1]);
	return hash;
}

void names_keys(const struct names *names, name_key_fn *each, void *context)
{
	for (size_t i = 0; i < names->bases_count; i++) {
		const struct base *base = &names->bases[i];
		uint64_t hash = hash_of(base->text);

		if (base->kinds & KIND_EXACT)
			each(context, NAME_KEY_EXACT, hash);
		if (base->kinds & KIND_ONE)
			each(context, NAME_KEY_ONE, hash);
		if (base->kinds & KIND_MANY)
			each(context, NAME_KEY_MANY, hash);
	}
	for (size_t i = 0; i < names->children_count; i++) {
		if (i == 0 || strcmp(names->children[i - 1].parent, names->children[i].parent) != 0)
			each(context, NAME_KEY_BENEATH, hash_of(names->children[i].parent));
	}
}

void names_questions(const char *text, bool claimed, name_key_fn *each, void *context)
{
	char name[DNS_NAME_MAX + 1];
	size_t label_len;
	uint64_t hash = 0;
	bool wild;

	if (!normalize(text, name))
		return;
	label_len = strcspn(name, ".");
	wild = claimed && memchr(name, '*', label_len);
	if (wild && name[label_len] == '\0')
		each(context, NAME_KEY_BENEATH, hash);
	for (size_t i = strlen(name); i > 0; i--) {
		hash = hash_add(hash, name[i - 1]);
		if (i >= 2 && name[i - 2] != '.')
			continue;
		if (i == 1 && !wild)
			each(context, NAME_KEY_EXACT, hash);
		if (i == 1)
			continue;
		each(context, NAME_KEY_MANY, hash);
		if (i != label_len + 2)
			continue;
		each(context, NAME_KEY_ONE, hash);
		if (wild)
			each(context, NAME_KEY_BENEATH, hash);
	}
}

size_t names_count(const struct names *names)
{
	return names->bases_count;
}

void names_pattern(const struct names *names, size_t index, char out[DNS_NAME_MAX + 4])
{
	const struct base *base = &names->bases[index];
	const char *wildcard = base->kinds & KIND_EXACT ? "" : base->kinds & KIND_ONE ? "*." : "**.";

	snprintf(out, DNS_NAME_MAX + 4, "%s%s", wildcard, base->text);
}
