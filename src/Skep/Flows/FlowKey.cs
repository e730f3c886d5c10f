using Skep.Packets;

namespace Skep.Flows;

/// <summary>
/// A flow at an interface, the same for both directions: what the ingress hook sees as destination and the egress hook as source is the local side.
/// Layout: local address 16, remote address 16, local port 2, remote port 2, interface 4, protocol 4, zero 4.
/// </summary>
public record struct FlowKey
{
    /// <summary>The side behind the interface as seen from the wire: this host, or what it forwards for.</summary>
    public IpAddress Local;

    /// <summary>The side on the wire.</summary>
    public IpAddress Remote;

    /// <summary>Local port in the lower, remote port in the upper half, both in network order; 0 for protocols without ports and later fragments.</summary>
    public uint RawPorts;

    /// <summary>Interface index.</summary>
    public uint Interface;

    /// <summary>Protocol number.</summary>
    public uint Protocol;

    /// <summary>Zero.</summary>
    public uint Reserved;

    /// <summary>Port of the local side.</summary>
    public readonly ushort LocalPort => NetworkUInt16.FromRaw((ushort)RawPorts).Value;

    /// <summary>Port of the remote side.</summary>
    public readonly ushort RemotePort => NetworkUInt16.FromRaw((ushort)(RawPorts >> 16)).Value;
}
