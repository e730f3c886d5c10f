#include "suite.h"

extern struct map automaton, matches;

enum { STATES = 32, BYTES = 64 };
struct table { u8 next[STATES * 256]; u8 rule[STATES]; };

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    struct tcp *tcp = (void *)(ip + 1);
    if ((u8 *)(tcp + 1) > end || ethernet->type != swap16(ETH_IPV4) || ip->version_ihl != 0x45 || ip->protocol != TCP)
        return PASS;
    u32 zero = 0;
    struct table *table = map_lookup(&automaton, &zero);
    if (!table)
        return ABORTED;
    u8 *at = (u8 *)tcp + ((tcp->offset & 0xF0u) >> 2);
    u32 state = 0;
    for (u32 i = 0; i < BYTES; i++) {
        KEEP(at);
        if (at + 1 > end)
            break;
        state = table->next[((state & (STATES - 1)) << 8) | *at];
        at++;
    }
    u32 rule = table->rule[state & (STATES - 1)];
    if (rule == 0)
        return PASS;
    u64 *count = map_lookup(&matches, &rule);
    if (count)
        ++*count;
    return DROP;
}
