using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>
/// An attachment of a program to a hook. Disposing of it detaches the program, unless it was pinned:
/// then the pin keeps it, and the program keeps running after the process.
/// </summary>
public abstract class Link : IDisposable
{
    private int _disposed;

    private protected Link(Attachment attachment) => Attachment = attachment;

    /// <summary>Number of the link in the kernel; 0 when the program was attached by netlink, a socket option or to a map.</summary>
    public uint Id => Attachment.LinkId;

    /// <summary>Number of the program that is attached now.</summary>
    public uint ProgramId => Attachment.ProgramId;

    /// <summary>
    /// Index of the interface the program is attached to, in that interface's namespace; 0 for hooks without one, and after the interface
    /// is gone: the kernel detaches the program then, and what is left is an empty link.
    /// </summary>
    public int InterfaceIndex => Attachment.InterfaceIndex;

    /// <summary>Whether the program was attached by netlink, because the kernel has no link for this hook or because it was asked for.</summary>
    public bool UsesNetlink => Attachment is NetlinkAttachment or RouteAttachment;

    /// <summary>Path of the pin, null when there is none.</summary>
    public string? PinPath => Attachment.PinPath;

    private protected Attachment Attachment { get; }

    /// <summary>
    /// Keeps the attachment when the process ends, and makes it known under <paramref name="path"/>, which lies in a bpffs.
    /// By netlink it would last anyway; the pin then is a note by which <see cref="OpenPinned"/> finds the hook.
    /// </summary>
    /// <exception cref="BpfException">EEXIST when the path is taken, EPERM when it does not lie in a bpffs or has a dot in its name.</exception>
    public void Pin(string path)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        Attachment.Pin(path);
        Attachment.PinPath = path;
    }

    /// <summary>
    /// Replaces the program. On XDP, TC and cgroup hooks in one step: every packet sees the old or the new one. On raw tracepoints, which
    /// cannot be updated in place, the new one is attached before the old one goes, so that for a moment an event may be seen by both.
    /// </summary>
    /// <exception cref="BpfException">EINVAL when the new program is of another type.</exception>
    public void Update(LoadedProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        Attachment.Update(program);
    }

    /// <summary>Takes the program from the hook and removes the pin.</summary>
    public void Detach()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        try
        {
            // The pin first: one that is left without an attachment would be found at the next start.
            if (Attachment.PinPath is { } path)
            {
                File.Delete(path);
                Attachment.PinPath = null;
            }
        }
        finally
        {
            DetachAndClose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Attachment.Close();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Opens a pinned attachment; what is pinned says of which kind it is.</summary>
    /// <exception cref="BpfException">ENOENT: there is no such pin, or the program that was attached by netlink is gone from its interface.</exception>
    /// <exception cref="NotSupportedException">The pin is no link, or of a kind that this library does not attach.</exception>
    public static Link OpenPinned(string path)
    {
        BpfException.ThrowIfFailed(BpfSyscall.ObjGet(path, out var handle), $"Opening the pinned link {path} failed");
        try
        {
            switch (ObjectKinds.Of(handle))
            {
                case ObjectKind.Link:
                    return OpenLink(handle, path);
                case ObjectKind.Map:
                    handle.Dispose();
                    return NetlinkPin.Open(path);
                default:
                    throw new NotSupportedException($"What is pinned at {path} is a program, not a link.");
            }
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private void DetachAndClose()
    {
        try
        {
            Attachment.Detach();
        }
        finally
        {
            Attachment.Close();
        }
    }

    private static Link OpenLink(KernelHandle handle, string path)
    {
        var attachment = new KernelLink(handle) { PinPath = path };
        switch (attachment.Info.Type)
        {
            case LinkType.Xdp:
                return new XdpLink(attachment);
            case LinkType.Tcx:
                return new TcxLink(attachment);
            case LinkType.Cgroup:
                return new CgroupLink(attachment);
            case LinkType.Netns:
                return new NetnsLink(attachment);
            case LinkType.Netfilter:
                return new NetfilterLink(attachment);
            case LinkType.Iter:
                return new IteratorLink(attachment);
            case LinkType.PerfEvent:
                return new PerfEventLink(attachment);
            case LinkType.UprobeMulti:
                return new UprobeLink(attachment);
            case LinkType.KprobeMulti:
                return new KprobeLink(attachment);
            case LinkType.Sockmap:
                return new SocketMapLink(attachment);
            case LinkType.StructOps:
                return new StructOpsLink(new StructOpsAttachment(attachment.Release()) { PinPath = path });
            case LinkType.Tracing or LinkType.RawTracepoint:
                return new RawTracepointLink(new TracingLink(attachment.Release()) { PinPath = path });
            case var other:
                throw new NotSupportedException($"What is pinned at {path} is a link of type {other}.");
        }
    }
}
