/* A libcrypto and its libssl: what the two answered, as one layout. */
#include <string.h>

#include "library.h"

struct library_layout library_pair_layout(const struct library_answer *crypto, const struct library_answer *ssl)
{
	struct library_layout layout = {.kind = LIBRARY_OPENSSL, .openssl = crypto->openssl};
	const size_t first = offsetof(struct openssl_layout, ssl_version), end = offsetof(struct openssl_layout, pad);

	/* All that follows the first field of an SSL is the libssl's answer. */
	memcpy((char *)&layout.openssl + first, (const char *)&ssl->openssl + first, end - first);
	return layout;
}
