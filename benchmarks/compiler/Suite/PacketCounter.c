#include "suite.h"

extern struct map counters;

struct counter { u64 packets, bytes; };

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    if (data + sizeof *ethernet > end)
        return DROP;
    u32 protocol = 0;
    if (ethernet->type == swap16(ETH_IPV4)) {
        struct ipv4 *ip = (void *)(ethernet + 1);
        if ((u8 *)(ip + 1) > end)
            return DROP;
        protocol = ip->protocol;
    } else if (ethernet->type == swap16(ETH_IPV6)) {
        struct ipv6 *ip = (void *)(ethernet + 1);
        if ((u8 *)(ip + 1) > end)
            return DROP;
        protocol = ip->next;
    }
    struct counter *counter = map_lookup(&counters, &protocol);
    if (!counter)
        return ABORTED;
    counter->packets++;
    counter->bytes += end - data;
    return PASS;
}
