using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>An attachment by netlink. It lasts until somebody detaches it; the socket keeps to the namespace of the interface.</summary>
internal abstract class NetlinkAttachment(NetlinkSocket socket, KernelHandle program, uint programId, int interfaceIndex) : Attachment
{
    private KernelHandle _program = program;
    private uint _programId = programId;

    internal override uint LinkId => 0;

    internal override uint ProgramId => _programId;

    private protected NetlinkSocket Socket { get; } = socket;

    private protected int InterfaceIndex { get; } = interfaceIndex;

    private protected KernelHandle Program => _program;

    internal override void Pin(string path) =>
        BpfException.ThrowIfFailed(BpfSyscall.ObjPin(_program, path), $"Pinning an attached program at {path} failed");

    internal sealed override void Update(LoadedProgram program)
    {
        Replace(program);
        var previous = _program;
        (_program, _programId) = (Reopen(program), program.Id);
        if (PinPath is { } path)
        {
            var temporary = path + "_next";
            BpfException.ThrowIfFailed(BpfSyscall.ObjPin(_program, temporary), $"Pinning an attached program at {temporary} failed");
            File.Move(temporary, path, overwrite: true);
        }

        previous.Dispose();
    }

    internal override void Close()
    {
        try
        {
            if (PinPath is null && !Detached)
            {
                Detach();
            }
        }
        finally
        {
            _program.Dispose();
            Socket.Dispose();
        }
    }

    private protected bool Detached { get; set; }

    private protected abstract void Replace(LoadedProgram program);

    /// <summary>A descriptor of its own, since the caller may dispose of the program while the attachment lives.</summary>
    private protected static KernelHandle Reopen(LoadedProgram program)
    {
        BpfException.ThrowIfFailed(
            BpfSyscall.GetById(BpfCommand.ProgGetFdById, program.Id, out var handle), $"Opening program {program.Id} failed");
        return handle;
    }
}
