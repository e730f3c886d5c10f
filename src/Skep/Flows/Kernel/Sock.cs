using System.Buffers.Binary;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Flows.Kernel;

/// <summary>View of the kernel's socket (<c>include/net/sock.h</c>).</summary>
[KernelStruct("sock")]
internal struct Sock
{
    private const ushort AF_INET = 2;
    private const ushort AF_INET6 = 10;

    /// <summary>Address family.</summary>
    [KernelField("__sk_common.skc_family")]
    public ushort Family;

    /// <summary>Remote IPv4 address in network order.</summary>
    [KernelField("__sk_common.skc_daddr")]
    public uint RemoteIPv4;

    /// <summary>Local IPv4 address in network order.</summary>
    [KernelField("__sk_common.skc_rcv_saddr")]
    public uint LocalIPv4;

    /// <summary>Remote IPv6 address.</summary>
    [KernelField("__sk_common.skc_v6_daddr")]
    public IpAddress RemoteIPv6;

    /// <summary>Local IPv6 address.</summary>
    [KernelField("__sk_common.skc_v6_rcv_saddr")]
    public IpAddress LocalIPv6;

    /// <summary>Remote port in network order.</summary>
    [KernelField("__sk_common.skc_dport")]
    public ushort RemotePort;

    /// <summary>Local port in host order.</summary>
    [KernelField("__sk_common.skc_num")]
    public ushort LocalPort;

    /// <summary>Protocol number (16 bits since kernel 5.6).</summary>
    [KernelField("sk_protocol")]
    public ushort Protocol;

    /// <summary>Reads addresses, ports and protocol into <paramref name="key"/>: the local ones as source. Other families leave them zero.</summary>
    public readonly void ReadAddresses(ref KernelEventKey key)
    {
        var family = Family;
        if (family == AF_INET)
        {
            key.Source = IpAddress.FromRawIPv4(LocalIPv4);
            key.Destination = IpAddress.FromRawIPv4(RemoteIPv4);
        }
        else if (family == AF_INET6)
        {
            key.Source = LocalIPv6;
            key.Destination = RemoteIPv6;
        }
        else
        {
            return;
        }

        key.RawPorts = BinaryPrimitives.ReverseEndianness(LocalPort) | ((uint)RemotePort << 16);
        key.Protocol = Protocol;
    }
}
