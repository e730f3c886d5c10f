using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>
/// A congestion control of TCP (<c>struct tcp_congestion_ops</c>, <c>include/net/tcp.h</c>; kernel 5.6, by link 6.4). A class that overrides
/// <see cref="SsThresh"/>, <see cref="UndoCwnd"/> and one of <see cref="CongestionAvoidance"/> and <see cref="CongestionControl"/> is one:
/// once attached, sockets choose it by its name (<c>TCP_CONGESTION</c>, <c>net.ipv4.tcp_congestion_control</c>).
/// </summary>
/// <remarks>
/// Of the socket the kernel lets a program write <c>SndCwnd</c>, <c>SndCwndCnt</c>, <c>SndCwndStamp</c>, <c>SndSsthresh</c>, <c>AppLimited</c>, the pacing rate and
/// status, <c>Acknowledgements.Pending</c> and the private <c>CongestionMemory</c>. <c>get_info</c> is not offered to programs (net/ipv4/bpf_tcp_ca.c).
/// </remarks>
public abstract unsafe class TcpCongestionControl : StructOps
{
    /// <summary>Flag: the algorithm works before the connection is established and may be chosen by everybody (<c>TCP_CONG_NON_RESTRICTED</c>).</summary>
    public const uint NonRestricted = 1;

    /// <summary>Flag: packets carry ECN marks (<c>TCP_CONG_NEEDS_ECN</c>).</summary>
    public const uint NeedsEcn = 2;

    /// <inheritdoc/>
    public sealed override string Struct => "tcp_congestion_ops";

    /// <summary>Name by which sockets choose it, 1 to 15 letters, digits, dashes or underscores.</summary>
    [StructOpsMember("name")]
    public abstract override string Name { get; }

    /// <summary>Flags.</summary>
    [StructOpsMember("flags")]
    public virtual uint Flags => 0;

    /// <summary>A connection begins to use the algorithm.</summary>
    [StructOpsMember("init")]
    public virtual void Init(TcpSock* socket)
    {
    }

    /// <summary>A connection no longer uses it.</summary>
    [StructOpsMember("release")]
    public virtual void Release(TcpSock* socket)
    {
    }

    /// <summary>The slow start threshold after a loss, in segments, at least 2.</summary>
    [StructOpsMember("ssthresh")]
    public abstract uint SsThresh(TcpSock* socket);

    /// <summary>An acknowledgement lets the window grow.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="acknowledgement">Its sequence number.</param>
    /// <param name="acked">Segments it acknowledges.</param>
    [StructOpsMember("cong_avoid")]
    public virtual void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked)
    {
    }

    /// <summary>The sender goes to another state (<see cref="TcpCongestionState"/>).</summary>
    [StructOpsMember("set_state")]
    public virtual void SetState(TcpSock* socket, TcpCongestionState state)
    {
    }

    /// <summary>Something happened to the window (<c>enum tcp_ca_event</c>): 0 first transmission, 1 restart after idleness, 2 recovery complete, 3 loss, 4 ECN not capable, 5 congestion mark.</summary>
    [StructOpsMember("cwnd_event")]
    public virtual void CwndEvent(TcpSock* socket, uint happened)
    {
    }

    /// <summary>An acknowledgement came in, with flags (<c>enum tcp_ca_ack_event_flags</c>): 1 delayed path, 2 window update, 4 congestion echo.</summary>
    [StructOpsMember("in_ack_event")]
    public virtual void AcknowledgementEvent(TcpSock* socket, uint flags)
    {
    }

    /// <summary>Segments were acknowledged, with their round trip time.</summary>
    [StructOpsMember("pkts_acked")]
    public virtual void AcknowledgePackets(TcpSock* socket, AckSample* sample)
    {
    }

    /// <summary>Fewest segments of a super-packet.</summary>
    [StructOpsMember("min_tso_segs")]
    public virtual uint MinTsoSegs(TcpSock* socket) => 0;

    /// <summary>Sets window and pacing rate after every acknowledgement, in place of <see cref="CongestionAvoidance"/>.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="acknowledgement">Sequence number; 0 before kernel 6.10, which does not pass it.</param>
    /// <param name="flag">What the acknowledgement did (<c>FLAG_*</c> of net/ipv4/tcp_input.c); 0 before kernel 6.10.</param>
    /// <param name="sample">The delivery rate.</param>
    [StructOpsMember("cong_control")]
    public virtual void CongestionControl(TcpSock* socket, uint acknowledgement, int flag, RateSample* sample)
    {
    }

    /// <summary>The window to go back to when the loss turns out to be none.</summary>
    [StructOpsMember("undo_cwnd")]
    public abstract uint UndoCwnd(TcpSock* socket);

    /// <summary>How many times the window the send buffer may hold.</summary>
    [StructOpsMember("sndbuf_expand")]
    public virtual uint SendBufferExpand(TcpSock* socket) => 2;
}
