#include "suite.h"

extern struct map services, connections, ring, backends;

struct service_key { u32 address; u16 port; u16 protocol; };
struct service { u32 id, flags; u64 packets, bytes; };
struct connection_key { u32 source, destination, ports, protocol; };
struct backend { u32 address; struct mac mac; u16 reserved; u64 packets; };
enum { RING = 1021, OUTER_SOURCE = 0x0A0000FE };

INLINE u32 rotate(u32 x, u32 n) { return (x << n) | (x >> (32 - n)); }

INLINE u32 hash(u32 a, u32 b, u32 c)
{
    a += 0xDEADBEF7u; b += 0xDEADBEF7u; c += 0xDEADBEF7u;
    c ^= b; c -= rotate(b, 14);
    a ^= c; a -= rotate(c, 11);
    b ^= a; b -= rotate(a, 25);
    c ^= b; c -= rotate(b, 16);
    a ^= c; a -= rotate(c, 4);
    b ^= a; b -= rotate(a, 14);
    c ^= b; c -= rotate(b, 24);
    return c;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    u16 *port = (void *)(ip + 1);
    if ((u8 *)(port + 2) > end || ethernet->type != swap16(ETH_IPV4) || ip->version_ihl != 0x45)
        return PASS;
    if ((ip->protocol != TCP && ip->protocol != UDP) || (ip->fragment & swap16(0x3FFF)) != 0)
        return PASS;
    struct service_key wanted = { ip->destination, port[1], ip->protocol };
    struct service *service = map_lookup(&services, &wanted);
    if (!service)
        return PASS;
    u16 length = swap16(ip->length);
    service->packets++;
    service->bytes += length;

    struct connection_key key = { ip->source, ip->destination, port[0] | ((u32)port[1] << 16), ip->protocol };
    u32 index;
    u32 *known = map_lookup(&connections, &key);
    if (known) {
        index = *known;
    } else {
        u32 slot = service->id * RING + hash(key.source, key.destination, key.ports) % RING;
        u32 *chosen = map_lookup(&ring, &slot);
        if (!chosen)
            return DROP;
        index = *chosen;
        map_update(&connections, &key, &index, 0);
    }
    struct backend *backend = map_lookup(&backends, &index);
    if (!backend || backend->address == 0)
        return DROP;
    backend->packets++;

    if (adjust_head(context, -(int)sizeof(struct ipv4)))
        return ABORTED;
    data = DATA(context);
    end = DATA_END(context);
    struct ethernet *outer = (void *)data;
    struct ipv4 *tunnel = (void *)(outer + 1);
    struct ethernet *inner = (void *)(data + sizeof(struct ipv4));
    if ((u8 *)(inner + 1) > end)
        return ABORTED;
    copy_mac(&outer->source, &inner->destination);
    copy_mac(&outer->destination, &backend->mac);
    outer->type = swap16(ETH_IPV4);
    tunnel->version_ihl = 0x45;
    tunnel->tos = 0;
    tunnel->length = swap16(length + sizeof(struct ipv4));
    tunnel->id = 0;
    tunnel->fragment = swap16(0x4000);
    tunnel->ttl = 64;
    tunnel->protocol = 4;
    tunnel->checksum = 0;
    tunnel->source = swap32(OUTER_SOURCE);
    tunnel->destination = backend->address;
    u32 sum = 0;
    u16 *word = (void *)tunnel;
    for (int i = 0; i < 10; i++)
        sum += word[i];
    tunnel->checksum = fold(sum);
    return TX;
}
