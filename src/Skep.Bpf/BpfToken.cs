using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf;

/// <summary>
/// Permission to use BPF without capabilities in the initial user namespace: given by who mounted a bpffs with delegation
/// (<c>mount -o delegate_cmds=...,delegate_maps=...,delegate_progs=...,delegate_attachs=...</c>) to those in the user namespace that owns
/// the mount (<c>kernel/bpf/token.c</c>, kernel 6.9). CAP_BPF in that user namespace is needed still.
/// </summary>
public sealed class BpfToken : IDisposable
{
    /// <summary><c>BPF_F_TOKEN_FD</c>, the same for maps, programs and BTF.</summary>
    internal const uint Flag = 1 << 16;

    private BpfToken(KernelHandle handle) => Handle = handle;

    internal KernelHandle Handle { get; }

    /// <summary>Takes the permission that a bpffs gives.</summary>
    /// <param name="mountPath">Root directory of the bpffs.</param>
    /// <exception cref="BpfException">
    /// EPERM: the process is not in the user namespace that owns the mount, or has no CAP_BPF there; EOPNOTSUPP: the mount is of the initial
    /// user namespace, where capabilities serve; ENOENT: nothing was delegated; EINVAL: it is no bpffs, or the kernel is older than 6.9.
    /// </exception>
    public static BpfToken Create(string mountPath)
    {
        ArgumentException.ThrowIfNullOrEmpty(mountPath);
        var directory = LibC.open(mountPath, LibC.O_DIRECTORY | LibC.O_CLOEXEC);
        if (directory < 0)
        {
            throw new BpfException($"Opening the bpffs {mountPath} failed", Marshal.GetLastPInvokeError());
        }

        using var mount = new KernelHandle(directory);
        using var lease = mount.Borrow();
        BpfException.ThrowIfFailed(
            BpfSyscall.TokenCreate(lease.Descriptor, out var handle),
            $"Taking a BPF token from {mountPath} failed; it must be the root of a bpffs mounted with delegate_* options in this user namespace (kernel 6.9)");
        return new BpfToken(handle);
    }

    /// <summary>Gives the permission back; what was made with it stays.</summary>
    public void Dispose() => Handle.Dispose();
}
