/* What is covered on this host and what is not: a snapshot that the finder makes, and `status` and `coverage` show. Plain data, owned by
 * whoever took it (coverage_free). Paths are as processes see them, any bytes but NUL. */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library.h"

enum coverage_state {
	COVERAGE_ATTACHED,    /* its probes are there */
	COVERAGE_SILENT,      /* they are, but the self-check did not see them fire */
	COVERAGE_INCOMPLETE,  /* a libcrypto without its libssl, or the other way round, so far */
	COVERAGE_UNSUPPORTED, /* it did not answer, or could not be attached: reason */
	COVERAGE_FOREIGN,     /* another implementation of TLS, or one without symbols: reason */
};

struct coverage_file {
	char *path; /* where it was first met */
	uint64_t device, inode;
	enum coverage_state state;
	uint32_t parts; /* enum part, those that answered */
	uint32_t slot;  /* COVERAGE_ATTACHED, COVERAGE_SILENT */
	char version[VERSION_MAX];
	uint8_t build_id[BUILD_ID_MAX];
	uint32_t build_id_len;
	const char *name;   /* COVERAGE_FOREIGN: of the implementation; static */
	char *reason;       /* why it is not covered, or NULL */
	int64_t attach_us;  /* from its first mapping to its probes; -1: they were there before, or since the start */
	uint32_t processes; /* that map it now; 0 if the snapshot has none */
};

struct coverage_process {
	uint32_t pid;
	char name[16];   /* comm, any bytes, NUL-terminated */
	char *exe;       /* or NULL */
	uint32_t *files; /* indexes into files */
	size_t files_count;
	bool covered; /* each of its files is attached */
	bool bits32;  /* a 32-bit process: nothing of it can be covered */
};

struct coverage {
	struct coverage_file *files; /* those that have to do with TLS */
	size_t files_count;
	struct coverage_process *processes; /* those that map one of them */
	size_t processes_count;
	size_t processes_unread; /* their mappings could not be read: they had ended, or /proc refused */
	uint64_t files_examined, mappings_lost, attached_ever, detached_ever;
	/* From first mapping to attached, of files first mapped while the agent ran, µs. */
	struct {
		uint64_t count, p50, p99, most;
	} attach_us;
};

void coverage_free(struct coverage *coverage);

#endif
