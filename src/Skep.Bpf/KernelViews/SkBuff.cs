using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>A packet on its way through the stack (<c>struct sk_buff</c>, <c>include/linux/skbuff.h</c>).</summary>
[KernelStruct("sk_buff")]
public unsafe struct SkBuff
{
    /// <summary>Bytes of data.</summary>
    [KernelField("len")]
    public uint Length;

    /// <summary>Bytes of it that lie outside the linear part.</summary>
    [KernelField("data_len")]
    public uint DataLength;

    /// <summary>EtherType, network byte order.</summary>
    public ushort Protocol;

    /// <summary>Whom the packet is for (<c>PACKET_HOST</c> 0 and on); three bits.</summary>
    [KernelField("pkt_type")]
    public byte PacketType;

    /// <summary>Mark.</summary>
    public uint Mark;

    /// <summary>Hash of the flow, 0 when there is none.</summary>
    public uint Hash;

    /// <summary>Index of the interface the packet came in by, 0 for packets of this host.</summary>
    [KernelField("skb_iif")]
    public int IngressInterface;

    /// <summary>Start of the linear memory, to which header offsets are relative.</summary>
    public byte* Head;

    /// <summary>First byte of data.</summary>
    public byte* Data;

    /// <summary>Offset of the transport header from <see cref="Head"/>.</summary>
    public ushort TransportHeader;

    /// <summary>Offset of the network header from <see cref="Head"/>.</summary>
    public ushort NetworkHeader;

    /// <summary>The interface.</summary>
    [KernelField("dev")]
    public NetDevice* Device;

    /// <summary>The socket it belongs to, or null.</summary>
    [KernelField("sk")]
    public Sock* Socket;
}

/// <summary>An interface (<c>struct net_device</c>, <c>include/linux/netdevice.h</c>).</summary>
[KernelStruct("net_device")]
public struct NetDevice
{
    /// <summary>Index.</summary>
    [KernelField("ifindex")]
    public int Index;

    /// <summary>Largest packet in bytes, without the link header.</summary>
    public uint Mtu;

    /// <summary>Flags (<c>IFF_*</c>).</summary>
    public uint Flags;

    /// <summary>Kind of hardware (<c>ARPHRD_*</c>).</summary>
    public ushort Type;
}
