#include "suite.h"

extern struct map connections, totals;

struct address { u64 upper, lower; };
struct key { struct address low, high; u32 ports, protocol; };
struct connection { u32 state, reserved; u64 packets, bytes; };
enum { NEW, SYN_SENT, SYN_RECEIVED, ESTABLISHED, CLOSING, CLOSED, STATES };
enum { UNTRACKED, TRACKED, INVALID };

INLINE int less(const struct address *a, const struct address *b)
{
    return a->upper != b->upper ? a->upper < b->upper : a->lower < b->lower;
}

INLINE u32 next_tcp(u32 state, u8 flags)
{
    if (flags & RST)
        return CLOSED;
    switch (state) {
    case NEW:
    case CLOSED:
        return (flags & (SYN | ACK)) == SYN ? SYN_SENT : STATES;
    case SYN_SENT:
        return (flags & (SYN | ACK)) == (SYN | ACK) ? SYN_RECEIVED : (flags & SYN) != 0 ? SYN_SENT : STATES;
    case SYN_RECEIVED:
        return (flags & ACK) != 0 && (flags & SYN) == 0 ? ESTABLISHED : (flags & SYN) != 0 ? SYN_RECEIVED : STATES;
    case ESTABLISHED:
        return (flags & FIN) != 0 ? CLOSING : ESTABLISHED;
    case CLOSING:
        return (flags & FIN) != 0 ? CLOSED : CLOSING;
    default:
        return STATES;
    }
}

INLINE int track(u8 *data, u8 *end)
{
    struct ethernet *ethernet = (void *)data;
    if (data + sizeof *ethernet > end)
        return INVALID;
    u16 type = ethernet->type;
    u8 *network = data + sizeof *ethernet;
    if (type == swap16(ETH_VLAN)) {
        struct vlan *tag = (void *)network;
        if ((u8 *)(tag + 1) > end)
            return INVALID;
        type = tag->type;
        network += sizeof *tag;
    }
    struct address source, destination;
    u8 *transport;
    u32 protocol;
    if (type == swap16(ETH_IPV4)) {
        struct ipv4 *ip = (void *)network;
        if ((u8 *)(ip + 1) > end)
            return INVALID;
        u32 header = (ip->version_ihl & 15u) << 2;
        if (header < sizeof *ip)
            return INVALID;
        if ((ip->fragment & swap16(0x3FFF)) != 0)
            return UNTRACKED;
        source = (struct address){ 0, 0xFFFF0000u | ((u64)ip->source << 32) };
        destination = (struct address){ 0, 0xFFFF0000u | ((u64)ip->destination << 32) };
        protocol = ip->protocol;
        transport = network + header;
    } else if (type == swap16(ETH_IPV6)) {
        struct ipv6 *ip = (void *)network;
        if ((u8 *)(ip + 1) > end)
            return INVALID;
        source = (struct address){ ip->source[0], ip->source[1] };
        destination = (struct address){ ip->destination[0], ip->destination[1] };
        protocol = ip->next;
        transport = (u8 *)(ip + 1);
    } else {
        return UNTRACKED;
    }

    struct key key;
    u32 from = 0, to = 0;
    u8 flags = 0;
    if (protocol == TCP) {
        struct tcp *tcp = (void *)transport;
        if ((u8 *)(tcp + 1) > end)
            return INVALID;
        from = tcp->source;
        to = tcp->destination;
        flags = tcp->flags;
    } else if (protocol == UDP) {
        struct udp *udp = (void *)transport;
        if ((u8 *)(udp + 1) > end)
            return INVALID;
        from = udp->source;
        to = udp->destination;
    } else {
        return UNTRACKED;
    }
    if (less(&source, &destination)) {
        key.low = source;
        key.high = destination;
        key.ports = from | (to << 16);
    } else {
        key.low = destination;
        key.high = source;
        key.ports = to | (from << 16);
    }
    key.protocol = protocol;

    struct connection *connection = map_lookup(&connections, &key);
    u32 state = connection ? connection->state : NEW;
    u32 next = protocol == TCP ? next_tcp(state, flags) : ESTABLISHED;
    if (next == STATES)
        return INVALID;
    if (connection) {
        connection->state = next;
        connection->packets++;
        connection->bytes += end - data;
        return TRACKED;
    }
    struct connection created = { next, 0, 1, end - data };
    map_update(&connections, &key, &created, 0);
    return TRACKED;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    u32 outcome = track(data, end);
    u64 *total = map_lookup(&totals, &outcome);
    if (total)
        ++*total;
    return outcome == INVALID ? DROP : PASS;
}
