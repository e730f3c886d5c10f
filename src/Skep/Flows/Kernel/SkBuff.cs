using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Flows.Kernel;

/// <summary>View of the kernel's socket buffer (<c>include/linux/skbuff.h</c>).</summary>
[KernelStruct("sk_buff")]
internal unsafe struct SkBuff
{
    /// <summary>Start of the linear memory, to which header offsets are relative.</summary>
    [KernelField("head")]
    public byte* Head;

    /// <summary>Offset of the network header.</summary>
    [KernelField("network_header")]
    public ushort NetworkHeader;

    /// <summary>EtherType in network order.</summary>
    [KernelField("protocol")]
    public ushort Protocol;

    /// <summary>Bytes of data.</summary>
    [KernelField("len")]
    public uint Length;

    /// <summary>Index of the interface the packet came in by, 0 for packets of this host.</summary>
    [KernelField("skb_iif")]
    public uint IngressInterface;

    /// <summary>
    /// Reads addresses, ports and protocol out of the packet into <paramref name="key"/>: the sender's as source. What is no IP leaves them zero.
    /// Three reads of kernel memory at most; the buffer is the kernel's and cannot be addressed directly.
    /// </summary>
    public readonly void ReadAddresses(ref KernelEventKey key)
    {
        var network = Head + NetworkHeader;
        var protocol = Protocol;
        if (protocol == EtherTypes.IPv4.Raw)
        {
            IPv4Header header;
            if (Helper.ProbeReadKernel(&header, (uint)sizeof(IPv4Header), network) < 0)
            {
                return;
            }

            key.Source = IpAddress.FromRawIPv4(header.Source.Raw);
            key.Destination = IpAddress.FromRawIPv4(header.Destination.Raw);
            key.Protocol = (uint)header.Protocol;
            if (header.Fragment != FragmentKind.Later)
            {
                ReadPorts(ref key, network + header.HeaderLength);
            }
        }
        else if (protocol == EtherTypes.IPv6.Raw)
        {
            IPv6Header header;
            if (Helper.ProbeReadKernel(&header, (uint)sizeof(IPv6Header), network) < 0)
            {
                return;
            }

            key.Source = header.Source;
            key.Destination = header.Destination;
            key.Protocol = (uint)header.NextHeader;
            ReadPorts(ref key, network + sizeof(IPv6Header));
        }
    }

    private static void ReadPorts(ref KernelEventKey key, byte* transport)
    {
        if (key.Protocol != (uint)IpProtocol.Tcp && key.Protocol != (uint)IpProtocol.Udp)
        {
            return;
        }

        uint ports;
        if (Helper.ProbeReadKernel(&ports, sizeof(uint), transport) == 0)
        {
            key.RawPorts = ports;
        }
    }
}
