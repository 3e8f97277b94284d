/* One verification on its way through the rules, with the dear answers that several of them ask for: is the chain trusted by a
 * store, how many SCTs are good. Owns the answers. More than INQUIRY_KEPT_MAX different questions are answered anew each time, at
 * no loss but time. */
#include <string.h>

#include "policy_internal.h"

void inquiry_clear(struct inquiry *inquiry)
{
	for (size_t i = 0; i < inquiry->trusts_count; i++)
		free(inquiry->trusts[i].result);
	inquiry->trusts_count = 0;
}

const struct trust_result *inquiry_trust(struct inquiry *inquiry, const struct trusted_by *by)
{
	const struct trust_store *store = by->store->file->store;
	const struct crls *crls = by->crl ? by->crl->crls : NULL;
	struct trust_result *result;
	size_t at = inquiry->trusts_count;

	for (size_t i = 0; i < inquiry->trusts_count; i++)
		if (inquiry->trusts[i].store == store && inquiry->trusts[i].crls == crls)
			return inquiry->trusts[i].result;
	if (at == INQUIRY_KEPT_MAX)
		free(inquiry->trusts[--at].result);
	else
		inquiry->trusts_count++;
	result = xcalloc(1, sizeof(*result));
	trust_check(store, crls, inquiry->facts, inquiry->now, result);
	inquiry->trusts[at].store = store;
	inquiry->trusts[at].crls = crls;
	inquiry->trusts[at].result = result;
	return result;
}

struct ct_count inquiry_ct(struct inquiry *inquiry, const struct ct_logs *logs)
{
	const struct facts *facts = inquiry->facts;
	const struct certificate *issuer = path_proven(facts) && facts->path_count > 1 ? facts->path[1] : NULL;
	size_t at = inquiry->cts_count;

	for (size_t i = 0; i < inquiry->cts_count; i++)
		if (inquiry->cts[i].logs == logs)
			return inquiry->cts[i].count;
	if (at == INQUIRY_KEPT_MAX)
		at--;
	else
		inquiry->cts_count++;
	inquiry->cts[at].logs = logs;
	inquiry->cts[at].count = (struct ct_count){0};
	if (facts->certs_count)
		ct_check(logs, facts->certs[0].certificate, issuer, inquiry->now, &inquiry->cts[at].count);
	return inquiry->cts[at].count;
}
