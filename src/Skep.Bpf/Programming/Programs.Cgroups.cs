namespace Skep.Bpf.Programming;

/// <summary>A program that sees and changes the addresses of connect, bind, sendmsg, recvmsg, getpeername and getsockname in a control group (kernel 4.17).</summary>
public abstract class CgroupSockAddrProgram : BpfProgram<CgroupSockAddrContext, CgroupVerdict>;

/// <summary>A program that runs when a socket of a control group is created, bound or closed (kernel 4.10).</summary>
public abstract class CgroupSockProgram : BpfProgram<SocketContext, CgroupVerdict>
{
    /// <inheritdoc/>
    public override string Section => "cgroup/sock_create";
}

/// <summary>A program that sees the packets of a control group's sockets, from the IP header on (kernel 4.10).</summary>
public abstract class CgroupSkbProgram : BpfProgram<SkbContext, CgroupVerdict>
{
    /// <inheritdoc/>
    public override string Section => "cgroup_skb/egress";
}

/// <summary>A program on setsockopt or getsockopt in a control group (kernel 5.3).</summary>
public abstract class CgroupSockoptProgram : BpfProgram<CgroupSockoptContext, CgroupVerdict>;

/// <summary>A program on reads and writes of /proc/sys in a control group (kernel 5.2).</summary>
public abstract class CgroupSysctlProgram : BpfProgram<CgroupSysctlContext, CgroupVerdict>
{
    /// <inheritdoc/>
    public override string Section => "cgroup/sysctl";
}

/// <summary>A program on accesses to device files in a control group (kernel 4.15).</summary>
public abstract class CgroupDeviceProgram : BpfProgram<CgroupDeviceContext, CgroupVerdict>
{
    /// <inheritdoc/>
    public override string Section => "cgroup/dev";
}

/// <summary>A program on events and questions of the TCP connections of a control group (kernel 4.13).</summary>
public abstract class SockOpsProgram : BpfProgram<SockOpsContext, CgroupVerdict>
{
    /// <inheritdoc/>
    public override string Section => "sockops";
}

/// <summary>Verdict of a program on a control group. Programs of all ancestors run; one that refuses is enough.</summary>
public enum CgroupVerdict
{
    /// <summary>The call fails with EPERM; the packet is dropped; sockops: the answer is -1.</summary>
    Refuse = 0,
    /// <summary>Goes on; sockops: the answer is in the field Reply.</summary>
    Allow = 1,
    /// <summary>cgroup skb on egress: the packet is dropped, and TCP is told of congestion.</summary>
    DropCongested = 2,
    /// <summary>bind: allowed, for ports below 1024 without CAP_NET_BIND_SERVICE too; cgroup skb on egress: passes with a hint of congestion.</summary>
    AllowMore = 3,
}

/// <summary>Operations of sockops programs (<c>BPF_SOCK_OPS_*</c>).</summary>
public enum SockOperation : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>Asks for the initial timeout of a SYN in jiffies.</summary>
    TimeoutInit = 1,
    /// <summary>Asks for the initial window to advertise in packets.</summary>
    ReceiveWindowInit = 2,
    /// <summary>A connection is about to be opened.</summary>
    TcpConnect = 3,
    /// <summary>An active open was answered: the connection is established.</summary>
    ActiveEstablished = 4,
    /// <summary>A passive open was completed: the connection is established.</summary>
    PassiveEstablished = 5,
    /// <summary>Asks whether congestion control needs ECN.</summary>
    NeedsEcn = 6,
    /// <summary>Asks for the base round-trip time.</summary>
    BaseRoundTrip = 7,
    /// <summary>A retransmission timer fired; needs <see cref="SockCallbacks.RetransmissionTimeout"/>.</summary>
    RetransmissionTimeout = 8,
    /// <summary>A segment was sent again; needs <see cref="SockCallbacks.Retransmission"/>.</summary>
    Retransmission = 9,
    /// <summary>The state changed, argument 0 to argument 1; needs <see cref="SockCallbacks.State"/>.</summary>
    State = 10,
    /// <summary>A socket began to listen.</summary>
    TcpListen = 11,
    /// <summary>A round-trip time was measured; needs <see cref="SockCallbacks.RoundTrip"/>.</summary>
    RoundTrip = 12,
}

/// <summary>Callbacks that a sockops program turns on for a connection (<c>BPF_SOCK_OPS_*_CB_FLAG</c>).</summary>
[Flags]
public enum SockCallbacks
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>Retransmission timers.</summary>
    RetransmissionTimeout = 1,
    /// <summary>Retransmissions.</summary>
    Retransmission = 2,
    /// <summary>Changes of state.</summary>
    State = 4,
    /// <summary>Round-trip times (kernel 5.3).</summary>
    RoundTrip = 8,
}
