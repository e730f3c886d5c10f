using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>What all kinds of sockets share, time-wait ones too (<c>struct sock_common</c>, <c>include/net/sock.h</c>).</summary>
[KernelStruct("sock_common")]
public struct SockCommon
{
    /// <summary>Remote IPv4 address, network byte order; 0 for IPv6.</summary>
    [KernelField("skc_daddr")]
    public uint RemoteAddress;

    /// <summary>Local IPv4 address, network byte order; 0 for IPv6.</summary>
    [KernelField("skc_rcv_saddr")]
    public uint LocalAddress;

    /// <summary>Remote port, network byte order.</summary>
    [KernelField("skc_dport")]
    public ushort RemotePort;

    /// <summary>Local port, host byte order.</summary>
    [KernelField("skc_num")]
    public ushort LocalPort;

    /// <summary>Address family (<c>AF_INET</c> 2, <c>AF_INET6</c> 10).</summary>
    [KernelField("skc_family")]
    public ushort Family;

    /// <summary>State of the connection (<c>TCP_ESTABLISHED</c> 1 and on).</summary>
    [KernelField("skc_state")]
    public byte State;

    /// <summary>The socket may share its port (<c>SO_REUSEPORT</c>); 0 or 1.</summary>
    [KernelField("skc_reuseport")]
    public byte ReusePort;

    /// <summary>Index of the interface the socket is bound to, else 0.</summary>
    [KernelField("skc_bound_dev_if")]
    public int BoundInterface;
}
