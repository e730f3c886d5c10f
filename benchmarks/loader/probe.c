// An object as tracing tools are: maps, global data, a function, and some hundred fields of kernel structs by relocation.
#define SEC(n) __attribute__((section(n), used))
#define CORE __attribute__((preserve_access_index))
#define __uint(n, v) int (*n)[v]
#define __type(n, v) typeof(v) *n
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct list_head { struct list_head *next, *prev; } CORE;
struct net_device { int ifindex; u32 mtu; u16 type; u32 flags; char name[16]; } CORE;
struct sock_common { u32 skc_daddr, skc_rcv_saddr; u16 skc_dport, skc_num, skc_family; volatile u8 skc_state; int skc_bound_dev_if; u64 skc_cookie; } CORE;
struct sock { struct sock_common __sk_common; int sk_rcvbuf, sk_sndbuf; u32 sk_mark; u16 sk_protocol; } CORE;
struct tcp_sock { u32 snd_cwnd, srtt_us, mdev_us, packets_out, lost_out, retrans_out, rcv_nxt, snd_nxt, snd_una; u64 bytes_acked, bytes_received; } CORE;
struct sk_buff { u32 len, data_len; u16 mac_len, protocol, network_header, transport_header; u32 hash, priority, mark; struct net_device *dev; struct sock *sk; } CORE;
struct task_struct { int pid, tgid, prio; char comm[16]; u64 utime, stime; struct task_struct *real_parent; } CORE;

struct { __uint(type, 1); __uint(max_entries, 1024); __type(key, u32); __type(value, u64); } counts SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 65536); } events SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } slots SEC(".maps");
extern int LINUX_KERNEL_VERSION SEC(".kconfig");
const volatile u32 only_port;
u64 seen;
static void *(*lookup)(void *, const void *) = (void *)1;
static struct tcp_sock *(*to_tcp)(void *) = (void *)137;
char LICENSE[] SEC("license") = "GPL";

static __attribute__((noinline)) u64 of_device(struct net_device *d) { return d ? d->ifindex + d->mtu + d->type + d->flags : 0; }

static __attribute__((noinline)) u64 of_socket(struct sock *s)
{
    if (!s) return 0;
    u64 n = s->__sk_common.skc_daddr + s->__sk_common.skc_rcv_saddr + s->__sk_common.skc_dport + s->__sk_common.skc_num + s->__sk_common.skc_family;
    return n + s->__sk_common.skc_state + s->__sk_common.skc_bound_dev_if + s->sk_rcvbuf + s->sk_sndbuf + s->sk_mark + s->sk_protocol;
}

static __attribute__((always_inline)) u64 of_packet(struct sk_buff *b)
{
    u64 n = b->len + b->data_len + b->mac_len + b->protocol + b->network_header + b->transport_header;
    return n + b->hash + b->priority + b->mark + of_device(b->dev) + of_socket(b->sk);
}

static __attribute__((always_inline)) void count(u32 key, u64 by)
{
    u64 *v = lookup(&counts, &key);
    if (v) *v += by;
    key &= 63;
    v = lookup(&slots, &key);
    if (v) *v += by;
    seen++;
}

#define PROGRAM(n) SEC("tp_btf/" #n) int on_##n(u64 *ctx) { count(1, LINUX_KERNEL_VERSION > 0x50000 ? of_packet((void *)ctx[0]) : only_port); return 0; }
PROGRAM(kfree_skb)
PROGRAM(consume_skb)
PROGRAM(netif_receive_skb)
PROGRAM(net_dev_queue)
PROGRAM(netif_rx)

SEC("tp_btf/tcp_probe") int on_tcp(u64 *ctx)
{
    struct tcp_sock *t = to_tcp((void *)ctx[0]);
    if (!t) return 0;
    count(t->snd_cwnd, t->srtt_us + t->mdev_us + t->packets_out + t->lost_out + t->retrans_out + t->rcv_nxt + t->snd_nxt + t->snd_una + t->bytes_acked + t->bytes_received);
    return 0;
}

SEC("tp_btf/sched_switch") int on_switch(u64 *ctx)
{
    struct task_struct *p = (void *)ctx[1], *n = (void *)ctx[2];
    count(p->pid, p->utime + p->stime + p->prio + n->pid + n->tgid + p->real_parent->pid);
    return 0;
}
