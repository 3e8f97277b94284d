/* Opens the BPF skeleton and makes of it what this kernel can load: which programs, with which constants, to be attached
 * how. */
#include "programs.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "check.h"
#include "gate_maps.h"
#include "uprobe_link.h"
#include "util.h"
#include "warden.skel.h"

/* A program that makes keys is there once more in a plain form, for kernels that lack what that takes. */
#define PLAIN_SUFFIX "_plain"

/* libbpf's own complaint, the first of a load, which names the program: the verifier's tens of lines are no message for a
 * user. */
static char libbpf_said[512];

__attribute__((format(printf, 2, 0))) static int libbpf_listen(enum libbpf_print_level level, const char *format,
							       va_list args)
{
	if (level == LIBBPF_WARN && !libbpf_said[0])
		vsnprintf(libbpf_said, sizeof(libbpf_said), format, args);
	return 0;
}

const char *programs_complaint(void)
{
	libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
	return libbpf_said;
}

static bool has_tracepoint(const char *type)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = btf && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;

	btf__free(btf);
	return found;
}

/* It came with 6.2, as what thread.h asks of task storage did; Debian 12's headers do not have it. */
#define CGRP_STORAGE_GET ((enum bpf_func_id)210)

static bool has_helper(enum bpf_func_id helper)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, helper, NULL) == 1;
}

void kernel_ask(struct kernel_abilities *ret)
{
	libbpf_set_print(libbpf_listen);
	ret->cookies = has_helper(BPF_FUNC_get_attach_cookie);
	ret->loop = has_helper(BPF_FUNC_loop);
	ret->registers = has_helper(BPF_FUNC_task_pt_regs);
	ret->reject = uprobe_may_write();
	ret->receipts = has_tracepoint("btf_trace_sock_recv_length");
	ret->task_storage = has_helper(CGRP_STORAGE_GET);
	ret->multi = ret->cookies && uprobe_multi_works(false);
	ret->multi_write = ret->multi && ret->reject && uprobe_multi_works(true);
	ret->sessions = ret->multi && ret->loop && session_program_works(&ret->functions);
}

/* Every map but the constants, which make a set of programs what it is. */
static int maps_share(const struct warden_bpf *from, struct warden_bpf *skel)
{
	struct bpf_map *map, *shared;
	int err = 0;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (map == skel->maps.rodata || !bpf_map__autocreate(map))
			continue;
		shared = bpf_object__find_map_by_name(from->obj, bpf_map__name(map));
		err = shared ? bpf_map__reuse_fd(map, bpf_map__fd(shared)) : -ENOENT;
		if (err)
			break;
	}
	return err;
}

/* Of two forms of a program only the one that fits is loaded. */
static void form_choose(const struct kernel_abilities *kernel, struct warden_bpf *skel, struct bpf_program *program)
{
	const char *name = bpf_program__name(program);
	size_t len = strlen(name), suffix = strlen(PLAIN_SUFFIX);
	char *keyed CLEANUP_FREE = NULL;

	if (len <= suffix || strcmp(name + len - suffix, PLAIN_SUFFIX) != 0)
		return;
	keyed = xstrndup(name, len - suffix);
	bpf_program__set_autoload(program, !kernel->loop);
	bpf_program__set_autoload(bpf_object__find_program_by_name(skel->obj, keyed), kernel->loop);
}

/* Programs at a return may write its result; where a multi link does not take those, they stay with perf events. */
static void attachment_choose(const struct kernel_abilities *kernel, struct bpf_program *program)
{
	bool at_return = strcmp(bpf_program__section_name(program), "uretprobe") == 0;
	bool at_entry = strcmp(bpf_program__section_name(program), "uprobe") == 0;

	if (kernel->multi && (at_entry || (at_return && (!kernel->reject || kernel->multi_write))))
		bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)UPROBE_MULTI);
}

/* A session stands for a pair. */
static int sessions_choose(const struct kernel_abilities *kernel, struct warden_bpf *skel)
{
	struct bpf_program *session = skel->progs.openssl_handshake_session;

	bpf_program__set_autoload(session, kernel->sessions);
	if (!kernel->sessions)
		return 0;
	bpf_program__set_autoload(skel->progs.openssl_handshake, false);
	bpf_program__set_autoload(skel->progs.openssl_handshaken, false);
	return session_program_prepare(session, &kernel->functions);
}

static int programs_choose(const struct kernel_abilities *kernel, struct warden_bpf *skel, bool first)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, skel->obj)
	{
		form_choose(kernel, skel, program);
		attachment_choose(kernel, program);
	}
	bpf_program__set_autoload(skel->progs.socket_received, first && kernel->receipts);
	bpf_program__set_autoload(skel->progs.socket_taken, first);
	bpf_program__set_autoload(skel->progs.socket_closed, first);
	bpf_program__set_autoload(skel->progs.gate_egress, first);
	return sessions_choose(kernel, skel);
}

static int programs_try(const struct kernel_abilities *kernel, const struct warden_bpf *first, uint32_t slot,
			uint32_t gate_max, bool can_make_cookie, struct warden_bpf **ret)
{
	struct warden_bpf *skel = warden_bpf__open();
	int err;

	if (!skel)
		return -errno;
	libbpf_said[0] = '\0';
	skel->rodata->fixed_library = kernel->cookies ? -1 : (int)slot;
	skel->rodata->can_make_cookie = can_make_cookie;
	skel->rodata->can_tell_receipts = kernel->receipts;
	skel->rodata->can_keep_with_task = kernel->task_storage;
	skel->rodata->can_read_registers = kernel->registers;
	skel->rodata->can_reject = kernel->reject;
	bpf_map__set_autocreate(skel->maps.tasks, kernel->task_storage);
	err = programs_choose(kernel, skel, !first);
	if (!err && first) {
		err = maps_share(first, skel);
	} else if (!err) {
		bpf_map__set_max_entries(skel->maps.threads, kernel->task_storage ? THREAD_STATES_SPARE : THREAD_STATES_MAX);
		bpf_map__set_max_entries(skel->maps.pending, gate_max);
		err = bpf_map__set_max_entries(skel->maps.released, gate_max);
	}
	if (!err)
		err = warden_bpf__load(skel);
	if (err) {
		warden_bpf__destroy(skel);
		return err;
	}
	*ret = skel;
	return 0;
}

/* Whether a tracepoint may make cookies only loading one tells; it is the first program, so a refusal comes at once. */
int programs_load(const struct kernel_abilities *kernel, const struct warden_bpf *first, uint32_t slot, uint32_t gate_max,
		  struct warden_bpf **ret)
{
	int err = programs_try(kernel, first, slot, gate_max, true, ret);

	return err == -EINVAL ? programs_try(kernel, first, slot, gate_max, false, ret) : err;
}
