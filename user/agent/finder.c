/* From a mapping or an installed file to probes that sit on it.
 *
 * Owns the catalog of files, the stream of new mappings and the thread that serves them: asking a library can take
 * ASK_TIMEOUT_MS, and the judge's requests must not wait for that. A libcrypto needs the layout of the libssl it works
 * with: the one beside it, or the one that the same process has mapped. */
#include "finder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "catalog.h"
#include "channel.h"
#include "mappings.h"
#include "util.h"

enum { SEEN_MAX = 8192 /* mapped files remembered as done, so that an exec costs nothing; a wrong guess only costs time */ };

struct finder {
	struct probes *probes;
	int channel;
	struct catalog *catalog;
	struct mappings *mappings;
	uint32_t slots; /* handed out so far */
	uint64_t lost_told;
	uint64_t seen[SEEN_MAX]; /* hash of device, inode, generation, by its own low bits */
	pthread_t thread;
	int stop; /* eventfd */
};

/* Where libraries are installed: their probes are there before the first process comes. */
static const char *const installed[] = {
	"/lib/*/libcrypto.so*",           "/usr/lib/*/libcrypto.so*",       "/lib/*/libgnutls.so*",
	"/usr/lib/*/libgnutls.so*",       "/usr/lib64/libcrypto.so*",       "/usr/lib64/libgnutls.so*",
	"/usr/lib/libcrypto.so*",         "/usr/lib/libgnutls.so*",         "/usr/local/lib/libcrypto.so*",
	"/usr/local/lib/libgnutls.so*",   "/usr/local/lib64/libcrypto.so*", "/usr/local/lib/*/libcrypto.so*",
	"/usr/local/lib/*/libgnutls.so*",
};

static void tell_library(struct finder *finder, enum message_tag tag, const struct catalog_file *file, uint32_t slot,
			 const char *why)
{
	struct message message = {.tag = tag, .library.slot = slot};

	snprintf(message.text, sizeof(message.text), "%s", why ? why : "");
	snprintf(message.library.path, sizeof(message.library.path), "%s", file->path);
	memcpy(message.library.version, file->answer.version, sizeof(message.library.version));
	memcpy(message.library.build_id, file->answer.build_id, sizeof(message.library.build_id));
	message.library.build_id_len = file->answer.build_id_len;
	message.library.kind = file->answer.parts & PART_GNUTLS ? LIBRARY_GNUTLS : LIBRARY_OPENSSL;
	message_send(finder->channel, &message, -1);
}

static void unsupported(struct finder *finder, struct catalog_file *file, const char *why)
{
	file->settled = true;
	tell_library(finder, MESSAGE_UNSUPPORTED, file, 0, why);
}

static void attach(struct finder *finder, int fd, struct catalog_file *file, const struct library_layout *layout)
{
	int err;

	file->settled = true;
	if (finder->slots == LIBRARIES_MAX) {
		unsupported(finder, file, "too many libraries are attached");
		return;
	}
	err = probes_attach(finder->probes, finder->slots, fd, layout, file->answer.site);
	if (err) {
		char *why CLEANUP_FREE = xasprintf("its probes could not be attached: %s", strerror(-err));
		unsupported(finder, file, why);
		return;
	}
	tell_library(finder, MESSAGE_LIBRARY, file, finder->slots++, NULL);
}

static void attach_gnutls(struct finder *finder, int fd, struct catalog_file *file)
{
	struct library_layout layout = {.kind = LIBRARY_GNUTLS, .gnutls = file->answer.gnutls};
	attach(finder, fd, file, &layout);
}

/* The fields of an SSL from one file's answer, everything else from the other's. */
static void attach_openssl(struct finder *finder, int fd, struct catalog_file *crypto, const struct library_answer *ssl)
{
	struct library_layout layout = {.kind = LIBRARY_OPENSSL, .openssl = crypto->answer.openssl};

	layout.openssl.ssl_version = ssl->openssl.ssl_version;
	layout.openssl.ssl_rbio = ssl->openssl.ssl_rbio;
	layout.openssl.ssl_server = ssl->openssl.ssl_server;
	layout.openssl.ssl_verify_mode = ssl->openssl.ssl_verify_mode;
	layout.openssl.ssl_server_name = ssl->openssl.ssl_server_name;
	layout.openssl.ssl_hello = ssl->openssl.ssl_hello;
	layout.openssl.ssl_client_random = ssl->openssl.ssl_client_random;
	layout.openssl.ssl_server_random = ssl->openssl.ssl_server_random;
	attach(finder, fd, crypto, &layout);
}

/* "…/libcrypto.so.3" → "…/libssl.so.3", and the other way; NULL for other names. */
static char *companion_name(const char *path, const char *from, const char *to)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	if (strncmp(base, from, strlen(from)) != 0)
		return NULL;
	return xasprintf("%.*s%s%s", (int)(base - path), path, to, base + strlen(from));
}

static void settle(struct finder *finder, int fd, struct catalog_file *file, uint32_t pid);

static int open_seen_by(uint32_t pid, const char *path)
{
	char *full CLEANUP_FREE = pid ? xasprintf("/proc/%u/root%s", pid, path) : xstrdup(path);
	return open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static struct catalog_file *examine_path(struct finder *finder, uint32_t pid, const char *path, int *ret_fd)
{
	int fd CLEANUP_CLOSE = open_seen_by(pid, path);
	struct catalog_file *file;

	if (fd < 0 || catalog_examine(finder->catalog, fd, path, &file) < 0)
		return NULL;
	*ret_fd = TAKE_FD(fd);
	return file;
}

/* Each executable file mapping of a process: its range, for map_files, and its path. */
typedef void (*mapped_fn)(struct finder *finder, uint32_t pid, const char *range, const char *path, void *context);

static void mapped_each(struct finder *finder, uint32_t pid, mapped_fn fn, void *context)
{
	char path[64];
	FILE *maps CLEANUP_FCLOSE = NULL;
	char *line CLEANUP_FREE = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	maps = fopen(path, "re");
	while (maps && getline(&line, &size, maps) > 0) {
		char range[64], rights[8];
		int name_at = 0;
		if (sscanf(line, "%63s %7s %*s %*s %*s %n", range, rights, &name_at) != 2 || rights[2] != 'x' ||
		    name_at == 0 || line[name_at] != '/')
			continue;
		line[strcspn(line, "\n")] = '\0';
		fn(finder, pid, range, line + name_at, context);
	}
}

/* map_files leads to the very file that is mapped, deleted or not, in whatever mount namespace. */
static int open_mapped(uint32_t pid, const char *range, const char *path)
{
	char *mapped CLEANUP_FREE = xasprintf("/proc/%u/map_files/%s", pid, range);
	int fd = open(mapped, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 ? fd : open_seen_by(0, path);
}

struct want {
	enum part part;
	struct catalog_file *found;
	int fd;
};

static void want_part(struct finder *finder, uint32_t pid, const char *range, const char *path, void *context)
{
	struct want *want = context;
	int fd CLEANUP_CLOSE = -1;
	struct catalog_file *file;

	if (want->found || (!strstr(path, "ssl") && !strstr(path, "crypto")))
		return;
	fd = open_mapped(pid, range, path);
	if (fd < 0 || catalog_examine(finder->catalog, fd, path, &file) < 0 || !(file->answer.parts & want->part))
		return;
	want->found = file;
	want->fd = TAKE_FD(fd);
}

/* The other half of an OpenSSL: beside it, or else in the process. */
static void companion_find(struct finder *finder, const struct catalog_file *file, uint32_t pid, struct want *want)
{
	bool crypto = want->part == PART_CRYPTO;
	char *path CLEANUP_FREE = companion_name(file->path, crypto ? "libssl" : "libcrypto",
						 crypto ? "libcrypto" : "libssl");

	if (pid)
		mapped_each(finder, pid, want_part, want);
	if (want->found || !path)
		return;
	want->found = examine_path(finder, pid, path, &want->fd);
	if (want->found && !(want->found->answer.parts & want->part))
		want->found = NULL;
}

static void settle_openssl(struct finder *finder, int fd, struct catalog_file *file, uint32_t pid)
{
	bool crypto = file->answer.parts & PART_CRYPTO;
	struct want want = {.part = crypto ? PART_SSL : PART_CRYPTO, .fd = -1};
	int other_fd CLEANUP_CLOSE = -1;

	if (crypto && (file->answer.parts & PART_SSL)) {
		attach_openssl(finder, fd, file, &file->answer);
		return;
	}
	companion_find(finder, file, pid, &want);
	other_fd = want.fd;
	if (!want.found)
		return; /* not settled: a libssl that is mapped later finds its libcrypto */
	if (crypto) {
		attach_openssl(finder, fd, file, &want.found->answer);
	} else {
		file->settled = true;
		if (!want.found->settled)
			attach_openssl(finder, other_fd, want.found, &file->answer);
	}
}

static void settle(struct finder *finder, int fd, struct catalog_file *file, uint32_t pid)
{
	const struct library_answer *answer = &file->answer;

	if (file->settled)
		return;
	if (answer->wanted & ~answer->parts ||
	    (!answer->wanted && answer->reason[0] && strcmp(answer->reason, LIBRARY_NOT_CONCERNED) != 0)) {
		unsupported(finder, file, answer->reason);
		return;
	}
	if (answer->parts & PART_GNUTLS)
		attach_gnutls(finder, fd, file);
	else if (answer->parts)
		settle_openssl(finder, fd, file, pid);
	else
		file->settled = true; /* it names a function of ours, and gets it from elsewhere */
}

/* What a look at one mapping came to: done if that very inode has been dealt with. A process that has gone takes a file of
 * its own mount namespace along, and a libcrypto can lack its libssl: those are looked at again the next time. */
struct look {
	uint64_t inode;
	bool done;
};

static void look_at_mapped(struct finder *finder, uint32_t pid, const char *range, const char *path, void *context)
{
	int fd CLEANUP_CLOSE = open_mapped(pid, range, path);
	struct look *look = context;
	struct catalog_file *file;
	struct stat stat;

	if (fd < 0 || catalog_examine(finder->catalog, fd, path, &file) < 0)
		return;
	settle(finder, fd, file, pid);
	if (look)
		look->done = file->settled && fstat(fd, &stat) == 0 && stat.st_ino == look->inode;
}

static void look_at_processes(struct finder *finder)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			mapped_each(finder, (uint32_t)strtoul(entry->d_name, NULL, 10), look_at_mapped, NULL);
	if (proc)
		closedir(proc);
}

static void look_at_installed(struct finder *finder)
{
	for (size_t i = 0; i < ARRAY_SIZE(installed); i++) {
		glob_t found = {};
		if (glob(installed[i], 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc; k++) {
				char real[PATH_MAX];
				int fd CLEANUP_CLOSE = -1;
				struct catalog_file *file;
				if (!realpath(found.gl_pathv[k], real))
					continue;
				file = examine_path(finder, 0, real, &fd);
				if (file)
					settle(finder, fd, file, 0);
			}
		globfree(&found);
	}
}

static void on_mapping(void *context, const struct mapping *mapping)
{
	struct finder *finder = context;
	uint64_t hash = mapping->inode * 0x9e3779b97f4a7c15ULL ^ mapping->generation * 0xff51afd7ed558ccdULL ^
			((uint64_t)mapping->major << 32 | mapping->minor);
	uint64_t *seen = &finder->seen[(hash >> 20) % SEEN_MAX];
	struct look look = {.inode = mapping->inode};
	char range[64];

	if (*seen == hash)
		return;
	snprintf(range, sizeof(range), "%lx-%lx", (unsigned long)mapping->start,
		 (unsigned long)(mapping->start + mapping->len));
	look_at_mapped(finder, mapping->pid, range, mapping->path, &look);
	if (look.done)
		*seen = hash;
}

static void follow(struct finder *finder)
{
	struct message lost = {.tag = MESSAGE_LOST_MAPPINGS};

	do {
		mappings_read(finder->mappings, on_mapping, finder);
		if (mappings_lost(finder->mappings) != finder->lost_told) {
			finder->lost_told = mappings_lost(finder->mappings);
			lost.number = (int64_t)finder->lost_told;
			message_send(finder->channel, &lost, -1);
			look_at_processes(finder);
		}
	} while (!mappings_wait(finder->mappings, finder->stop));
}

static void *finder_main(void *context)
{
	struct finder *finder = context;
	struct message started = {.tag = MESSAGE_STARTED};

	look_at_installed(finder);
	look_at_processes(finder);
	mappings_read(finder->mappings, on_mapping, finder);
	started.number = finder->slots;
	message_send(finder->channel, &started, -1);
	sd_notify(0, "READY=1");
	follow(finder);
	return NULL;
}

int finder_new(struct probes *probes, int channel, struct finder **ret)
{
	struct finder *finder = xcalloc(1, sizeof(*finder));
	int err;

	finder->probes = probes;
	finder->channel = channel;
	finder->stop = eventfd(0, EFD_CLOEXEC);
	err = finder->stop < 0 ? -errno : mappings_new(&finder->mappings);
	if (!err) {
		catalog_new(&finder->catalog);
		err = -pthread_create(&finder->thread, NULL, finder_main, finder);
	}
	if (err) {
		catalog_free(finder->catalog);
		mappings_free(finder->mappings);
		if (finder->stop >= 0)
			close(finder->stop);
		free(finder);
		return err;
	}
	*ret = finder;
	return 0;
}

void finder_free(struct finder *finder)
{
	if (!finder)
		return;
	eventfd_write(finder->stop, 1);
	pthread_join(finder->thread, NULL);
	mappings_free(finder->mappings);
	catalog_free(finder->catalog);
	close(finder->stop);
	free(finder);
}
