/* Anchors (path.h): the certificates of a trust store, to be found by their subject.
 *
 * The text is a file of this host that root wrote; a block in it that is broken, is no certificate or is there already is
 * passed over and counted. Sorted by subject (as RFC 5280 7.1 compares names), then by hash, so that the order of the file
 * does not matter. */
#include <errno.h>
#include <string.h>

#include <openssl/x509.h>

#include "path.h"
#include "pem.h"

const char anchors_system_file[] = "/etc/ssl/certs/ca-certificates.crt";

struct anchors {
	struct certificate **items; /* owned, sorted */
	size_t count;
};

static int compare(const void *left, const void *right)
{
	const struct certificate *a = *(struct certificate *const *)left, *b = *(struct certificate *const *)right;
	int order = X509_NAME_cmp(X509_get_subject_name(a->x509), X509_get_subject_name(b->x509));

	return order ? order : memcmp(a->sha256, b->sha256, SHA256_BYTES);
}

/* Sorts, and frees what is there twice: how many those were. */
static size_t settle(struct anchors *anchors)
{
	size_t kept = 0, count = anchors->count;

	qsort(anchors->items, count, sizeof(*anchors->items), compare);
	for (size_t i = 0; i < count; i++) {
		if (kept && compare(&anchors->items[kept - 1], &anchors->items[i]) == 0)
			certificate_free(anchors->items[i]);
		else
			anchors->items[kept++] = anchors->items[i];
	}
	anchors->count = kept;
	return count - kept;
}

int anchors_new(const char *pem, size_t len, struct anchors **ret, size_t *ret_skipped)
{
	struct anchors *anchors = xcalloc(1, sizeof(*anchors));
	struct pem_text text = {pem, len};
	size_t skipped = 0, room = 0;

	for (;;) {
		CLEANUP_FREE uint8_t *der = NULL;
		CLEANUP(certificate_freep) struct certificate *certificate = NULL;
		size_t der_len;
		int r = pem_next(&text, &der, &der_len);

		if (r == 0)
			break;
		if (r < 0 || certificate_new(der, der_len, &certificate) < 0 || !certificate->parsed) {
			skipped++;
			continue;
		}
		if (anchors->count == room) {
			room = room ? 2 * room : 64;
			anchors->items = xrealloc(anchors->items, room, sizeof(*anchors->items));
		}
		anchors->items[anchors->count++] = TAKE_PTR(certificate);
	}
	if (anchors->count)
		skipped += settle(anchors);
	*ret = anchors;
	*ret_skipped = skipped;
	return 0;
}

struct anchors *anchors_with(const struct anchors *base, struct certificate *const *more, size_t count)
{
	struct anchors *anchors = xcalloc(1, sizeof(*anchors));
	size_t base_count = base ? base->count : 0;

	anchors->items = xcalloc(base_count + count, sizeof(*anchors->items));
	for (size_t i = 0; i < base_count; i++)
		anchors->items[anchors->count++] = certificate_ref(base->items[i]);
	for (size_t i = 0; i < count; i++)
		if (more[i]->parsed)
			anchors->items[anchors->count++] = certificate_ref(more[i]);
	settle(anchors);
	return anchors;
}

void anchors_free(struct anchors *anchors)
{
	if (!anchors)
		return;
	certificates_free(anchors->items, anchors->count);
	free(anchors);
}

void anchors_freep(struct anchors **anchors)
{
	anchors_free(*anchors);
}

size_t anchors_count(const struct anchors *anchors)
{
	return anchors->count;
}

struct certificate *const *anchors_list(const struct anchors *anchors, size_t *ret_count)
{
	*ret_count = anchors->count;
	return anchors->items;
}

/* The first whose subject is not before that name; with after, the first behind it. */
static size_t bound(const struct anchors *anchors, const X509_NAME *name, bool after)
{
	size_t low = 0, high = anchors->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = X509_NAME_cmp(X509_get_subject_name(anchors->items[middle]->x509), name);

		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct certificate *const *anchors_find(const struct anchors *anchors, const struct certificate *subject, size_t *ret_count)
{
	const X509_NAME *name;
	size_t first;

	if (!subject->x509 || anchors->count == 0) {
		*ret_count = 0;
		return anchors->items;
	}
	name = X509_get_issuer_name(subject->x509);
	first = bound(anchors, name, false);
	*ret_count = bound(anchors, name, true) - first;
	return anchors->items + first;
}
