using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: an ICMP error embeds the packet that caused it. What a backend sent to a client comes from the virtual address, so its reverse is the flow that the
/// error concerns, and the error goes where the flow goes.
/// </summary>
internal sealed unsafe class EmbeddedFlow
{
    /// <summary>Reads the flow as the client sends it: a function of its own, walked once by the verifier.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="flow">The flow; its addresses come with the packet's.</param>
    /// <param name="offset">Where the ICMP header begins.</param>
    /// <param name="protocol">ICMP or ICMPv6.</param>
    /// <returns>1, or 0 for anything but an error about TCP or UDP.</returns>
    [GlobalFunction]
    internal int Read(ref XdpContext context, ref ConnectionKey flow, uint offset, uint protocol)
    {
        var end = context.DataEnd;
        var transport = context.Data + (nuint)(offset & 0x3fff);
        return TryRead(transport, end, (IpProtocol)protocol, ref flow) ? 1 : 0;
    }

    private static bool TryRead(byte* transport, byte* end, IpProtocol protocol, ref ConnectionKey key)
    {
        var icmp = (IcmpHeader*)transport;
        var network = transport + sizeof(IcmpHeader);
        if (network > end)
        {
            return false;
        }

        if (protocol == IpProtocol.IcmpV6)
        {
            var ip = (IPv6Header*)network;
            var ports = network + sizeof(IPv6Header);
            if (!IcmpV6Types.IsError(icmp->Type) || ports + sizeof(uint) > end
                || (ip->NextHeader != IpProtocol.Tcp && ip->NextHeader != IpProtocol.Udp))
            {
                return false;
            }

            key.Source = ip->Destination;
            key.Destination = ip->Source;
            key.Protocol = (uint)ip->NextHeader;
            key.RawPorts = Reversed(Unsafe.ReadUnaligned<uint>(ports));
            return true;
        }

        var header = (IPv4Header*)network;
        if (protocol != IpProtocol.Icmp || !IcmpTypes.IsError(icmp->Type) || network + sizeof(IPv4Header) > end
            || !header->IsValid || header->Fragment == FragmentKind.Later || (header->Protocol != IpProtocol.Tcp && header->Protocol != IpProtocol.Udp))
        {
            return false;
        }

        var behind = network + header->HeaderLength;
        if (behind + sizeof(uint) > end)
        {
            return false;
        }

        key.Source = IpAddress.FromRawIPv4(header->Destination.Raw);
        key.Destination = IpAddress.FromRawIPv4(header->Source.Raw);
        key.Protocol = (uint)header->Protocol;
        key.RawPorts = Reversed(Unsafe.ReadUnaligned<uint>(behind));
        return true;
    }

    private static uint Reversed(uint ports) => (ports << 16) | (ports >> 16);
}
