// The edge program's algorithm in C, the way one would write it for clang: same maps, same layouts, same order of decisions.
// It is the baseline of this benchmark and no part of the product. Maps are undefined symbols which the benchmark patches with the
// descriptors of the maps that the C# program uses, so that both work on the same entries.
//   -DRATE_INTERVAL=ns -DRATE_TOLERANCE=ns   with the rate limit, as constants, like the frozen options of the C# program
#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct map;

static void *(*map_lookup)(struct map *, const void *) = (void *)1;
static long (*map_update)(struct map *, const void *, const void *, u64) = (void *)2;
static u64 (*ktime_ns)(void) = (void *)5;
static u64 (*ktime_coarse_ns)(void) = (void *)160;

extern struct map edge_counters, edge_blocked, edge_prefixes, edge_sources, edge_services, edge_ring, edge_backends, edge_be_count,
    edge_conns, edge_fragments, bench_template;
extern u32 edge_clock;

enum { ABORTED, DROP, PASS, TX };
enum verdict { PASSED, NOT_IP, MALFORMED, BLOCKED, RATE_LIMITED, FORWARDED, REPLIED, NO_BACKEND, TABLE_FULL, PORT_COLLISION,
    FRAGMENT_FORWARDED, STRAY_FRAGMENT, ICMP_FORWARDED };
#define DROPPED ((1ull << BLOCKED) | (1ull << RATE_LIMITED) | (1ull << NO_BACKEND) | (1ull << TABLE_FULL) | (1ull << PORT_COLLISION) \
    | (1ull << STRAY_FRAGMENT))

struct address { u64 upper, lower; };
struct counter { u64 packets, bytes; };
struct rule { u64 expires, packets, bytes, own_expiry; };
struct prefix_key { u32 length, a, b, c, d; };
struct service_key { struct address address; u32 port, protocol; };
struct service { u32 id, ring_start, ring_slots, flags; };
struct backend { struct address address; u16 port, in_use; u32 service, weight, group; };
struct backend_counter { u64 connections, packets, bytes, reply_packets, reply_bytes; };
struct conn_key { struct address source, destination; u32 ports, protocol; };
struct conn { struct address address; u16 port, address_delta, full_delta; u8 direction, end; u32 backend, last_seen, pending_since, phase; };
struct fragment_key { struct address source, destination; u32 id, protocol; };
struct fragment_route { struct address address; u16 delta, direction; u32 reserved; };

struct ethernet { u8 destination[6], source[6]; u16 type; };
struct vlan { u16 tci, type; };
struct ipv4 { u8 version_ihl, tos; u16 length, id, fragment; u8 ttl, protocol; u16 checksum; u32 source, destination; };
struct ipv6 { u32 version; u16 length; u8 next, hops; struct address source, destination; };
struct extension { u8 next, length; u16 offset; u32 id; };
struct tcp { u16 source, destination; u32 seq, ack; u8 offset, flags; u16 window, checksum, urgent; };
struct udp { u16 source, destination, length, checksum; };
struct icmp { u8 type, code; u16 checksum; u32 rest; };

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58, FIN = 1, SYN = 2, RST = 4, ACK = 16 };
enum { WHOLE, FIRST, LATER };
enum { END_CLIENT = 1, END_BACKEND = 2, END_RESET = 4 };

struct packet { u8 *network, *transport; struct address source, destination; u32 fragment_id; u8 protocol, fragment, is_ipv6; };

INLINE struct address from_v4(u32 raw) { return (struct address){ 0, 0xFFFF0000u | ((u64)raw << 32) }; }
INLINE int same(const struct address *a, const struct address *b) { return a->upper == b->upper && a->lower == b->lower; }

// Checksums: RFC 1624
INLINE u16 fold(u64 sum)
{
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + ((sum >> 16) & 0xFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}
INLINE u64 words(u64 word) { return (word & 0xFFFFFFFF) + (word >> 32); }
INLINE u16 delta16(u16 before, u16 after) { return fold(((u64)before ^ 0xFFFF) + after); }
INLINE u16 delta_address(const struct address *before, const struct address *after)
{
    return fold(words(~before->upper) + words(~before->lower) + words(after->upper) + words(after->lower));
}
INLINE u16 apply(u16 checksum, u16 delta)
{
    u32 sum = (checksum ^ 0xFFFFu) + delta;
    sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum;
}
INLINE u16 apply_udp(u16 checksum, u16 delta)
{
    if (checksum == 0)
        return 0;
    u16 result = apply(checksum, delta);
    return result == 0 ? 0xFFFF : result;
}

// Parsing
enum parse { IP, OTHER, TRUNCATED, WRONG };
INLINE int fragment_v4(u16 flags) { return (flags & 0xFF3F) == 0 ? WHOLE : (flags & 0xFF1F) == 0 ? FIRST : LATER; }
INLINE int fragment_v6(u16 flags) { return (flags & 0xF9FF) == 0 ? WHOLE : (flags & 0xF8FF) == 0 ? FIRST : LATER; }
INLINE int valid_v4(const struct ipv4 *header) { return header->version_ihl - 0x45u <= 10u; }
INLINE int is_extension(u32 next) { return next < 64 && (((1ull | (1ull << 43) | (1ull << 44) | (1ull << 51) | (1ull << 60)) >> next) & 1); }

INLINE int read_v4(struct packet *p, u8 *network, u8 *end)
{
    struct ipv4 *header = (void *)network;
    if (network + sizeof *header > end)
        return TRUNCATED;
    if (!valid_v4(header))
        return WRONG;
    p->network = network;
    p->transport = network + ((header->version_ihl & 15u) << 2);
    p->source = from_v4(header->source);
    p->destination = from_v4(header->destination);
    p->fragment_id = header->id;
    p->protocol = header->protocol;
    p->fragment = fragment_v4(header->fragment);
    return IP;
}

INLINE int read_v6(struct packet *p, u8 *network, u8 *end)
{
    struct ipv6 *header = (void *)network;
    if (network + sizeof *header > end)
        return TRUNCATED;
    if ((header->version & 0xF0u) != 0x60u)
        return WRONG;
    p->network = network;
    p->is_ipv6 = 1;
    p->source = header->source;
    p->destination = header->destination;
    u8 next = header->next;
    u8 *position = network + sizeof *header;
#pragma clang loop unroll(full)
    for (int i = 0; i < 6; i++) {
        if (!is_extension(next))
            break;
        struct extension *e = (void *)position;
        if (position + sizeof *e > end)
            return TRUNCATED;
        if (next == 44) {
            p->fragment_id = e->id;
            p->fragment = fragment_v6(e->offset);
            if (p->fragment == LATER) {
                p->transport = position + sizeof *e;
                p->protocol = e->next;
                return IP;
            }
        }
        position += next == 44 ? 8 : next == 51 ? (e->length + 2u) << 2 : (e->length + 1u) << 3;
        next = e->next;
    }
    p->transport = position;
    p->protocol = next;
    return is_extension(next) ? WRONG : IP;
}

INLINE int parse(u8 *data, u8 *end, struct packet *p)
{
    struct ethernet *ethernet = (void *)data;
    if (data + sizeof *ethernet > end)
        return TRUNCATED;
    u16 type = ethernet->type;
    u8 *position = data + sizeof *ethernet;
    if (type == 0x0008)
        return read_v4(p, position, end);
    if (type == 0xDD86)
        return read_v6(p, position, end);
#pragma clang loop unroll(full)
    for (int i = 0; i < 2; i++) {
        if (type != 0x0081 && type != 0xA888)
            return OTHER;
        struct vlan *tag = (void *)position;
        if (position + sizeof *tag > end)
            return TRUNCATED;
        type = tag->type;
        position += sizeof *tag;
        if (type == 0x0008)
            return read_v4(p, position, end);
        if (type == 0xDD86)
            return read_v6(p, position, end);
    }
    return type == 0x0081 || type == 0xA888 ? WRONG : OTHER;
}

// Block list
INLINE int rule_applies(struct rule *rule, u32 length)
{
    if (rule->expires != 0 && ktime_coarse_ns() >= rule->expires)
        return 0;
    __sync_fetch_and_add(&rule->packets, 1);
    __sync_fetch_and_add(&rule->bytes, length);
    return 1;
}
INLINE int is_blocked(const struct address *source, u32 length)
{
    struct rule *rule = map_lookup(&edge_blocked, source);
    if (rule && rule_applies(rule, length))
        return 1;
    struct prefix_key key = { 128, source->upper, source->upper >> 32, source->lower, source->lower >> 32 };
    rule = map_lookup(&edge_prefixes, &key);
    return rule && rule_applies(rule, length);
}

// Rate limit
INLINE int over_rate(const struct address *source)
{
#ifdef RATE_INTERVAL
    u64 now = RATE_TOLERANCE >= 40000000ull ? ktime_coarse_ns() : ktime_ns();
    u64 *full = map_lookup(&edge_sources, source);
    if (!full) {
        u64 first = now + RATE_INTERVAL;
        map_update(&edge_sources, source, &first, 0);
        return 0;
    }
    u64 time = *full;
    if (time < now)
        time = now;
    if (time - now > RATE_TOLERANCE)
        return 1;
    *full = time + RATE_INTERVAL;
#endif
    return 0;
}

// Rewriting. The verifier does not remember that family and protocol have been compared before, so bounds are compared again.
INLINE void set_destination(const struct packet *p, const struct address *address, u16 delta, u8 *end)
{
    if (p->is_ipv6) {
        struct ipv6 *header6 = (void *)p->network;
        if ((u8 *)(header6 + 1) <= end)
            header6->destination = *address;
        return;
    }
    struct ipv4 *header = (void *)p->network;
    if ((u8 *)(header + 1) > end)
        return;
    header->destination = address->lower >> 32;
    header->checksum = apply(header->checksum, delta);
}
INLINE void set_source(const struct packet *p, const struct address *address, u16 delta, u8 *end)
{
    if (p->is_ipv6) {
        struct ipv6 *header6 = (void *)p->network;
        if ((u8 *)(header6 + 1) <= end)
            header6->source = *address;
        return;
    }
    struct ipv4 *header = (void *)p->network;
    if ((u8 *)(header + 1) > end)
        return;
    header->source = address->lower >> 32;
    header->checksum = apply(header->checksum, delta);
}
INLINE void rewrite_destination(const struct packet *p, const struct conn *c, u8 *end)
{
    set_destination(p, &c->address, c->address_delta, end);
    if (p->protocol == TCP) {
        struct tcp *tcp = (void *)p->transport;
        if ((u8 *)(tcp + 1) > end)
            return;
        tcp->destination = c->port;
        tcp->checksum = apply(tcp->checksum, c->full_delta);
    } else {
        struct udp *udp = (void *)p->transport;
        udp->destination = c->port;
        udp->checksum = apply_udp(udp->checksum, c->full_delta);
    }
}
INLINE void rewrite_source(const struct packet *p, const struct conn *c, u8 *end)
{
    set_source(p, &c->address, c->address_delta, end);
    if (p->protocol == TCP) {
        struct tcp *tcp = (void *)p->transport;
        if ((u8 *)(tcp + 1) > end)
            return;
        tcp->source = c->port;
        tcp->checksum = apply(tcp->checksum, c->full_delta);
    } else {
        struct udp *udp = (void *)p->transport;
        udp->source = c->port;
        udp->checksum = apply_udp(udp->checksum, c->full_delta);
    }
}

// Fragments
#define UNCHANGED 2
INLINE struct fragment_key fragment_key_of(const struct packet *p)
{
    return (struct fragment_key){ p->source, p->destination, p->fragment_id, p->is_ipv6 ? 0 : p->protocol };
}
INLINE int is_for_service(const struct packet *p)
{
    struct service_key service = { p->destination, 0, 0 };
    return map_lookup(&edge_services, &service) != 0;
}
INLINE void remember(const struct packet *p, const struct conn *c)
{
    if (p->fragment != FIRST)
        return;
    struct fragment_key key = fragment_key_of(p);
    struct fragment_route route = { c->address, c->address_delta, c->direction, 0 };
    map_update(&edge_fragments, &key, &route, 0);
}
INLINE void remember_passed(const struct packet *p)
{
    if (p->fragment != FIRST || !is_for_service(p))
        return;
    struct fragment_key key = fragment_key_of(p);
    struct fragment_route route = { .direction = UNCHANGED };
    map_update(&edge_fragments, &key, &route, 0);
}
INLINE int route_fragment(const struct packet *p, u8 *end)
{
    if (!p->is_ipv6 && p->protocol != TCP && p->protocol != UDP)
        return PASSED;
    struct fragment_key key = fragment_key_of(p);
    struct fragment_route *route = map_lookup(&edge_fragments, &key);
    if (route) {
        if (route->direction == 0)
            set_destination(p, &route->address, route->delta, end);
        else if (route->direction == 1)
            set_source(p, &route->address, route->delta, end);
        else
            return PASSED;
        return FRAGMENT_FORWARDED;
    }
    return p->protocol != ICMPV6 && is_for_service(p) ? STRAY_FRAGMENT : PASSED;
}

// ICMP errors
INLINE int route_icmp4(const struct packet *p, u8 *end)
{
    struct icmp *icmp = (void *)p->transport;
    struct ipv4 *inner = (void *)(icmp + 1);
    if ((u8 *)inner > end)
        return MALFORMED;
    if (icmp->type != 3 && icmp->type != 4 && icmp->type != 5 && icmp->type != 11 && icmp->type != 12)
        return PASSED;
    if ((u8 *)(inner + 1) > end)
        return MALFORMED;
    if (!valid_v4(inner) || fragment_v4(inner->fragment) == LATER || (inner->protocol != TCP && inner->protocol != UDP))
        return PASSED;
    struct udp *ports = (void *)((u8 *)inner + ((inner->version_ihl & 15u) << 2));
    if ((u8 *)(ports + 1) > end)
        return PASSED;
    u32 raw = *(u32 *)ports;
    struct conn_key key = { from_v4(inner->destination), from_v4(inner->source), (raw << 16) | (raw >> 16), inner->protocol };
    struct conn *c = map_lookup(&edge_conns, &key);
    if (!c)
        return PASSED;
    u32 address = c->address.lower >> 32;
    if (c->direction == 0) {
        inner->source = address;
        ports->source = c->port;
        set_destination(p, &c->address, c->address_delta, end);
    } else {
        inner->destination = address;
        ports->destination = c->port;
        if (same(&p->source, &key.source))
            set_source(p, &c->address, c->address_delta, end);
    }
    inner->checksum = apply(inner->checksum, c->address_delta);
    icmp->checksum = apply(icmp->checksum, fold((u64)c->full_delta + (u16)~c->address_delta));
    return ICMP_FORWARDED;
}
INLINE int route_icmp6(const struct packet *p, u8 *end)
{
    struct icmp *icmp = (void *)p->transport;
    struct ipv6 *inner = (void *)(icmp + 1);
    if ((u8 *)inner > end)
        return MALFORMED;
    if (icmp->type >= 128)
        return PASSED;
    struct udp *ports = (void *)(inner + 1);
    if ((u8 *)ports > end)
        return MALFORMED;
    if ((inner->next != TCP && inner->next != UDP) || (u8 *)(ports + 1) > end)
        return PASSED;
    u32 raw = *(u32 *)ports;
    struct conn_key key = { inner->destination, inner->source, (raw << 16) | (raw >> 16), inner->next };
    struct conn *c = map_lookup(&edge_conns, &key);
    if (!c)
        return PASSED;
    u16 delta = c->full_delta;
    if (c->direction == 0) {
        inner->source = c->address;
        ports->source = c->port;
        set_destination(p, &c->address, c->address_delta, end);
        delta = fold((u64)delta + c->address_delta);
    } else {
        inner->destination = c->address;
        ports->destination = c->port;
        if (same(&p->source, &key.source)) {
            set_source(p, &c->address, c->address_delta, end);
            delta = fold((u64)delta + c->address_delta);
        }
    }
    icmp->checksum = apply(icmp->checksum, delta);
    return ICMP_FORWARDED;
}
INLINE int route_error(const struct packet *p, u8 *end)
{
    if (p->is_ipv6)
        return p->protocol == ICMPV6 ? route_icmp6(p, end) : PASSED;
    return p->protocol == ICMP ? route_icmp4(p, end) : PASSED;
}

// Balancing
INLINE int is_closed(const struct conn *c) { return c->end >= (END_CLIENT | END_BACKEND); }

INLINE u32 slot_of(const struct conn_key *key, u32 slots)
{
    u64 hash = (key->source.upper ^ key->ports) * 0x9E3779B97F4A7C15ull;
    hash = (hash ^ (hash >> 32) ^ key->source.lower) * 0xC2B2AE3D27D4EB4Full;
    hash = (hash ^ (hash >> 29)) * 0x165667B19E3779F9ull;
    return ((hash >> 32) * slots) >> 32;
}

INLINE int enter_reply(const struct conn_key *key, const struct conn *reply)
{
    long status = map_update(&edge_conns, key, reply, 1);
    if (status == -17) {
        struct conn *existing = map_lookup(&edge_conns, key);
        if (existing && !is_closed(existing) && (!same(&existing->address, &reply->address) || existing->port != reply->port))
            return PORT_COLLISION;
        status = map_update(&edge_conns, key, reply, 0);
    }
    return status < 0 ? TABLE_FULL : FORWARDED;
}

INLINE int try_open(const struct conn_key *key, const struct service *service, u32 slot, struct conn *forward)
{
    u32 index = service->ring_start + slot / 4;
    u64 *row = map_lookup(&edge_ring, &index);
    if (!row)
        return NO_BACKEND;
    u32 id = (*row >> ((slot & 3) << 4)) & 0xFFFF;
    if (id == 0)
        return NO_BACKEND;
    struct backend *backend = map_lookup(&edge_backends, &id);
    if (!backend || backend->in_use == 0 || backend->service != service->id)
        return NO_BACKEND;
    struct address address = backend->address;
    u16 port = backend->port;
    u16 address_delta = delta_address(&key->destination, &address);
    u16 full_delta = fold((u64)address_delta + delta16(key->ports >> 16, port));
    u32 now = edge_clock;
    struct conn_key reply_key = { address, key->source, port | (key->ports << 16), key->protocol };
    struct conn reply = { key->destination, key->ports >> 16, ~address_delta, ~full_delta, 1, 0, id, now };
    int verdict = enter_reply(&reply_key, &reply);
    if (verdict != FORWARDED)
        return verdict;
    *forward = (struct conn){ address, port, address_delta, full_delta, 0, 0, id, now };
    return map_update(&edge_conns, key, forward, 0) < 0 ? TABLE_FULL : FORWARDED;
}

// Slots that are tried when a client's port is taken towards a backend: the C# program tries four. Of what clang makes of four the verifier walks more than
// the million instructions it allows, so the baseline tries one; no measured packet meets a taken port.
#define ATTEMPTS 1
INLINE int open_connection(const struct conn_key *key, const struct service *service, struct conn *forward)
{
    u32 slot = slot_of(key, service->ring_slots);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int verdict = try_open(key, service, slot, forward);
        if (verdict != PORT_COLLISION)
            return verdict;
        slot = slot + 1 < service->ring_slots ? slot + 1 : 0;
    }
    return PORT_COLLISION;
}

INLINE int is_in_use(const struct conn *forward)
{
    struct backend *backend = map_lookup(&edge_backends, &forward->backend);
    return backend && backend->in_use != 0 && same(&backend->address, &forward->address) && backend->port == forward->port;
}

INLINE u8 end_of(u8 flags, u8 fin) { return flags & RST ? END_RESET : flags & FIN ? fin : 0; }

// Once a second per direction, and at the end: both entries know how the connection ended, and one that was evicted comes back.
INLINE void keep_twin(const struct conn *c, const struct conn_key *twin_key, const struct address *address, u16 port, u8 direction)
{
    struct conn *found = map_lookup(&edge_conns, twin_key);
    if (found) {
        if (same(&found->address, address) && found->port == port)
            found->end |= c->end;
        return;
    }
    struct conn twin = { *address, port, ~c->address_delta, ~c->full_delta, direction, c->end, c->backend, c->last_seen };
    map_update(&edge_conns, twin_key, &twin, 1);
}

INLINE int balance(const struct packet *p, u8 *end, u32 ports, u8 flags, u32 length)
{
    struct conn_key key = { p->source, p->destination, ports, p->protocol };
    struct conn *known = map_lookup(&edge_conns, &key);
    if (known && known->direction == 1) {
        u32 now = edge_clock;
        if (known->last_seen != now || (flags & (FIN | RST))) {
            known->last_seen = now;
            known->end |= end_of(flags, END_BACKEND);
            struct conn_key twin = { key.destination, known->address, (key.ports >> 16) | ((u32)known->port << 16), key.protocol };
            keep_twin(known, &twin, &key.source, key.ports, 0);
        }
        struct backend_counter *counter = map_lookup(&edge_be_count, &known->backend);
        if (counter) {
            counter->reply_packets++;
            counter->reply_bytes += length;
        }
        rewrite_source(p, known, end);
        remember(p, known);
        return REPLIED;
    }
    if (over_rate(&p->source))
        return RATE_LIMITED;
    if (known && ((flags & (SYN | ACK)) != SYN || (!is_closed(known) && is_in_use(known)))) {
        u32 now = edge_clock;
        if (known->last_seen != now || (flags & (FIN | RST))) {
            known->last_seen = now;
            known->end |= end_of(flags, END_CLIENT);
            struct conn_key twin = { known->address, key.source, known->port | (key.ports << 16), key.protocol };
            keep_twin(known, &twin, &key.destination, key.ports >> 16, 1);
        }
        struct backend_counter *counter = map_lookup(&edge_be_count, &known->backend);
        if (counter) {
            counter->packets++;
            counter->bytes += length;
        }
        rewrite_destination(p, known, end);
        remember(p, known);
        return FORWARDED;
    }
    struct service_key service = { key.destination, key.ports >> 16, key.protocol };
    struct service *entry = map_lookup(&edge_services, &service);
    if (!entry) {
        remember_passed(p);
        return PASSED;
    }
    struct conn connection;
    int verdict = open_connection(&key, entry, &connection);
    if (verdict != FORWARDED)
        return verdict;
    struct backend_counter *counter = map_lookup(&edge_be_count, &connection.backend);
    if (counter) {
        counter->connections++;
        counter->packets++;
        counter->bytes += length;
    }
    rewrite_destination(p, &connection, end);
    remember(p, &connection);
    return FORWARDED;
}

INLINE int decide(u8 *data, u8 *end, u32 length)
{
    struct packet p = {};
    int status = parse(data, end, &p);
    if (status != IP)
        return status == OTHER ? NOT_IP : MALFORMED;
    if (is_blocked(&p.source, length))
        return BLOCKED;
    if (p.fragment == LATER)
        return over_rate(&p.source) ? RATE_LIMITED : route_fragment(&p, end);
    u8 flags = 0;
    if (p.protocol == TCP) {
        if (p.transport + sizeof(struct tcp) > end)
            return MALFORMED;
        flags = ((struct tcp *)p.transport)->flags;
    } else if (p.protocol == UDP) {
        if (p.transport + sizeof(struct udp) > end)
            return MALFORMED;
    } else {
        return over_rate(&p.source) ? RATE_LIMITED : route_error(&p, end);
    }
    return balance(&p, end, *(u32 *)p.transport, flags, length);
}

INLINE int edge(struct xdp_md *context)
{
    u8 *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end;
    u32 length = end - data;
    u32 verdict = decide(data, end, length);
    struct counter *counter = map_lookup(&edge_counters, &verdict);
    if (counter) {
        counter->packets++;
        counter->bytes += length;
    }
    return (DROPPED >> verdict) & 1 ? DROP : PASS;
}

// A test run with repetitions does not restore the packet, so the measured program does it: template over packet, next source port when wanted.
struct bench { u64 words[12]; u32 port, vary; };

INLINE int restore(struct xdp_md *context)
{
    u8 *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end;
    u32 zero = 0;
    struct bench *bench = map_lookup(&bench_template, &zero);
    if (!bench || data + sizeof bench->words > end)
        return 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; i++)
        *(u64 *)(data + 8 * i) = bench->words[i];
    if (bench->vary) {
        // Source port, and above 65536 connections the last bytes of the IPv4 source address.
        u32 next = ++bench->port;
        *(u16 *)(data + 34) = next;
        *(u16 *)(data + 28) = next >> 16;
    }
    return 1;
}

SEC("xdp/null") int bench_null(struct xdp_md *context) { return restore(context) ? PASS : ABORTED; }
SEC("xdp/edge") int bench_edge(struct xdp_md *context) { return restore(context) ? edge(context) : ABORTED; }
// What the instruction counts are taken of: the edge alone.
SEC("xdp/alone") int alone_edge(struct xdp_md *context) { return edge(context); }
