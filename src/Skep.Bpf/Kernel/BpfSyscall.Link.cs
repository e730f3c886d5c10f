using System.Runtime.InteropServices;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_LINK_CREATE</c> (kernel 5.7), 64 bytes.
/// <code>
///  0 prog_fd:4   4 target_fd or target_ifindex:4   8 attach_type:4   12 flags:4
/// 16 by attach type: tcx and cgroup  relative_fd or relative_id:4, padding:4, expected_revision:8
///                    tracing         target_btf_id:4, padding:4, cookie:8
///                    iterator        iter_info:8, iter_info_len:4
///                    perf event      bpf_cookie:8
///                    netfilter       pf:4, hooknum:4, priority:4, flags:4
///                    kprobe.multi    flags:4, cnt:4, syms:8, addrs:8, cookies:8
///                    uprobe.multi    path:8, offsets:8, ref_ctr_offsets:8, cookies:8, cnt:4, flags:4, pid:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal unsafe struct LinkCreateAttributes
{
    [FieldOffset(0)] internal int Program;
    [FieldOffset(4)] internal int Target;
    [FieldOffset(8)] internal AttachType AttachType;
    [FieldOffset(12)] internal uint Flags;
    [FieldOffset(16)] internal uint Relative;
    [FieldOffset(24)] internal ulong ExpectedRevision;
    [FieldOffset(16)] internal void* IteratorInfo;
    [FieldOffset(24)] internal uint IteratorInfoLength;
    [FieldOffset(16)] internal ulong PerfCookie;
    [FieldOffset(16)] internal uint NetfilterFamily;
    [FieldOffset(20)] internal uint NetfilterHook;
    [FieldOffset(24)] internal int NetfilterPriority;
    [FieldOffset(28)] internal uint NetfilterFlags;
    [FieldOffset(16)] internal uint KprobeFlags;
    [FieldOffset(20)] internal uint KprobeCount;
    [FieldOffset(24)] internal byte** KprobeSymbols;
    [FieldOffset(16)] internal byte* UprobePath;
    [FieldOffset(24)] internal ulong* UprobeOffsets;
    [FieldOffset(40)] internal ulong* UprobeCookies;
    [FieldOffset(48)] internal uint UprobeCount;
    [FieldOffset(52)] internal uint UprobeFlags;
    [FieldOffset(56)] internal uint UprobePid;
}

/// <summary>
/// Attributes of <c>BPF_LINK_UPDATE</c>, <c>BPF_LINK_DETACH</c> and <c>BPF_ITER_CREATE</c>, 16 bytes.
/// <code>
/// 0 link_fd:4   4 new_prog_fd:4 (iterator: flags)   8 flags:4   12 old_prog_fd:4
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

/// <summary>
/// Attributes of <c>BPF_PROG_ATTACH</c> and <c>BPF_PROG_DETACH</c>, 20 bytes.
/// <code>
/// 0 target_fd:4   4 attach_bpf_fd:4   8 attach_type:4   12 attach_flags:4   16 replace_bpf_fd:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ProgAttachAttributes
{
    internal int Target;
    internal int Program;
    internal AttachType AttachType;
    internal uint Flags;
    internal int Replaced;
}

internal static unsafe partial class BpfSyscall
{
    internal static int LinkCreate(ref LinkCreateAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.LinkCreate, ref attributes, out handle);

    internal static int LinkUpdate(ref LinkUpdateAttributes attributes) => Call(BpfCommand.LinkUpdate, ref attributes);

    internal static int LinkDetach(ref LinkUpdateAttributes attributes) => Call(BpfCommand.LinkDetach, ref attributes);

    internal static int IterCreate(ref LinkUpdateAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.IterCreate, ref attributes, out handle);

    internal static int RawTracepointOpen(ref RawTracepointOpenAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.RawTracepointOpen, ref attributes, out handle);

    internal static int ProgAttach(ref ProgAttachAttributes attributes) => Call(BpfCommand.ProgAttach, ref attributes);

    internal static int ProgDetach(ref ProgAttachAttributes attributes) => Call(BpfCommand.ProgDetach, ref attributes);
}
