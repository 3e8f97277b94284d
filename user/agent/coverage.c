/* See coverage.h. */
#include "coverage.h"

#include <stdlib.h>

void coverage_free(struct coverage *coverage)
{
	if (!coverage)
		return;
	for (size_t i = 0; i < coverage->files_count; i++) {
		free(coverage->files[i].path);
		free(coverage->files[i].reason);
	}
	for (size_t i = 0; i < coverage->processes_count; i++) {
		free(coverage->processes[i].exe);
		free(coverage->processes[i].files);
	}
	free(coverage->files);
	free(coverage->processes);
	free(coverage);
}
