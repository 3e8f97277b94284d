/* Calling a library's probed functions once, so that the probes on them fire: see check.h.
 *
 * The calls are made in a process as confined as the one that is asked (confine.c), on a made-up object of zeros:
 * whatever function is missing is bound to the trap, a fault ends the call, and by then the entry's probe has fired. A
 * return probe's own system call (Linux 6.11 and later) may end the process, as its filter knows no such call: then what
 * is left is called in another one, and that is the caller's to say.
 */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "child.h"
#include "confine.h"
#include "image.h"
#include "library.h"
#include "onehot.h"
#include "util.h"

/* What the confined half says; nothing in it is worth lying about, as only the kernel tells what fired. */
struct check_answer {
	int error; /* 0 or -errno: it could not be mapped, nothing was called */
};

/* --- the privileged half ------------------------------------------------------------------------------------------- */

/* The offsets, each with a comma behind it. */
static char *offsets_write(const __u64 *site)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < SITE_COUNT; i++) {
		char *before CLEANUP_FREE = text;
		text = xasprintf("%s%llx,", before, site[i]);
	}
	return text;
}

int library_check(int fd, const __u64 *site, check_ready_fn ready, void *context)
{
	char *argument CLEANUP_FREE = offsets_write(site);
	struct check_answer answer;
	struct child child;
	int r = child_start("check-library", argument, fd, &child);

	if (r < 0)
		return r;
	ready(context, child.pid);
	r = child_answer(&child, &answer, sizeof(answer));
	if (r < 0)
		return r;
	return answer.error < 0 ? -ENOEXEC : 0;
}

/* --- the confined half --------------------------------------------------------------------------------------------- */

/* More arguments than any of them takes, all the same object. */
static bool call(uint8_t *object, void *function)
{
	((void (*)(void *, void *, void *, void *))function)(object, object, object, object);
	return true;
}

/* The address of a byte of the file that is loaded to be run. */
static bool address_of(const struct elf_file *elf, uint64_t offset, uint64_t *ret)
{
	for (size_t i = 0; i < elf->segments_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];

		if (segment->p_type == PT_LOAD && segment->p_flags & PF_X && offset >= segment->p_offset &&
		    offset - segment->p_offset < segment->p_filesz) {
			*ret = segment->p_vaddr + (offset - segment->p_offset);
			return true;
		}
	}
	return false;
}

static void call_all(const struct elf_file *elf, const struct image *image, const uint64_t *offsets, uint8_t *object)
{
	uint64_t address;

	for (size_t i = 0; i < SITE_COUNT; i++)
		if (offsets[i] &&
		    (elf_file_function(elf, site_names[i], &address) || address_of(elf, offsets[i], &address))) {
			object_fill(object, 0);
			(void)guarded(call, object, (void *)(image->bias + address), NULL);
		}
}

static int load(const struct elf_file *elf, struct image *ret)
{
	const char *why;
	int r = image_load(elf, FILE_FD, ret, &why);

	return r < 0 ? r : image_relocate(ret, elf, NULL, 0, guard_trap, &why);
}

static void offsets_read(const char *text, uint64_t *ret)
{
	for (size_t i = 0; i < SITE_COUNT && *text; i++) {
		char *end;
		ret[i] = strtoull(text, &end, 16);
		text = end + (*end != '\0');
	}
}

int library_check_main(const char *offsets)
{
	static struct check_answer answer; /* not on the stack that foreign functions run on */
	static struct elf_file elf;
	static uint64_t site[SITE_COUNT];
	struct image image;
	uint8_t *object;
	const char *why;

	offsets_read(offsets, site);
	answer.error = confine_rights();
	if (!answer.error)
		answer.error = guard_init();
	if (!answer.error)
		answer.error = confine_to_loading();
	object = object_new();
	if (!answer.error)
		answer.error = object ? elf_file_open(FILE_FD, &elf, &why) : -ENOMEM;
	if (!answer.error)
		answer.error = load(&elf, &image);
	if (!answer.error)
		answer.error = close(FILE_FD) < 0 ? -errno : confine_to_answering(ANSWER_FD);
	if (!answer.error)
		call_all(&elf, &image, site, object);
	_exit(write(ANSWER_FD, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
}
