/* See issuers.h. A certificate's place is told by its digest; it is found by going through all of them, which is done only for what
 * was resumed with its leaf alone. Nothing is taken for true that was remembered: who signed what is checked anew, with the key. */
#include "issuers.h"

#include <string.h>

#include "util.h"

enum { ABOVE_MAX = 8 }; /* issuers added to one leaf */

struct issuers {
	struct certificate *items[ISSUERS_MAX];
};

struct issuers *issuers_new(void)
{
	return xcalloc(1, sizeof(struct issuers));
}

void issuers_free(struct issuers *issuers)
{
	if (!issuers)
		return;
	for (size_t i = 0; i < ISSUERS_MAX; i++)
		certificate_free(issuers->items[i]);
	free(issuers);
}

void issuers_note(struct issuers *issuers, const struct facts *facts)
{
	for (size_t i = 1; i < facts->certs_count; i++) {
		const struct certificate *certificate = facts->certs[i].certificate;
		struct certificate **place =
			&issuers->items[(certificate->sha256[0] | certificate->sha256[1] << 8) % ISSUERS_MAX];

		if (!facts->certs[i].proven || (*place && !memcmp((*place)->sha256, certificate->sha256, SHA256_BYTES)))
			continue;
		certificate_free(*place);
		*place = certificate_ref((struct certificate *)certificate);
	}
}

static bool has(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!memcmp(facts->certs[i].certificate->sha256, certificate->sha256, SHA256_BYTES))
			return true;
	return false;
}

static struct certificate *issuer_of(const struct issuers *issuers, const struct facts *facts,
				     const struct certificate *certificate)
{
	for (size_t i = 0; i < ISSUERS_MAX; i++) {
		struct certificate *item = issuers->items[i];

		if (item && strcmp(item->subject, certificate->issuer) == 0 && !has(facts, item) &&
		    certificate_issued_by(certificate, item))
			return item;
	}
	return NULL;
}

void issuers_add(const struct issuers *issuers, struct facts *facts, struct certificate ***ret_kept, size_t *ret_count)
{
	struct certificate **kept = xcalloc(ABOVE_MAX, sizeof(struct certificate *));
	size_t count = 0;

	while (count < ABOVE_MAX && facts->certs_count > 0 && facts->certs_count < FACTS_CERTS_MAX) {
		const struct certificate *last = facts->certs[facts->certs_count - 1].certificate;
		struct certificate *issuer = last->parsed && !last->self_issued ? issuer_of(issuers, facts, last) : NULL;

		if (!issuer)
			break;
		kept[count++] = certificate_ref(issuer);
		facts->certs[facts->certs_count++] = (struct fact_cert){.certificate = issuer};
	}
	*ret_kept = kept;
	*ret_count = count;
}
