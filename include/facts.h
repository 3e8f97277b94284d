/* What is known of one verification when it is judged: the input of policy and event. Plain data; who fills it owns it
 * (facts_clear). Text fields from the network are escaped already (text_escape). */
#ifndef FACTS_H
#define FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "address.h"
#include "certificate.h"
#include "layout.h"

enum facts_role { FACTS_ROLE_UNKNOWN, FACTS_ROLE_CLIENT, FACTS_ROLE_SERVER }; /* client: we verify a server */

enum verify_result {
	VERIFY_OK,
	VERIFY_FAILED,
	VERIFY_FAILED_IGNORED, /* it failed, and the process went on */
	VERIFY_OFF,            /* nobody asked for a verification */
	VERIFY_BY_CALLBACK,    /* the application's own function decided; the library's verification was never called */
	VERIFY_NO_CERTIFICATE, /* the peer showed none: see proof */
	VERIFY_PENDING, /* GnuTLS: the handshake is over and the application may still verify: `verified` is not judged */
};

/* What a peer proved itself by. */
enum peer_proof { PROOF_CERTIFICATE, PROOF_UNKNOWN, PROOF_PSK, PROOF_RAW_KEY, PROOF_ANONYMOUS };

enum { FACTS_CERTS_MAX = 32, FACTS_BESIDE_MAX = FACTS_CERTS_MAX };

/* One certificate of the verification, each distinct one once: presented ones in the order sent, then the rest of the
 * application's chain. */
struct fact_cert {
	const struct certificate *certificate; /* borrowed; der_len 0: it was not captured, and truncated is set */
	bool presented;
	bool chain;  /* in the application's own chain */
	bool proven; /* on the proven path; set by path_prove */
	bool tried;  /* above the leaf on that or another path whose links were checked; set by path_prove */
};

struct facts {
	enum facts_role role;
	enum library_kind library;
	enum verify_result verify;
	int verify_code;           /* OpenSSL's X509_V_ERR_*, or GnuTLS's status bits; 0 if fine */
	const char *verify_mode;   /* "peer", "none", "unknown": static */
	enum peer_proof proof;     /* other than a certificate: only with VERIFY_NO_CERTIFICATE */
	bool resumed;              /* of an earlier session, whose certificates and result these are */
	bool early_data;           /* sent (by a client) or taken (by a server) before anything could be judged */
	const char *server_name;   /* SNI, or NULL; escaped */
	const char *expected_host; /* what the application told the library to check, or NULL; escaped */
	struct address local, peer;
	uint16_t local_port, peer_port;
	const char *exe;              /* or NULL: the process has gone */
	const char *user;             /* name of the user, or NULL */
	const char *unit, *container; /* from the cgroup (cgroup.h), escaped; or NULL: none, or the process has gone */
	uint32_t uid;
	bool process_unasked; /* exe, user, unit and container are not known yet: a rule that looks at them may be broken */
	bool without_der;     /* from a log without the certificates' bytes: what needs them cannot be judged */
	bool without_keys;    /* from a log that tells only the leaf's key and signature algorithm */
	bool truncated;       /* certificates are missing: nothing is proven */
	bool lost;     /* truncated, and some of what is missing was lost here; else it is what the peer sent that did it */
	bool path_cut; /* the search for the path met a bound: there may be a longer one */
	struct fact_cert certs[FACTS_CERTS_MAX]; /* certs[0] is the leaf, if certs_count > 0 */
	size_t certs_count;
	/* The proven path: leaf first; each was signed by the next one's key. Anchors that were found outside certs (known
	 * roots) are at the end, as certificates of their own. */
	const struct certificate *path[FACTS_CERTS_MAX]; /* borrowed */
	size_t path_count;                               /* 0: nothing proven (truncated, or the leaf does not parse) */
	/* Anchors beside the path that signed one of certs: what `forbid` must see, and no proof of anything. More than
	 * FACTS_BESIDE_MAX are not looked for. */
	const struct certificate *beside[FACTS_BESIDE_MAX]; /* borrowed */
	size_t beside_count;
};

#endif
