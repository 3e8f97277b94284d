/* Is this the certificate of the name that was asked for? RFC 9525. Pure. */
#ifndef PEER_NAME_H
#define PEER_NAME_H

#include "certificate.h"

/* name: a DNS name (a final dot does not count), or an IPv4 or IPv6 address, which is then looked for among the iPAddress
 * SANs only. A dNSName matches label by label, ASCII case aside; a wildcard counts only as the whole left-most label, stands
 * for exactly one label, and the pattern has two more. The subject's common name never counts. A SAN with odd bytes matches
 * nothing, nor does a certificate with a broken subjectAltName. No dNSName stands for a name whose last label is a number. */
bool peer_name_matches(const struct certificate *leaf, const char *name);

#endif
