/* The path of the executable that this process runs, as /proc/PID/exe has it: a digest of it, for keys. See verdict_key.h.
 *
 * The kernel's walk, upwards: from the file's name to the root of its mount, on from where that is mounted, to the mount that
 * is mounted nowhere. What /proc shows an agent whose own root is elsewhere (chroot) is another path; then no key fits, and
 * each verification is judged. Names are read as they are: one that is changed at that moment gives a digest that no path
 * has, one that is too long gives none. */
#ifndef EXE_H
#define EXE_H

/* As d_path adds it to what was removed, or replaced by an upgrade. */
static const char exe_deleted[] = " (deleted)";
enum { EXE_NAME_MAX = VERDICT_CHUNK - sizeof(exe_deleted) }; /* with its NUL */

/* What a turn changes, and what is looked at afterwards, must be one field: verifiers before 6.8 follow a single turn, and take what
 * two of them do for impossible, which they then leave out. */
struct exe_walk {
	struct siphash hash;
	struct dentry *dentry;
	struct mount *mount;
	char *name;    /* VERDICT_CHUNK bytes of the thread's draft */
	__u64 deleted; /* and the name that tells so is still to come */
	__u64 whole;   /* the root was reached */
};

/* True if it had one, and it has been added. */
static __always_inline bool exe_name(struct exe_walk *walk, struct dentry *dentry)
{
	struct siphash hash = walk->hash;
	__u64 *words = (__u64 *)walk->name;
	long len;

	__builtin_memset(words, 0, VERDICT_CHUNK);
	len = bpf_probe_read_kernel_str(walk->name, VERDICT_CHUNK, BPF_CORE_READ(dentry, d_name.name));
	if (len < 2 || len > EXE_NAME_MAX)
		return false;
	if (walk->deleted)
		bpf_probe_read_kernel(walk->name + len - 1, sizeof(exe_deleted), exe_deleted);
	walk->deleted = 0;
	for (int i = 0; i < VERDICT_CHUNK / 8; i++)
		siphash_add(&hash, words[i]);
	walk->hash = hash;
	return true;
}

/* One name, or one mount. 1: it is over. */
static long exe_step(__u32 index, void *context)
{
	struct exe_walk *walk = context;
	struct dentry *dentry = walk->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mount = walk->mount, *above = BPF_CORE_READ(mount, mnt_parent);

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		walk->whole = above == mount;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		return walk->whole;
	}
	walk->dentry = parent;
	return parent == dentry || !exe_name(walk, dentry);
}

/* False: it cannot be told. Global, so that the verifier looks at it once. */
__noinline int exe_digest(struct siphash_value *ret)
{
	struct siphash_key secret = gate.secret;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	__u64 thread = bpf_get_current_pid_tgid();
	struct draft *draft = bpf_map_lookup_elem(&drafts, &thread);
	struct exe_walk walk = {};

	if (!ret || !file || !draft)
		return false;
	siphash_begin(&walk.hash, &secret);
	walk.dentry = BPF_CORE_READ(file, f_path.dentry);
	walk.mount = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	walk.name = (char *)draft->words;
	walk.deleted = !BPF_CORE_READ(file, f_path.dentry, d_hash.pprev);
	bpf_loop(VERDICT_NAMES_MAX, exe_step, &walk, 0);
	if (!walk.whole)
		return false;
	*ret = siphash_end(&walk.hash);
	return true;
}

#endif
