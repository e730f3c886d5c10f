using System.Runtime.InteropServices;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_LINK_CREATE</c> (kernel 5.7), 48 bytes.
/// <code>
///  0 prog_fd:4   4 target_fd or target_ifindex:4   8 attach_type:4   12 flags:4
/// 16 by attach type: tcx and cgroup  relative_fd or relative_id:4, padding:4, expected_revision:8
///                    tracing         target_btf_id:4, padding:4, cookie:8
///                    netfilter       pf:4, hooknum:4, priority:4, flags:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 48)]
internal struct LinkCreateAttributes
{
    [FieldOffset(0)] internal int Program;
    [FieldOffset(4)] internal int Target;
    [FieldOffset(8)] internal AttachType AttachType;
    [FieldOffset(12)] internal uint Flags;
    [FieldOffset(16)] internal int Relative;
    [FieldOffset(24)] internal ulong ExpectedRevision;
}

/// <summary>
/// Attributes of <c>BPF_LINK_UPDATE</c> and <c>BPF_LINK_DETACH</c>, 16 bytes.
/// <code>
/// 0 link_fd:4   4 new_prog_fd:4   8 flags:4   12 old_prog_fd:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkUpdateAttributes
{
    internal int Link;
    internal int NewProgram;
    internal uint Flags;
    internal int OldProgram;
}

/// <summary>
/// Attributes of <c>BPF_RAW_TRACEPOINT_OPEN</c>, 24 bytes; the name stays null for BTF-typed programs, which say it at load.
/// <code>
/// 0 name:8   8 prog_fd:4   12 padding:4   16 cookie:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RawTracepointOpenAttributes
{
    internal byte* Name;
    internal int Program;
    internal uint Padding;
    internal ulong Cookie;
}

internal static unsafe partial class BpfSyscall
{
    internal static int LinkCreate(ref LinkCreateAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.LinkCreate, ref attributes, out handle);

    internal static int LinkUpdate(ref LinkUpdateAttributes attributes) => Call(BpfCommand.LinkUpdate, ref attributes);

    internal static int LinkDetach(ref LinkUpdateAttributes attributes) => Call(BpfCommand.LinkDetach, ref attributes);

    internal static int RawTracepointOpen(ref RawTracepointOpenAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.RawTracepointOpen, ref attributes, out handle);
}
