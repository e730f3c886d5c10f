#include "suite.h"

extern struct map closed, dropped;

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    if ((u8 *)(ip + 1) > end || ethernet->type != swap16(ETH_IPV4))
        return PASS;
    if ((ip->fragment & swap16(0x1FFF)) != 0)
        return PASS;
    if (ip->protocol != TCP && ip->protocol != UDP)
        return PASS;
    u32 header = (ip->version_ihl & 15u) << 2;
    if (header < sizeof *ip)
        return DROP;
    u16 *ports = (void *)((u8 *)ip + header);
    if ((u8 *)(ports + 2) > end)
        return DROP;
    u32 port = swap16(ports[1]);
    u32 word = port >> 6;
    u64 *bits = map_lookup(&closed, &word);
    if (!bits || ((*bits >> (port & 63)) & 1) == 0)
        return PASS;
    u32 index = ip->protocol == UDP;
    u64 *count = map_lookup(&dropped, &index);
    if (count)
        ++*count;
    return DROP;
}
