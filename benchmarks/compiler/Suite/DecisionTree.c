#include "suite.h"

extern struct map classes;

struct features { u32 length, ttl, source_port, destination_port, window, flags, header, tos; };

// The tree as a learner would print it.
INLINE u32 classify(const struct features *f)
{
    if (f->length <= 120) {
        if (f->flags <= 2) {
            if (f->window <= 1024)
                return f->ttl <= 40 ? 5 : 1;
            return f->source_port <= 1023 ? 2 : f->header <= 20 ? 5 : 0;
        }
        if (f->destination_port <= 1023) {
            if (f->window <= 2920)
                return f->ttl <= 64 ? 3 : 1;
            return f->destination_port <= 79 ? 4 : 0;
        }
        return f->tos <= 8 ? (f->source_port <= 442 ? 1 : 2) : 6;
    }
    if (f->destination_port <= 442) {
        if (f->length <= 576)
            return f->flags <= 16 ? (f->destination_port <= 80 ? 0 : 4) : 3;
        return f->ttl <= 55 ? (f->window <= 29200 ? 7 : 2) : 6;
    }
    if (f->source_port <= 1023) {
        if (f->length <= 1200)
            return f->window <= 501 ? 3 : (f->flags <= 23 ? 2 : 0);
        return f->header <= 24 ? 1 : 4;
    }
    return f->tos <= 31 ? (f->ttl <= 120 ? 6 : 7) : 5;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    struct tcp *tcp = (void *)(ip + 1);
    if ((u8 *)(tcp + 1) > end || ethernet->type != swap16(ETH_IPV4) || ip->version_ihl != 0x45 || ip->protocol != TCP)
        return PASS;
    struct features features = {
        .length = swap16(ip->length), .ttl = ip->ttl, .source_port = swap16(tcp->source), .destination_port = swap16(tcp->destination),
        .window = swap16(tcp->window), .flags = tcp->flags, .header = (tcp->offset & 0xF0u) >> 2, .tos = ip->tos,
    };
    u32 class = classify(&features);
    u64 *count = map_lookup(&classes, &class);
    if (count)
        ++*count;
    return class >= 5 ? DROP : PASS;
}
