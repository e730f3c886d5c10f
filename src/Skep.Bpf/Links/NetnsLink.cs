using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A program on a network namespace: sk_lookup (kernel 5.9) or a flow dissector (kernel 5.8).</summary>
public sealed class NetnsLink : Link
{
    internal NetnsLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Attaches a program to a network namespace. Several sk_lookup programs run in the order of attachment; there is one flow dissector.</summary>
    /// <param name="program">The program.</param>
    /// <param name="path">A file that stands for the namespace; that of the calling thread when left out.</param>
    /// <exception cref="BpfException">ENOENT, EACCES; EINVAL when the type of the program is another; E2BIG when a flow dissector is there.</exception>
    public static NetnsLink Attach(LoadedProgram program, string path = "/proc/thread-self/ns/net")
    {
        ArgumentNullException.ThrowIfNull(program);
        var attachType = program.Type == ProgramType.FlowDissector ? AttachType.FlowDissector : AttachType.SkLookup;
        using var target = LibC.OpenDescriptor(path, 0, "the network namespace");
        using var lease = target.Borrow();
        var attributes = new LinkCreateAttributes { Target = lease.Descriptor, AttachType = attachType };
        BpfException.ThrowIfFailed(
            KernelLink.Create(program, ref attributes, out var link), $"Attaching program '{program.Name}' to {path} ({attachType}) failed");
        return new NetnsLink(link);
    }
}
