/* perf's MMAP2 records, one ring a processor, and a bell beside it.
 *
 * Owns the event descriptors and their rings. The records come from the kernel; the path in them is a process's. A ring of
 * RING_PAGES holds some thousand records; beyond that the kernel drops them and says how many.
 *
 * Each process that starts maps a dozen files, and perf also records each thread that begins or ends: to be woken for every
 * one costs a host some 16 µs each (an interrupt to itself, which leaves the guest in a virtual machine). So only the first
 * record after a silence rings: that is what the second event is for, with a small ring that is never read. Then the bells
 * are stopped, and the rings are looked at every TICK_MS until QUIET_TICKS of those found nothing. */
#include "mappings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "util.h"

enum {
	RING_PAGES = 128, /* powers of two */
	BELL_PAGES = 1,
	RECORD_MAX = 8192,
	TICK_MS = 16, /* a thread for each connection is enough to be always busy */
	QUIET_TICKS = 2,
	ONLINE_TEXT_MAX = 4096, /* of the list of processors; one that is cut names some of them only */
};

struct ring {
	int fd;
	struct perf_event_mmap_page *page;
	size_t size;
};

struct processor {
	struct ring records, bell; /* without a page: it is off */
};

struct mappings {
	struct processor *processors; /* by number */
	size_t count;
	struct pollfd *polled; /* the caller's, then the bells; those of processors that are off are -1 */
	bool busy;             /* the bells are stopped */
	bool fresh;            /* something was read since the last tick */
	unsigned quiet;        /* ticks that found nothing */
	uint64_t lost;
};

static int ring_open(int cpu, size_t pages, bool wakes, struct ring *ret)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.sample_type = PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = wakes ? 1 : UINT32_MAX,
		.exclude_kernel = 1,
	};
	int fd CLEANUP_CLOSE = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	size_t size = (pages + 1) * (size_t)sysconf(_SC_PAGESIZE);
	void *page;

	if (fd < 0)
		return -errno;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	*ret = (struct ring){.fd = TAKE_FD(fd), .page = page, .size = size};
	return 0;
}

static void ring_close(struct ring *ring)
{
	if (!ring->page)
		return;
	munmap(ring->page, ring->size);
	close(ring->fd);
	*ring = (struct ring){};
}

static void processor_close(struct processor *processor)
{
	ring_close(&processor->records);
	ring_close(&processor->bell);
}

static int processor_open(int cpu, struct processor *ret)
{
	struct processor processor = {};
	int err = ring_open(cpu, RING_PAGES, false, &processor.records);

	if (!err)
		err = ring_open(cpu, BELL_PAGES, true, &processor.bell);
	if (err) {
		processor_close(&processor);
		return err;
	}
	*ret = processor;
	return 0;
}

/* "0-3,6": whether cpu is in it. */
static bool listed(const char *list, size_t cpu)
{
	for (const char *at = list; *at >= '0' && *at <= '9';) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (cpu >= first && cpu <= last)
			return true;
		at = *end == ',' ? end + 1 : end;
	}
	return false;
}

/* What was opened on a processor that went off stays silent when it comes back, so it is closed. */
bool mappings_renew(struct mappings *mappings)
{
	char *online CLEANUP_FREE = NULL;
	bool more = false;
	size_t len;

	if (file_read("/sys/devices/system/cpu/online", ONLINE_TEXT_MAX, &online, &len) < 0)
		return false;
	for (size_t cpu = 0; cpu < mappings->count; cpu++) {
		struct processor *processor = &mappings->processors[cpu];
		bool on = listed(online, cpu);
		if (!on)
			processor_close(processor);
		else if (!processor->records.page && processor_open((int)cpu, processor) == 0)
			more = true;
	}
	return more;
}

int mappings_new(struct mappings **ret)
{
	struct mappings *mappings = xcalloc(1, sizeof(*mappings));
	size_t opened = 0;
	int err = 0;

	mappings->count = (size_t)sysconf(_SC_NPROCESSORS_CONF);
	mappings->processors = xcalloc(mappings->count, sizeof(*mappings->processors));
	mappings->polled = xcalloc(mappings->count + 1, sizeof(*mappings->polled));
	for (size_t cpu = 0; cpu < mappings->count && !err; cpu++) {
		err = processor_open((int)cpu, &mappings->processors[cpu]);
		if (!err)
			opened++;
		else if (err == -ENODEV)
			err = 0; /* it is off */
	}
	if (!err && opened == 0)
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
	for (size_t i = 0; i < mappings->count; i++)
		processor_close(&mappings->processors[i]);
	free(mappings->polled);
	free(mappings->processors);
	free(mappings);
}

/* What a bell says is not read; room is made for it to ring again. Its wake-ups so far are taken: they are old. */
static void bells_start(struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++) {
		struct ring *bell = &mappings->processors[i].bell;
		mappings->polled[i + 1] = (struct pollfd){.fd = bell->page ? bell->fd : -1, .events = POLLIN};
		if (bell->page)
			__atomic_store_n(&bell->page->data_tail, __atomic_load_n(&bell->page->data_head, __ATOMIC_ACQUIRE),
					 __ATOMIC_RELEASE);
	}
	poll(mappings->polled + 1, mappings->count, 0);
	for (size_t i = 0; i < mappings->count; i++)
		if (mappings->processors[i].bell.page)
			ioctl(mappings->processors[i].bell.fd, PERF_EVENT_IOC_PAUSE_OUTPUT, 0);
}

static void bells_stop(struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++)
		if (mappings->processors[i].bell.page)
			ioctl(mappings->processors[i].bell.fd, PERF_EVENT_IOC_PAUSE_OUTPUT, 1);
}

static void tick_wait(struct mappings *mappings, int timeout_ms)
{
	mappings->quiet = mappings->fresh ? 0 : mappings->quiet + 1;
	mappings->fresh = false;
	if (mappings->quiet < QUIET_TICKS) {
		poll(mappings->polled, 1, timeout_ms >= 0 && timeout_ms < TICK_MS ? timeout_ms : TICK_MS);
		return;
	}
	/* What came until the bells were on again is read once more. */
	bells_start(mappings);
	mappings->busy = false;
}

void mappings_wait(struct mappings *mappings, int fd, int timeout_ms)
{
	bool rung = false;

	mappings->polled[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	if (mappings->busy) {
		tick_wait(mappings, timeout_ms);
		return;
	}
	for (size_t i = 0; i < mappings->count; i++) {
		const struct ring *bell = &mappings->processors[i].bell;
		mappings->polled[i + 1] = (struct pollfd){.fd = bell->page ? bell->fd : -1, .events = POLLIN};
	}
	poll(mappings->polled, mappings->count + 1, timeout_ms);
	for (size_t i = 0; i < mappings->count; i++)
		rung |= mappings->polled[i + 1].revents != 0;
	if (!rung)
		return;
	bells_stop(mappings);
	mappings->busy = true;
	mappings->quiet = 0;
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
	uint64_t time_ns;

	if (lost->header.type == PERF_RECORD_LOST && size >= sizeof(*lost))
		mappings->lost += lost->lost;
	if (mmap2->header.type != PERF_RECORD_MMAP2 || size <= sizeof(*mmap2) + sizeof(time_ns))
		return;
	/* Behind the name, which is padded with NULs, stands what sample_id_all adds: the time. */
	memcpy(&time_ns, record + size - sizeof(time_ns), sizeof(time_ns));
	record[size - sizeof(time_ns) - 1] = '\0';
	if (mmap2->path[0] != '/' || mmap2->inode == 0)
		return;
	fn(context, &(struct mapping){.pid = mmap2->pid,
				      .start = mmap2->addr,
				      .len = mmap2->len,
				      .major = mmap2->major,
				      .minor = mmap2->minor,
				      .inode = mmap2->inode,
				      .generation = mmap2->generation,
				      .time_ns = time_ns,
				      .path = mmap2->path});
}

/* Copies out of the ring, which a record may wrap around in. */
static void ring_copy(const struct ring *ring, uint64_t at, void *ret, size_t len)
{
	const char *data = (const char *)ring->page + ring->page->data_offset;
	size_t size = ring->page->data_size, offset = at % size;
	size_t first = len < size - offset ? len : size - offset;

	memcpy(ret, data + offset, first);
	memcpy((char *)ret + first, data, len - first);
}

static bool ring_read(struct mappings *mappings, struct ring *ring, mapping_fn fn, void *context)
{
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	_Alignas(8) char record[RECORD_MAX];
	struct perf_event_header header;
	bool any = tail < head;

	while (tail < head) {
		ring_copy(ring, tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > head - tail)
			break; /* cannot be; taking up again at head is all that is left */
		if (header.size <= sizeof(record)) {
			ring_copy(ring, tail, record, header.size);
			record_handle(mappings, record, header.size, fn, context);
		} else {
			mappings->lost++;
		}
		tail += header.size;
		__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&ring->page->data_tail, head, __ATOMIC_RELEASE);
	return any;
}

bool mappings_read(struct mappings *mappings, mapping_fn fn, void *context)
{
	bool any = false;

	for (size_t i = 0; i < mappings->count; i++)
		if (mappings->processors[i].records.page)
			any |= ring_read(mappings, &mappings->processors[i].records, fn, context);
	mappings->fresh |= any;
	return any;
}

uint64_t mappings_lost(const struct mappings *mappings)
{
	return mappings->lost;
}
