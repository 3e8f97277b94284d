/* Fuzz target: a log list, and a leaf's SCTs held against it. The input is JSON up to a NUL, then a leaf and its issuer as
 * parcels (fuzz.h). */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "ct.h"
#include "fuzz.h"

static void check(const struct ct_logs *logs, const struct certificate *leaf, const struct certificate *issuer, int64_t at)
{
	struct ct_count count = {0};

	ct_check(logs, leaf, issuer, at, &count);
	HOLDS(count.known <= count.embedded && count.known <= CT_SCTS_MAX);
	HOLDS(count.valid <= count.known && count.logs <= count.valid && count.operators <= count.logs);
	HOLDS(count.logs <= ct_logs_count(logs));
	HOLDS((count.valid > 0) == (count.operators > 0));
	HOLDS(issuer || count.valid == 0);
	HOLDS(ERR_peek_error() == 0);
}

static void check_certificates(const struct ct_logs *logs, const uint8_t *data, size_t len)
{
	CLEANUP(certificate_freep) struct certificate *leaf = NULL;
	CLEANUP(certificate_freep) struct certificate *issuer = NULL;
	struct parcel parcels[PARCELS_MAX];
	size_t count = parcels_read(data, len, parcels);

	if (count < 2 || certificate_new(parcels[0].data, parcels[0].len, &leaf) < 0 ||
	    certificate_new(parcels[1].data, parcels[1].len, &issuer) < 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		check(logs, leaf, i ? issuer : NULL, INT64_MIN);
		check(logs, leaf, i ? issuer : NULL, 1800000000);
		check(logs, leaf, i ? issuer : NULL, INT64_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = len ? memchr(data, 0, len) : NULL;
	size_t text_len = end ? (size_t)(end - data) : len;
	CLEANUP(ct_logs_freep) struct ct_logs *logs = NULL;
	CLEANUP_FREE char *why = NULL;
	int r = ct_logs_new((const char *)data, text_len, &logs, &why);

	HOLDS(ERR_peek_error() == 0);
	if (r < 0) {
		HOLDS(r == -EBADMSG && !logs && is_line(why) && *why);
		return 0;
	}
	HOLDS(logs && !why);
	HOLDS(ct_logs_stale_at(logs) == ct_logs_stale_at(logs));
	if (end)
		check_certificates(logs, end + 1, len - text_len - 1);
	return 0;
}
