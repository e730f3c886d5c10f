using Skep.Bpf.Btf;

namespace Skep.Bpf.Programs;

/// <summary>Finds what a program attaches to in the kernel's BTF.</summary>
internal static class BtfTarget
{
    /// <summary>Number of the type; null when the kernel has no BTF or no such target. The name is that of the type that was looked for.</summary>
    internal static uint? Find(ProgramType type, AttachType? attach, string target, out string name)
    {
        (name, var kind) = (type, attach) switch
        {
            (ProgramType.Tracing, AttachType.TraceRawTp) => ("btf_trace_" + target, BtfKind.Typedef),
            (ProgramType.Tracing, AttachType.TraceIter) => ("bpf_iter_" + target, BtfKind.Function),
            (ProgramType.Lsm, _) => ("bpf_lsm_" + target, BtfKind.Function),
            _ => (target, BtfKind.Function),
        };
        return BtfFile.Kernel?.Find(name, kind);
    }
}
