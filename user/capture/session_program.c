/* Makes of a program as it was compiled one that the kernel runs at both ends of a call. What it calls are functions of the
 * kernel itself, by their numbers in its BTF. libbpf 1.1 would look them up, but only for one declaration, and their arguments
 * changed in 7.0: so the program has calls of helpers that do not exist, and here they get their numbers. */
#include "session_program.h"

#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "uprobe_link.h"
#include "util.h"

static bool functions_find(struct session_functions *ret)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return false;
	ret->cookie = btf__find_by_name_kind(btf, "bpf_session_cookie", BTF_KIND_FUNC);
	ret->is_return = btf__find_by_name_kind(btf, "bpf_session_is_return", BTF_KIND_FUNC);
	btf__free(btf);
	return ret->cookie > 0 && ret->is_return > 0;
}

/* An instruction that calls no such function stays as it is. */
static void call_place(struct bpf_insn *insn, const struct session_functions *functions)
{
	if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg != 0)
		return;
	if (insn->imm != SESSION_COOKIE && insn->imm != SESSION_IS_RETURN)
		return;
	insn->src_reg = BPF_PSEUDO_KFUNC_CALL;
	insn->imm = insn->imm == SESSION_COOKIE ? functions->cookie : functions->is_return;
}

/* The least that calls both. */
static int program_load(const struct session_functions *functions)
{
	struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		{.code = BPF_JMP | BPF_CALL, .imm = SESSION_IS_RETURN},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6},
		{.code = BPF_JMP | BPF_CALL, .imm = SESSION_COOKIE},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)UPROBE_SESSION);

	for (size_t i = 0; i < ARRAY_SIZE(program); i++)
		call_place(&program[i], functions);
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "uprobe_tried", "GPL", program, ARRAY_SIZE(program), &opts);
}

bool session_program_works(struct session_functions *ret)
{
	CLEANUP_CLOSE int program = -1;
	struct session_functions functions;

	if (!functions_find(&functions))
		return false;
	program = program_load(&functions);
	if (program < 0 || !uprobe_multi_takes(program, UPROBE_SESSION, false))
		return false;
	*ret = functions;
	return true;
}

int session_program_prepare(struct bpf_program *program, const struct session_functions *functions)
{
	size_t count = bpf_program__insn_cnt(program);
	struct bpf_insn *insns CLEANUP_FREE = xcalloc(count, sizeof(*insns));

	memcpy(insns, bpf_program__insns(program), count * sizeof(*insns));
	for (size_t i = 0; i < count; i++)
		call_place(&insns[i], functions);
	bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)UPROBE_SESSION);
	return bpf_program__set_insns(program, insns, count);
}
