using System.Buffers.Binary;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Flows.Kernel;

/// <summary>View of the kernel's socket (<c>include/net/sock.h</c>).</summary>
[KernelStruct("sock")]
internal unsafe struct Sock
{
    private const ushort AF_INET = 2;
    private const ushort AF_INET6 = 10;

    /// <summary>Address family.</summary>
    public readonly ushort Family { [KernelField("__sk_common.skc_family")] get => (ushort)KernelView.NotSimulated("sock.skc_family"); }

    /// <summary>Remote IPv4 address in network order.</summary>
    public readonly uint RemoteIPv4 { [KernelField("__sk_common.skc_daddr")] get => (uint)KernelView.NotSimulated("sock.skc_daddr"); }

    /// <summary>Local IPv4 address in network order.</summary>
    public readonly uint LocalIPv4 { [KernelField("__sk_common.skc_rcv_saddr")] get => (uint)KernelView.NotSimulated("sock.skc_rcv_saddr"); }

    /// <summary>Where the remote IPv6 address lies.</summary>
    public readonly byte* RemoteIPv6 { [KernelField("__sk_common.skc_v6_daddr")] get => (byte*)KernelView.NotSimulated("sock.skc_v6_daddr"); }

    /// <summary>Where the local IPv6 address lies.</summary>
    public readonly byte* LocalIPv6 { [KernelField("__sk_common.skc_v6_rcv_saddr")] get => (byte*)KernelView.NotSimulated("sock.skc_v6_rcv_saddr"); }

    /// <summary>Remote port in network order.</summary>
    public readonly ushort RemotePort { [KernelField("__sk_common.skc_dport")] get => (ushort)KernelView.NotSimulated("sock.skc_dport"); }

    /// <summary>Local port in host order.</summary>
    public readonly ushort LocalPort { [KernelField("__sk_common.skc_num")] get => (ushort)KernelView.NotSimulated("sock.skc_num"); }

    /// <summary>Protocol number (16 bits since kernel 5.6).</summary>
    public readonly ushort Protocol { [KernelField("sk_protocol")] get => (ushort)KernelView.NotSimulated("sock.sk_protocol"); }

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
            IpAddress address;
            Helper.ProbeReadKernel(&address, IpAddress.Size, LocalIPv6);
            key.Source = address;
            Helper.ProbeReadKernel(&address, IpAddress.Size, RemoteIPv6);
            key.Destination = address;
        }
        else
        {
            return;
        }

        key.RawPorts = BinaryPrimitives.ReverseEndianness(LocalPort) | ((uint)RemotePort << 16);
        key.Protocol = Protocol;
    }
}
