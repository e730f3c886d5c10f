using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>A socket within the kernel (<c>struct sock</c>, <c>include/net/sock.h</c>).</summary>
[KernelStruct("sock")]
public struct Sock
{
    /// <summary>Addresses, ports, state.</summary>
    [KernelField("__sk_common")]
    public SockCommon Common;

    /// <summary>Bytes the receive queue may take.</summary>
    [KernelField("sk_rcvbuf")]
    public int ReceiveBuffer;

    /// <summary>Bytes the send queue may take.</summary>
    [KernelField("sk_sndbuf")]
    public int SendBuffer;

    /// <summary>Bytes queued for sending, with their overhead.</summary>
    [KernelField("sk_wmem_queued")]
    public int SendQueued;

    /// <summary>Mark of its packets (<c>SO_MARK</c>).</summary>
    [KernelField("sk_mark")]
    public uint Mark;

    /// <summary>Priority of its packets (<c>SO_PRIORITY</c>).</summary>
    [KernelField("sk_priority")]
    public uint Priority;

    /// <summary>Bytes per second that packets are paced at; all bits set for no limit. Congestion controls write it.</summary>
    [KernelField("sk_pacing_rate")]
    public ulong PacingRate;

    /// <summary>Who paces (<c>enum sk_pacing</c>): 0 nobody, 1 the socket, 2 the queueing discipline. Congestion controls write it.</summary>
    [KernelField("sk_pacing_status")]
    public uint PacingStatus;

    /// <summary>Protocol number (16 bits since kernel 5.6, 8 before).</summary>
    [KernelField("sk_protocol")]
    public ushort Protocol;
}
