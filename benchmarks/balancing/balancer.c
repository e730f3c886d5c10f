// The baseline of this benchmark: a direct-return balancer in C, designed as the best-known one of its kind is documented to be, written for this comparison and
// part of no product. Virtual endpoints in a hash map, a connection table per CPU (LRU, found through an array of maps), a ring per endpoint (-DRING=slots), time
// by the clock helper for UDP, a limit on new connections per second, counters per endpoint and per backend, outer headers with full checksums of IPv4.
// Maps are undefined symbols which the benchmark patches with descriptors.
#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#include "restore.h"

struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct map;

static void *(*map_lookup)(struct map *, const void *) = (void *)1;
static long (*map_update)(struct map *, const void *, const void *, u64) = (void *)2;
static u64 (*ktime_ns)(void) = (void *)5;
static u32 (*processor)(void) = (void *)8;
static long (*adjust_head)(struct xdp_md *, int) = (void *)44;

extern struct map base_vips, base_lru, base_ring, base_reals, base_control, base_vip_stats, base_real_stats, base_rates, bench_template;

enum { ABORTED, DROP, PASS, TX };
enum { TCP = 6, UDP = 17, IPIP = 4, IPV6 = 41, SYN = 2, RST = 4, MAX_VIPS_STATS = 16384 };
enum { IS_IPV6 = 1, NO_LRU = 2 };
#ifndef RING
#define RING 65537
#endif
#define UDP_TIMEOUT 30000000000ull
#ifndef MAX_NEW_PER_SECOND
#define MAX_NEW_PER_SECOND 125000
#endif

struct address { u32 w[4]; };
struct vip_key { struct address address; u16 port; u8 protocol, pad; };
struct vip { u32 flags, number; };
struct flow { struct address source, destination; u32 ports; u8 protocol, pad[3]; };
struct slot { u32 real, pad; u64 time; };
struct real { struct address address; u8 flags, pad[3]; };
struct control { u8 mac[8]; };
struct counter { u64 packets, bytes; };
struct rate { u64 second, count; };

struct ethernet { u8 destination[6], source[6]; u16 type; };
struct ipv4 { u8 version_ihl, tos; u16 length, id, fragment; u8 ttl, protocol; u16 checksum; u32 source, destination; };
struct ipv6 { u32 version; u16 length; u8 next, hops; struct address source, destination; };
struct tcp { u16 source, destination; u32 seq, ack; u8 offset, flags; u16 window, checksum, urgent; };
struct udp { u16 source, destination, length, checksum; };

// Jenkins' lookup3, as kernel hashes of this kind use it.
INLINE u32 rol(u32 v, u32 n) { return (v << n) | (v >> (32 - n)); }
#define MIX(a, b, c) { a -= c; a ^= rol(c, 4); c += b; b -= a; b ^= rol(a, 6); a += c; c -= b; c ^= rol(b, 8); b += a; \
    a -= c; a ^= rol(c, 16); c += b; b -= a; b ^= rol(a, 19); a += c; c -= b; c ^= rol(b, 4); b += a; }
#define FINAL(a, b, c) { c ^= b; c -= rol(b, 14); a ^= c; a -= rol(c, 11); b ^= a; b -= rol(a, 25); c ^= b; c -= rol(b, 16); \
    a ^= c; a -= rol(c, 4); b ^= a; b -= rol(a, 14); c ^= b; c -= rol(b, 24); }
INLINE u32 hash2(u32 a, u32 b)
{
    u32 c = 0xdeadbeef + 8;
    a += c; b += c;
    FINAL(a, b, c);
    return c;
}
INLINE u32 hash4(const u32 *k)
{
    u32 a = 0xdeadbeef + 16, b = a, c = a;
    a += k[0]; b += k[1]; c += k[2];
    MIX(a, b, c);
    a += k[3];
    FINAL(a, b, c);
    return c;
}

INLINE u16 bswap16(u16 v) { return __builtin_bswap16(v); }
INLINE void count(struct map *stats, u32 index, u32 bytes)
{
    struct counter *c = map_lookup(stats, &index);
    if (c) {
        c->packets++;
        c->bytes += bytes;
    }
}

INLINE int too_many_new(void)
{
    u32 zero = 0;
    struct rate *r = map_lookup(&base_rates, &zero);
    if (!r)
        return 0;
    u64 now = ktime_ns() / 1000000000ull;
    if (r->second != now) {
        r->second = now;
        r->count = 1;
        return 0;
    }
    return ++r->count > MAX_NEW_PER_SECOND;
}

INLINE struct real *choose(struct flow *flow, struct vip *vip, struct map *lru, int fresh, u32 *number)
{
    int add = lru && !(vip->flags & NO_LRU);
    if (add && too_many_new())
        add = 0;
    u32 slot = (vip->flags & IS_IPV6 ? hash2(hash4(flow->source.w), flow->ports) : hash2(flow->source.w[0], flow->ports)) % RING + vip->number * RING;
    u32 *real = map_lookup(&base_ring, &slot);
    if (!real)
        return 0;
    *number = *real;
    struct real *chosen = map_lookup(&base_reals, real);
    if (chosen && add) {
        struct slot entry = { .real = *real, .time = flow->protocol == UDP ? ktime_ns() : 0 };
        map_update(lru, flow, &entry, 0);
    }
    return chosen;
}

INLINE int balance(struct xdp_md *context)
{
    u8 *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end;
    struct ethernet *ethernet = (void *)data;
    if (data + sizeof *ethernet > end)
        return DROP;
    struct flow flow = {};
    struct vip_key key = {};
    u8 *transport;
    u32 length, is_ipv6 = ethernet->type == bswap16(0x86DD);
    u8 tos, protocol;
    if (is_ipv6) {
        struct ipv6 *ip = (void *)(data + sizeof *ethernet);
        if ((u8 *)(ip + 1) > end)
            return DROP;
        length = bswap16(ip->length) + sizeof *ip;
        protocol = ip->next;
        if (protocol == 44)
            return DROP;
        tos = (u8)(ip->version << 4 | (ip->version >> 12 & 15));
        flow.source = ip->source;
        flow.destination = ip->destination;
        transport = (u8 *)(ip + 1);
    } else if (ethernet->type == bswap16(0x0800)) {
        struct ipv4 *ip = (void *)(data + sizeof *ethernet);
        if ((u8 *)(ip + 1) > end || ip->version_ihl != 0x45)
            return DROP;
        if (ip->fragment & 0xFF3F)
            return DROP;
        length = bswap16(ip->length);
        protocol = ip->protocol;
        tos = ip->tos;
        flow.source.w[0] = ip->source;
        flow.destination.w[0] = ip->destination;
        transport = (u8 *)(ip + 1);
    } else
        return PASS;
    u8 flags = 0;
    if (protocol == TCP) {
        struct tcp *tcp = (void *)transport;
        if ((u8 *)(tcp + 1) > end)
            return DROP;
        flags = tcp->flags;
    } else if (protocol == UDP) {
        if (transport + sizeof(struct udp) > end)
            return DROP;
    } else
        return PASS;
    flow.ports = *(u32 *)transport;
    flow.protocol = protocol;
    key.address = flow.destination;
    key.port = flow.ports >> 16;
    key.protocol = protocol;
    struct vip *vip = map_lookup(&base_vips, &key);
    if (!vip) {
        // An endpoint for all ports.
        key.port = 0;
        vip = map_lookup(&base_vips, &key);
        if (!vip)
            return PASS;
    }
    u32 cpu = processor();
    struct map *lru = map_lookup(&base_lru, &cpu);
    u32 number = 0, bytes = end - data;
    struct real *real = 0;
    // Packets, and misses of the connection table.
    count(&base_vip_stats, MAX_VIPS_STATS, bytes);
    if (lru && !(flags & SYN) && !(vip->flags & NO_LRU)) {
        struct slot *known = map_lookup(lru, &flow);
        if (known) {
            if (protocol == UDP) {
                u64 now = ktime_ns();
                if (now - known->time <= UDP_TIMEOUT) {
                    known->time = now;
                    number = known->real;
                    real = map_lookup(&base_reals, &number);
                }
            } else {
                number = known->real;
                real = map_lookup(&base_reals, &number);
            }
        }
    }
    if (!real) {
        count(&base_vip_stats, flags & SYN ? MAX_VIPS_STATS + 1 : MAX_VIPS_STATS + 2, bytes);
        real = choose(&flow, vip, lru, flags & SYN, &number);
        if (!real)
            return DROP;
    }
    u32 zero = 0;
    struct control *control = map_lookup(&base_control, &zero);
    if (!control)
        return DROP;
    u32 number_of_vip = vip->number;
    u8 real_is_ipv6 = real->flags;
    struct address to = real->address;
    int head = real_is_ipv6 ? sizeof(struct ipv6) : sizeof(struct ipv4);
    if (adjust_head(context, -head))
        return DROP;
    data = (u8 *)(long)context->data;
    end = (u8 *)(long)context->data_end;
    u8 *old = data + head;
    if (real_is_ipv6) {
        struct ethernet *out = (void *)data, *in = (void *)(data + sizeof(struct ipv6));
        struct ipv6 *ip = (void *)(out + 1);
        if ((u8 *)(in + 1) > end || (u8 *)(ip + 1) > end)
            return DROP;
        __builtin_memcpy(out->source, in->destination, 6);
        __builtin_memcpy(out->destination, control->mac, 6);
        out->type = bswap16(0x86DD);
        ip->version = 0x60 | (tos >> 4) | (u32)(tos & 15) << 12;
        ip->length = bswap16(length);
        ip->next = is_ipv6 ? IPV6 : IPIP;
        ip->hops = 64;
        ip->source = (struct address){ { 0x01, 0, 0, flow.source.w[3] ^ flow.ports } };
        ip->destination = to;
    } else {
        struct ethernet *out = (void *)data, *in = (void *)(data + sizeof(struct ipv4));
        struct ipv4 *ip = (void *)(out + 1);
        if ((u8 *)(in + 1) > end || (u8 *)(ip + 1) > end)
            return DROP;
        __builtin_memcpy(out->source, in->destination, 6);
        __builtin_memcpy(out->destination, control->mac, 6);
        out->type = bswap16(0x0800);
        ip->version_ihl = 0x45;
        ip->tos = tos;
        ip->length = bswap16(length + sizeof *ip);
        ip->id = 0;
        ip->fragment = 0;
        ip->ttl = 64;
        ip->protocol = is_ipv6 ? IPV6 : IPIP;
        ip->checksum = 0;
        ip->source = 0x10AC | ((flow.ports & 0xFFFF) ^ (flow.source.w[0] >> 16)) << 16;
        ip->destination = to.w[0];
        u32 sum = 0;
        u16 *words = (void *)ip;
#pragma clang loop unroll(full)
        for (int i = 0; i < 10; i++)
            sum += words[i];
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        ip->checksum = ~sum;
    }
    count(&base_vip_stats, number_of_vip, bytes);
    count(&base_real_stats, number, bytes);
    return TX;
}

INLINE int run(struct xdp_md *context, int balances)
{
    u32 zero = 0;
    struct template *template = map_lookup(&bench_template, &zero);
    if (!template || !restore(template, (u8 *)(long)context->data, (u8 *)(long)context->data_end))
        return ABORTED;
    if (!balances)
        return PASS;
    int verdict = balance(context);
    if (template->undo)
        adjust_head(context, template->undo);
    return verdict;
}

SEC("xdp/bench") int bench(struct xdp_md *context) { return run(context, 1); }
SEC("xdp/null") int null(struct xdp_md *context) { return run(context, 0); }
SEC("xdp/alone") int alone(struct xdp_md *context) { return balance(context); }
