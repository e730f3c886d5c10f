using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A link object of the kernel (5.7): the program stays attached as long as a descriptor or pin of it exists.</summary>
internal class KernelLink(KernelHandle handle) : Attachment
{
    private protected KernelHandle Handle { get; set; } = handle;

    internal LinkInfoData Info
    {
        get
        {
            var info = default(LinkInfoData);
            BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(Handle, ref info), "Reading what the kernel knows of a link failed");
            return info;
        }
    }

    internal override uint LinkId => Info.Id;

    internal override uint ProgramId => Info.ProgramId;

    internal override int InterfaceIndex => Info is { Type: LinkType.Xdp or LinkType.Tcx } info ? (int)info.Interface : 0;

    /// <summary>Attaches by <c>BPF_LINK_CREATE</c>; the program is filled in. 0 and the link, or a negative errno.</summary>
    internal static int Create(LoadedProgram program, ref LinkCreateAttributes attributes, out KernelLink link)
    {
        using var lease = program.Handle.Borrow();
        attributes.Program = lease.Descriptor;
        var status = BpfSyscall.LinkCreate(ref attributes, out var handle);
        link = new KernelLink(handle);
        return status;
    }

    internal KernelHandle.Lease Borrow() => Handle.Borrow();

    internal KernelHandle Release() => Handle;

    internal override void Pin(string path) => BpfException.ThrowIfFailed(BpfSyscall.ObjPin(Handle, path), $"Pinning a link at {path} failed");

    internal override void Update(LoadedProgram program)
    {
        using var link = Handle.Borrow();
        using var replacement = program.Handle.Borrow();
        var attributes = new LinkUpdateAttributes { Link = link.Descriptor, NewProgram = replacement.Descriptor };
        BpfException.ThrowIfFailed(BpfSyscall.LinkUpdate(ref attributes), $"Replacing the program of a link by '{program.Name}' failed");
    }

    internal override void Detach()
    {
        using var link = Handle.Borrow();
        var attributes = new LinkUpdateAttributes { Link = link.Descriptor };
        var status = BpfSyscall.LinkDetach(ref attributes);

        // Kernel 5.9, and not for every type: closing the last descriptor does the same.
        if (status is not -Errno.NotSupported and not -Errno.Invalid)
        {
            BpfException.ThrowIfFailed(status, "Detaching a link failed");
        }
    }

    internal override void Close() => Handle.Dispose();
}
