using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>A TCP socket (<c>struct tcp_sock</c>, <c>include/linux/tcp.h</c>). Windows count segments unless they say bytes.</summary>
[KernelStruct("tcp_sock")]
public struct TcpSock
{
    /// <summary>The connection.</summary>
    [KernelField("inet_conn")]
    public InetConnectionSock Connection;

    /// <summary>Congestion window. Congestion controls write it.</summary>
    public uint SndCwnd;

    /// <summary>Acknowledged segments on the way to the next step of the window. Congestion controls write it.</summary>
    public uint SndCwndCnt;

    /// <summary>Largest congestion window.</summary>
    public uint SndCwndClamp;

    /// <summary>Window in use when the sender was last limited by the application. </summary>
    public uint SndCwndUsed;

    /// <summary>When the window was last checked, in jiffies. Congestion controls write it.</summary>
    public uint SndCwndStamp;

    /// <summary>Slow start ends at this window. Congestion controls write it.</summary>
    public uint SndSsthresh;

    /// <summary>Congestion window before the loss that is being repaired.</summary>
    public uint PriorCwnd;

    /// <summary>Slow start threshold before the loss that is being repaired.</summary>
    public uint PriorSsthresh;

    /// <summary>The window was full when it was last looked at; one bit.</summary>
    public byte IsCwndLimited;

    /// <summary>Most segments in flight in the last window.</summary>
    public uint MaxPacketsOut;

    /// <summary>Segments in flight.</summary>
    public uint PacketsOut;

    /// <summary>Segments retransmitted and not acknowledged.</summary>
    public uint RetransOut;

    /// <summary>Segments acknowledged selectively.</summary>
    public uint SackedOut;

    /// <summary>Segments held for lost.</summary>
    public uint LostOut;

    /// <summary>Segments delivered in all.</summary>
    public uint Delivered;

    /// <summary>Segments lost in all.</summary>
    public uint Lost;

    /// <summary>Segments sent again in all.</summary>
    public uint TotalRetrans;

    /// <summary>Smoothed round trip time in microseconds, times eight.</summary>
    [KernelField("srtt_us")]
    public uint SmoothedRtt;

    /// <summary>Largest segment, in bytes.</summary>
    public uint MssCache;

    /// <summary>First sequence number not acknowledged, in bytes.</summary>
    public uint SndUna;

    /// <summary>Next sequence number to send, in bytes.</summary>
    public uint SndNxt;

    /// <summary>Window the peer offers, in bytes.</summary>
    public uint SndWnd;

    /// <summary>Bytes acknowledged in all.</summary>
    public ulong BytesAcked;

    /// <summary>The delivered count when the application last had nothing to send; 0 when it has. Congestion controls write it.</summary>
    public uint AppLimited;
}

/// <summary>What an acknowledgement told (<c>struct ack_sample</c>, <c>include/net/tcp.h</c>).</summary>
[KernelStruct("ack_sample")]
public struct AckSample
{
    /// <summary>Segments acknowledged.</summary>
    public uint PktsAcked;

    /// <summary>Round trip time in microseconds, negative when there is none.</summary>
    public int RttUs;

    /// <summary>Segments in flight when the acknowledged one was sent.</summary>
    public uint InFlight;
}

/// <summary>A measurement of the delivery rate (<c>struct rate_sample</c>, <c>include/net/tcp.h</c>).</summary>
[KernelStruct("rate_sample")]
public struct RateSample
{
    /// <summary>Segments delivered when the acknowledged one was sent.</summary>
    public uint PriorDelivered;

    /// <summary>Segments delivered over the interval, negative when the sample is invalid.</summary>
    public int Delivered;

    /// <summary>Length of the interval in microseconds, negative when the sample is invalid.</summary>
    public long IntervalUs;

    /// <summary>Round trip time in microseconds, negative when there is none.</summary>
    public long RttUs;

    /// <summary>Segments newly held for lost.</summary>
    public int Losses;

    /// <summary>Segments newly acknowledged.</summary>
    public uint AckedSacked;

    /// <summary>Segments in flight before the acknowledgement.</summary>
    public uint PriorInFlight;

    /// <summary>The sample was taken while the application had nothing to send; 0 or 1.</summary>
    public byte IsAppLimited;
}
