#include "suite.h"

extern struct map blocked, totals;

struct prefix { u32 length; u32 address; };
struct rule { u32 audit, reserved; u64 packets, bytes; };

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    if (data + sizeof *ethernet > end)
        return DROP;
    u16 type = ethernet->type;
    u8 *network = data + sizeof *ethernet;
    for (int tags = 0; tags < 2 && (type == swap16(ETH_VLAN) || type == swap16(ETH_QINQ)); tags++) {
        struct vlan *tag = (void *)network;
        if ((u8 *)(tag + 1) > end)
            return DROP;
        type = tag->type;
        network += sizeof *tag;
    }
    if (type != swap16(ETH_IPV4))
        return PASS;
    struct ipv4 *ip = (void *)network;
    if ((u8 *)(ip + 1) > end)
        return DROP;
    struct prefix key = { 32, ip->source };
    struct rule *rule = map_lookup(&blocked, &key);
    if (!rule)
        return PASS;
    __sync_fetch_and_add(&rule->packets, 1);
    __sync_fetch_and_add(&rule->bytes, end - data);
    u32 index = rule->audit ? 1 : 0;
    u64 *total = map_lookup(&totals, &index);
    if (total)
        ++*total;
    return rule->audit ? PASS : DROP;
}
