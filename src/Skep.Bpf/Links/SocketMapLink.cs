using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A program on a socket map: sk_msg or sk_skb (by link kernel 6.10, attached to the map itself before).</summary>
public sealed class SocketMapLink : Link
{
    internal SocketMapLink(Attachment attachment)
        : base(attachment)
    {
    }

    /// <summary>Attaches a program to the sockets of a map: those in it and those to come.</summary>
    /// <param name="program">An sk_msg or sk_skb program that was loaded for its hook.</param>
    /// <param name="map">A socket map that lives in the kernel.</param>
    /// <exception cref="BpfException">EBUSY when a program of the same hook is there; EINVAL when the types do not fit.</exception>
    public static SocketMapLink Attach(LoadedProgram program, BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(map);
        var storage = map.IsBound && map.Storage is KernelMapStorage kernel ? kernel : throw new InvalidOperationException(
            $"Map '{map.Name}' does not live in the kernel; load a program that uses it first.");
        var attachType = program.Spec?.ExpectedAttachType ?? throw new ArgumentException(
            $"Program '{program.Name}' does not say which hook it is for; say it in its section name.", nameof(program));
        using var lease = storage.Handle.Borrow();
        var attributes = new LinkCreateAttributes { Target = lease.Descriptor, AttachType = attachType };
        var status = KernelLink.Create(program, ref attributes, out var link);
        if (status == 0)
        {
            return new SocketMapLink(link);
        }

        // A kernel without these links says EINVAL, as for a program of the wrong type: attaching to the map says which.
        return status == -Errno.Invalid
            ? new SocketMapLink(SocketMapAttachment.Attach(program, storage, attachType, map.Name))
            : throw new BpfException($"Attaching program '{program.Name}' to socket map '{map.Name}' ({attachType}) failed", status);
    }
}

/// <summary>A program attached to a socket map by <c>BPF_PROG_ATTACH</c> (kernel 4.14).</summary>
internal sealed class SocketMapAttachment : Attachment
{
    private readonly KernelHandle _map;
    private readonly AttachType _attachType;
    private KernelHandle _program;
    private bool _detached;

    private SocketMapAttachment(KernelHandle map, KernelHandle program, uint programId, AttachType attachType) =>
        (_map, _program, ProgramNumber, _attachType) = (map, program, programId, attachType);

    internal override uint LinkId => 0;

    internal override uint ProgramId => ProgramNumber;

    internal override int InterfaceIndex => 0;

    private uint ProgramNumber { get; set; }

    internal static SocketMapAttachment Attach(LoadedProgram program, KernelMapStorage storage, AttachType attachType, string name)
    {
        var own = NetlinkAttachment.Reopen(program.Id);
        KernelHandle? map = null;
        try
        {
            BpfException.ThrowIfFailed(BpfSyscall.GetById(BpfCommand.MapGetFdById, storage.Id, out map), $"Opening map '{name}' failed");
            var result = new SocketMapAttachment(map, own, program.Id, attachType);
            BpfException.ThrowIfFailed(result.Set(own), $"Attaching program '{program.Name}' to socket map '{name}' ({attachType}) failed");
            return result;
        }
        catch
        {
            own.Dispose();
            map?.Dispose();
            throw;
        }
    }

    internal override void Pin(string path) =>
        throw new NotSupportedException("Programs on socket maps can be pinned from kernel 6.10 on, which has links for them; before, pin the map: it keeps its programs.");

    internal override void Update(LoadedProgram program)
    {
        var own = NetlinkAttachment.Reopen(program.Id);
        var status = Set(own);
        if (status < 0)
        {
            own.Dispose();
            throw new BpfException($"Replacing the program of a socket map by '{program.Name}' failed", status);
        }

        var previous = _program;
        (_program, ProgramNumber) = (own, program.Id);
        previous.Dispose();
    }

    internal override void Detach()
    {
        _detached = true;
        using var map = _map.Borrow();
        using var program = _program.Borrow();
        var attributes = new ProgAttachAttributes { Target = map.Descriptor, Program = program.Descriptor, AttachType = _attachType };
        var status = BpfSyscall.ProgDetach(ref attributes);

        // ENOENT: another program took its place.
        if (status != -Errno.NoEntry)
        {
            BpfException.ThrowIfFailed(status, "Detaching a program from a socket map failed");
        }
    }

    internal override void Close()
    {
        try
        {
            if (!_detached)
            {
                Detach();
            }
        }
        finally
        {
            _map.Dispose();
            _program.Dispose();
        }
    }

    private int Set(KernelHandle program)
    {
        using var map = _map.Borrow();
        using var lease = program.Borrow();
        var attributes = new ProgAttachAttributes { Target = map.Descriptor, Program = lease.Descriptor, AttachType = _attachType };
        return BpfSyscall.ProgAttach(ref attributes);
    }
}
