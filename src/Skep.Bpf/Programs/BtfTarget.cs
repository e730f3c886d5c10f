using Skep.Bpf.Btf;

namespace Skep.Bpf.Programs;

/// <summary>Finds what a program attaches to in the BTF of the kernel and its modules.</summary>
internal static class BtfTarget
{
    /// <summary>
    /// The type; null when the kernel has no BTF or no such target. A function may be named with its module, as in <c>nf_nat:nf_nat_setup_info</c>.
    /// </summary>
    /// <param name="type">Program type.</param>
    /// <param name="attach">Attach type.</param>
    /// <param name="target">Name of the target.</param>
    /// <param name="name">Name of the type that was looked for.</param>
    internal static KernelTypeId? Find(ProgramType type, AttachType? attach, string target, out string name)
    {
        var colon = target.IndexOf(':', StringComparison.Ordinal);
        (name, var kind) = (type, attach) switch
        {
            (ProgramType.Tracing, AttachType.TraceRawTp) => ("btf_trace_" + target, BtfKind.Typedef),
            (ProgramType.Tracing, AttachType.TraceIter) => ("bpf_iter_" + target, BtfKind.Function),
            (ProgramType.Lsm, _) => ("bpf_lsm_" + target, BtfKind.Function),
            _ => (target[(colon + 1)..], BtfKind.Function),
        };
        foreach (var found in KernelTypes.Running?.FindAll(name, kind) ?? [])
        {
            if (colon < 0 || found.Module == target[..colon])
            {
                return found;
            }
        }

        return null;
    }
}
