#include "suite.h"

extern struct map buckets, outcomes;

struct bucket { u64 tokens, last; };
enum { RATE = 10, BURST = 20, SECOND = 1000000000, SCALE = 1000000 };

INLINE int admit(u32 source)
{
    u64 now = ktime_ns();
    struct bucket *bucket = map_lookup(&buckets, &source);
    if (!bucket) {
        struct bucket first = { (u64)(BURST - 1) * SCALE, now };
        map_update(&buckets, &source, &first, 0);
        return 1;
    }
    u64 elapsed = now - bucket->last;
    if (elapsed > SECOND)
        elapsed = SECOND;
    u64 tokens = bucket->tokens + elapsed * RATE / (SECOND / SCALE);
    if (tokens > (u64)BURST * SCALE)
        tokens = (u64)BURST * SCALE;
    bucket->last = now;
    if (tokens < SCALE) {
        bucket->tokens = tokens;
        return 0;
    }
    bucket->tokens = tokens - SCALE;
    return 1;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    if ((u8 *)(ip + 1) > end || ethernet->type != swap16(ETH_IPV4))
        return PASS;
    u32 admitted = admit(ip->source);
    u64 *count = map_lookup(&outcomes, &admitted);
    if (count)
        ++*count;
    return admitted ? PASS : DROP;
}
