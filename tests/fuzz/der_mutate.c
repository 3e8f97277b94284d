/* Changes of DER that keep it DER (fuzz.h): an element is taken, changed, doubled, dropped or moved, and every length around
 * it is written anew. So a change inside of an extension still reaches the code that reads extensions. What is no DER, or
 * nested too deep, is changed as bytes. */
#include <stdlib.h>
#include <string.h>

#include "der.h"
#include "fuzz.h"

enum { DEPTH_MAX = 24, DER_OCTET_STRING = 0x04, DER_CONSTRUCTED = 0x20 };

struct mutation {
	size_t target, other; /* which elements, counted in the order of their first bytes */
	unsigned how;
	size_t seen;
	struct der_element source; /* the other one */
	uint8_t *out;
	size_t room;
	bool full;
};

static bool is_der(struct der_bytes bytes)
{
	struct der_element element;

	while (der_next(&bytes, &element))
		;
	return bytes.len == 0;
}

/* An OCTET STRING that holds DER is one of the extensions, most often. */
static bool has_parts(const struct der_element *element)
{
	const struct der_bytes content = {element->content, element->content_len};

	return element->content_len > 0 && (element->tag & DER_CONSTRUCTED || element->tag == DER_OCTET_STRING) &&
	       is_der(content);
}

static size_t count_elements(struct der_bytes bytes, size_t at, size_t wanted, struct der_element *ret, unsigned depth)
{
	struct der_element element;

	while (der_next(&bytes, &element)) {
		if (at++ == wanted)
			*ret = element;
		if (depth < DEPTH_MAX && has_parts(&element)) {
			const struct der_bytes content = {element.content, element.content_len};

			at = count_elements(content, at, wanted, ret, depth + 1);
		}
	}
	return at;
}

static size_t put(struct mutation *m, size_t at, const uint8_t *data, size_t len)
{
	if (len > m->room - at) {
		m->full = true;
		return at;
	}
	if (len)
		memmove(m->out + at, data, len);
	return at + len;
}

/* Puts the header in front of what lies behind `from`. */
static size_t wrap(struct mutation *m, uint8_t tag, size_t from, size_t to)
{
	uint8_t header[DER_HEADER_MAX];
	size_t len = der_header(tag, to - from, header);

	if (len > m->room - to) {
		m->full = true;
		return to;
	}
	memmove(m->out + from + len, m->out + from, to - from);
	memcpy(m->out + from, header, len);
	return to + len;
}

static size_t put_changed(struct mutation *m, size_t at, const struct der_element *element)
{
	size_t start = at;

	switch (m->how % 6) {
	case 0: /* dropped */
		return at;
	case 1: /* doubled */
		at = put(m, at, element->whole, element->whole_len);
		return put(m, at, element->whole, element->whole_len);
	case 2: /* another one in its place */
		return put(m, at, m->source.whole, m->source.whole_len);
	case 3: /* another one in front of it */
		at = put(m, at, m->source.whole, m->source.whole_len);
		return put(m, at, element->whole, element->whole_len);
	case 4: /* another kind */
		at = put(m, at, element->content, element->content_len);
		return wrap(m, (uint8_t)(element->tag ^ (1U << (m->how / 6 % 8))), start, at);
	default:
		at = put(m, at, element->content, element->content_len);
		if (!m->full)
			at = start + LLVMFuzzerMutate(m->out + start, at - start, m->room - start);
		return wrap(m, element->tag, start, at);
	}
}

static size_t rewrite(struct mutation *m, struct der_bytes bytes, size_t at, unsigned depth)
{
	struct der_element element;

	while (der_next(&bytes, &element)) {
		const struct der_bytes content = {element.content, element.content_len};
		size_t start = at;

		if (m->seen++ == m->target) {
			at = put_changed(m, at, &element);
			continue;
		}
		if (depth == DEPTH_MAX || !has_parts(&element)) {
			at = put(m, at, element.whole, element.whole_len);
			continue;
		}
		at = rewrite(m, content, at, depth + 1);
		at = wrap(m, element.tag, start, at);
	}
	return at;
}

size_t der_mutate(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	const struct der_bytes bytes = {data, len};
	struct mutation m = {.how = seed / 64, .room = max};
	size_t count = is_der(bytes) ? count_elements(bytes, 0, SIZE_MAX, &m.source, 0) : 0;

	if (count == 0 || seed % 64 == 63)
		return LLVMFuzzerMutate(data, len, max);
	m.target = (size_t)(seed * 2654435761U >> 8) % count;
	m.other = (size_t)((seed ^ 0x5bd1e995U) * 2246822519U >> 8) % count;
	count_elements(bytes, 0, m.other, &m.source, 0);
	m.out = malloc(max ? max : 1);
	if (!m.out)
		return len;
	m.seen = 0;
	count = rewrite(&m, bytes, 0, 0);
	if (!m.full && count > 0) {
		memcpy(data, m.out, count);
		len = count;
	}
	free(m.out);
	return len;
}
