/* The agent's configuration file, /etc/tlswarden/tlswarden.yaml unless named. */
#ifndef CONFIG_H
#define CONFIG_H

#include "agent.h"

extern const char config_usual_path[];

/* Values of the file, owned; a command line option goes before each. */
struct config {
	char **policies;
	size_t policy_count;
	char *output, *anchors, *user; /* or NULL */
	char *control;                 /* likewise; "none": none is wanted */
	bool has_events, all_events;
	bool audit_only;
	bool certificates;
	bool fail_closed;
	uint32_t gate_timeout_ms, gate_max; /* what is usual, if the file says nothing */
};
/* With what is usual. */
void config_init(struct config *config);
void config_clear(struct config *config);

/* An exit code; what is wrong was said on standard error as file:line:column. */
int config_read(const char *path, struct config *ret);

#endif
