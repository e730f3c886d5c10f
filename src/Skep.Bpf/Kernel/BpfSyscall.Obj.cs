using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_OBJ_PIN</c> and <c>BPF_OBJ_GET</c>, 16 bytes.
/// <code>
/// 0 pathname:8   8 bpf_fd:4   12 file_flags:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ObjAttributes
{
    internal byte* Path;
    internal int Descriptor;
    internal uint FileFlags;
}

/// <summary>
/// Attributes of <c>BPF_OBJ_GET_INFO_BY_FD</c>, 16 bytes.
/// <code>
/// 0 bpf_fd:4   4 info_len:4   8 info:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ObjInfoAttributes
{
    internal int Descriptor;
    internal uint Length;
    internal void* Info;
}

/// <summary>
/// Attributes of the calls that go by id, 12 bytes.
/// <code>
/// 0 id or start_id:4   4 next_id:4   8 open_flags:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IdAttributes
{
    internal uint Id;
    internal uint NextId;
    internal uint OpenFlags;
}

internal static unsafe partial class BpfSyscall
{
    internal static int ObjPin(KernelHandle handle, string path)
    {
        using var lease = handle.Borrow();
        fixed (byte* pointer = NullTerminated(path))
        {
            var attributes = new ObjAttributes { Path = pointer, Descriptor = lease.Descriptor };
            return Call(BpfCommand.ObjPin, ref attributes);
        }
    }

    internal static int ObjGet(string path, out KernelHandle handle)
    {
        fixed (byte* pointer = NullTerminated(path))
        {
            var attributes = new ObjAttributes { Path = pointer };
            return Open(BpfCommand.ObjGet, ref attributes, out handle);
        }
    }

    /// <summary>Fills <paramref name="info"/>; what an older kernel does not know stays as it was.</summary>
    internal static int ObjGetInfo<T>(KernelHandle handle, ref T info)
        where T : unmanaged
    {
        using var lease = handle.Borrow();
        fixed (T* pointer = &info)
        {
            var attributes = new ObjInfoAttributes { Descriptor = lease.Descriptor, Length = (uint)Unsafe.SizeOf<T>(), Info = pointer };
            return Call(BpfCommand.ObjGetInfoByFd, ref attributes);
        }
    }

    /// <summary>Opens the object with that id; the command says of which kind.</summary>
    internal static int GetById(BpfCommand command, uint id, out KernelHandle handle)
    {
        var attributes = new IdAttributes { Id = id };
        return Open(command, ref attributes, out handle);
    }

    /// <exception cref="ArgumentException">The text has a NUL, where the kernel would cut it: a pin would go by another name.</exception>
    internal static byte[] NullTerminated(string text)
    {
        if (text.Contains('\0'))
        {
            throw new ArgumentException($"'{text.Replace('\0', '?')}' has a NUL.", nameof(text));
        }

        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }
}
