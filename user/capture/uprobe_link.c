/* Probes by the kernel's two ways. A multi link (6.6) is made with the bpf system call by hand, as libbpf 1.1 does not
 * wrap it. Its removal waits for the kernel's grace periods, which many threads may do at once; that of a perf event does
 * so while it holds a lock of the whole kernel, so one comes after the other. A hit costs the same. */
#include "uprobe_link.h"

#include <errno.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <asm/ptrace.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util.h"

enum {
	PATH_ROOM = 32,
	MULTI_RETURN = 1, /* BPF_F_UPROBE_MULTI_RETURN */
	TRIED_OFFSET = 4096,
};

/* What of union bpf_attr belongs to BPF_LINK_CREATE of such a link. */
struct multi_attr {
	__u32 program, target, attach_type, flags;
	__u64 path, offsets, counter_offsets, cookies; /* addresses of ours: a string, and arrays with count entries */
	__u32 count, multi_flags, pid, pad;
};
_Static_assert(sizeof(struct multi_attr) == 64, "as in linux/bpf.h");

/* The file itself, wherever its name leads by now. */
static void path_of(int file, char ret[PATH_ROOM])
{
	snprintf(ret, PATH_ROOM, "/proc/self/fd/%d", file);
}

/* A descriptor or -errno. */
static int multi_create(int program, int attach_type, const struct uprobe_place *place)
{
	char path[PATH_ROOM];
	struct multi_attr attr = {
		.program = (__u32)program,
		.attach_type = (__u32)attach_type,
		.path = (__u64)(uintptr_t)path,
		.offsets = (__u64)(uintptr_t)&place->offset,
		.cookies = (__u64)(uintptr_t)&place->cookie,
		.count = 1,
		.multi_flags = place->at_return && attach_type != UPROBE_SESSION ? MULTI_RETURN : 0,
	};
	int fd;

	path_of(place->file, path);
	fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

/* The least that can be attached. */
static int program_load(bool writes, int attach_type)
{
	const struct bpf_insn program[] = {
#ifdef __x86_64__
		{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .off = offsetof(struct pt_regs, rax)},
#endif
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	size_t skipped = writes ? 0 : ARRAY_SIZE(program) - 2;
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)attach_type);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "uprobe_tried", "GPL", program + skipped, ARRAY_SIZE(program) - skipped,
			     &opts);
}

bool uprobe_may_write(void)
{
#ifdef __x86_64__
	CLEANUP_CLOSE int program = program_load(true, 0);

	return program >= 0;
#else
	return false;
#endif
}

/* Tried on a file that nobody maps, so that nothing can hit the probe. */
bool uprobe_multi_takes(int program, int attach_type, bool at_return)
{
	CLEANUP_CLOSE int file = memfd_create("uprobe", MFD_CLOEXEC), link = -1;
	const struct uprobe_place place = {.file = file, .offset = TRIED_OFFSET, .at_return = at_return};

	if (file < 0 || ftruncate(file, 2 * TRIED_OFFSET) < 0)
		return false;
	link = multi_create(program, attach_type, &place);
	return link >= 0;
}

bool uprobe_multi_works(bool writes)
{
	CLEANUP_CLOSE int program = program_load(writes, UPROBE_MULTI);

	return program >= 0 && uprobe_multi_takes(program, UPROBE_MULTI, writes);
}

int uprobe_link_attach(const struct bpf_program *program, const struct uprobe_place *place, struct uprobe_link *ret)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = place->at_return, .bpf_cookie = place->cookie);
	int attach_type = (int)bpf_program__expected_attach_type(program);
	struct uprobe_link link = {.multi = -1};
	char path[PATH_ROOM];

	if (attach_type == UPROBE_MULTI || attach_type == UPROBE_SESSION) {
		link.multi = multi_create(bpf_program__fd(program), attach_type, place);
		if (link.multi < 0)
			return link.multi;
	} else {
		path_of(place->file, path);
		link.perf = bpf_program__attach_uprobe_opts(program, -1, path, place->offset, &opts);
		if (!link.perf)
			return -errno;
	}
	*ret = link;
	return 0;
}

void uprobe_link_close(struct uprobe_link *link)
{
	if (link->multi >= 0)
		close(link->multi);
	bpf_link__destroy(link->perf);
	*link = (struct uprobe_link){.multi = -1};
}
