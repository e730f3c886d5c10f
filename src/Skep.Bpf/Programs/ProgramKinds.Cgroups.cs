using Skep.Bpf.Programming;

namespace Skep.Bpf.Programs;

/// <summary>Kinds that hang on control groups: what the processes of a service may do, and with which addresses and options.</summary>
public static partial class ProgramKinds
{
    private static IReadOnlyList<ProgramKind> Cgroups { get; } =
    [
        new("cgroup connect", ProgramType.CgroupSockAddr, typeof(CgroupSockAddrProgram), new(4, 17))
        {
            Use = "balancing at the socket: connect, bind, sendmsg, recvmsg and names",
            Attachment = CgroupLink,
            Returns = AllowOrRefuse + "; recvmsg, getpeername and getsockname must return 1; bind may return 3, which allows ports below 1024 to anyone",
            Page = "cgroup-sock-addr",
            ProbeReturns = 1,
            Sections =
            [
                Section("cgroup/connect4", AttachType.CgroupInet4Connect), Section("cgroup/connect6", AttachType.CgroupInet6Connect),
                Section("cgroup/bind4", AttachType.CgroupInet4Bind), Section("cgroup/bind6", AttachType.CgroupInet6Bind),
                Section("cgroup/sendmsg4", AttachType.CgroupUdp4SendMsg), Section("cgroup/sendmsg6", AttachType.CgroupUdp6SendMsg),
                Section("cgroup/recvmsg4", AttachType.CgroupUdp4RecvMsg), Section("cgroup/recvmsg6", AttachType.CgroupUdp6RecvMsg),
                Section("cgroup/getpeername4", AttachType.CgroupInet4GetPeerName), Section("cgroup/getpeername6", AttachType.CgroupInet6GetPeerName),
                Section("cgroup/getsockname4", AttachType.CgroupInet4GetSockName), Section("cgroup/getsockname6", AttachType.CgroupInet6GetSockName),
                Section("cgroup/connect_unix", AttachType.CgroupUnixConnect), Section("cgroup/sendmsg_unix", AttachType.CgroupUnixSendMsg),
                Section("cgroup/recvmsg_unix", AttachType.CgroupUnixRecvMsg), Section("cgroup/getpeername_unix", AttachType.CgroupUnixGetPeerName),
                Section("cgroup/getsockname_unix", AttachType.CgroupUnixGetSockName),
            ],
        },
        new("cgroup sock", ProgramType.CgroupSock, typeof(CgroupSockProgram), new(4, 10))
        {
            Use = "sockets of a service: created, bound, closed",
            Attachment = CgroupLink,
            Returns = AllowOrRefuse,
            Page = "cgroup-sock",
            Sections =
            [
                Section("cgroup/sock_create", AttachType.CgroupInetSockCreate), Section("cgroup/sock", AttachType.CgroupInetSockCreate),
                Section("cgroup/sock_release", AttachType.CgroupInetSockRelease),
                Section("cgroup/post_bind4", AttachType.CgroupInet4PostBind), Section("cgroup/post_bind6", AttachType.CgroupInet6PostBind),
            ],
        },
        new("cgroup skb", ProgramType.CgroupSkb, typeof(CgroupSkbProgram), new(4, 10))
        {
            Use = "packets of a service",
            Attachment = CgroupLink,
            Returns = "1 passes, 0 drops the packet; on egress 2 drops and 3 passes with a hint of congestion to TCP",
            Page = "cgroup-skb",
            Sections =
            [
                Section("cgroup_skb/egress", AttachType.CgroupInetEgress), Section("cgroup_skb/ingress", AttachType.CgroupInetIngress),
                Section("cgroup/skb"),
            ],
        },
        new("cgroup sockopt", ProgramType.CgroupSockopt, typeof(CgroupSockoptProgram), new(5, 3))
        {
            Use = "socket options: refuse, replace, hide",
            Attachment = CgroupLink,
            Returns = AllowOrRefuse + "; an option length of -1 keeps a setsockopt from the kernel",
            Page = "cgroup-sockopt",
            Sections = [Section("cgroup/setsockopt", AttachType.CgroupSetSockopt), Section("cgroup/getsockopt", AttachType.CgroupGetSockopt)],
        },
        new("cgroup sysctl", ProgramType.CgroupSysctl, typeof(CgroupSysctlProgram), new(5, 2))
        {
            Use = "reads and writes of /proc/sys",
            Attachment = CgroupLink,
            Returns = AllowOrRefuse,
            Page = "cgroup-sysctl",
            Sections = [Section("cgroup/sysctl", AttachType.CgroupSysctl)],
        },
        new("cgroup device", ProgramType.CgroupDevice, typeof(CgroupDeviceProgram), new(4, 15))
        {
            Use = "access to device files",
            Attachment = CgroupLink,
            Returns = AllowOrRefuse,
            Page = "cgroup-device",
            Sections = [Section("cgroup/dev", AttachType.CgroupDevice)],
        },
        new("sockops", ProgramType.SockOps, typeof(SockOpsProgram), new(4, 13))
        {
            Use = "TCP events and settings",
            Attachment = CgroupLink,
            Returns = "1, and then the field Reply is the answer to the operation; 0 answers -1, which leaves the kernel's own choice",
            Page = "sockops",
            Sections = [Section("sockops", AttachType.CgroupSockOps)],
        },
    ];
}
