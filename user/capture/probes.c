/* Loads the BPF skeleton and puts its programs on libraries.
 *
 * Owns the skeleton and every link. Trusts the sites and layouts it is given as far as library_answer_check() went: a wrong
 * site cannot harm more than the kernel's uprobe code allows (it refuses what is not an instruction it can step). */
#include "probes.h"

#include <asm/ptrace.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "util.h"
#include "warden.skel.h"

struct probes {
	struct warden_bpf *skel;
	/* Without probe cookies: a set of programs for each slot, which knows its slot; slot 0 has skel. The maps are shared. */
	bool has_cookies;
	bool tells_other; /* the kernel has the tracepoint sock_recv_length */
	bool has_loop;    /* bpf_loop: keys can be made */
	bool reads_registers, can_reject;
	uint32_t gate_max;
	struct warden_bpf **more;
	size_t more_count;
	struct bpf_link **links;
	size_t links_count;
};

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

/* Every map but the constants, which make a set of programs what it is. */
static int maps_share(const struct warden_bpf *from, struct warden_bpf *skel)
{
	struct bpf_map *map, *shared;
	int err = 0;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (map == skel->maps.rodata)
			continue;
		shared = bpf_object__find_map_by_name(from->obj, bpf_map__name(map));
		err = shared ? bpf_map__reuse_fd(map, bpf_map__fd(shared)) : -ENOENT;
		if (err)
			break;
	}
	return err;
}

/* Of the programs that make keys there is a plain form, for kernels that lack what that takes. */
static void programs_choose(const struct probes *probes, struct warden_bpf *skel)
{
	const struct {
		struct bpf_program *keyed, *plain;
	} table[] = {
		{skel->progs.openssl_verified, skel->progs.openssl_verified_plain},
		{skel->progs.gnutls_handshake_end, skel->progs.gnutls_handshake_end_plain},
		{skel->progs.gnutls_verify_end, skel->progs.gnutls_verify_end_plain},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		bpf_program__set_autoload(table[i].keyed, probes->has_loop);
		bpf_program__set_autoload(table[i].plain, !probes->has_loop);
	}
}

static int programs_try(const struct probes *probes, uint32_t slot, bool can_make_cookie, struct warden_bpf **ret)
{
	struct warden_bpf *skel = warden_bpf__open();
	int err;

	if (!skel)
		return -errno;
	libbpf_said[0] = '\0';
	skel->rodata->fixed_library = probes->has_cookies ? -1 : (int)slot;
	skel->rodata->can_make_cookie = can_make_cookie;
	skel->rodata->can_read_registers = probes->reads_registers;
	skel->rodata->can_reject = probes->can_reject;
	programs_choose(probes, skel);
	bpf_program__set_autoload(skel->progs.socket_received_other, slot == 0 && probes->tells_other);
	if (slot > 0) {
		bpf_program__set_autoload(skel->progs.socket_received, false);
		bpf_program__set_autoload(skel->progs.socket_closed, false);
		bpf_program__set_autoload(skel->progs.gate_egress, false);
		err = maps_share(probes->skel, skel);
	} else {
		bpf_map__set_max_entries(skel->maps.pending, probes->gate_max);
		err = bpf_map__set_max_entries(skel->maps.released, probes->gate_max);
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
static int programs_load(const struct probes *probes, uint32_t slot, struct warden_bpf **ret)
{
	int err = programs_try(probes, slot, true, ret);

	return err == -EINVAL ? programs_try(probes, slot, false, ret) : err;
}

static bool has_tracepoint(const char *type)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = btf && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;

	btf__free(btf);
	return found;
}

static bool has_helper(enum bpf_func_id helper)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, helper, NULL) == 1;
}

/* May a uprobe's program write the register that holds a function's result? */
static bool writes_result(void)
{
#ifdef __x86_64__
	const struct bpf_insn program[] = {
		{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .off = offsetof(struct pt_regs, rax)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "writes_result", "GPL", program, ARRAY_SIZE(program), NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
#else
	return false;
#endif
}

static int trackers_attach(const struct probes *probes)
{
	struct warden_bpf *skel = probes->skel;
	const struct {
		struct bpf_program *program;
		struct bpf_link **link;
		bool wanted;
	} table[] = {
		{skel->progs.socket_received, &skel->links.socket_received, true},
		{skel->progs.socket_received_other, &skel->links.socket_received_other, probes->tells_other},
		{skel->progs.socket_closed, &skel->links.socket_closed, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!table[i].wanted)
			continue;
		*table[i].link = bpf_program__attach(table[i].program);
		if (!*table[i].link)
			return -errno;
	}
	return 0;
}

int probes_new(uint32_t gate_max, struct probes **ret, char **ret_error)
{
	struct probes *probes = xcalloc(1, sizeof(*probes));
	int err;

	libbpf_set_print(libbpf_listen);
	probes->gate_max = gate_max;
	probes->has_cookies = has_helper(BPF_FUNC_get_attach_cookie);
	probes->has_loop = has_helper(BPF_FUNC_loop);
	probes->reads_registers = has_helper(BPF_FUNC_task_pt_regs);
	probes->can_reject = writes_result();
	probes->tells_other = has_tracepoint("btf_trace_sock_recv_length");
	err = programs_load(probes, 0, &probes->skel);
	if (!err)
		err = trackers_attach(probes);
	if (err) {
		libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
		*ret_error = xasprintf("the BPF programs do not load: %s (%s)", strerror(-err), libbpf_said);
		probes_free(probes);
		return err;
	}
	*ret = probes;
	return 0;
}

static void links_detach(struct probes *probes, size_t from)
{
	while (probes->links_count > from)
		bpf_link__destroy(probes->links[--probes->links_count]);
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	links_detach(probes, 0);
	free(probes->links);
	for (size_t i = 0; i < probes->more_count; i++)
		warden_bpf__destroy(probes->more[i]);
	free(probes->more);
	warden_bpf__destroy(probes->skel);
	free(probes);
}

static int program_attach(struct probes *probes, struct bpf_program *program, bool at_return, int fd, uint64_t offset,
			  uint32_t slot)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = at_return, .bpf_cookie = probes->has_cookies ? slot : 0);
	char path[64];
	struct bpf_link *link;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	link = bpf_program__attach_uprobe_opts(program, -1, path, offset, &opts);
	if (!link)
		return -errno;
	probes->links = xrealloc(probes->links, probes->links_count + 1, sizeof(*probes->links));
	probes->links[probes->links_count++] = link;
	return 0;
}

/* The programs that serve that slot. */
static int programs_of(struct probes *probes, uint32_t slot, struct warden_bpf **ret)
{
	int err;

	if (probes->has_cookies || slot == 0) {
		*ret = probes->skel;
		return 0;
	}
	probes->more = xrealloc(probes->more, probes->more_count + 1, sizeof(*probes->more));
	err = programs_load(probes, slot, ret);
	if (!err)
		probes->more[probes->more_count++] = *ret;
	return err;
}

int probes_attach(struct probes *probes, uint32_t slot, int fd, const struct library_layout *layout,
		  const uint64_t site[SITE_COUNT])
{
	struct warden_bpf *skel;
	bool keyed = probes->has_loop;
	int err = programs_of(probes, slot, &skel);

	if (err)
		return err;
	/* The call before its return: a return whose call was not seen would be counted as lost. */
	const struct {
		enum site site;
		struct bpf_program *program;
		bool at_return;
	} table[] = {
		{SITE_X509_VERIFY_CERT, skel->progs.openssl_verify, false},
		{SITE_X509_VERIFY_CERT, keyed ? skel->progs.openssl_verified : skel->progs.openssl_verified_plain, true},
		{SITE_GNUTLS_SERVER_NAME_SET, skel->progs.gnutls_server_name, false},
		{SITE_GNUTLS_HANDSHAKE, skel->progs.gnutls_handshake_begin, false},
		{SITE_GNUTLS_VERIFY_PEERS, skel->progs.gnutls_verify_begin, false},
		{SITE_GNUTLS_VERIFY_PEERS, keyed ? skel->progs.gnutls_verify_end : skel->progs.gnutls_verify_end_plain,
		 true},
		{SITE_GNUTLS_HANDSHAKE, keyed ? skel->progs.gnutls_handshake_end : skel->progs.gnutls_handshake_end_plain,
		 true},
		{SITE_GNUTLS_DEINIT, skel->progs.gnutls_session_end, false},
	};
	size_t before = probes->links_count;

	err = bpf_map__update_elem(probes->skel->maps.layouts, &slot, sizeof(slot), layout, sizeof(*layout), BPF_ANY);
	for (size_t i = 0; !err && i < ARRAY_SIZE(table); i++) {
		bool openssl = table[i].site == SITE_X509_VERIFY_CERT;
		if (openssl == (layout->kind == LIBRARY_OPENSSL) && site[table[i].site])
			err = program_attach(probes, table[i].program, table[i].at_return, fd, site[table[i].site], slot);
	}
	if (err)
		links_detach(probes, before);
	return err;
}

int probes_ring_fd(const struct probes *probes)
{
	return bpf_map__fd(probes->skel->maps.ring);
}

const struct counters *probes_counters(const struct probes *probes)
{
	return &probes->skel->bss->counters;
}

struct probes_gate probes_gate(const struct probes *probes)
{
	const struct warden_bpf *skel = probes->skel;

	return (struct probes_gate){
		.program = bpf_program__fd(skel->progs.gate_egress),
		.pending = bpf_map__fd(skel->maps.pending),
		.released = bpf_map__fd(skel->maps.released),
		.verdicts = bpf_map__fd(skel->maps.verdicts),
		.verified = bpf_map__fd(skel->maps.verified),
		.notices = bpf_map__fd(skel->maps.notices),
		.switches = &skel->bss->gate,
		.caching = probes->has_loop,
	};
}
