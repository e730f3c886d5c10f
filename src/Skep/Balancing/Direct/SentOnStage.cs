using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half on a backend: a packet that came with a second hop and has no connection here goes on to that one, in the outer headers it has. The hop is spent by that, so a
/// packet goes on once at most, and only to a backend that is a known peer.
/// </summary>
internal sealed unsafe class SentOnStage(TunnelEndMaps maps)
{
    private readonly HashMap<IpAddress, Tunnel> _peers = maps.Peers;

    private const uint OuterIsIPv6 = 1u << 30, InnerIsIPv6 = 1u << 31;
    private const ulong OwnNetwork = ulong.MaxValue;
    private const uint HopIsLeft = 1;

    /// <summary>Where the option with a second hop begins, from <paramref name="data"/>; 0 when there is none, or none is left.</summary>
    internal static uint OptionOf(in IpPacket packet, byte* data, byte* end)
    {
        var udp = packet.Transport;
        var shim = udp + sizeof(UdpHeader);
        if (packet.Protocol != IpProtocol.Udp || shim + sizeof(GeneveHeader) + (2 * Encapsulator.OptionLength) > end)
        {
            return 0;
        }

        var isGeneve = ((UdpHeader*)udp)->DestinationPort == NetworkUInt16.From(GeneveHeader.Port);
        if (isGeneve ? ((GeneveHeader*)shim)->OptionsLength != 2 * Encapsulator.OptionLength
            : *shim != Encapsulator.OptionLength / 4)
        {
            return 0;
        }

        var option = isGeneve ? shim + sizeof(GeneveHeader) + Encapsulator.OptionLength : shim + sizeof(GueHeader);
        return Unsafe.ReadUnaligned<uint>(option) == Encapsulator.HopStart && Unsafe.ReadUnaligned<uint>(option + 4) == HopIsLeft ? (uint)(option - data) : 0;
    }

    /// <summary>Where the headers of a packet are, in one number.</summary>
    internal static uint Where(uint link, uint udp, bool outerIsIPv6, bool innerIsIPv6) =>
        (link & 31) | ((udp & 0x3ff) << 8) | (outerIsIPv6 ? OuterIsIPv6 : 0) | (innerIsIPv6 ? InnerIsIPv6 : 0);

    /// <summary>Sends a packet on at XDP: a function of its own, walked once by the verifier.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="option">Where the option with the second hop begins.</param>
    /// <param name="inner">Where the packet in the outer headers begins.</param>
    /// <param name="where">Where its headers are.</param>
    /// <returns>0 when it stays here, else the verdict, and the action above bit 31.</returns>
    [GlobalFunction]
    internal ulong Forward(ref XdpContext context, uint option, uint inner, uint where)
    {
        if (!TryReadFlow(context.Data, context.DataEnd, inner, where, out var flow4, out var flow6))
        {
            return 0;
        }

        var isIPv6 = (where & InnerIsIPv6) != 0;
        var socket = isIPv6 ? context.FindTcp(&flow6, (uint)sizeof(SocketTuple6), OwnNetwork, 0) : context.FindTcp(&flow4, (uint)sizeof(SocketTuple4), OwnNetwork, 0);
        if (socket != null && IsConnection(socket))
        {
            return 0;
        }

        var data = context.Data;
        var end = context.DataEnd;
        ref var peer = ref FindPeer(data, end, option, where, out var hop);
        if (Unsafe.IsNullRef(ref peer))
        {
            return 0;
        }

        if (peer.Interface == 0 || !TryTurnLinkHeader(data, end, where & 31, ref peer) || !TrySpend(data, end, option, where, in hop))
        {
            return Result(EdgeVerdict.Undeliverable, (uint)XdpAction.Drop);
        }

        return Result(EdgeVerdict.SentOn, (uint)(peer.Interface == context.IngressInterface ? XdpAction.Tx : XdpContext.Redirect(peer.Interface)));
    }

    /// <summary>Sends a packet on at traffic control, where the neighbour table supplies the link header.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="option">Where the option with the second hop begins.</param>
    /// <param name="inner">Where the packet in the outer headers begins.</param>
    /// <param name="where">Where its headers are.</param>
    /// <returns>0 when it stays here, else the verdict, and the action above bit 31.</returns>
    [GlobalFunction]
    internal ulong Forward(ref TcContext context, uint option, uint inner, uint where)
    {
        if (!TryReadFlow(context.Data, context.DataEnd, inner, where, out var flow4, out var flow6))
        {
            return 0;
        }

        var isIPv6 = (where & InnerIsIPv6) != 0;
        var socket = isIPv6 ? context.FindTcp(&flow6, (uint)sizeof(SocketTuple6), OwnNetwork, 0) : context.FindTcp(&flow4, (uint)sizeof(SocketTuple4), OwnNetwork, 0);
        if (socket != null && IsConnection(socket))
        {
            return 0;
        }

        var data = context.Data;
        var end = context.DataEnd;
        ref var peer = ref FindPeer(data, end, option, where, out var hop);
        if (Unsafe.IsNullRef(ref peer))
        {
            return 0;
        }

        // The way names the device below a VLAN, which is not where this packet could be sent from.
        if (peer.Interface == 0 || peer.RawVlan != 0 || !TrySpend(data, end, option, where, in hop))
        {
            return Result(EdgeVerdict.Undeliverable, unchecked((uint)TcAction.Shot));
        }

        return Result(EdgeVerdict.SentOn, unchecked((uint)TcContext.RedirectNeigh(peer.Interface, null, 0, 0)));
    }

    // Releases the socket. One that listens holds no connection.
    private static bool IsConnection(SocketContext* socket)
    {
        var state = (SocketState)socket->State;
        SockMap.Release(socket);
        return state != SocketState.Listen;
    }

    // A null reference when the hop is nobody's, or of another family than the outer headers.
    private ref Tunnel FindPeer(byte* data, byte* end, uint option, uint where, out IpAddress hop)
    {
        hop = HopAt(data, end, option);
        ref var peer = ref _peers.Find(in hop);
        return ref hop.IsIPv4 == ((where & OuterIsIPv6) != 0) ? ref Unsafe.NullRef<Tunnel>() : ref peer;
    }

    private static bool TryReadFlow(byte* data, byte* end, uint inner, uint where, out SocketTuple4 flow4, out SocketTuple6 flow6)
    {
        flow4 = default;
        flow6 = default;
        var isIPv6 = (where & InnerIsIPv6) != 0;
        if (IpPacket.ParseNetwork(data + (nuint)(inner & 0x3ff), end, isIPv6, out var packet) != ParseStatus.Ip
            || packet.Protocol != IpProtocol.Tcp || packet.Fragment != FragmentKind.None || packet.Transport + sizeof(TcpHeader) > end)
        {
            return false;
        }

        // What begins a connection is for whoever listens.
        var flags = ((TcpHeader*)packet.Transport)->Flags;
        if ((flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn)
        {
            return false;
        }

        var ports = Unsafe.ReadUnaligned<uint>(packet.Transport);
        if (isIPv6)
        {
            (flow6.Source0, flow6.Source1) = ((uint)packet.Source.RawUpper, (uint)(packet.Source.RawUpper >> 32));
            (flow6.Source2, flow6.Source3) = ((uint)packet.Source.RawLower, (uint)(packet.Source.RawLower >> 32));
            (flow6.Destination0, flow6.Destination1) = ((uint)packet.Destination.RawUpper, (uint)(packet.Destination.RawUpper >> 32));
            (flow6.Destination2, flow6.Destination3) = ((uint)packet.Destination.RawLower, (uint)(packet.Destination.RawLower >> 32));
            flow6.RawPorts = ports;
        }
        else
        {
            flow4.RawSource = packet.Source.RawIPv4;
            flow4.RawDestination = packet.Destination.RawIPv4;
            flow4.RawPorts = ports;
        }

        return true;
    }

    private static IpAddress HopAt(byte* data, byte* end, uint option)
    {
        var at = data + (nuint)(option & 0x3ff);
        return at + Encapsulator.OptionLength > end ? default
            : new IpAddress(Unsafe.ReadUnaligned<ulong>(at + 8), Unsafe.ReadUnaligned<ulong>(at + 16));
    }

    // The frame goes to the peer's next hop; a tag must be the one that leads there.
    private static bool TryTurnLinkHeader(byte* data, byte* end, uint link, ref Tunnel peer)
    {
        const uint untagged = 14, tagged = 18;
        if (data + tagged > end || (link == untagged ? peer.RawVlan != 0 : link != tagged || (Unsafe.ReadUnaligned<ushort>(data + 14) & 0xFF0F) != peer.RawVlan))
        {
            return false;
        }

        Unsafe.WriteUnaligned(data, peer.RawMacs);
        Unsafe.WriteUnaligned(data + 8, peer.RawMacsEnd);
        return true;
    }

    /// <summary>The second hop becomes the receiver, and none is left. Checksums are mended for just that.</summary>
    private static bool TrySpend(byte* data, byte* end, uint option, uint where, in IpAddress hop)
    {
        var network = data + (nuint)(where & 31);
        var udp = (UdpHeader*)(data + (nuint)((where >> 8) & 0x3ff));
        var at = data + (nuint)(option & 0x3ff);
        if (network + sizeof(IPv6Header) > end || (byte*)udp + sizeof(UdpHeader) > end || at + Encapsulator.OptionLength > end)
        {
            return false;
        }

        ChecksumDelta change;
        if ((where & OuterIsIPv6) != 0)
        {
            var ip = (IPv6Header*)network;
            change = ChecksumDelta.Of(ip->Destination, in hop);
            ip->Destination = hop;
        }
        else
        {
            var ip = (IPv4Header*)network;
            change = ChecksumDelta.Of(ip->Destination.Raw, hop.RawIPv4);
            ip->Destination = NetworkUInt32.FromRaw(hop.RawIPv4);
            ip->Checksum = change.Apply(ip->Checksum);
        }

        Unsafe.WriteUnaligned(at + 4, 0u);
        udp->Checksum = (change + ChecksumDelta.Of(HopIsLeft, 0)).ApplyToUdp(udp->Checksum);
        return true;
    }

    private static ulong Result(EdgeVerdict verdict, uint action) => (ulong)verdict | ((ulong)action << 32);
}
