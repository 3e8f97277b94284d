/* The proven path: starting at the leaf, links whose signature was checked here with the issuer's key.
 *
 * Candidates for issuers are the certificates of the facts and the anchors (roots known to the agent, which the peer need
 * not send and GnuTLS does not show). Being an anchor is no trust: it only lets a link be checked. */
#ifndef PATH_H
#define PATH_H

#include "facts.h"

struct anchors; /* certificates by subject name */

/* The file with the system's own, where Debian and others have it. */
extern const char anchors_system_file[];

/* From PEM text; broken or repeated blocks are counted in *ret_skipped, not fatal. Text without any gives no anchors. */
int anchors_new(const char *pem, size_t len, struct anchors **ret, size_t *ret_skipped);
void anchors_free(struct anchors *anchors);
void anchors_freep(struct anchors **anchors);
/* Anchors of both: base (or NULL) and more. Holds certificates of its own (certificate_ref); repeated ones once, and what is no certificate not at all. */
struct anchors *anchors_with(const struct anchors *base, struct certificate *const *more, size_t count);
size_t anchors_count(const struct anchors *anchors);
/* All of them, in a fixed order, borrowed. */
struct certificate *const *anchors_list(const struct anchors *anchors, size_t *ret_count);
/* Those whose subject is the issuer that this certificate names, in a fixed order: *ret_count of them, borrowed. */
struct certificate *const *anchors_find(const struct anchors *anchors, const struct certificate *subject, size_t *ret_count);

/* Most signature checks one search may make, one with a dear key counting for several; beyond it the path found so far stands,
 * and false is returned. */
enum { PATH_CHECKS_MAX = 64 };

/* Fills facts->path, path_cut, beside and each fact_cert.proven and tried. anchors may be NULL. Prefers, where several issuers prove
 * the same certificate, the application's chain, then the presented ones, then anchors; goes on to a self-signed certificate
 * or to where no issuer is known. An issuer is a CA that may sign what is below it: certificate.may_sign, the length of the
 * path, name constraints; its dates do not matter. Exactly one path is given: the first in that order of preference that
 * ends in a self-signed certificate of the application's chain or of the anchors; if none does, the longest. A leaf that
 * nobody here has signed is a path of one. No certificate, and no key under the same name, is on a path twice. Pure, but for
 * what it writes into facts. */
bool path_prove(struct facts *facts, const struct anchors *anchors);

#endif
