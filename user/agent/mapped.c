/* Reads /proc for what is mapped.
 *
 * map_files leads to the very file, whatever has become of its name. Paths are a process's own, any bytes. */
#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "util.h"

/* "start-end r-xp offset major:minor inode   path"; the kernel writes it, only the path is a process's. */
static bool line_read(char *line, uint32_t pid, struct mapped *ret)
{
	unsigned long start, end, major_, minor_, inode;
	const char *rights;
	char *at;

	start = strtoul(line, &at, 16);
	end = strtoul(at + (*at == '-'), &at, 16);
	rights = at;
	at += strcspn(at, "x\n");
	if (at != rights + strlen(" r-"))
		return false;
	strtoul(at + strlen("xp "), &at, 16);
	major_ = strtoul(at, &at, 16);
	minor_ = strtoul(at + (*at == ':'), &at, 16);
	inode = strtoul(at, &at, 10);
	at += strspn(at, " ");
	if (*at != '/')
		return false;
	at[strcspn(at, "\n")] = '\0';
	*ret = (struct mapped){
		.at = {.pid = pid, .start = start, .end = end},
		.number = {.device = makedev(major_, minor_), .inode = inode},
		.path = at,
	};
	return true;
}

int mapped_each(uint32_t pid, mapped_fn fn, void *context)
{
	char path[64];
	FILE *maps CLEANUP_FCLOSE = NULL;
	char *line CLEANUP_FREE = NULL;
	struct mapped mapped;
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	while (getline(&line, &size, maps) > 0)
		if (line_read(line, pid, &mapped))
			fn(context, &mapped);
	return ferror(maps) ? -EIO : 0;
}

void processes_each(void (*fn)(void *context, uint32_t pid), void *context)
{
	DIR *proc CLEANUP_CLOSEDIR = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			fn(context, (uint32_t)strtoul(entry->d_name, NULL, 10));
}

enum { MAP_FILE_PATH = 80 };

static void map_file_path(const struct witness *at, char ret[MAP_FILE_PATH])
{
	snprintf(ret, MAP_FILE_PATH, "/proc/%u/map_files/%lx-%lx", at->pid, (unsigned long)at->start,
		 (unsigned long)at->end);
}

int mapped_open(const struct witness *at)
{
	char path[MAP_FILE_PATH];
	int fd;

	map_file_path(at, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

bool mapped_stat(const struct witness *at, struct stat *ret)
{
	char path[MAP_FILE_PATH];
	struct stat there;

	map_file_path(at, path);
	if (stat(path, &there) < 0)
		return false;
	*ret = there;
	return true;
}

int path_open(uint32_t pid, const char *path)
{
	char *full CLEANUP_FREE = pid ? xasprintf("/proc/%u/root%s", pid, path) : xstrdup(path);
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

char *companion_path(const char *path)
{
	static const char *const names[] = {"libcrypto", "libssl"};
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return xasprintf("%.*s%s%s", (int)(base - path), path, names[!i], base + strlen(names[i]));
	return NULL;
}

/* The number of the page of memory that holds the file's first bytes; 0: not known. Nothing is read through the mapping, as
 * that would end us if the file were cut short. */
static uint64_t page_of(const void *mapping, int pagemap, size_t page_size)
{
	enum { PRESENT = 63, NUMBER_BITS = 55 };
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)mapping / page_size * sizeof(entry))) !=
		    (ssize_t)sizeof(entry) ||
	    !(entry >> PRESENT & 1))
		return 0;
	return entry & ((1ULL << NUMBER_BITS) - 1);
}

bool same_pages(int a, int b)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	int pagemap CLEANUP_CLOSE = open("/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC);
	void *one = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, a, 0);
	void *other = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, b, 0);
	bool same = false;

	if (pagemap >= 0 && one != MAP_FAILED && other != MAP_FAILED) {
		uint64_t page = page_of(one, pagemap, size);
		same = page != 0 && page == page_of(other, pagemap, size);
	}
	if (one != MAP_FAILED)
		munmap(one, size);
	if (other != MAP_FAILED)
		munmap(other, size);
	return same;
}
