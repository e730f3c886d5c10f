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

    /// <summary>Attaches a program to a control group.</summary>
    /// <param name="program">The program.</param>
    /// <param name="cgroup">Directory of the group in a mounted cgroup2 file system.</param>
    /// <param name="attachType">The hook.</param>
    /// <exception cref="BpfException">EBADF when the directory is no group of version 2; EINVAL when program and hook do not fit.</exception>
    public static CgroupLink Attach(LoadedProgram program, string cgroup, AttachType attachType)
    {
        ArgumentNullException.ThrowIfNull(program);
        var descriptor = LibC.open(cgroup, LibC.O_RDONLY | LibC.O_DIRECTORY | LibC.O_CLOEXEC);
        if (descriptor < 0)
        {
            throw new BpfException($"Opening the control group {cgroup} failed", Marshal.GetLastPInvokeError());
        }

        using var directory = new KernelHandle(descriptor);
        BpfException.ThrowIfFailed(
            KernelLink.Create(program, descriptor, attachType, 0, out var link), $"Attaching program '{program.Name}' to {cgroup} ({attachType}) failed");
        return new CgroupLink(link);
    }
}
