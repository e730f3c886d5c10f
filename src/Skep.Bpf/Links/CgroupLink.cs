using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A program on a hook of a control group, version 2 (kernel 4.10; by link 5.7). Programs of parents and children all run.</summary>
public sealed class CgroupLink : Link
{
    internal CgroupLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Attaches a program to a control group, on the hook it was loaded for.</summary>
    /// <param name="program">The program.</param>
    /// <param name="cgroup">Directory of the group in a mounted cgroup2 file system.</param>
    /// <param name="anchor">The place among the programs of the group (kernel 6.17); after the others when null.</param>
    /// <exception cref="BpfException">EBADF when the directory is no group of version 2; EINVAL when program and hook do not fit, or for an anchor on an older kernel.</exception>
    public static CgroupLink Attach(LoadedProgram program, string cgroup, LinkAnchor? anchor = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        var attachType = program.Spec?.ExpectedAttachType ?? throw new ArgumentException(
            $"Program '{program.Name}' does not say which hook it is for; say it in its section name, or to the other overload.", nameof(program));
        return Attach(program, cgroup, attachType, anchor);
    }

    /// <summary>Attaches a program to a control group.</summary>
    /// <param name="program">The program.</param>
    /// <param name="cgroup">Directory of the group in a mounted cgroup2 file system.</param>
    /// <param name="attachType">The hook.</param>
    /// <param name="anchor">The place among the programs of the group (kernel 6.17); after the others when null.</param>
    /// <exception cref="BpfException">As for the other overload.</exception>
    public static CgroupLink Attach(LoadedProgram program, string cgroup, AttachType attachType, LinkAnchor? anchor = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        using var directory = LibC.OpenDescriptor(cgroup, LibC.O_DIRECTORY, "the control group");
        using var lease = directory.Borrow();
        var attributes = new LinkCreateAttributes
        {
            Target = lease.Descriptor, AttachType = attachType, Flags = anchor?.Flags ?? 0, Relative = anchor?.Id ?? 0,
        };
        BpfException.ThrowIfFailed(
            KernelLink.Create(program, ref attributes, out var link), $"Attaching program '{program.Name}' to {cgroup} ({attachType}) failed");
        return new CgroupLink(link);
    }
}
