#include "suite.h"

extern struct map flows;

struct key { u32 source, destination, ports, protocol; };
struct flow {
    u64 first, last, packets, bytes;
    u32 shortest, longest;
    u8 flags, least_ttl, tos, reserved;
    u32 buckets[4];
};

INLINE u32 bucket_of(u32 length)
{
    return length <= 128 ? 0 : length <= 512 ? 1 : length <= 1024 ? 2 : 3;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    if ((u8 *)(ip + 1) > end || ethernet->type != swap16(ETH_IPV4))
        return PASS;
    u32 header = (ip->version_ihl & 15u) << 2;
    if (header < sizeof *ip)
        return PASS;
    struct key key = { ip->source, ip->destination, 0, ip->protocol };
    u8 *transport = (u8 *)ip + header;
    u8 flags = 0;
    if (key.protocol == TCP) {
        struct tcp *tcp = (void *)transport;
        if ((u8 *)(tcp + 1) > end)
            return PASS;
        key.ports = tcp->source | ((u32)tcp->destination << 16);
        flags = tcp->flags;
    } else if (key.protocol == UDP) {
        struct udp *udp = (void *)transport;
        if ((u8 *)(udp + 1) > end)
            return PASS;
        key.ports = udp->source | ((u32)udp->destination << 16);
    }
    u32 length = swap16(ip->length);
    u64 now = ktime_ns();
    struct flow *flow = map_lookup(&flows, &key);
    if (!flow) {
        struct flow created = {
            .first = now, .last = now, .packets = 1, .bytes = length, .shortest = length, .longest = length,
            .flags = flags, .least_ttl = ip->ttl, .tos = ip->tos,
        };
        switch (bucket_of(length)) {
        case 0: created.buckets[0] = 1; break;
        case 1: created.buckets[1] = 1; break;
        case 2: created.buckets[2] = 1; break;
        default: created.buckets[3] = 1; break;
        }
        map_update(&flows, &key, &created, 0);
        return PASS;
    }
    flow->last = now;
    flow->packets++;
    flow->bytes += length;
    if (length < flow->shortest)
        flow->shortest = length;
    if (length > flow->longest)
        flow->longest = length;
    flow->flags |= flags;
    if (ip->ttl < flow->least_ttl)
        flow->least_ttl = ip->ttl;
    flow->buckets[bucket_of(length)]++;
    return PASS;
}
