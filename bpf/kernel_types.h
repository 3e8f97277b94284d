/* The kernel's types, as far as the probes read them: CO-RE relocates each field by name, so order and offsets here mean
 * nothing. Sources: include/linux/sched.h, fdtable.h, fs.h, dcache.h, net.h, fs/mount.h, include/net/sock.h. */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#define CORE __attribute__((preserve_access_index))

enum { INET = 2, INET6 = 10, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 }; /* AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP */
enum { STATE_CLOSE = 7 };                                           /* TCP_CLOSE */

struct ns_common {
	unsigned int inum;
} CORE;

struct net {
	struct ns_common ns;
} CORE;

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	unsigned char bytes[16];
};

typedef struct {
	long long counter;
} atomic64_t;

struct sock_common {
	unsigned int skc_daddr;
	unsigned int skc_rcv_saddr;
	unsigned short skc_dport;
	unsigned short skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
} CORE;

struct sock {
	struct sock_common __sk_common;
	unsigned short sk_protocol;
	struct socket *sk_socket;
} CORE;

struct tcp_sock {
	unsigned long long bytes_received;
	unsigned int write_seq;
} CORE;

struct socket {
	struct sock *sk;
	struct file *file;
} CORE;

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
} CORE;

struct qstr {
	const unsigned char *name;
} CORE;

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
} CORE;

struct dentry {
	struct hlist_bl_node d_hash; /* its pprev is NULL once it is unhashed: of what has been deleted */
	struct dentry *d_parent;
	struct qstr d_name;
} CORE;

struct vfsmount {
	struct dentry *mnt_root;
} CORE;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} CORE;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} CORE;

struct file {
	struct inode *f_inode;
	struct path f_path;
	void *private_data;
} CORE;

struct mm_struct {
	struct file *exe_file;
} CORE;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} CORE;

struct files_struct {
	struct fdtable *fdt;
} CORE;

struct task_struct {
	struct task_struct *group_leader;
	unsigned long long start_boottime; /* ns since boot, suspend included; 5.5 and later */
	struct files_struct *files;
	struct mm_struct *mm;
	unsigned long long self_exec_id; /* u64 since 5.7 */
} CORE;

/* The kernel's own, whose fields have other names than what user space sees: the first argument of a system call. */
#ifdef __TARGET_ARCH_x86
struct pt_regs___call {
	unsigned long di;
} CORE;
#define FIRST_ARGUMENT di
#else
struct pt_regs___call {
	unsigned long orig_x0;
} CORE;
#define FIRST_ARGUMENT orig_x0
#endif

#endif
