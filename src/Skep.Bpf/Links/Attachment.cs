using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>How a program hangs on its hook: by a link of the kernel, or by netlink where the kernel has none.</summary>
internal abstract class Attachment
{
    /// <summary>Number of the link; 0 for attachments by netlink.</summary>
    internal abstract uint LinkId { get; }

    internal abstract uint ProgramId { get; }

    /// <summary>Interface of the hook; 0 when it has none, or when the interface is gone.</summary>
    internal abstract int InterfaceIndex { get; }

    /// <summary>Path of the pin, if there is one.</summary>
    internal string? PinPath { get; set; }

    internal abstract void Pin(string path);

    internal abstract void Update(LoadedProgram program);

    /// <summary>Takes the program from the hook.</summary>
    internal abstract void Detach();

    /// <summary>Gives up what the process holds; detaches unless pinned.</summary>
    internal abstract void Close();
}
