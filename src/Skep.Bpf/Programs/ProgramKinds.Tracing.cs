using Skep.Bpf.Programming;

namespace Skep.Bpf.Programs;

/// <summary>Kinds that watch the kernel and processes.</summary>
public static partial class ProgramKinds
{
    private static IReadOnlyList<ProgramKind> Tracing { get; } =
    [
        new("tracepoint", ProgramType.Tracepoint, typeof(TracepointProgram<>), new(4, 7))
        {
            Use = "kernel events with stable fields",
            Attachment = "link on a perf event (5.15)",
            Returns = Ignored,
            Page = "tracepoint",
            Sections = [Target("tp"), Target("tracepoint")],
        },
        new("BTF raw tracepoint", ProgramType.Tracing, typeof(RawTracepointProgram), new(5, 5))
        {
            Use = "drops with reasons, retransmits, TCP states",
            Attachment = "link on the tracepoint",
            Returns = Ignored,
            Page = "raw-tracepoint",
            ProbeTarget = "kfree_skb",
            Sections = [Target("tp_btf", AttachType.TraceRawTp)],
        },
        new("raw tracepoint", ProgramType.RawTracepoint, typeof(UntypedTracepointProgram), new(4, 17))
        {
            Use = "kernel events on kernels without BTF",
            Attachment = "link on the tracepoint",
            Returns = Ignored,
            Page = "raw-tracepoint",
            Sections = [Target("raw_tp"), Target("raw_tracepoint")],
        },
        new("writable raw tracepoint", ProgramType.RawTracepointWritable, typeof(UntypedTracepointProgram), new(5, 2))
        {
            Use = "kernel events that a program may change",
            Attachment = "link on the tracepoint",
            Returns = Ignored,
            Page = "raw-tracepoint",
            Sections = [Target("raw_tp.w"), Target("raw_tracepoint.w")],
        },
        new("perf event", ProgramType.PerfEvent, typeof(PerfEventProgram), new(4, 9))
        {
            Use = "samples: where time goes",
            Attachment = "link on a perf event (5.15)",
            Returns = "0 drops the sample, 1 also writes it to the perf event's buffer",
            Page = "perf-event",
            Sections = [Section("perf_event")],
        },
        new("uprobe", ProgramType.Kprobe, typeof(UprobeProgram), new(4, 1))
        {
            Use = "functions of processes",
            Attachment = "link on a perf event (5.15); uprobe.multi by a link of its own (6.6)",
            Returns = Ignored,
            Page = "uprobe",
            ProbePath = "/sys/bus/event_source/devices/uprobe/type",
            Sections =
            [
                Target("uprobe"), Target("uretprobe"), Target("uprobe.s", null, Sleeps), Target("uretprobe.s", null, Sleeps),
                Target("uprobe.multi", AttachType.TraceUprobeMulti), Target("uretprobe.multi", AttachType.TraceUprobeMulti),
                Target("uprobe.multi.s", AttachType.TraceUprobeMulti, Sleeps), Target("uretprobe.multi.s", AttachType.TraceUprobeMulti, Sleeps),
                Target("uprobe.session", AttachType.TraceUprobeSession),
            ],
        },
        new("USDT", ProgramType.Kprobe, typeof(UprobeProgram), new(4, 1))
        {
            Use = "probes that programs and libraries bring along",
            Attachment = "links on perf events (5.15), one for each place of the probe",
            Returns = Ignored,
            Page = "usdt",
            ProbePath = "/sys/bus/event_source/devices/uprobe/type",
            Sections = [Target("usdt"), Target("usdt.s", null, Sleeps)],
        },
        new("kprobe", ProgramType.Kprobe, typeof(KprobeProgram), new(4, 1))
        {
            Use = "any kernel function",
            Attachment = "link on a perf event (5.15)",
            Returns = Ignored,
            Page = "kprobe",
            ProbePath = "/sys/bus/event_source/devices/kprobe/type",
            Sections = [Target("kprobe"), Target("kretprobe"), Target("ksyscall"), Target("kretsyscall")],
        },
        new("kprobe.multi", ProgramType.Kprobe, typeof(KprobeProgram), new(5, 18))
        {
            Use = "many kernel functions at once",
            Attachment = "kprobe.multi link",
            Returns = Ignored,
            Page = "kprobe",
            ProbeType = "bpf_kprobe_multi_link",
            Sections =
            [
                Target("kprobe.multi", AttachType.TraceKprobeMulti), Target("kretprobe.multi", AttachType.TraceKprobeMulti),
                Target("kprobe.session", AttachType.TraceKprobeSession),
            ],
        },
        new("fentry", ProgramType.Tracing, typeof(FunctionProgram), new(5, 5))
        {
            Use = "entry of kernel functions",
            Attachment = "tracing link",
            Returns = Ignored,
            Page = "fentry",
            ProbeTarget = "tcp_sendmsg",
            Sections = [Target("fentry", AttachType.TraceFentry), Target("fentry.s", AttachType.TraceFentry, Sleeps)],
        },
        new("fexit", ProgramType.Tracing, typeof(FunctionProgram), new(5, 5))
        {
            Use = "exit of kernel functions, with arguments and result",
            Attachment = "tracing link",
            Returns = Ignored,
            Page = "fentry",
            ProbeTarget = "tcp_sendmsg",
            Sections = [Target("fexit", AttachType.TraceFexit), Target("fexit.s", AttachType.TraceFexit, Sleeps)],
        },
        new("fmod_ret", ProgramType.Tracing, typeof(ModifyReturnProgram), new(5, 7))
        {
            Use = "system calls and functions open to error injection, answered by a program",
            Attachment = "tracing link",
            Returns = "0 lets the function run; anything else is its result, and it does not run",
            Page = "fentry",
            ProbeTarget = "security_file_open",
            Sections = [Target("fmod_ret", AttachType.ModifyReturn), Target("fmod_ret.s", AttachType.ModifyReturn, Sleeps)],
        },
        new("LSM", ProgramType.Lsm, typeof(LsmProgram), new(5, 7))
        {
            Use = "security decisions",
            Attachment = "tracing link; lsm_cgroup by a link on a control group (6.0)",
            Returns = "0 allows; a negative errno refuses",
            Page = "lsm",
            ProbeTarget = "file_open",
            Sections =
            [
                Target("lsm", AttachType.LsmMac), Target("lsm.s", AttachType.LsmMac, Sleeps), Target("lsm_cgroup", AttachType.LsmCgroup),
            ],
        },
        new("iterator", ProgramType.Tracing, typeof(IteratorProgram), new(5, 8))
        {
            Use = "sockets, tasks and maps in one sweep",
            Attachment = "link, read through a file descriptor or a pin",
            Returns = "0 goes on, 1 shows the object once more",
            Page = "iterator",
            ProbeTarget = "task",
            Sections = [Target("iter", AttachType.TraceIter), Target("iter.s", AttachType.TraceIter, Sleeps)],
        },
    ];
}
