/* Puts the BPF programs on libraries, and takes them off.
 *
 * Owns the programs and every link. One thread attaches and detaches; one at a time may check meanwhile. Trusts the sites
 * and layouts it is given as far as library_answer_check() went: a wrong site cannot harm more than the kernel's uprobe
 * code allows (it refuses what is not an instruction it can step). */
#include "probes.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "check.h"
#include "detacher.h"
#include "programs.h"
#include "uprobe_link.h"
#include "util.h"
#include "warden.skel.h"

enum { LINKS_MAX = 16 /* of a slot: its files' probes; more could not be attached */ };

/* A slot of the layout map. */
struct slot {
	enum library_kind kind;      /* LIBRARY_NONE: free */
	struct warden_bpf *programs; /* without cookies: its own, which know the slot; those of slot 0 are the first */
	struct uprobe_link links[LINKS_MAX];
	size_t count;
};

struct probes {
	struct kernel_abilities kernel;
	struct warden_bpf *skel;
	struct detacher *detacher;
	struct slot slots[LIBRARIES_MAX];
};

/* What sits where. The call stands before its return: a return whose call was not seen would be counted as lost. */
static const struct probe {
	enum library_kind kind;
	enum site site;
	bool at_return;
	uint32_t check;        /* enum check_probe, or 0 */
	size_t program, plain; /* where in the skeleton; plain: if the kernel cannot make keys */
	size_t session;        /* what stands for both ends of the call, if the kernel can; 0: nothing does */
} probes_table[] = {
#define PROGRAM(name) offsetof(struct warden_bpf, progs.name), offsetof(struct warden_bpf, progs.name)
#define SESSION(name) offsetof(struct warden_bpf, progs.name)
#define PROGRAM_KEYED(name) offsetof(struct warden_bpf, progs.name), offsetof(struct warden_bpf, progs.name##_plain)
	{LIBRARY_OPENSSL, SITE_X509_VERIFY_CERT, false, CHECK_X509_VERIFY_CERT, PROGRAM(openssl_verify)},
	{LIBRARY_OPENSSL, SITE_X509_VERIFY_CERT, true, 0, PROGRAM_KEYED(openssl_verified)},
	{LIBRARY_OPENSSL, SITE_SSL_DO_HANDSHAKE, false, CHECK_SSL_DO_HANDSHAKE, PROGRAM(openssl_handshake),
	 SESSION(openssl_handshake_session)},
	{LIBRARY_OPENSSL, SITE_SSL_DO_HANDSHAKE, true, 0, PROGRAM_KEYED(openssl_handshaken),
	 SESSION(openssl_handshake_session)},
	{LIBRARY_OPENSSL, SITE_SSL_CONNECT, false, CHECK_SSL_DO_HANDSHAKE, PROGRAM(openssl_handshake),
	 SESSION(openssl_handshake_session)},
	{LIBRARY_OPENSSL, SITE_SSL_CONNECT, true, 0, PROGRAM_KEYED(openssl_handshaken), SESSION(openssl_handshake_session)},
	{LIBRARY_OPENSSL, SITE_SSL_ACCEPT, false, CHECK_SSL_DO_HANDSHAKE, PROGRAM(openssl_handshake),
	 SESSION(openssl_handshake_session)},
	{LIBRARY_OPENSSL, SITE_SSL_ACCEPT, true, 0, PROGRAM_KEYED(openssl_handshaken), SESSION(openssl_handshake_session)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_REAUTH, false, CHECK_GNUTLS_REAUTH, PROGRAM(gnutls_reauth_begin)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_REAUTH, true, 0, PROGRAM_KEYED(gnutls_reauth_end)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_HANDSHAKE, false, CHECK_GNUTLS_HANDSHAKE, PROGRAM(gnutls_handshake_begin)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_VERIFY_PEERS, false, CHECK_GNUTLS_VERIFY_PEERS, PROGRAM(gnutls_verify_begin)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_VERIFY_PEERS, true, 0, PROGRAM_KEYED(gnutls_verify_end)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_HANDSHAKE, true, 0, PROGRAM_KEYED(gnutls_handshake_end)},
	{LIBRARY_GNUTLS, SITE_GNUTLS_DEINIT, false, CHECK_GNUTLS_DEINIT, PROGRAM(gnutls_session_end)},
};

/* --- loading ------------------------------------------------------------------------------------------------------- */

static int trackers_attach(const struct probes *probes)
{
	struct warden_bpf *skel = probes->skel;
	const struct {
		struct bpf_program *program;
		struct bpf_link **link;
		bool wanted;
	} table[] = {
		{skel->progs.socket_received, &skel->links.socket_received, probes->kernel.receipts},
		{skel->progs.socket_taken, &skel->links.socket_taken, true},
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

	detacher_new(&probes->detacher);
	kernel_ask(&probes->kernel);
	err = programs_load(&probes->kernel, NULL, 0, gate_max, &probes->skel);
	if (!err)
		err = trackers_attach(probes);
	if (err) {
		*ret_error = xasprintf("the BPF programs do not load: %s (%s)", strerror(-err), programs_complaint());
		probes_free(probes);
		return err;
	}
	*ret = probes;
	return 0;
}

static void slot_detach(struct probes *probes, uint32_t number)
{
	struct slot *slot = &probes->slots[number];

	/* The return first, as above. */
	while (slot->count)
		detacher_give(probes->detacher, &slot->links[--slot->count], number);
	slot->kind = LIBRARY_NONE;
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	for (uint32_t i = 0; i < LIBRARIES_MAX; i++)
		slot_detach(probes, i);
	detacher_free(probes->detacher);
	for (uint32_t i = 0; i < LIBRARIES_MAX; i++)
		warden_bpf__destroy(probes->slots[i].programs);
	warden_bpf__destroy(probes->skel);
	free(probes);
}

/* --- attaching ----------------------------------------------------------------------------------------------------- */

/* Programs of slots that were detached some time ago are not kept: there can be as many sets as slots. */
static void programs_sweep(struct probes *probes)
{
	for (uint32_t i = 0; i < LIBRARIES_MAX; i++) {
		struct slot *slot = &probes->slots[i];
		if (slot->programs && slot->kind == LIBRARY_NONE && !detacher_count(probes->detacher, i)) {
			warden_bpf__destroy(slot->programs);
			slot->programs = NULL;
		}
	}
}

/* The programs that serve that slot. */
static int programs_of(struct probes *probes, uint32_t number, struct warden_bpf **ret)
{
	struct slot *slot = &probes->slots[number];
	int err = 0;

	if (probes->kernel.cookies || number == 0) {
		*ret = probes->skel;
		return 0;
	}
	if (!slot->programs)
		err = programs_load(&probes->kernel, probes->skel, number, 0, &slot->programs);
	if (!err)
		*ret = slot->programs;
	return err;
}

static int probe_attach(struct probes *probes, struct warden_bpf *skel, const struct probe *probe, uint32_t number,
			const struct probes_file *file)
{
	const struct uprobe_place place = {
		.file = file->fd,
		.offset = file->site[probe->site],
		.cookie = probes->kernel.cookies ? number : 0,
		.at_return = probe->at_return,
	};
	bool session = probes->kernel.sessions && probe->session;
	size_t program = session ? probe->session : probes->kernel.loop ? probe->program : probe->plain;
	struct slot *slot = &probes->slots[number];
	struct uprobe_link link;
	int err;

	if (session && probe->at_return)
		return 0;
	if (slot->count == LINKS_MAX)
		return -E2BIG;
	err = uprobe_link_attach(*(struct bpf_program **)((char *)skel + program), &place, &link);
	if (!err)
		slot->links[slot->count++] = link;
	return err;
}

int probes_attach(struct probes *probes, uint32_t number, const struct library_layout *layout,
		  const struct probes_file *files, size_t count)
{
	struct slot *slot = &probes->slots[number];
	struct warden_bpf *skel;
	int err;

	if (slot->kind != LIBRARY_NONE)
		return -EBUSY;
	/* An old probe that is still there would take its library for this one. */
	detacher_wait(probes->detacher, number);
	slot->kind = layout->kind;
	programs_sweep(probes);
	err = programs_of(probes, number, &skel);
	if (!err)
		err = bpf_map__update_elem(probes->skel->maps.layouts, &number, sizeof(number), layout, sizeof(*layout),
					   BPF_ANY);
	for (size_t i = 0; !err && i < count; i++)
		for (size_t k = 0; !err && k < ARRAY_SIZE(probes_table); k++)
			if (probes_table[k].kind == layout->kind && files[i].site[probes_table[k].site])
				err = probe_attach(probes, skel, &probes_table[k], number, &files[i]);
	if (err)
		slot_detach(probes, number);
	return err;
}

void probes_detach(struct probes *probes, uint32_t number)
{
	slot_detach(probes, number);
	programs_sweep(probes);
}

/* --- checking ------------------------------------------------------------------------------------------------------ */

static void check_ready(void *context, int pid)
{
	struct check_state *state = context;

	__atomic_store_n(&state->tgid, (__u32)pid, __ATOMIC_SEQ_CST);
}

/* Those of the wanted sites that can be told from each other, as the program of each is another. */
static uint32_t sites_pick(enum library_kind kind, uint32_t wanted, uint32_t *ret_probes)
{
	uint32_t sites = 0, probes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(probes_table); i++) {
		const struct probe *probe = &probes_table[i];
		if (probe->kind == kind && probe->check && wanted & 1u << probe->site && !(probes & probe->check)) {
			sites |= 1u << probe->site;
			probes |= probe->check;
		}
	}
	*ret_probes = probes;
	return sites;
}

static int sites_call(struct check_state *state, uint32_t number, const struct probes_file *file, uint32_t sites,
		      uint32_t *ret_fired)
{
	__u64 site[SITE_COUNT] = {};
	int err;

	for (size_t i = 0; i < SITE_COUNT; i++)
		site[i] = sites & 1u << i ? file->site[i] : 0;
	*state = (struct check_state){.slot = number};
	err = library_check(file->fd, site, check_ready, state);
	*ret_fired = __atomic_load_n(&state->fired, __ATOMIC_SEQ_CST);
	*state = (struct check_state){};
	return err;
}

/* What of a file's probes did not fire: bits of 1 << SITE_…, or -errno. A process that died may not have come to all
 * functions: the rest is called in another. If the first of them was its end, without firing, it is left out then. */
static int file_check(struct check_state *state, uint32_t number, enum library_kind kind, const struct probes_file *file)
{
	uint32_t silent = 0, left = 0;
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(probes_table); i++)
		if (probes_table[i].kind == kind && probes_table[i].check && file->site[probes_table[i].site])
			left |= 1u << probes_table[i].site;
	silent = left;
	while (left && (err == 0 || err == -EPROTO)) {
		uint32_t probes, fired, hit = 0, sites = sites_pick(kind, left, &probes);
		err = sites_call(state, number, file, sites, &fired);
		for (size_t i = 0; i < ARRAY_SIZE(probes_table); i++)
			if (probes_table[i].check & fired)
				hit |= sites & 1u << probes_table[i].site;
		silent &= ~hit;
		left &= err == 0 ? ~sites : hit ? ~hit : ~(sites & -sites);
	}
	return err == 0 || err == -EPROTO || err == -ETIMEDOUT ? (int)silent : err;
}

int probes_check(struct probes *probes, uint32_t number, const struct probes_file *files, size_t count)
{
	struct check_state *state = &probes->skel->bss->check;
	enum library_kind kind = __atomic_load_n(&probes->slots[number].kind, __ATOMIC_RELAXED);
	int silent = 0;

	for (size_t i = 0; i < count; i++) {
		int r = file_check(state, number, kind, &files[i]);
		if (r < 0)
			return r;
		silent += __builtin_popcount((unsigned)r);
	}
	return silent;
}

/* --- what it has --------------------------------------------------------------------------------------------------- */

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
		.released_us = &skel->bss->counters.released_us,
		.caching = probes->kernel.loop,
	};
}
