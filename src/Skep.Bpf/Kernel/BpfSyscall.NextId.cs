using System.Runtime.InteropServices;
using System.Text;

namespace Skep.Bpf.Kernel;

internal static unsafe partial class BpfSyscall
{
    private const int LongestModule = 64;

    /// <summary>The id after <paramref name="id"/>, or a negative errno (-ENOENT at the end). The command says of what.</summary>
    internal static int NextId(BpfCommand command, uint id, out uint next)
    {
        var attributes = new IdAttributes { Id = id };
        var status = Call(command, ref attributes);
        next = attributes.NextId;
        return status;
    }

    /// <summary>Name of the module whose types these are, <c>vmlinux</c> for the kernel's, null for those of a process.</summary>
    internal static string? NameOfKernelBtf(KernelHandle handle)
    {
        var name = stackalloc byte[LongestModule];
        var info = new BtfInfo { Name = (ulong)name, NameLength = LongestModule };
        return ObjGetInfo(handle, ref info) == 0 && info.OfKernel != 0
            ? Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)) : null;
    }
}
