/* The proven path (path.h): a depth-first search upwards from the leaf, over links whose signature is checked here.
 *
 * Trusts no flag, no order and no name of what was presented: a certificate is on the path only because its key made the
 * signature below it, and because it is a CA's that may sign what is below (authority.c): else whoever has a server's key
 * could be his own CA, with that server's issuer above him. The peer decides how many certificates there are and who seems
 * to have issued whom, so the search has bounds: PATH_CHECKS_MAX signatures (of which one with a dear key uses up
 * DEAR_CHECKS), PATH_STEPS_MAX visits, for cross-signed layers multiply paths without needing new signatures, and
 * NAMES_MAX names held against name constraints; and no path is longer than FACTS_CERTS_MAX. Beyond any of them the best path
 * so far stands: all of it is proven, it may only be too short. */
#include "path.h"

#include <string.h>

enum {
	PATH_STEPS_MAX = 1024,  /* visits to a certificate; beyond it as beyond PATH_CHECKS_MAX */
	NAMES_MAX = 1 << 17,    /* names times constraints; beyond it likewise */
	DEAR_CHECKS = 8,        /* checks that one with a dear key counts for */
	BESIDE_CHECKS_MAX = 64, /* checks for anchors beside the path; beyond it no more are looked for */
};

/* A link that was checked already: backtracking comes by again. */
struct link {
	const struct certificate *subject, *issuer;
	bool proven;
};

struct search {
	const struct facts *facts;
	const struct anchors *anchors;
	struct link links[PATH_CHECKS_MAX];
	size_t links_count, steps, spent, names;
	bool exhausted;
	bool full;                   /* a path had no room for more */
	bool tried[FACTS_CERTS_MAX]; /* which of the facts' certificates were on a path */
	const struct certificate *path[FACTS_CERTS_MAX], *best[FACTS_CERTS_MAX];
	size_t path_count, best_count;
};

static bool same(const struct certificate *a, const struct certificate *b)
{
	return memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
}

static size_t cost_of(const struct certificate *issuer)
{
	return issuer->dear_key ? DEAR_CHECKS : 1;
}

static bool link_proven(struct search *search, const struct certificate *subject, const struct certificate *issuer)
{
	struct link *link;

	if (!certificate_names_chain(subject, issuer))
		return false;
	for (size_t i = 0; i < search->links_count; i++)
		if (search->links[i].subject == subject && search->links[i].issuer == issuer)
			return search->links[i].proven;
	if (search->spent + cost_of(issuer) > PATH_CHECKS_MAX) {
		search->exhausted = true;
		return false;
	}
	search->spent += cost_of(issuer);
	link = &search->links[search->links_count++];
	*link = (struct link){subject, issuer, certificate_issued_by(subject, issuer)};
	return link->proven;
}

/* Going on with a certificate of a CA that is on the path already (its own, or a cross-signed one) would go in a circle. */
static bool on_path(const struct search *search, const struct certificate *candidate)
{
	for (size_t i = 0; i < search->path_count; i++) {
		const struct certificate *there = search->path[i];

		if (same(there, candidate) || (memcmp(there->spki_sha256, candidate->spki_sha256, SHA256_BYTES) == 0 &&
					       strcmp(there->subject, candidate->subject) == 0))
			return true;
	}
	return false;
}

/* Whether a CA may stand above the whole path so far (RFC 5280 6.1.4 b, g, k to n). A self-issued certificate between
 * counts neither for the length nor for the names. */
static bool may_extend(struct search *search, const struct certificate *ca)
{
	int between = 0;

	if (!ca->may_sign)
		return false;
	for (size_t i = 0; i < search->path_count; i++) {
		const struct certificate *below = search->path[i];

		if (i > 0 && below->self_issued)
			continue;
		between += i > 0;
		search->names += certificate_permits_cost(ca, below);
		if (search->names > NAMES_MAX) {
			search->exhausted = true;
			return false;
		}
		if (!certificate_permits(ca, below, i == 0))
			return false;
	}
	return ca->path_len < 0 || between <= ca->path_len;
}

static bool in_facts(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (same(facts->certs[i].certificate, certificate))
			return true;
	return false;
}

/* A self-signed certificate that the application or this host knows, not one that was merely sent: with such a one a peer
 * could end the path where it likes. */
static bool is_known_root(const struct search *search, const struct certificate *root)
{
	struct certificate *const *found;
	size_t count = 0;

	for (size_t i = 0; i < search->facts->certs_count; i++)
		if (search->facts->certs[i].chain && same(search->facts->certs[i].certificate, root))
			return true;
	if (!search->anchors)
		return false;
	found = anchors_find(search->anchors, root, &count);
	for (size_t i = 0; i < count; i++)
		if (same(found[i], root))
			return true;
	return false;
}

static void keep_best(struct search *search)
{
	memcpy(search->best, search->path, sizeof(search->best));
	search->best_count = search->path_count;
}

static void note_tried(struct search *search, const struct certificate *candidate)
{
	for (size_t i = 0; i < search->facts->certs_count; i++)
		search->tried[i] |= search->facts->certs[i].certificate == candidate;
}

static bool climb(struct search *search);

/* Goes on through candidate if it proves the certificate at the top. True if that ended well. */
static bool try_issuer(struct search *search, const struct certificate *candidate)
{
	bool complete;

	if (search->exhausted || !candidate->parsed || on_path(search, candidate) ||
	    !link_proven(search, search->path[search->path_count - 1], candidate) || !may_extend(search, candidate))
		return false;
	note_tried(search, candidate);
	search->path[search->path_count++] = candidate;
	complete = climb(search);
	search->path_count--;
	return complete;
}

/* From the certificate at the top upwards. True if a known root was reached: best is then final. Recursion is no deeper than
 * FACTS_CERTS_MAX. */
static bool climb(struct search *search)
{
	const struct certificate *top = search->path[search->path_count - 1];
	const struct facts *facts = search->facts;
	struct certificate *const *found;
	size_t found_count = 0;

	if (search->path_count > search->best_count)
		keep_best(search);
	if (++search->steps > PATH_STEPS_MAX) {
		search->exhausted = true;
		return false;
	}
	if (top->self_issued && link_proven(search, top, top)) {
		if (!is_known_root(search, top))
			return false;
		keep_best(search);
		return true;
	}
	if (search->path_count == FACTS_CERTS_MAX) {
		search->full = true;
		return false;
	}
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].chain && try_issuer(search, facts->certs[i].certificate))
			return true;
	for (size_t i = 0; i < facts->certs_count; i++)
		if (!facts->certs[i].chain && try_issuer(search, facts->certs[i].certificate))
			return true;
	if (!search->anchors)
		return false;
	found = anchors_find(search->anchors, top, &found_count);
	for (size_t i = 0; i < found_count; i++)
		if (!in_facts(facts, found[i]) && try_issuer(search, found[i]))
			return true;
	return false;
}

static bool find_path(struct facts *facts, const struct anchors *anchors)
{
	struct search search = {.facts = facts, .anchors = anchors};
	bool complete;

	facts->path_count = 0;
	for (size_t i = 0; i < facts->certs_count; i++)
		facts->certs[i].proven = facts->certs[i].tried = false;
	if (facts->truncated || facts->certs_count == 0 || !facts->certs[0].certificate->parsed)
		return true;
	search.path[0] = facts->certs[0].certificate;
	search.path_count = 1;
	complete = climb(&search);
	memcpy(facts->path, search.best, sizeof(facts->path));
	facts->path_count = search.best_count;
	for (size_t i = 0; i < facts->certs_count; i++) {
		facts->certs[i].tried = search.tried[i];
		for (size_t j = 0; j < facts->path_count; j++)
			facts->certs[i].proven |= same(facts->certs[i].certificate, facts->path[j]);
	}
	return !search.exhausted && (complete || !search.full);
}

static bool in_list(const struct certificate *const *list, size_t count, const struct certificate *certificate)
{
	for (size_t i = 0; i < count; i++)
		if (same(list[i], certificate))
			return true;
	return false;
}

/* The anchors that signed one of the certificates beside the path. */
static void find_beside(struct facts *facts, const struct anchors *anchors)
{
	size_t spent = 0;

	for (size_t i = 0; i < facts->certs_count; i++) {
		const struct certificate *certificate = facts->certs[i].certificate;
		struct certificate *const *found;
		size_t count = 0;

		if (facts->certs[i].proven || !certificate->parsed)
			continue;
		found = anchors_find(anchors, certificate, &count);
		for (size_t j = 0; j < count && facts->beside_count < FACTS_BESIDE_MAX; j++) {
			if (in_facts(facts, found[j]) || in_list(facts->path, facts->path_count, found[j]) ||
			    in_list(facts->beside, facts->beside_count, found[j]))
				continue;
			if (spent + cost_of(found[j]) > BESIDE_CHECKS_MAX)
				return;
			spent += cost_of(found[j]);
			if (certificate_issued_by(certificate, found[j]))
				facts->beside[facts->beside_count++] = found[j];
		}
	}
}

bool path_prove(struct facts *facts, const struct anchors *anchors)
{
	bool whole = find_path(facts, anchors);

	facts->path_cut = !whole;
	facts->beside_count = 0;
	if (anchors)
		find_beside(facts, anchors);
	return whole;
}
