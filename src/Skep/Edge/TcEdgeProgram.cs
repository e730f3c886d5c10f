using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// The edge at the traffic control hook, for virtual devices and for drivers that refuse XDP: the stages of <see cref="EdgeProgram"/>. Packets there may be
/// super-packets whose payload is spread over pages and never touched, and may have partial checksums, which are mended by the kernel's helpers.
/// What passes goes on to the next program of the hook.
/// </summary>
public sealed unsafe class TcEdgeProgram : TcProgram
{
    // Ethernet, two tags, IPv6 with some extension headers, TCP with options; an ICMP error with the headers it embeds. Then the longest chains of headers.
    private const uint UsualHeaders = 256, LongHeaders = 4096;

    // Outer headers with all the options that Geneve can have, and the packet's own.
    private const uint TunnelHeaders = 512;

    // ICMP header, embedded IPv4 header with options, embedded ports.
    private const int ErrorHeaders = 8 + 60 + 8;

    // Offsets of the checksum in the headers.
    private const uint TcpChecksum = 16, UdpChecksum = 6;

    private readonly EdgeStages _stages;
    private readonly DecapsulationStage? _tunnels;
    private readonly bool _hasEthernetHeader;
    private readonly RouteStage? _routes;

    /// <summary>The shortest program that does what <paramref name="options"/> ask for, over maps that outlive it.</summary>
    /// <param name="maps">The maps.</param>
    /// <param name="options">What it does.</param>
    /// <param name="hasEthernetHeader">Whether packets begin with an Ethernet header; those of tun and tunnel devices begin at the IP header.</param>
    public TcEdgeProgram(EdgeMaps maps, EdgeOptions options, bool hasEthernetHeader = true)
    {
        _stages = new EdgeStages(maps, options, new Rewriter(notesChecksums: true));
        _tunnels = options.Decapsulate ? new DecapsulationStage(maps.Tunnels, options.SendOn) : null;
        _hasEthernetHeader = hasEthernetHeader;
        _routes = options.BypassStack && hasEthernetHeader ? new RouteStage(maps.Peers) : null;
    }

    /// <inheritdoc/>
    public override string Name => "skep_edge_tc";

    /// <summary>Which action belongs to a verdict under <paramref name="options"/>.</summary>
    public static TcAction ActionOf(EdgeVerdict verdict, EdgeOptions options) =>
        ((EdgeStages.DroppedBy(options) >> (int)verdict) & 1) != 0 ? TcAction.Shot : TcAction.Unspec;

    /// <inheritdoc/>
    public override TcAction Run(ref TcContext context)
    {
        if (_stages.Trace is not { } trace)
        {
            return Handle(ref context);
        }

        trace.Enter(ref context, _hasEthernetHeader ? 1u : 0);
        var action = Handle(ref context);
        trace.Leave(ref context, (uint)action, _hasEthernetHeader ? 1u : 0);
        return action;
    }

    private TcAction Handle(ref TcContext context)
    {
        if ((ulong)(context.DataEnd - context.Data) < context.Length)
        {
            PullHeaders(ref context);
        }

        var length = context.Length;
        EdgePacket edge;
        edge.Start = context.Data;
        edge.End = context.DataEnd;
        edge.Length = length;
        edge.Packets = 1;
        edge.Bytes = length;
        edge.Mend = default;
        var status = Parse(ref context, edge.Start, edge.End, out var packet);
        return status == ParseStatus.Ip
            ? Decide(ref context, in packet, ref edge)
            : _stages.Finish(EdgeStages.VerdictOf(status), 1, length) ? TcAction.Shot : TcAction.Unspec;
    }

    // Headers beyond the directly readable part are pulled into it, the payload never. Reading them twice is cheaper than having the verifier walk the stages
    // twice: only super-packets and the like come here.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int PullHeaders(ref TcContext context)
    {
        var length = context.Length;
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var end = context.DataEnd;
            var status = Parse(ref context, context.Data, end, out var packet);
            var isTunnel = _tunnels is not null && status == ParseStatus.Ip && packet.Fragment == FragmentKind.None
                && DecapsulationStage.IsTunnel(packet.Protocol, packet.Transport, end);
            var whole = isTunnel && length > TunnelHeaders ? TunnelHeaders : length;
            if (HasHeaders(status, in packet, end) && (!isTunnel || (ulong)(end - context.Data) >= whole))
            {
                return 0;
            }

            var wanted = isTunnel ? TunnelHeaders : attempt == 0 ? UsualHeaders : LongHeaders;
            if (context.PullData(length < wanted ? length : wanted) < 0)
            {
                return 0;
            }
        }

        return 0;
    }

    private ParseStatus Parse(ref TcContext context, byte* data, byte* end, out IpPacket packet)
    {
        if (_hasEthernetHeader)
        {
            return IpPacket.Parse(data, end, out packet);
        }

        var type = NetworkUInt16.FromRaw((ushort)context.Protocol);
        if (type != EtherTypes.IPv4 && type != EtherTypes.IPv6)
        {
            packet = default;
            return ParseStatus.NotIp;
        }

        return IpPacket.ParseNetwork(data, end, type == EtherTypes.IPv6, out packet);
    }

    private TcAction Decide(ref TcContext context, in IpPacket packet, ref EdgePacket edge)
    {
        var transport = (uint)(packet.Transport - edge.Start);
        var payload = context.GsoSize;
        if (payload != 0)
        {
            CountSegments(ref context, in packet, ref edge, transport, payload);
        }

        var verdict = _stages.Admit(in packet, ref edge);
        if (verdict == EdgeVerdict.Passed)
        {
            if (_tunnels is not null && _tunnels.IsEnd(in packet, edge.End))
            {
                var action = TcAction.Unspec;
                verdict = _tunnels.Run(ref context, in packet, edge.Start, edge.End, _hasEthernetHeader, ref action);
                return _stages.Finish(verdict, edge.Packets, edge.Bytes) ? TcAction.Shot : action;
            }

            verdict = _stages.Balance(in packet, ref edge);
        }

        if (_stages.Finish(verdict, edge.Packets, edge.Bytes))
        {
            return TcAction.Shot;
        }

        // The way first: the helpers that mend checksums make the pointers void. A tag that was taken out would go out again with the packet.
        if (_routes is not null && verdict is (EdgeVerdict.Forwarded or EdgeVerdict.Replied) && context.VlanPresent == 0)
        {
            var action = _routes.Take(ref context, in packet);
            if (action != (int)TcAction.Unspec)
            {
                Mend(ref context, in packet, in edge.Mend, transport);
                return (TcAction)action;
            }
        }

        if (edge.Mend.IsNeeded)
        {
            Mend(ref context, in packet, in edge.Mend, transport);
        }

        return TcAction.Unspec;
    }

    /// <summary>What a super-packet will be on the wire: every segment has the headers again. A virtual machine does not count its segments.</summary>
    private static void CountSegments(ref TcContext context, in IpPacket packet, ref EdgePacket edge, uint transport, uint payload)
    {
        var headers = transport + (packet.Protocol == IpProtocol.Tcp && packet.Transport + sizeof(TcpHeader) <= edge.End
            ? ((TcpHeader*)packet.Transport)->HeaderLength
            : (uint)sizeof(UdpHeader));
        var segments = context.GsoSegments;
        if (segments == 0 && edge.Length > headers)
        {
            segments = (edge.Length - headers + payload - 1) / payload;
        }

        if (segments > 1)
        {
            edge.Packets = segments;
            edge.Bytes += (segments - 1) * headers;
        }
    }

    /// <summary>Whether the stages find everything they read in front of <paramref name="end"/>.</summary>
    private bool HasHeaders(ParseStatus status, in IpPacket packet, byte* end)
    {
        if (status != ParseStatus.Ip)
        {
            return status != ParseStatus.Truncated;
        }

        if (packet.Fragment == FragmentKind.Later)
        {
            return true;
        }

        if (packet.Protocol == IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)packet.Transport;
            if (packet.Transport + sizeof(TcpHeader) > end)
            {
                return false;
            }

            return !_stages.ChecksLengths || packet.Transport + tcp->HeaderLength <= end;
        }

        if (packet.Protocol == IpProtocol.Udp)
        {
            return packet.Transport + sizeof(UdpHeader) <= end;
        }

        return (packet.Protocol != IpProtocol.Icmp && packet.Protocol != IpProtocol.IcmpV6) || packet.Transport + ErrorHeaders <= end;
    }

    // A packet whose checksum cannot be mended for want of memory goes on with a wrong one, and its receiver drops it.
    private static void Mend(ref TcContext context, in IpPacket packet, in ChecksumMend mend, uint transport)
    {
        if (packet.Fragment != FragmentKind.Later)
        {
            var isTcp = packet.Protocol == IpProtocol.Tcp;
            var field = transport + (isTcp ? TcpChecksum : UdpChecksum);
            var kind = isTcp ? L4ChecksumFlags.Difference : L4ChecksumFlags.MangledZero;
            context.L4ChecksumReplace(field, 0, mend.Address, kind | L4ChecksumFlags.PseudoHeader);
            if (mend.Full != mend.Address)
            {
                var port = ChecksumDelta.FromRaw(mend.Full) + -ChecksumDelta.FromRaw(mend.Address);
                context.L4ChecksumReplace(field, 0, port.Raw, kind);
            }
        }

        if (packet.IsIPv6)
        {
            // A sum that the device made covers the addresses. For IPv4, whose header has a checksum that cancels them out, the helper is right to take their
            // difference off; here it is given back. In a later fragment the address is all that changes.
            context.ChecksumUpdate(mend.Address);
        }
    }
}
