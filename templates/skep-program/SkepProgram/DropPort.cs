using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace SkepProgram;

/// <summary>Drops UDP packets to a port, over IPv4 and IPv6. Runs in the kernel, and in a test on packets in memory.</summary>
/// <param name="port">The port: a constant of the compiled program.</param>
public sealed unsafe class DropPort(ushort port) : XdpProgram
{
    private readonly NetworkUInt16 _port = NetworkUInt16.From(port);

    /// <summary>Packets dropped, by CPU.</summary>
    public PerCpuArrayMap<ulong> Dropped { get; } = new(1, "dropped");

    public override XdpAction Run(ref XdpContext context)
    {
        if (IpPacket.Parse(context.Data, context.DataEnd, out var packet) != ParseStatus.Ip || packet.Protocol != IpProtocol.Udp)
        {
            return XdpAction.Pass;
        }

        // The verifier wants to see each access compared with the end of the packet.
        var udp = (UdpHeader*)packet.Transport;
        if (packet.Transport + sizeof(UdpHeader) > context.DataEnd || udp->DestinationPort != _port)
        {
            return XdpAction.Pass;
        }

        ref var count = ref Dropped.Find(0);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }

        return XdpAction.Drop;
    }
}
