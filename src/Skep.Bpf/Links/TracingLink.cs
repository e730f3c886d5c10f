using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A link of a raw tracepoint. The kernel cannot exchange its program, so an update exchanges the link.</summary>
internal sealed class TracingLink(KernelHandle handle) : KernelLink(handle)
{
    internal static unsafe KernelHandle Open(LoadedProgram program)
    {
        // Programs with types said at load what they attach to, the others say it here.
        var isTyped = program.Type is ProgramType.Tracing or ProgramType.Lsm or ProgramType.Ext;
        var target = program.Spec?.AttachTarget;
        if (!isTyped && target is null)
        {
            throw new ArgumentException($"Program '{program.Name}' does not say which tracepoint it is for; say it in its section name.", nameof(program));
        }

        using var lease = program.Handle.Borrow();
        fixed (byte* name = isTyped ? null : BpfSyscall.NullTerminated(target!))
        {
            var attributes = new RawTracepointOpenAttributes { Program = lease.Descriptor, Name = name };
            BpfException.ThrowIfFailed(
                BpfSyscall.RawTracepointOpen(ref attributes, out var handle), $"Attaching program '{program.Name}' to {target ?? "its tracepoint"} failed");
            return handle;
        }
    }

    internal override void Update(LoadedProgram program)
    {
        var replacement = Open(program);
        try
        {
            if (PinPath is { } path)
            {
                MovePin(replacement, path);
            }
        }
        catch
        {
            // Otherwise both programs would stay attached.
            replacement.Dispose();
            throw;
        }

        var previous = Handle;
        Handle = replacement;
        previous.Dispose();
    }

    /// <summary>A rename puts the new pin in the place of the old one in one step.</summary>
    private static void MovePin(KernelHandle replacement, string path)
    {
        // Whoever ended between the two steps left the temporary pin behind.
        var temporary = path + "_next";
        File.Delete(temporary);
        BpfException.ThrowIfFailed(BpfSyscall.ObjPin(replacement, temporary), $"Pinning a link at {temporary} failed");
        File.Move(temporary, path, overwrite: true);
    }
}
