using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>A socket of the internet protocols (<c>struct inet_sock</c>, <c>include/net/inet_sock.h</c>).</summary>
[KernelStruct("inet_sock")]
public struct InetSock
{
    /// <summary>The socket.</summary>
    [KernelField("sk")]
    public Sock Sock;

    /// <summary>Time to live of its packets, negative for the default.</summary>
    [KernelField("uc_ttl")]
    public short TimeToLive;

    /// <summary>Type of service.</summary>
    [KernelField("tos")]
    public byte TypeOfService;
}

/// <summary>A connected socket (<c>struct inet_connection_sock</c>, <c>include/net/inet_connection_sock.h</c>).</summary>
[KernelStruct("inet_connection_sock")]
public struct InetConnectionSock
{
    /// <summary>The socket.</summary>
    [KernelField("icsk_inet")]
    public InetSock Inet;

    /// <summary>Retransmission timeout in jiffies.</summary>
    [KernelField("icsk_rto")]
    public uint RetransmissionTimeout;

    /// <summary>State of congestion control (<see cref="TcpCongestionState"/>); five bits.</summary>
    [KernelField("icsk_ca_state")]
    public byte CongestionState;

    /// <summary>Timeouts in a row without an answer.</summary>
    [KernelField("icsk_retransmits")]
    public byte Retransmits;

    /// <summary>Exponent of the back-off.</summary>
    [KernelField("icsk_backoff")]
    public byte Backoff;

    /// <summary>State of delayed acknowledgements.</summary>
    [KernelField("icsk_ack")]
    public AcknowledgementState Acknowledgements;

    /// <summary>Memory of the congestion control, zero when it starts: 13 words of 64 bits (<c>ICSK_CA_PRIV_SIZE</c>).</summary>
    [KernelField("icsk_ca_priv")]
    public CongestionMemory CongestionMemory;
}

/// <summary>State of delayed acknowledgements (<c>icsk_ack</c>).</summary>
[KernelStruct("inet_connection_sock", Member = "icsk_ack")]
public struct AcknowledgementState
{
    /// <summary>What is pending (<c>enum inet_csk_ack_state_t</c>). Congestion controls write it.</summary>
    public byte Pending;

    /// <summary>Acknowledgements that will go out at once.</summary>
    public byte Quick;

    /// <summary>Size of the segments received, in bytes, as a basis for the window.</summary>
    public ushort RcvMss;
}

/// <summary>The private memory of a congestion control in each socket, 104 bytes.</summary>
[InlineArray(13)]
public struct CongestionMemory
{
    private ulong _first;
}

/// <summary>States of the sender (<c>enum tcp_ca_state</c>, <c>include/uapi/linux/tcp.h</c>).</summary>
[KernelEnum("tcp_ca_state")]
public enum TcpCongestionState : byte
{
    /// <summary>Nothing unusual.</summary>
    [KernelField("TCP_CA_Open")]
    Open = 0,
    /// <summary>Duplicate acknowledgements, not yet loss.</summary>
    [KernelField("TCP_CA_Disorder")]
    Disorder = 1,
    /// <summary>The window was reduced on a signal of the network.</summary>
    [KernelField("TCP_CA_CWR")]
    WindowReduced = 2,
    /// <summary>Fast retransmission.</summary>
    [KernelField("TCP_CA_Recovery")]
    Recovery = 3,
    /// <summary>A retransmission timeout.</summary>
    [KernelField("TCP_CA_Loss")]
    Loss = 4,
}
