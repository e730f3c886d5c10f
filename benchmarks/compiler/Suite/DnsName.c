#include "suite.h"

extern struct map names, totals;

struct dns { u16 id, flags, questions, answers, authorities, additional; };
enum { LONGEST = 96, QUERIES = 0, MATCHES = 1, BROKEN = 2 };
#define FNV_OFFSET 0xCBF29CE484222325ull
#define FNV_PRIME 0x100000001B3ull

INLINE void count(u32 what)
{
    u64 *total = map_lookup(&totals, &what);
    if (total)
        ++*total;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    struct udp *udp = (void *)(ip + 1);
    struct dns *dns = (void *)(udp + 1);
    if ((u8 *)(dns + 1) > end || ethernet->type != swap16(ETH_IPV4) || ip->version_ihl != 0x45 || ip->protocol != UDP)
        return PASS;
    if (udp->destination != swap16(53) || (dns->flags & swap16(0x8000)) != 0 || dns->questions != swap16(1))
        return PASS;
    count(QUERIES);

    // The hash of the name in small letters; the length bytes count as dots.
    u8 *at = (u8 *)(dns + 1);
    u64 hash = FNV_OFFSET;
    u32 left = 0;
    for (u32 i = 0; i < LONGEST; i++) {
        if (at + 1 > end)
            break;
        u8 c = *at++;
        if (left == 0) {
            if (c == 0) {
                u32 *verdict = map_lookup(&names, &hash);
                if (!verdict)
                    return PASS;
                count(MATCHES);
                return *verdict;
            }
            if (c > 63)
                break;
            left = c;
            c = '.';
        } else {
            if (c >= 'A' && c <= 'Z')
                c += 'a' - 'A';
            left--;
        }
        hash = (hash ^ c) * FNV_PRIME;
    }
    count(BROKEN);
    return DROP;
}
