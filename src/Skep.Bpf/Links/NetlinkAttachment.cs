using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>An attachment by netlink. It lasts until somebody detaches it; the socket keeps to the namespace of the interface.</summary>
internal abstract class NetlinkAttachment(NetlinkSocket socket, KernelHandle program, HookRecord hook) : Attachment
{
    private KernelHandle _program = program;
    private HookRecord _hook = hook;
    private ArrayMap<HookRecord>? _pin;
    private bool _detached;

    internal override uint LinkId => 0;

    internal override int InterfaceIndex => _hook.Interface;

    internal override uint ProgramId => _hook.ProgramId;

    private protected NetlinkSocket Socket { get; } = socket;

    private protected HookRecord Hook => _hook;

    private protected KernelHandle Program => _program;

    /// <summary>Notes that the attachment was opened from its pin.</summary>
    internal void AdoptPin(ArrayMap<HookRecord> pin, string path) => (_pin, PinPath) = (pin, path);

    internal override void Pin(string path)
    {
        var pin = HookRecord.NewMap();
        try
        {
            pin.Bind(KernelMapStorage.Create(pin));
            pin.Set(0, _hook);
            ((KernelMapStorage)pin.Storage).Pin(path);
        }
        catch
        {
            pin.Dispose();
            throw;
        }

        _pin?.Dispose();
        _pin = pin;
    }

    internal sealed override void Update(LoadedProgram program)
    {
        var replacement = Reopen(program.Id);
        try
        {
            Replace(program);
        }
        catch
        {
            replacement.Dispose();
            throw;
        }

        var previous = _program;
        _program = replacement;
        _hook = _hook with { ProgramId = program.Id };
        _pin?.Set(0, _hook);
        previous.Dispose();
    }

    internal sealed override void Detach()
    {
        _detached = true;
        Remove();
    }

    internal override void Close()
    {
        try
        {
            if (PinPath is null && !_detached)
            {
                Detach();
            }
        }
        finally
        {
            _pin?.Dispose();
            _program.Dispose();
            Socket.Dispose();
        }
    }

    private protected abstract void Replace(LoadedProgram program);

    private protected abstract void Remove();

    /// <summary>A descriptor of its own, since the caller may dispose of the program while the attachment lives.</summary>
    internal static KernelHandle Reopen(uint programId)
    {
        BpfException.ThrowIfFailed(
            BpfSyscall.GetById(BpfCommand.ProgGetFdById, programId, out var handle), $"Opening program {programId} failed");
        return handle;
    }
}
