// What every algorithm of the suite needs in C: types, helpers, headers. The C side is a baseline of this benchmark and no part of the product.
// Maps are undefined symbols, which the benchmark patches with maps of the C# program's shape.
#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct map;

static void *(*map_lookup)(struct map *, const void *) = (void *)1;
static long (*map_update)(struct map *, const void *, const void *, u64) = (void *)2;
static u64 (*ktime_ns)(void) = (void *)5;
static long (*adjust_head)(struct xdp_md *, int) = (void *)44;

enum { ABORTED, DROP, PASS, TX };
enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { ETH_IPV4 = 0x0800, ETH_IPV6 = 0x86DD, ETH_VLAN = 0x8100, ETH_QINQ = 0x88A8 };

#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)

struct mac { u8 bytes[6]; };
struct ethernet { struct mac destination, source; u16 type; };
struct vlan { u16 tci, type; };
struct ipv4 { u8 version_ihl, tos; u16 length, id, fragment; u8 ttl, protocol; u16 checksum; u32 source, destination; };
struct ipv6 { u32 version; u16 length; u8 next, hops; u64 source[2], destination[2]; };
struct tcp { u16 source, destination; u32 seq, ack; u8 offset, flags; u16 window, checksum, urgent; };
struct udp { u16 source, destination, length, checksum; };

#define DATA(ctx) ((u8 *)(long)(ctx)->data)
#define DATA_END(ctx) ((u8 *)(long)(ctx)->data_end)

// As the kernel's ether_addr_copy does: unaligned access is cheap where eBPF is used.
INLINE void copy_mac(struct mac *to, const struct mac *from)
{
    *(u32 *)to->bytes = *(const u32 *)from->bytes;
    *(u16 *)(to->bytes + 4) = *(const u16 *)(from->bytes + 4);
}

// Checksums: RFC 1071.
INLINE u16 fold(u32 sum)
{
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum;
}

// What C programmers write when clang compares one pointer and reads through another, which the verifier refuses: the pointer is kept as it is.
#define KEEP(pointer) __asm__ volatile("" : "+r"(pointer))
