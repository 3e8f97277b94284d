/* One look at all processes for files of which nobody is known to map them. */
#ifndef SEARCH_H
#define SEARCH_H

#include <stddef.h>

#include "catalog.h"

/* Sets met, and adds witnesses, for each that some process maps now. Sorts them. */
void files_search(struct catalog_file **files, size_t count);

#endif
