using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>What of a backend's entry decides how packets to it are written.</summary>
internal struct Way
{
    /// <summary><see cref="Tunnel.Interface"/>.</summary>
    internal uint Interface;

    /// <summary><see cref="Tunnel.Mode"/>.</summary>
    internal ForwardingMode Mode;

    /// <summary>Whether the outer header is IPv6.</summary>
    internal bool IsIPv6;

    /// <summary><see cref="Tunnel.RawVlan"/>; 0 in a program without VLANs.</summary>
    internal ushort RawVlan;
}

/// <summary>
/// Kernel half: puts the outer headers in front of a packet and says where the frame goes. The packet itself is not changed.
/// </summary>
internal sealed unsafe partial class Encapsulator(DirectOptions options)
{
    private readonly DirectModes _modes = options.Modes;
    private readonly bool _ipv4 = options.IPv4Backends;
    private readonly bool _ipv6 = options.IPv6Backends;
    private readonly bool _vlans = options.Vlans;

    /// <summary>What decides how a packet is written, read once: the verifier would take each reading of the entry for another value.</summary>
    internal Way WayOf(ref Tunnel tunnel)
    {
        Way way;
        way.Interface = tunnel.Interface;
        way.Mode = tunnel.Mode;
        way.IsIPv6 = _ipv6 && (!_ipv4 || (tunnel.Flags & TunnelFlags.IPv6) != 0);
        way.RawVlan = _vlans ? tunnel.RawVlan : (ushort)0;
        return way;
    }

    /// <summary>Bytes that the outer headers take.</summary>
    internal static int OverheadOf(ForwardingMode mode, bool isIPv4)
    {
        var ip = isIPv4 ? sizeof(IPv4Header) : sizeof(IPv6Header);
        return mode switch
        {
            ForwardingMode.L2 => 0,
            ForwardingMode.Gue => ip + sizeof(UdpHeader),
            ForwardingMode.Geneve => ip + sizeof(UdpHeader) + (int)GeneveLength,
            _ => ip,
        };
    }

    /// <summary>Sends the packet to a backend. <paramref name="network"/> and <paramref name="end"/> are dead afterwards.</summary>
    /// <returns>False when there is no room for the headers or no way to the backend.</returns>
    internal bool Send(
        ref XdpContext context, ref Tunnel tunnel, in Way way, byte* network, in InnerPacket inner, byte* end, in Delivery delivery, bool isSummed, ref XdpAction action)
    {
        action = ActionOf(ref context, in way);
        if (Is(DirectModes.L2, way.Mode))
        {
            return SendOnLink(ref context, ref tunnel, in way, in inner);
        }

        if (Is(DirectModes.Gue, way.Mode))
        {
            return SendInUdp(ref context, ref tunnel, in way, network, in inner, end, in delivery, isSummed, isGeneve: false, hasHop: false, in delivery.Key.Source);
        }

        if (Is(DirectModes.Geneve, way.Mode))
        {
            return SendInUdp(ref context, ref tunnel, in way, network, in inner, end, in delivery, isSummed, isGeneve: true, hasHop: false, in delivery.Key.Source);
        }

        return SendInIp(ref context, ref tunnel, in way, inner.IsIPv6 ? IpProtocol.IPv6 : IpProtocol.IPv4, in inner, in delivery);
    }

    private static XdpAction ActionOf(ref XdpContext context, in Way way) => way.Interface == 0 ? XdpAction.Pass
        : way.Interface == context.IngressInterface ? XdpAction.Tx
        : XdpContext.Redirect(way.Interface);

    private bool SendInIp(ref XdpContext context, ref Tunnel tunnel, in Way way, IpProtocol protocol, in InnerPacket inner, in Delivery delivery)
    {
        if (way.IsIPv6)
        {
            if (!TryOpen(ref context, ref tunnel, in way, in inner, (uint)sizeof(IPv6Header), out var outer))
            {
                return false;
            }

            WriteIPv6(outer, ref tunnel, in inner, inner.Length, protocol, delivery.Hash);
        }
        else
        {
            if (!TryOpen(ref context, ref tunnel, in way, in inner, (uint)sizeof(IPv4Header), out var outer))
            {
                return false;
            }

            WriteIPv4(outer, ref tunnel, in inner, inner.Length + (uint)sizeof(IPv4Header), protocol);
        }

        return true;
    }

    // A mode that is the only one needs no test.
    private bool Is(DirectModes mode, ForwardingMode actual) => (_modes & mode) != 0 && (_modes == mode || actual == ModeOf(mode));

    private static ForwardingMode ModeOf(DirectModes mode) => mode switch
    {
        DirectModes.L2 => ForwardingMode.L2,
        DirectModes.Gue => ForwardingMode.Gue,
        DirectModes.Geneve => ForwardingMode.Geneve,
        _ => ForwardingMode.IpIp,
    };
}
