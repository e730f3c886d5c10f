#include "suite.h"

extern struct map settings, totals;

struct setting { u32 secret0, secret1, minute, port; };
enum { ANSWERED, VALID, FORGED };

INLINE u32 rotate(u32 x, u32 n) { return (x << n) | (x >> (32 - n)); }

// The mixing of Bob Jenkins' lookup3, final part.
INLINE u32 cookie(const struct setting *s, u32 source, u32 destination, u32 ports, u32 seq, u32 minute)
{
    u32 a = source + s->secret0, b = destination + s->secret1, c = ports ^ seq ^ minute;
    c ^= b; c -= rotate(b, 14);
    a ^= c; a -= rotate(c, 11);
    b ^= a; b -= rotate(a, 25);
    c ^= b; c -= rotate(b, 16);
    a ^= c; a -= rotate(c, 4);
    b ^= a; b -= rotate(a, 14);
    c ^= b; c -= rotate(b, 24);
    return c;
}

INLINE void count(u32 what)
{
    u64 *total = map_lookup(&totals, &what);
    if (total)
        ++*total;
}

INLINE u32 words(const void *data, int bytes)
{
    const u16 *word = data;
    u32 sum = 0;
    for (int i = 0; i < bytes / 2; i++)
        sum += word[i];
    return sum;
}

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct ethernet *ethernet = (void *)data;
    struct ipv4 *ip = (void *)(ethernet + 1);
    struct tcp *tcp = (void *)(ip + 1);
    u32 *option = (void *)(tcp + 1);
    if ((u8 *)(option + 1) > end || ethernet->type != swap16(ETH_IPV4) || ip->version_ihl != 0x45 || ip->protocol != TCP)
        return PASS;
    u32 zero = 0;
    struct setting *setting = map_lookup(&settings, &zero);
    if (!setting || tcp->destination != setting->port)
        return PASS;
    u32 ports = tcp->source | ((u32)tcp->destination << 16);
    if ((tcp->flags & (SYN | ACK)) == ACK) {
        u32 seq = swap32(tcp->seq) - 1, ack = swap32(tcp->ack) - 1;
        for (u32 age = 0; age < 2; age++)
            if (cookie(setting, ip->source, ip->destination, ports, seq, setting->minute - age) == ack) {
                count(VALID);
                return PASS;
            }
        count(FORGED);
        return DROP;
    }
    if ((tcp->flags & (SYN | ACK | RST | FIN)) != SYN)
        return PASS;
    u32 seq = swap32(tcp->seq);
    u32 value = cookie(setting, ip->source, ip->destination, ports, seq, setting->minute);

    struct mac mac;
    copy_mac(&mac, &ethernet->source);
    copy_mac(&ethernet->source, &ethernet->destination);
    copy_mac(&ethernet->destination, &mac);

    u32 source = ip->source;
    ip->source = ip->destination;
    ip->destination = source;
    ip->length = swap16(44);
    ip->id = 0;
    ip->fragment = swap16(0x4000);
    ip->ttl = 64;
    ip->checksum = 0;
    ip->checksum = fold(words(ip, sizeof *ip));

    u16 port = tcp->source;
    tcp->source = tcp->destination;
    tcp->destination = port;
    tcp->ack = swap32(seq + 1);
    tcp->seq = swap32(value);
    tcp->offset = 0x60;
    tcp->flags = SYN | ACK;
    tcp->window = swap16(65535);
    tcp->urgent = 0;
    *option = swap32(0x020405B4);
    tcp->checksum = 0;
    tcp->checksum = fold(words(&ip->source, 8) + swap16(TCP) + swap16(24) + words(tcp, 24));
    count(ANSWERED);
    return TX;
}
