using Skep.Bpf.Programming;

namespace Skep.Bpf.Programs;

/// <summary>Kinds that see packets on their way through interfaces, routes and the firewall.</summary>
public static partial class ProgramKinds
{
    private static IReadOnlyList<ProgramKind> Interfaces { get; } =
    [
        new("XDP", ProgramType.Xdp, typeof(XdpProgram), new(4, 8))
        {
            Use = "filtering and balancing at the interface",
            Attachment = "link on an interface (5.9), netlink before",
            Returns = "XdpAction: pass, drop, send back, redirect",
            Page = "xdp",
            Sections =
            [
                Section("xdp", AttachType.Xdp), Section("xdp.frags", AttachType.Xdp, Frags),
                Section("xdp/devmap", AttachType.XdpDevmap), Section("xdp.frags/devmap", AttachType.XdpDevmap, Frags),
                Section("xdp/cpumap", AttachType.XdpCpumap), Section("xdp.frags/cpumap", AttachType.XdpCpumap, Frags),
            ],
        },
        new("TC", ProgramType.SchedCls, typeof(TcProgram), new(4, 5))
        {
            Use = "flows, both directions",
            Attachment = "tcx link on an interface (6.6), clsact by netlink before",
            Returns = "TcAction: next program, accept, drop, redirect",
            Page = "tc",
            Sections =
            [
                Section("tc"), Section("classifier"),
                Section("tc/ingress", AttachType.TcxIngress), Section("tc/egress", AttachType.TcxEgress),
                Section("tcx/ingress", AttachType.TcxIngress), Section("tcx/egress", AttachType.TcxEgress),
                Section("netkit/primary", AttachType.NetkitPrimary), Section("netkit/peer", AttachType.NetkitPeer),
            ],
        },
        new("TC action", ProgramType.SchedAct, null, new(4, 1))
        {
            Use = "actions of other filters; TC programs act themselves",
            Attachment = "tc(8), from object files",
            Returns = "as TC",
            Page = "tc",
            Sections = [Section("action")],
        },
        new("netfilter", ProgramType.Netfilter, typeof(NetfilterProgram), new(6, 4))
        {
            Use = "hooks of the firewall",
            Attachment = "link on a netfilter hook",
            Returns = "NetfilterVerdict: 1 accepts, 0 drops",
            Page = "netfilter",
            Sections = [Section("netfilter", AttachType.Netfilter)],
        },
        new("lwt_in", ProgramType.LwtIn, typeof(LwtProgram), new(4, 10))
        {
            Use = "packets that a route receives",
            Attachment = "a route, by netlink",
            Returns = "LwtAction: go on, drop",
            Page = "lwt",
            Sections = [Section("lwt_in")],
        },
        new("lwt_out", ProgramType.LwtOut, typeof(LwtProgram), new(4, 10))
        {
            Use = "packets that a route sends, before the neighbour is known",
            Attachment = "a route, by netlink",
            Returns = "LwtAction: go on, drop",
            Page = "lwt",
            Sections = [Section("lwt_out")],
        },
        new("lwt_xmit", ProgramType.LwtXmit, typeof(LwtProgram), new(4, 10))
        {
            Use = "packets that a route sends, to change or redirect them",
            Attachment = "a route, by netlink",
            Returns = "LwtAction: go on, drop, redirect, route again",
            Page = "lwt",
            Sections = [Section("lwt_xmit")],
        },
        new("lwt_seg6local", ProgramType.LwtSeg6Local, typeof(LwtProgram), new(4, 18))
        {
            Use = "segment routing over IPv6",
            Attachment = "a seg6local route with action End.BPF, by netlink",
            Returns = "LwtAction: next segment, drop, redirect",
            Page = "lwt",
            Sections = [Section("lwt_seg6local")],
        },
        new("flow dissector", ProgramType.FlowDissector, typeof(FlowDissectorProgram), new(4, 20))
        {
            Use = "which fields a packet is hashed by",
            Attachment = "link on a network namespace (5.8)",
            Returns = "FlowDissectorVerdict: keys are complete, drop, let the kernel dissect",
            Page = "flow-dissector",
            Sections = [Section("flow_dissector", AttachType.FlowDissector)],
        },
    ];
}
