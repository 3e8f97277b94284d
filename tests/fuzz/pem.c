/* Fuzz target: a PEM text, read block by block, as a chain, and as anchors: the three must agree. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "path.h"
#include "pem.h"

struct blocks {
	size_t good, broken, certificates;
};

static struct blocks count_blocks(const char *text, size_t len)
{
	struct pem_text rest = {text, len};
	struct blocks blocks = {0};

	for (;;) {
		CLEANUP_FREE uint8_t *der = NULL;
		CLEANUP(certificate_freep) struct certificate *c = NULL;
		const char *before = rest.at;
		size_t der_len = 0;
		int r = pem_next(&rest, &der, &der_len);

		HOLDS(rest.at >= before && rest.at + rest.len == text + len);
		HOLDS(r == 0 || rest.at > before);
		if (r == 0)
			return blocks;
		if (r < 0) {
			HOLDS(r == -EBADMSG && !der);
			blocks.broken++;
			continue;
		}
		HOLDS(r == 1 && der_len > 0 && der_len <= CERTIFICATE_DER_MAX);
		blocks.good++;
		HOLDS(certificate_new(der, der_len, &c) == 0);
		certificate_check(c);
		blocks.certificates += c->parsed;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	struct blocks blocks = count_blocks(text, len);
	struct certificate **certificates = NULL;
	struct anchors *anchors = NULL;
	size_t count = 0, skipped = 0;
	int r = certificates_from_pem(text, len, &certificates, &count);

	HOLDS(r == (blocks.broken ? -EBADMSG : blocks.good ? 0 : -ENODATA));
	HOLDS(r < 0 ? !certificates && !count : count == blocks.good);
	if (r == 0)
		certificates_free(certificates, count);
	HOLDS(anchors_new(text, len, &anchors, &skipped) == 0);
	HOLDS(anchors_count(anchors) <= blocks.certificates);
	HOLDS(anchors_count(anchors) + skipped == blocks.good + blocks.broken);
	HOLDS((anchors_count(anchors) > 0) == (blocks.certificates > 0));
	anchors_free(anchors);
	return 0;
}
