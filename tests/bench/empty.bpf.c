/* The floors of the bench: a return probe, and a program on packets that leave, which do nothing. What is left of the cost is
 * the kernel's own. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char bpf_license[] SEC("license") = "Dual BSD/GPL";

SEC("uretprobe")
int empty_returned(void *context)
{
	return 0;
}

SEC("cgroup_skb/egress")
int empty_egress(struct __sk_buff *skb)
{
	return 1;
}
