/* What a certificate lets its key sign (key.h): the part of RFC 5280 6.1.4 that does not depend on the time.
 *
 * Who holds the key of some server's certificate can sign others with it, and the signature is good. So a signature makes a
 * link only below a CA: basicConstraints, keyUsage, the length of the path and the names it is limited to. Whether it has
 * expired or was revoked is not asked here, for a pin is about keys and judging has no clock.
 * What cannot be read, or stands there twice, gives no right at all. */
#include <limits.h>

#include <openssl/x509v3.h>

#include "key.h"

void authority_read(X509 *x509, struct certificate *certificate)
{
	BASIC_CONSTRAINTS *basic = X509_get_ext_d2i(x509, NID_basic_constraints, NULL, NULL);
	bool first = X509_get_version(x509) == X509_VERSION_1;
	long path_len = X509_get_pathlen(x509); /* -1 also if it is too large for a long: as good as none */

	certificate->is_ca = first ? certificate->self_issued : basic && basic->ca;
	certificate->path_len = path_len < INT_MAX ? (int)path_len : INT_MAX;
	/* Without keyUsage every use is allowed, X509_get_key_usage() says then. */
	certificate->may_sign = certificate->is_ca && !(X509_get_extension_flags(x509) & EXFLAG_INVALID) &&
				(X509_get_key_usage(x509) & KU_KEY_CERT_SIGN);
	certificate->constraints = X509_get_ext_d2i(x509, NID_name_constraints, NULL, NULL);
	BASIC_CONSTRAINTS_free(basic);
}

bool certificate_permits(const struct certificate *ca, const struct certificate *subject, bool leaf)
{
	NAME_CONSTRAINTS *constraints = ca->constraints;

	if (!constraints || !subject->x509)
		return !constraints;
	if (NAME_CONSTRAINTS_check(subject->x509, constraints) != X509_V_OK)
		return false;
	for (size_t i = 0; leaf && i < subject->sans_count; i++)
		leaf = subject->sans[i].kind != SAN_DNS;
	return !leaf || NAME_CONSTRAINTS_check_CN(subject->x509, constraints) == X509_V_OK;
}

size_t certificate_permits_cost(const struct certificate *ca, const struct certificate *subject)
{
	const NAME_CONSTRAINTS *constraints = ca->constraints;
	size_t names, trees = 0;

	if (!constraints || !subject->x509)
		return 0;
	names = subject->sans_total + (size_t)X509_NAME_entry_count(X509_get_subject_name(subject->x509)) + 1;
	if (constraints->permittedSubtrees)
		trees += (size_t)sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees);
	if (constraints->excludedSubtrees)
		trees += (size_t)sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees);
	return names * trees;
}
