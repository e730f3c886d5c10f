using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half on a backend: takes off the outer headers that a balancer put on (IP in IP, GUE, Geneve) and leaves the packet to the network stack, which has the
/// virtual address. Only what comes from a balancer, to an address meant for it, around a packet for a virtual address is taken; all else in such headers is dropped.
/// </summary>
internal sealed unsafe partial class DecapsulationStage(TunnelEndMaps maps, bool sendsOn)
{
    private readonly SentOnStage? _sentOn = sendsOn ? new SentOnStage(maps) : null;
    private readonly HashMap<IpAddress, TunnelAddress> _addresses = maps.Addresses;
    private readonly LpmTrie<PrefixKey, byte> _balancers = maps.Balancers;

    private const uint CongestionExperienced = 3;
    private const uint LongestHeaders = 40 + 60 + 8 + 8 + 252;

    /// <summary>Whether a packet comes in outer headers to an address of this host that balancers send to.</summary>
    internal bool IsEnd(in IpPacket packet, byte* end)
    {
        if (packet.Fragment != FragmentKind.None || !IsTunnel(packet.Protocol, packet.Transport, end))
        {
            return false;
        }

        ref var role = ref _addresses.Find(in packet.Destination);
        return !Unsafe.IsNullRef(ref role) && (role & TunnelAddress.Outer) != 0;
    }

    /// <summary>Takes the outer headers off.</summary>
    internal EdgeVerdict Run(ref XdpContext context, in IpPacket packet, byte* data, byte* end, ref XdpAction action)
    {
        action = XdpAction.Pass;
        var verdict = Judge(in packet, data, end, out var outer);
        if (verdict != EdgeVerdict.Decapsulated)
        {
            return verdict;
        }

        if (_sentOn is not null && outer.Option != 0 && _sentOn.Forward(ref context, outer.Option, outer.Offset, outer.Where) is var sent and not 0)
        {
            action = (XdpAction)(sent >> 32);
            return (EdgeVerdict)(uint)sent;
        }

        if (outer.IsCongested && !TryMark(data + (nuint)(outer.Offset & 0x3ff), end, outer.IsIPv6, out _))
        {
            return EdgeVerdict.TunnelRefused;
        }

        return Strip(ref context, outer.Link, outer.Offset - outer.Link, outer.IsIPv6 ? 6u : 4) != 0 ? EdgeVerdict.Decapsulated : EdgeVerdict.TunnelRefused;
    }

    // Who may send, what it is around, and what congestion on the way means to it.
    private EdgeVerdict Judge(in IpPacket packet, byte* data, byte* end, out OuterHeaders outer)
    {
        outer = default;
        var from = new PrefixKey(in packet.Source, 128);
        if (Unsafe.IsNullRef(ref _balancers.Find(in from)))
        {
            return EdgeVerdict.TunnelRefused;
        }

        var congested = packet.IsIPv6
            ? (((IPv6Header*)packet.Network)->VersionClassFlow.Raw >> 12 & CongestionExperienced) == CongestionExperienced
            : (((IPv4Header*)packet.Network)->TypeOfService & CongestionExperienced) == CongestionExperienced;
        var link = (uint)(packet.Network - data);
        var length = LengthOfShim(in packet, end, out var isIPv6);
        if (length == 0)
        {
            return EdgeVerdict.TunnelRefused;
        }

        // From the frame's beginning, whatever the headers were: one state for the verifier.
        var offset = Verifier.Forget((ulong)(packet.Transport - data) + length - 1, (ulong)(end - data)) & 0x3ff;
        var network = data + (nuint)offset;
        if (offset > link + LongestHeaders || IpPacket.ParseNetwork(network, end, isIPv6, out var inner) != ParseStatus.Ip
            || (inner.Fragment != FragmentKind.Later && IsTunnel(inner.Protocol, inner.Transport, end)))
        {
            return EdgeVerdict.TunnelRefused;
        }

        ref var role = ref _addresses.Find(in inner.Destination);
        if (Unsafe.IsNullRef(ref role) || (role & TunnelAddress.Virtual) == 0)
        {
            return EdgeVerdict.TunnelRefused;
        }

        outer.Link = link;
        outer.Where = SentOnStage.Where(link, (uint)(packet.Transport - data), packet.IsIPv6, isIPv6);
        outer.Offset = (uint)offset;
        outer.IsIPv6 = isIPv6;
        outer.IsCongested = congested;
        outer.Option = _sentOn is not null && inner.Protocol == IpProtocol.Tcp && inner.Fragment == FragmentKind.None ? SentOnStage.OptionOf(in packet, data, end) : 0;
        return EdgeVerdict.Decapsulated;
    }

    /// <summary>Cuts the outer headers out behind the link header: a function of its own, walked once by the verifier.</summary>
    [GlobalFunction]
    private int Strip(ref XdpContext context, uint link, uint length, uint family)
    {
        const int room = 22;
        var data = context.Data;
        if (data + room > context.DataEnd || link > room || link < 14)
        {
            return 0;
        }

        var macs = Unsafe.ReadUnaligned<ulong>(data);
        var macsEnd = Unsafe.ReadUnaligned<uint>(data + 8);
        var firstTag = Unsafe.ReadUnaligned<uint>(data + 12);
        var secondTag = Unsafe.ReadUnaligned<uint>(data + 16);
        if (context.AdjustHead((int)length) != 0)
        {
            return 0;
        }

        var start = context.Data;
        var type = start + (nuint)((link - 2) & 31);
        if (start + room > context.DataEnd || type + 2 > context.DataEnd)
        {
            return 0;
        }

        Unsafe.WriteUnaligned(start, macs);
        Unsafe.WriteUnaligned(start + 8, macsEnd);
        if (link > 14)
        {
            Unsafe.WriteUnaligned(start + 12, firstTag);
        }

        if (link > 18)
        {
            Unsafe.WriteUnaligned(start + 16, secondTag);
        }

        Unsafe.WriteUnaligned(type, family == 6 ? EtherTypes.IPv6 : EtherTypes.IPv4);
        return 1;
    }

    /// <summary>Whether a protocol carries other packets as balancers send them.</summary>
    internal static bool IsTunnel(IpProtocol protocol, byte* transport, byte* end)
    {
        if (protocol == IpProtocol.IPv4 || protocol == IpProtocol.IPv6)
        {
            return true;
        }

        return protocol == IpProtocol.Udp && transport + sizeof(UdpHeader) <= end
            && (((UdpHeader*)transport)->DestinationPort == NetworkUInt16.From(GueHeader.Port)
                || ((UdpHeader*)transport)->DestinationPort == NetworkUInt16.From(GeneveHeader.Port));
    }

    /// <summary>Bytes between the outer IP header and the packet, plus one; 0 when they are not understood.</summary>
    private static uint LengthOfShim(in IpPacket packet, byte* end, out bool isIPv6)
    {
        isIPv6 = packet.Protocol == IpProtocol.IPv6;
        if (packet.Protocol != IpProtocol.Udp)
        {
            return 1;
        }

        var udp = (UdpHeader*)packet.Transport;
        var shim = packet.Transport + sizeof(UdpHeader);
        if (shim + sizeof(GeneveHeader) > end)
        {
            return 0;
        }

        if (udp->DestinationPort == NetworkUInt16.From(GeneveHeader.Port))
        {
            // A critical option is one that we do not know (RFC 8926 section 3.5).
            var geneve = (GeneveHeader*)shim;
            isIPv6 = geneve->Protocol == EtherTypes.IPv6;
            return (geneve->VersionLength & 0xC0) == 0 && (geneve->Flags & 0xC0) == 0 && (isIPv6 || geneve->Protocol == EtherTypes.IPv4)
                ? 1 + (uint)sizeof(UdpHeader) + (uint)sizeof(GeneveHeader) + geneve->OptionsLength : 0;
        }

        // Variant 1: the first bits are those of an IP version.
        var first = *shim;
        if (first >> 6 == 1)
        {
            isIPv6 = first >> 4 == 6;
            return isIPv6 || first >> 4 == 4 ? 1 + (uint)sizeof(UdpHeader) : 0;
        }

        var gue = (GueHeader*)shim;
        isIPv6 = gue->Protocol == IpProtocol.IPv6;
        return first >> 5 == 0 && (isIPv6 || gue->Protocol == IpProtocol.IPv4) && gue->Flags.Raw == 0
            ? 1 + (uint)sizeof(UdpHeader) + (uint)sizeof(GueHeader) + gue->ExtraLength : 0;
    }

    // Congestion on the way is told to the packet (RFC 6040 section 4.2); one that knows no ECN is dropped instead.
    private static bool TryMark(byte* network, byte* end, bool isIPv6, out uint difference)
    {
        difference = 0;
        if (network + sizeof(IPv4Header) > end)
        {
            return false;
        }

        if (isIPv6)
        {
            var header = (IPv6Header*)network;
            var raw = header->VersionClassFlow.Raw;
            header->VersionClassFlow = NetworkUInt32.FromRaw(raw | (CongestionExperienced << 12));
            difference = (CongestionExperienced << 12) & ~raw;
            return (raw >> 12 & CongestionExperienced) != 0;
        }

        var ip = (IPv4Header*)network;
        var before = Unsafe.ReadUnaligned<ushort>(ip);
        var after = (ushort)(before | (CongestionExperienced << 8));
        Unsafe.WriteUnaligned(ip, after);
        ip->Checksum = ChecksumDelta.Of(NetworkUInt16.FromRaw(before), NetworkUInt16.FromRaw(after)).Apply(ip->Checksum);
        return (before >> 8 & CongestionExperienced) != 0;
    }
}

/// <summary>Headers around a packet.</summary>
internal struct OuterHeaders
{
    /// <summary>Where the packet begins, from the beginning of the frame.</summary>
    internal uint Offset;

    /// <summary>Bytes of Ethernet header and tags before them.</summary>
    internal uint Link;

    /// <summary>Where all headers are, as <see cref="SentOnStage.Where"/> says it.</summary>
    internal uint Where;

    /// <summary>Where the option with a second hop begins; 0 for none.</summary>
    internal uint Option;

    /// <summary>Whether the packet is IPv6.</summary>
    internal bool IsIPv6;

    /// <summary>Whether the outer header says that there was congestion.</summary>
    internal bool IsCongested;
}
