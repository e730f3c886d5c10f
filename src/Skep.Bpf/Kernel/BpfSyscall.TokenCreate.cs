using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_TOKEN_CREATE</c> (kernel 6.9), 8 bytes.
/// <code>
/// 0 flags:4   4 bpffs_fd:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TokenCreateAttributes
{
    internal uint Flags;
    internal int FileSystem;
}

internal static unsafe partial class BpfSyscall
{
    internal static int TokenCreate(int fileSystem, out KernelHandle handle)
    {
        var attributes = new TokenCreateAttributes { FileSystem = fileSystem };
        return Open(BpfCommand.TokenCreate, ref attributes, out handle);
    }
}
