using Skep.Bpf.Programs;
using static Skep.Bpf.Programs.AttachType;
using static Skep.Bpf.Programs.ProgramType;

namespace Skep.Bpf.Elf;

/// <summary>What the name of a section says about the program in it, by libbpf's convention (<c>section_defs</c> in libbpf.c).</summary>
/// <param name="Type">Program type.</param>
/// <param name="Attach">Attach type, where there is one.</param>
/// <param name="Flags">Flags of the load.</param>
/// <param name="Target">What follows the name after a slash: a function, tracepoint, hook; else null.</param>
public sealed record SectionName(ProgramType Type, AttachType? Attach, ProgramFlags Flags, string? Target)
{
    private const ProgramFlags Frags = ProgramFlags.XdpHasFrags, Sleeps = ProgramFlags.Sleepable;

    // A plus takes a target after a slash; without it the name is exact.
    private static readonly Dictionary<string, SectionName> s_known = new()
    {
        ["xdp"] = Row(ProgramType.Xdp, AttachType.Xdp),
        ["xdp.frags"] = Row(ProgramType.Xdp, AttachType.Xdp, Frags),
        ["xdp/devmap"] = Row(ProgramType.Xdp, XdpDevmap),
        ["xdp.frags/devmap"] = Row(ProgramType.Xdp, XdpDevmap, Frags),
        ["xdp/cpumap"] = Row(ProgramType.Xdp, XdpCpumap),
        ["xdp.frags/cpumap"] = Row(ProgramType.Xdp, XdpCpumap, Frags),
        ["tc"] = Row(SchedCls),
        ["classifier"] = Row(SchedCls),
        ["action"] = Row(SchedAct),
        ["tc/ingress"] = Row(SchedCls, TcxIngress),
        ["tc/egress"] = Row(SchedCls, TcxEgress),
        ["tcx/ingress"] = Row(SchedCls, TcxIngress),
        ["tcx/egress"] = Row(SchedCls, TcxEgress),
        ["netkit/primary"] = Row(SchedCls, (AttachType)54),
        ["netkit/peer"] = Row(SchedCls, (AttachType)55),
        ["socket"] = Row(SocketFilter),
        ["sk_reuseport"] = Row(SkReuseport, (AttachType)39),
        ["sk_reuseport/migrate"] = Row(SkReuseport, (AttachType)40),
        ["sk_lookup"] = Row(ProgramType.SkLookup, AttachType.SkLookup),
        ["sk_msg"] = Row(SkMsg, SkMsgVerdict),
        ["sk_skb"] = Row(SkSkb),
        ["sk_skb/stream_parser"] = Row(SkSkb, SkSkbStreamParser),
        ["sk_skb/stream_verdict"] = Row(SkSkb, SkSkbStreamVerdict),
        ["sk_skb/verdict"] = Row(SkSkb, SkSkbVerdict),
        ["sockops"] = Row(SockOps, CgroupSockOps),
        ["flow_dissector"] = Row(FlowDissector, (AttachType)17),
        ["lirc_mode2"] = Row(LircMode2, (AttachType)16),
        ["lwt_in"] = Row(LwtIn),
        ["lwt_out"] = Row(LwtOut),
        ["lwt_xmit"] = Row(LwtXmit),
        ["lwt_seg6local"] = Row(LwtSeg6Local),
        ["netfilter"] = Row(ProgramType.Netfilter, AttachType.Netfilter),
        ["perf_event"] = Row(PerfEvent),
        ["syscall"] = Row(Syscall, null, Sleeps),
        ["kprobe+"] = Row(Kprobe),
        ["kretprobe+"] = Row(Kprobe),
        ["kprobe.multi+"] = Row(Kprobe, (AttachType)42),
        ["kretprobe.multi+"] = Row(Kprobe, (AttachType)42),
        ["kprobe.session+"] = Row(Kprobe, (AttachType)56),
        ["ksyscall+"] = Row(Kprobe),
        ["kretsyscall+"] = Row(Kprobe),
        ["uprobe+"] = Row(Kprobe),
        ["uretprobe+"] = Row(Kprobe),
        ["uprobe.s+"] = Row(Kprobe, null, Sleeps),
        ["uretprobe.s+"] = Row(Kprobe, null, Sleeps),
        ["uprobe.multi+"] = Row(Kprobe, (AttachType)48),
        ["uretprobe.multi+"] = Row(Kprobe, (AttachType)48),
        ["uprobe.multi.s+"] = Row(Kprobe, (AttachType)48, Sleeps),
        ["uretprobe.multi.s+"] = Row(Kprobe, (AttachType)48, Sleeps),
        ["uprobe.session+"] = Row(Kprobe, (AttachType)57),
        ["usdt+"] = Row(Kprobe),
        ["usdt.s+"] = Row(Kprobe, null, Sleeps),
        ["tracepoint+"] = Row(Tracepoint),
        ["tp+"] = Row(Tracepoint),
        ["raw_tracepoint+"] = Row(RawTracepoint),
        ["raw_tp+"] = Row(RawTracepoint),
        ["raw_tracepoint.w+"] = Row(RawTracepointWritable),
        ["raw_tp.w+"] = Row(RawTracepointWritable),
        ["tp_btf+"] = Row(Tracing, TraceRawTp),
        ["fentry+"] = Row(Tracing, TraceFentry),
        ["fentry.s+"] = Row(Tracing, TraceFentry, Sleeps),
        ["fexit+"] = Row(Tracing, TraceFexit),
        ["fexit.s+"] = Row(Tracing, TraceFexit, Sleeps),
        ["fmod_ret+"] = Row(Tracing, ModifyReturn),
        ["fmod_ret.s+"] = Row(Tracing, ModifyReturn, Sleeps),
        ["iter+"] = Row(Tracing, TraceIter),
        ["iter.s+"] = Row(Tracing, TraceIter, Sleeps),
        ["freplace+"] = Row(Ext),
        ["lsm+"] = Row(Lsm, LsmMac),
        ["lsm.s+"] = Row(Lsm, LsmMac, Sleeps),
        ["lsm_cgroup+"] = Row(Lsm, (AttachType)43),
        ["struct_ops+"] = Row(ProgramType.StructOps),
        ["struct_ops.s+"] = Row(ProgramType.StructOps, null, Sleeps),
        ["cgroup_skb/ingress"] = Row(CgroupSkb, CgroupInetIngress),
        ["cgroup_skb/egress"] = Row(CgroupSkb, CgroupInetEgress),
        ["cgroup/skb"] = Row(CgroupSkb),
        ["cgroup/sock"] = Row(CgroupSock, CgroupInetSockCreate),
        ["cgroup/sock_create"] = Row(CgroupSock, CgroupInetSockCreate),
        ["cgroup/sock_release"] = Row(CgroupSock, CgroupInetSockRelease),
        ["cgroup/post_bind4"] = Row(CgroupSock, CgroupInet4PostBind),
        ["cgroup/post_bind6"] = Row(CgroupSock, CgroupInet6PostBind),
        ["cgroup/bind4"] = Row(CgroupSockAddr, CgroupInet4Bind),
        ["cgroup/bind6"] = Row(CgroupSockAddr, CgroupInet6Bind),
        ["cgroup/connect4"] = Row(CgroupSockAddr, CgroupInet4Connect),
        ["cgroup/connect6"] = Row(CgroupSockAddr, CgroupInet6Connect),
        ["cgroup/connect_unix"] = Row(CgroupSockAddr, (AttachType)49),
        ["cgroup/sendmsg4"] = Row(CgroupSockAddr, CgroupUdp4SendMsg),
        ["cgroup/sendmsg6"] = Row(CgroupSockAddr, CgroupUdp6SendMsg),
        ["cgroup/sendmsg_unix"] = Row(CgroupSockAddr, (AttachType)50),
        ["cgroup/recvmsg4"] = Row(CgroupSockAddr, CgroupUdp4RecvMsg),
        ["cgroup/recvmsg6"] = Row(CgroupSockAddr, CgroupUdp6RecvMsg),
        ["cgroup/recvmsg_unix"] = Row(CgroupSockAddr, (AttachType)51),
        ["cgroup/getpeername4"] = Row(CgroupSockAddr, CgroupInet4GetPeerName),
        ["cgroup/getpeername6"] = Row(CgroupSockAddr, CgroupInet6GetPeerName),
        ["cgroup/getpeername_unix"] = Row(CgroupSockAddr, (AttachType)52),
        ["cgroup/getsockname4"] = Row(CgroupSockAddr, CgroupInet4GetSockName),
        ["cgroup/getsockname6"] = Row(CgroupSockAddr, CgroupInet6GetSockName),
        ["cgroup/getsockname_unix"] = Row(CgroupSockAddr, (AttachType)53),
        ["cgroup/sysctl"] = Row(ProgramType.CgroupSysctl, AttachType.CgroupSysctl),
        ["cgroup/getsockopt"] = Row(CgroupSockopt, CgroupGetSockopt),
        ["cgroup/setsockopt"] = Row(CgroupSockopt, CgroupSetSockopt),
        ["cgroup/dev"] = Row(ProgramType.CgroupDevice, AttachType.CgroupDevice),
    };

    /// <summary>Reads the name of a section; null when the convention does not know it. A question mark before the name is skipped.</summary>
    public static SectionName? Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        name = name.StartsWith('?') ? name[1..] : name;
        if (s_known.TryGetValue(name, out var exact))
        {
            return exact;
        }

        var slash = name.IndexOf('/', StringComparison.Ordinal);
        var (kind, target) = slash < 0 ? (name, null) : (name[..slash], name[(slash + 1)..]);
        return s_known.TryGetValue(kind + "+", out var row) ? row with { Target = target } : null;
    }

    private static SectionName Row(ProgramType type, AttachType? attach = null, ProgramFlags flags = ProgramFlags.None) => new(type, attach, flags, null);
}
