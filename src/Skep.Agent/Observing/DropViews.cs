using System.Collections.Frozen;
using Skep.Agent.Api;
using Skep.Bpf.Btf;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Agent.Observing;

/// <summary>Drops of the network stack in the words of the running kernel, with what they mean.</summary>
internal static class DropViews
{
    // Numbers differ between kernels, names do not.
    private static readonly Lazy<DropReasons> s_names = new(() => DropReasons.OfKernel(BtfFile.Kernel));

    private static readonly FrozenDictionary<string, string> s_meanings = new Dictionary<string, string>
    {
        ["not_specified"] = "the kernel does not say why",
        ["no_socket"] = "no socket listens on the port",
        ["pkt_too_small"] = "shorter than its headers say",
        ["tcp_csum"] = "wrong TCP checksum",
        ["udp_csum"] = "wrong UDP checksum",
        ["ip_csum"] = "wrong IP checksum",
        ["socket_filter"] = "a filter of the socket refused it",
        ["netfilter_drop"] = "a firewall rule (nftables, iptables) dropped it",
        ["otherhost"] = "addressed to another machine",
        ["ip_inhdr"] = "broken IP header",
        ["ip_rpfilter"] = "the source is not reachable by that interface (rp_filter)",
        ["unicast_in_l2_multicast"] = "unicast address in a multicast frame",
        ["xfrm_policy"] = "an IPsec policy forbids it",
        ["ip_noproto"] = "nothing takes that protocol",
        ["proto_mem"] = "memory for the protocol is used up (tcp_mem, udp_mem)",
        ["socket_rcvbuff"] = "the receive buffer of the socket is full: the application reads too slowly",
        ["socket_backlog"] = "the backlog of the socket is full",
        ["tcp_flags"] = "TCP flags that make no sense in the state",
        ["tcp_zerowindow"] = "data beyond a closed window",
        ["tcp_old_data"] = "data that was received before",
        ["tcp_overwindow"] = "data beyond the window",
        ["tcp_ofomerge"] = "merged into data received out of order",
        ["tcp_rfc7323_paws"] = "old timestamp (PAWS)",
        ["tcp_invalid_sequence"] = "sequence number outside the window",
        ["tcp_reset"] = "reset received",
        ["tcp_invalid_syn"] = "SYN within a connection",
        ["tcp_close"] = "the socket is closed",
        ["tcp_too_old_ack"] = "acknowledges what is long gone",
        ["tcp_ofo_drop"] = "out of order, and no room for it",
        ["ip_outnoroutes"] = "no route to the destination",
        ["bpf_cgroup_egress"] = "a cgroup program refused it",
        ["neigh_createfail"] = "no neighbour entry could be made",
        ["neigh_failed"] = "the next hop does not answer ARP or neighbour discovery",
        ["neigh_queuefull"] = "too many packets wait for the next hop's address",
        ["tc_egress"] = "a traffic control rule dropped it on its way out",
        ["tc_ingress"] = "a traffic control rule dropped it on its way in",
        ["qdisc_drop"] = "the queue of the interface is full",
        ["cpu_backlog"] = "the backlog of the CPU is full (netdev_max_backlog)",
        ["xdp"] = "an XDP program dropped it",
        ["unhandled_proto"] = "nothing takes that EtherType",
        ["full_ring"] = "the ring of the device is full",
        ["nomem"] = "no memory",
        ["hdr_trunc"] = "shorter than its headers",
        ["dev_hdr"] = "broken header of the device",
        ["dev_ready"] = "the device is not ready",
        ["icmp_csum"] = "wrong ICMP checksum",
        ["invalid_proto"] = "broken network header",
        ["ip_inaddrerrors"] = "the destination is not this host and cannot be forwarded",
        ["ip_innoroutes"] = "no route for forwarding",
        ["ip_local_source"] = "the source is an address of this host",
        ["ip_localnet"] = "loopback address from the network",
        ["pkt_too_big"] = "larger than the MTU",
        ["frag_reasm_timeout"] = "fragments are missing",
        ["tcp_minttl"] = "TTL below the minimum of the socket",
        ["tcp_listen_overflow"] = "the accept queue of the listening socket is full",
        ["vlan_filter"] = "VLAN not configured",
        ["mac_invalid_source"] = "invalid source MAC address",
        ["ipv6_nexthdr"] = "unknown IPv6 extension header",
        ["ipv6_ndisc_bad_code"] = "broken neighbour discovery packet",
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Name of a reason as the metrics have it, for example <c>no_socket</c>.</summary>
    public static string NameOf(uint reason) => s_names.Value.NameOf(reason).ToLowerInvariant();

    /// <summary>Drops by reason, most first. What the kernel counts as consumed is no drop.</summary>
    public static IReadOnlyList<DropView> Of(KernelEventLog log) =>
    [
        .. from count in log.Counts()
           let name = NameOf((uint)count.Class)
           where name is not ("skb_consumed" or "skb_not_dropped_yet")
           orderby count.Count descending
           select View(log, count, name),
    ];

    private static DropView View(KernelEventLog log, EventCount count, string name)
    {
        var isIp = count.Last.Protocol != 0 || count.Last.Source != default;
        return new DropView
        {
            Stage = "stack",
            Reason = name,
            Meaning = s_meanings.GetValueOrDefault(name, ""),
            Packets = count.Count,
            LastSource = isIp ? Endpoint(count.Last.Source, count.Last.SourcePort) : null,
            LastDestination = isIp ? Endpoint(count.Last.Destination, count.Last.DestinationPort) : null,
            LastProtocol = isIp ? FlowViews.NameOf((IpProtocol)count.Last.Protocol) : null,
            LastSeen = log.ToWall(count.LastSeen),
        };
    }

    private static string Endpoint(IpAddress address, ushort port) =>
        port == 0 ? address.ToString() : address.IsIPv4 ? $"{address}:{port}" : $"[{address}]:{port}";
}
