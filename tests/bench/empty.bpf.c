/* The floor of the bench: a return probe that does nothing. What is left of the cost is the kernel's own. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char bpf_license[] SEC("license") = "Dual BSD/GPL";

SEC("uretprobe")
int empty_returned(void *context)
{
	return 0;
}
