using Skep.Bpf.Kernel;

namespace Skep.Bpf.Btf;

public sealed unsafe partial class BtfFile
{
    /// <summary>
    /// Reads type information that is loaded in the kernel, as that of a map or program, by its number (CAP_SYS_ADMIN). Types of a kernel
    /// module build on those of the kernel and cannot be read alone.
    /// </summary>
    /// <exception cref="BpfException">ENOENT when there is none of that number.</exception>
    /// <exception cref="InvalidDataException">It is damaged, or that of a module.</exception>
    public static BtfFile OpenById(uint id)
    {
        BpfException.ThrowIfFailed(BpfSyscall.GetById(BpfCommand.BtfGetFdById, id, out var handle), $"Opening BTF {id} failed");
        using (handle)
        {
            var info = default(BtfInfo);
            BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading BTF {id} failed");
            var bytes = new byte[info.Size];
            fixed (byte* data = bytes)
            {
                info = new BtfInfo { Data = (ulong)data, Size = (uint)bytes.Length };
                BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading BTF {id} failed");
            }

            return Parse(bytes);
        }
    }
}
