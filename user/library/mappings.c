/* perf's MMAP2 records, one ring a processor.
 *
 * Owns the event descriptors and their rings. The records come from the kernel; the path in them is a process's. A ring of
 * RING_PAGES holds some thousand records; beyond that the kernel drops them and says how many. */
#include "mappings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "util.h"

enum { RING_PAGES = 128 /* a power of two */, RECORD_MAX = 8192 };

struct processor {
	int fd;
	struct perf_event_mmap_page *page;
	size_t size;
};

struct mappings {
	struct processor *processors;
	size_t count;
	uint64_t lost;
};

static int processor_open(int cpu, struct processor *ret)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.watermark = 1,
		.wakeup_watermark = 1,
		.exclude_kernel = 1,
	};
	int fd CLEANUP_CLOSE = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	size_t size = (RING_PAGES + 1) * (size_t)sysconf(_SC_PAGESIZE);
	void *page;

	if (fd < 0)
		return -errno;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	*ret = (struct processor){.fd = TAKE_FD(fd), .page = page, .size = size};
	return 0;
}

int mappings_new(struct mappings **ret)
{
	struct mappings *mappings = xcalloc(1, sizeof(*mappings));
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int err = 0;

	mappings->processors = xcalloc(cpus, sizeof(*mappings->processors));
	for (long cpu = 0; cpu < cpus && !err; cpu++) {
		err = processor_open((int)cpu, &mappings->processors[mappings->count]);
		if (!err)
			mappings->count++;
		else if (err == -ENODEV)
			err = 0; /* a processor that is off */
	}
	if (!err && mappings->count == 0)
		err = -ENODEV;
	if (err) {
		mappings_free(mappings);
		return err;
	}
	*ret = mappings;
	return 0;
}

void mappings_free(struct mappings *mappings)
{
	if (!mappings)
		return;
	for (size_t i = 0; i < mappings->count; i++) {
		munmap(mappings->processors[i].page, mappings->processors[i].size);
		close(mappings->processors[i].fd);
	}
	free(mappings->processors);
	free(mappings);
}

size_t mappings_poll(const struct mappings *mappings, struct pollfd *ret, size_t count)
{
	if (count > mappings->count)
		count = mappings->count;
	for (size_t i = 0; i < count; i++)
		ret[i] = (struct pollfd){.fd = mappings->processors[i].fd, .events = POLLIN};
	return count;
}

/* The body of PERF_RECORD_MMAP2 as perf_event_open(2) gives it, up to the file's name. */
struct mmap2_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t prot, flags;
	char path[];
};
struct lost_record {
	struct perf_event_header header;
	uint64_t id, lost;
};

static void record_handle(struct mappings *mappings, char *record, size_t size, mapping_fn fn, void *context)
{
	const struct mmap2_record *mmap2 = (void *)record;
	const struct lost_record *lost = (void *)record;

	if (lost->header.type == PERF_RECORD_LOST && size >= sizeof(*lost))
		mappings->lost += lost->lost;
	if (mmap2->header.type != PERF_RECORD_MMAP2 || size <= sizeof(*mmap2))
		return;
	record[size - 1] = '\0';
	if (mmap2->path[0] != '/' || mmap2->inode == 0)
		return;
	fn(context, &(struct mapping){.pid = mmap2->pid,
				      .start = mmap2->addr,
				      .len = mmap2->len,
				      .major = mmap2->major,
				      .minor = mmap2->minor,
				      .inode = mmap2->inode,
				      .generation = mmap2->generation,
				      .path = mmap2->path});
}

/* Copies out of the ring, which a record may wrap around in. */
static void ring_copy(const struct processor *processor, uint64_t at, void *ret, size_t len)
{
	const char *data = (const char *)processor->page + processor->page->data_offset;
	size_t size = processor->page->data_size, offset = at % size;
	size_t first = len < size - offset ? len : size - offset;

	memcpy(ret, data + offset, first);
	memcpy((char *)ret + first, data, len - first);
}

static void processor_read(struct mappings *mappings, struct processor *processor, mapping_fn fn, void *context)
{
	uint64_t head = __atomic_load_n(&processor->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = processor->page->data_tail;
	_Alignas(8) char record[RECORD_MAX];
	struct perf_event_header header;

	while (tail < head) {
		ring_copy(processor, tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > head - tail)
			break; /* cannot be; taking up again at head is all that is left */
		if (header.size <= sizeof(record)) {
			ring_copy(processor, tail, record, header.size);
			record_handle(mappings, record, header.size, fn, context);
		} else {
			mappings->lost++;
		}
		tail += header.size;
		__atomic_store_n(&processor->page->data_tail, tail, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&processor->page->data_tail, head, __ATOMIC_RELEASE);
}

void mappings_read(struct mappings *mappings, mapping_fn fn, void *context)
{
	for (size_t i = 0; i < mappings->count; i++)
		processor_read(mappings, &mappings->processors[i], fn, context);
}

uint64_t mappings_lost(const struct mappings *mappings)
{
	return mappings->lost;
}
