/* All of a BPF hash map whose keys are socket cookies, as it is in about this moment. */
#ifndef MAP_DUMP_H
#define MAP_DUMP_H

#include <stddef.h>
#include <stdint.h>

/* Keys and values (value_size each) as new memory, either NULL if there are none; how many. What came or went meanwhile may
 * be there or not; each key at most once. */
size_t map_dump(int map_fd, size_t value_size, uint64_t **ret_keys, void **ret_values);

#endif
