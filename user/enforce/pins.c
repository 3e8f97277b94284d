/* See pins.h. /sys/fs/bpf/tlswarden/PID-START/{link,pending,released}: START (proc(5), stat field 22) tells a process from a
 * later one with its number. Whoever may write there is root. */
#include "pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <bpf/bpf.h>

#include "entry.h"
#include "map_dump.h"
#include "util.h"

static const char place[] = "/sys/fs/bpf", home[] = "/sys/fs/bpf/tlswarden";

enum { STAT_MAX = 4096, START_FIELD = 22 };

struct pins {
	char *directory, *link, *pending, *released;
};

/* 0: there is no such process. */
static unsigned long long start_of(long pid)
{
	char path[32], *text CLEANUP_FREE = NULL, *field;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (file_read(path, STAT_MAX, &text, &len) < 0)
		return 0;
	/* The name, field 2, may hold anything: its end is the last parenthesis. */
	field = strrchr(text, ')');
	for (int number = 2; field && number < START_FIELD; number++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field + 1, NULL, 10) : 0;
}

static struct pins *pins_named(const char *name)
{
	struct pins *pins = xcalloc(1, sizeof(*pins));

	pins->directory = xasprintf("%s/%s", home, name);
	pins->link = xasprintf("%s/link", pins->directory);
	pins->pending = xasprintf("%s/pending", pins->directory);
	pins->released = xasprintf("%s/released", pins->directory);
	return pins;
}

void pins_free(struct pins *pins)
{
	if (!pins)
		return;
	unlink(pins->link);
	unlink(pins->pending);
	unlink(pins->released);
	rmdir(pins->directory);
	rmdir(home); /* unless another agent has pins there */
	pins_leave(pins);
}

void pins_leave(struct pins *pins)
{
	if (!pins)
		return;
	free(pins->directory);
	free(pins->link);
	free(pins->pending);
	free(pins->released);
	free(pins);
}

/* Where anybody may write to the BPF file system (it is mounted so unless told otherwise), somebody else may have been
 * first. */
static bool home_is_ours(void)
{
	struct stat stat_;

	return lstat(home, &stat_) == 0 && S_ISDIR(stat_.st_mode) && stat_.st_uid == geteuid() && !(stat_.st_mode & 022);
}

int pins_new(int link_fd, int pending_fd, int released_fd, struct pins **ret, char **ret_why)
{
	char name[64];
	struct pins *pins;
	struct statfs filesystem;
	int err = 0;

	if (statfs(place, &filesystem) < 0 || filesystem.f_type != BPF_FS_MAGIC) {
		*ret_why = xasprintf("fail: closed needs a BPF file system at %s: mount -t bpf -o mode=700 bpf %s", place,
				     place);
		return -ENOTSUP;
	}
	if (mkdir(home, 0700) == 0 || errno == EEXIST)
		err = home_is_ours() ? 0 : -EPERM;
	else
		err = -errno;
	if (err) {
		*ret_why = xasprintf("%s: %s", home, err == -EPERM ? "others may write to it" : strerror(-err));
		return err;
	}
	snprintf(name, sizeof(name), "%d-%llu", getpid(), start_of(getpid()));
	pins = pins_named(name);
	if (mkdir(pins->directory, 0700) < 0 || bpf_obj_pin(pending_fd, pins->pending) < 0 ||
	    bpf_obj_pin(released_fd, pins->released) < 0 || bpf_obj_pin(link_fd, pins->link) < 0) {
		err = -errno;
		*ret_why = xasprintf("%s: %s", pins->directory, strerror(-err));
		pins_free(pins);
		return err;
	}
	*ret = pins;
	return 0;
}

/* Another version's may be of another shape, and what is read from a map is as large as the map says. */
static bool map_fits(int map_fd, size_t value_size)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(map_fd, &info, &len) == 0 && info.key_size == sizeof(uint64_t) &&
	       info.value_size == value_size;
}

static void adopt(struct pins *pins, gate_left_fn left, void *context)
{
	struct gate_entry *entries CLEANUP_FREE = NULL;
	uint64_t *cookies CLEANUP_FREE = NULL;
	int pending CLEANUP_CLOSE = bpf_obj_get(pins->pending), released CLEANUP_CLOSE = bpf_obj_get(pins->released);
	bool settled = true;
	size_t count;

	if (pending >= 0 && (!map_fits(pending, sizeof(*entries)) || !map_fits(released, sizeof(struct record_id)))) {
		fprintf(stderr, "tlswarden: %s is of another version: what it gates stays gated, until that is removed\n",
			pins->directory);
		pins_leave(pins);
		return;
	}
	count = pending < 0 ? 0 : map_dump(pending, sizeof(*entries), &cookies, (void **)&entries);

	for (size_t i = 0; i < count; i++)
		if (!is_released(released, &entries[i]))
			settled &= left(context, &entries[i]);
	if (settled)
		pins_free(pins);
	else
		pins_leave(pins);
}

/* PID-START of a process that is no more? */
static bool is_left(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return pid > 0 && *end == '-' && start_of(pid) != strtoull(end + 1, NULL, 10);
}

void pins_adopt(gate_left_fn left, void *context)
{
	DIR *directory CLEANUP_CLOSEDIR = home_is_ours() ? opendir(home) : NULL;
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (is_left(entry->d_name))
			adopt(pins_named(entry->d_name), left, context);
}
