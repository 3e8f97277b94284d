/* Fuzz target: the text of /proc/PID/cgroup. Whatever it says, unit and container fit into their bounds. */
#include <string.h>

#include "cgroup.h"
#include "fuzz.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP_FREE char *text = xstrndup((const char *)data, len);
	struct cgroup_place place, again;

	memset(&place, 0xa5, sizeof(place));
	memset(&again, 0x5a, sizeof(again));
	cgroup_read(text, &place);
	HOLDS(memchr(place.unit, '\0', sizeof(place.unit)) && memchr(place.container, '\0', sizeof(place.container)));
	/* No name has more bytes than its line. */
	HOLDS(strlen(place.unit) <= strlen(text) && strlen(place.container) <= strlen(text));
	HOLDS(!strpbrk(place.unit, "\n") || strpbrk(text, "\\"));
	cgroup_read(text, &again);
	HOLDS(strcmp(place.unit, again.unit) == 0 && strcmp(place.container, again.container) == 0);
	return 0;
}
