namespace Skep.Bpf.Programs;

/// <summary>Program types (<c>enum bpf_prog_type</c>) that Skep loads.</summary>
public enum ProgramType : uint
{
#pragma warning disable CS1591 // names of enum bpf_prog_type
    Unspec = 0, SocketFilter = 1, Kprobe = 2, SchedCls = 3, SchedAct = 4, Tracepoint = 5, Xdp = 6, PerfEvent = 7, CgroupSkb = 8, CgroupSock = 9,
    LwtIn = 10, LwtOut = 11, LwtXmit = 12, SockOps = 13, SkSkb = 14, CgroupDevice = 15, SkMsg = 16, RawTracepoint = 17, CgroupSockAddr = 18,
    LwtSeg6Local = 19, LircMode2 = 20, SkReuseport = 21, FlowDissector = 22, CgroupSysctl = 23, RawTracepointWritable = 24, CgroupSockopt = 25,
    Tracing = 26, StructOps = 27, Ext = 28, Lsm = 29, SkLookup = 30, Syscall = 31, Netfilter = 32,
#pragma warning restore CS1591
}

/// <summary>Attach types (<c>enum bpf_attach_type</c>) that Skep uses.</summary>
public enum AttachType : uint
{
#pragma warning disable CS1591 // names of enum bpf_attach_type
    CgroupInetIngress = 0, CgroupInetEgress = 1, CgroupInetSockCreate = 2, CgroupSockOps = 3, SkSkbStreamParser = 4, SkSkbStreamVerdict = 5,
    CgroupDevice = 6, SkMsgVerdict = 7, CgroupInet4Bind = 8, CgroupInet6Bind = 9, CgroupInet4Connect = 10, CgroupInet6Connect = 11,
    CgroupInet4PostBind = 12, CgroupInet6PostBind = 13, CgroupUdp4SendMsg = 14, CgroupUdp6SendMsg = 15, LircMode2 = 16, FlowDissector = 17,
    CgroupSysctl = 18, CgroupUdp4RecvMsg = 19, CgroupUdp6RecvMsg = 20, CgroupGetSockopt = 21, CgroupSetSockopt = 22, TraceRawTp = 23,
    TraceFentry = 24, TraceFexit = 25, ModifyReturn = 26, LsmMac = 27, TraceIter = 28, CgroupInet4GetPeerName = 29,
    CgroupInet6GetPeerName = 30, CgroupInet4GetSockName = 31, CgroupInet6GetSockName = 32, XdpDevmap = 33, CgroupInetSockRelease = 34,
    XdpCpumap = 35, SkLookup = 36, Xdp = 37, SkSkbVerdict = 38, SkReuseportSelect = 39, SkReuseportSelectOrMigrate = 40, PerfEvent = 41,
    TraceKprobeMulti = 42, LsmCgroup = 43, StructOps = 44, Netfilter = 45, TcxIngress = 46, TcxEgress = 47, TraceUprobeMulti = 48,
    CgroupUnixConnect = 49, CgroupUnixSendMsg = 50, CgroupUnixRecvMsg = 51, CgroupUnixGetPeerName = 52, CgroupUnixGetSockName = 53,
    NetkitPrimary = 54, NetkitPeer = 55, TraceKprobeSession = 56, TraceUprobeSession = 57,
#pragma warning restore CS1591
}

/// <summary>Flags of a load (<c>BPF_F_*</c> of <c>BPF_PROG_LOAD</c>).</summary>
[Flags]
public enum ProgramFlags : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>The program may sleep (kernel 5.10).</summary>
    Sleepable = 1 << 4,
    /// <summary>An XDP program that takes packets of several buffers (kernel 5.18).</summary>
    XdpHasFrags = 1 << 5,
}
