/* Attaches the empty return probe to one function of one library file, for every process, or the empty program to the packets
 * that leave a cgroup, until standard input ends.
 *
 *   empty /usr/lib/…/libcrypto.so.3 X509_verify_cert
 *   empty egress /sys/fs/cgroup
 *
 * The probe sits on the very instruction that the agent would pick (site_pick, linked from the agent's own code), since
 * that decides its price. Prints "ready", of a probe with "at 0xOFFSET (+N)", when attached. Reads a file of the system,
 * nobody's data. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "empty.skel.h"
#include "library.h"
#include "util.h"

enum { CODE_BYTES = 64 }; /* of the function, for site_pick; a shorter rest of the file is given as it is */

static void elf_cleanup(Elf **elf)
{
	elf_end(*elf);
}

/* Offset in the file of the byte that is mapped at this address; 0 if none is. */
static uint64_t file_offset(Elf *elf, uint64_t address)
{
	size_t count;

	if (elf_getphdrnum(elf, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;

		if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_LOAD && address >= header.p_vaddr &&
		    address - header.p_vaddr < header.p_filesz)
			return address - header.p_vaddr + header.p_offset;
	}
	return 0;
}

static uint64_t function_address(Elf *elf, const char *name)
{
	for (Elf_Scn *section = elf_nextscn(elf, NULL); section; section = elf_nextscn(elf, section)) {
		GElf_Shdr header;
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM)
			continue;
		data = elf_getdata(section, NULL);
		for (size_t i = 0; data && i < header.sh_size / header.sh_entsize; i++) {
			GElf_Sym symbol;
			const char *text;

			if (!gelf_getsym(data, (int)i, &symbol) || GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
				continue;
			text = elf_strptr(elf, header.sh_link, symbol.st_name);
			if (text && !strcmp(text, name) && symbol.st_value)
				return symbol.st_value;
		}
	}
	return 0;
}

static int find_site(const char *path, const char *name, uint64_t *ret_offset, size_t *ret_step)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(elf_cleanup) Elf *elf = NULL;
	uint8_t code[CODE_BYTES];
	uint64_t start;
	ssize_t got;

	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return -EINVAL;
	start = file_offset(elf, function_address(elf, name));
	if (!start)
		return -ENOENT;
	got = pread(fd, code, sizeof(code), (off_t)start);
	if (got <= 0)
		return -EIO;
	*ret_step = site_pick(code, (size_t)got);
	*ret_offset = start + *ret_step;
	return 0;
}

static struct bpf_link *attach_probe(struct empty_bpf *skel, const char *library, const char *function)
{
	struct bpf_uprobe_opts opts = {.sz = sizeof(opts), .retprobe = true};
	uint64_t offset = 0;
	size_t step = 0;
	struct bpf_link *link;
	int r = find_site(library, function, &offset, &step);

	if (r) {
		fprintf(stderr, "empty: %s in %s: %s\n", function, library, strerror(-r));
		return NULL;
	}
	link = bpf_program__attach_uprobe_opts(skel->progs.empty_returned, -1, library, offset, &opts);
	if (link)
		printf("ready at 0x%llx (+%zu)\n", (unsigned long long)offset, step);
	return link;
}

static struct bpf_link *attach_egress(struct empty_bpf *skel, const char *cgroup)
{
	CLEANUP_CLOSE int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bpf_link *link = fd < 0 ? NULL : bpf_program__attach_cgroup(skel->progs.empty_egress, fd);

	if (link)
		printf("ready\n");
	return link;
}

static void skel_cleanup(struct empty_bpf **skel)
{
	empty_bpf__destroy(*skel);
}

static void link_cleanup(struct bpf_link **link)
{
	bpf_link__destroy(*link);
}

int main(int argc, char **argv)
{
	CLEANUP(skel_cleanup) struct empty_bpf *skel = NULL;
	CLEANUP(link_cleanup) struct bpf_link *link = NULL;
	char byte;

	if (argc != 3) {
		fprintf(stderr, "usage: empty LIBRARY FUNCTION | empty egress CGROUP\n");
		return 2;
	}
	skel = empty_bpf__open_and_load();
	if (!skel) {
		fprintf(stderr, "empty: loading the programs: %s\n", strerror(errno));
		return 3;
	}
	link = strcmp(argv[1], "egress") ? attach_probe(skel, argv[1], argv[2]) : attach_egress(skel, argv[2]);
	if (!link) {
		fprintf(stderr, "empty: attaching: %s\n", strerror(errno));
		return 3;
	}
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
