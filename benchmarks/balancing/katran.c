// Katran itself, from a checkout that is no part of this repository (--katran DIRECTORY), with the packet restored around it like around the others.
#include "katran/lib/bpf/balancer.bpf.c"
#include "restore.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, struct template);
    __uint(max_entries, 1);
} bench_template SEC(".maps");

SEC("xdp") __attribute__((flatten)) int bench(struct xdp_md *context)
{
    __u32 zero = 0;
    struct template *template = bpf_map_lookup_elem(&bench_template, &zero);
    if (!template || !restore(template, (void *)(long)context->data, (void *)(long)context->data_end))
        return XDP_ABORTED;
    int verdict = balancer_ingress(context);
    if (template->undo)
        bpf_xdp_adjust_head(context, template->undo);
    return verdict;
}
