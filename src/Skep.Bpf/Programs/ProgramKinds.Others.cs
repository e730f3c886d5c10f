using Skep.Bpf.Programming;

namespace Skep.Bpf.Programs;

/// <summary>Kinds that hook nothing of their own.</summary>
public static partial class ProgramKinds
{
    private static IReadOnlyList<ProgramKind> Others { get; } =
    [
        new("syscall program", ProgramType.Syscall, typeof(SyscallProgram<>), new(5, 14))
        {
            Use = "setting up from inside",
            Attachment = "none: it runs when it is called (BPF_PROG_TEST_RUN)",
            Returns = "given to the caller",
            Page = "syscall",
            Sections = [Section("syscall", null, Sleeps)],
        },
        new("struct_ops", ProgramType.StructOps, null, new(5, 6))
        {
            Use = "congestion control in programs",
            Attachment = "struct_ops map or link (6.4)",
            Returns = "what the function of the struct returns",
            Page = "struct-ops",
            ProbeType = "bpf_struct_ops_tcp_congestion_ops",
            Sections = [Target("struct_ops"), Target("struct_ops.s", null, Sleeps)],
        },
        new("freplace", ProgramType.Ext, null, new(5, 6))
        {
            Use = "replacing a function of another program",
            Attachment = "tracing link on the other program, from object files",
            Returns = "what the function replaced returns",
            Page = "freplace",
            Sections = [Target("freplace")],
        },
        new("lirc_mode2", ProgramType.LircMode2, null, new(4, 18))
        {
            Use = "codes of infrared remote controls",
            Attachment = "a lirc device, from object files",
            Returns = Ignored,
            Page = "lirc",
            Sections = [Section("lirc_mode2", AttachType.LircMode2)],
        },
    ];
}
