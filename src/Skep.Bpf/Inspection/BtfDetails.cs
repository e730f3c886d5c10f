using System.Runtime.InteropServices;
using System.Text;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Inspection;

/// <summary>What the kernel knows of loaded type information.</summary>
/// <param name="Id">Number in the kernel.</param>
/// <param name="Name">Name: <c>vmlinux</c> or that of a module; empty for programs' and maps'.</param>
/// <param name="Size">Bytes.</param>
/// <param name="IsKernel">Whether it is the kernel's own or a module's.</param>
public sealed record BtfDetails(uint Id, string Name, uint Size, bool IsKernel)
{
    private const int LongestName = 64;

    /// <summary>Looks at loaded BTF.</summary>
    /// <exception cref="BpfException">ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.</exception>
    public static unsafe BtfDetails Read(uint id)
    {
        using var handle = KernelObjects.Open(BpfObjectKind.Btf, id);
        var name = stackalloc byte[LongestName];
        var info = new BtfInfo { Name = (ulong)name, NameLength = LongestName };
        BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading what the kernel knows of BTF {id} failed");
        var text = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        return new BtfDetails(info.Id, text == "<anon>" ? "" : text, info.Size, info.OfKernel != 0);
    }
}
